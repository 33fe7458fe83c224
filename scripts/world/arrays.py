"""Files of arrays that appear whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orca_cool.files import atomic_path


def save(path: Path, **arrays: np.ndarray | str) -> None:
    """Write arrays as a compressed .npz; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
