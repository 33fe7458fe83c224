"""Contact maps: cooler pixels and files, expected tables, measured maps, scores of two maps, pictures."""
