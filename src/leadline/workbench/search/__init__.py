"""Finding things: what is known exactly first, then words of what settings let into an index. Decides no right."""
