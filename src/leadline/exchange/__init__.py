"""Other organisations' formats and systems: read into typed entries, written from them. Decides nothing."""
