"""Acts of evidence, one module a noun. Everybody else comes through `actions`."""
