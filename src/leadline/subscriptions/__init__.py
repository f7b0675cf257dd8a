"""What we take from others: each source's settings and credentials, where its pull stands, what of it a bank holds."""
