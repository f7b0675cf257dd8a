"""The writes of review, one module a noun; `actions` is the door."""
