"""How good a prediction is: correlation with a measured map by level, beside baselines and the
measured map's own ceiling.
"""
