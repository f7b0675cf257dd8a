"""Acts on banks, one module a noun. Everybody else comes through `actions`."""
