"""Files as tilesets, read through clodius."""
