"""How the tables of quality came to be."""
