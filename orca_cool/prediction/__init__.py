"""From encodings to maps: windows, levels, the engine that decodes them, the mosaic, long jobs that
survive kills.
"""

from __future__ import annotations

#: What the encoder sees at the ends of a window: the chromosome going on, or zero padding as in the
#: released program.
EDGES = ("real", "zero-padded")
