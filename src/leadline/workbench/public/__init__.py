"""The public report form: anonymous, without cookie or script. A plain package over `reports`; it has no tables."""
