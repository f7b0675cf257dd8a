"""The match service: the engine's lean HTTP face for platforms. Knows no Django and no database; writes no media."""
