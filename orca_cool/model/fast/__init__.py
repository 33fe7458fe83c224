"""The same functions as the networks of :mod:`orca_cool.model`, to float rounding, several times
faster.
"""
