"""The acts of cases, one module a noun. `cases/actions.py` is their door."""
