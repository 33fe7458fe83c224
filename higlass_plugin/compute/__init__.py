"""What tiles are computed from: units of work, the thread that computes them, and the cache that
keeps them.
"""
