"""What is done to golden items and to pairs of answers, one module a noun. The door is `actions`."""
