"""Acts of sharing, one module a noun."""
