"""Custody: sealing, the vault, hash-chained events, anchors, exhibits, and checking all of it offline. No Django."""
