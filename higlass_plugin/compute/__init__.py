"""How tiles are computed: units of work, the thread that computes them, and the cache of values."""
