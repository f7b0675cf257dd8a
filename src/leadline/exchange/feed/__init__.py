"""The Leadline feed: entries signed, and encrypted to each subscriber; receipts back. docs/feed.md is its form."""
