"""Pixels to fingerprints; fingerprints and banks to matches. Decodes nothing."""
