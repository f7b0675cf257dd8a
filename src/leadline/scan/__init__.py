"""The one pipeline: path -> media -> match -> finding, by processes here or on many machines. Never writes a source."""
