"""Sharing: the gate for everything that leaves to another organisation, and where lists come from."""
