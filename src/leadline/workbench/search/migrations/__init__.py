"""How the tables of search came to be."""
