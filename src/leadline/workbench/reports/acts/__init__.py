"""Writes of reports, one module a noun. Whoever writes goes through `reports.actions`; what is not there is private."""
