"""What a power cut or a failing disk does to a file, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

KINDS = ("bit", "cut", "empty", "zeros", "zero tail", "gone")


def damage(path: Path, kind: str, rng: np.random.Generator) -> str:
    """Damage a file; what was done, in words."""
    data = bytearray(path.read_bytes())
    at = int(rng.integers(len(data))) if data else 0
    if kind == "gone" or not data:
        path.unlink()
    elif kind == "bit":
        data[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
    elif kind == "cut":
        path.write_bytes(data[:at])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "zeros":
        end = min(len(data), at + int(rng.integers(1, 600)))
        path.write_bytes(data[:at] + bytes(end - at) + data[end:])
    else:  # the size is there, the last bytes are not
        path.write_bytes(data[:at] + bytes(len(data) - at))
    return f"{kind} at {at} of {len(data)} in {path.name}"
