"""Real files as tilesets, read through clodius."""
