"""From encodings to maps: windows, levels, the engine that decodes them, the mosaic, long jobs that
survive kills.
"""

from __future__ import annotations

#: What the encoder sees at the ends of a window: the chromosome going on, or zero padding as in the
#: released program.
EDGES = ("real", "zero-padded")

#: Number types of stored windows; the first is exact.
WINDOW_DTYPES = ("float32", "float16")

#: Gigabytes (10^9 bytes) that a store of windows takes at most, unless told otherwise.
WINDOW_STORE_SIZE = 8.0
