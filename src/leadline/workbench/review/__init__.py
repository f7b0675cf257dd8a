"""Review: near-duplicates decided once, with as little seen as can be, and every look recorded."""
