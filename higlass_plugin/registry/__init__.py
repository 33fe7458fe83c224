"""All tilesets of a server: their addresses, edited genomes, and what is kept over restarts."""
