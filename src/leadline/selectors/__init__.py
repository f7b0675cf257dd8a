"""Text to typed identifiers: URLs, hosts, accounts, hashes. Never follows, fetches or resolves one."""
