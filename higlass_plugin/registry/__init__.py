"""All tilesets of a server: their addresses, edited genomes, and what outlives a restart."""
