"""Template filters of laws."""
