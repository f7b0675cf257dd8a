"""Steps of the tables of the journal."""
