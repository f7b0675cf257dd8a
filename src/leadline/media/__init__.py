"""Hostile bytes to pixels and parts, behind a wall. Compares nothing, writes nothing."""
