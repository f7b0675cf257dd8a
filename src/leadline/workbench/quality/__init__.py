"""How well the office answers: golden items, second answers given unseen, agreement, what a third person settles."""
