"""How the tables of review came to be."""
