"""Contact maps: ``ContactMap``, cooler files and their opener, expected tables, measured maps,
scores of two maps, checks, pictures.
"""
