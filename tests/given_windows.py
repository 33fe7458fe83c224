"""Windows of a map that is known, in the files of docs/stitch.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orca_cool.genome.regions import n_bins

RESOLUTION, BINS = 100, 16
SIZES = {"a": 5_970, "b": 1_600, "c": 2_500}


def known_map(chrom: str, seed: int = 0) -> np.ndarray:
    """(n, n) symmetric natural log observed/expected of a whole chromosome."""
    n = n_bins(SIZES[chrom], RESOLUTION)
    y = np.random.default_rng([seed, n]).normal(size=(n, n)).astype(np.float32)
    return np.triu(y) + np.triu(y, 1).T


def cut(y: np.ndarray, start: int, bins: int = BINS) -> np.ndarray:
    """(bins, bins) window from bin ``start``, NaN outside of the chromosome."""
    out = np.full((bins, bins), np.nan, np.float32)
    a, b = max(start, 0), min(start + bins, len(y))
    out[a - start : b - start, a - start : b - start] = y[a:b, a:b]
    return out


def save(path: Path, chrom: str, start: int, values: np.ndarray, **more: object) -> Path:
    """One window from bin ``start``, as .npz."""
    first = start * RESOLUTION
    about = {"chrom": chrom, "start": first, "end": first + len(values) * RESOLUTION}
    np.savez(path, values=values, **(about | more))
    return path


#: First bins of windows, by chromosome.
STARTS = {"a": [0, 6, 12, 20, 28, 36, 44], "b": [0], "c": [0, 5, 9]}


def write_all(folder: Path, seed: int = 0) -> Path:
    """A folder with windows of all chromosomes."""
    folder.mkdir(exist_ok=True)
    for chrom, starts in STARTS.items():
        for k, s in enumerate(starts):
            save(folder / f"{chrom}{k}.npz", chrom, s, cut(known_map(chrom, seed), s))
    return folder


def genome(path: Path) -> Path:
    """The FASTA that the windows lie in; bin 10 of "c" is N."""
    random = np.random.default_rng(1)
    codes = {c: random.integers(0, 4, n).astype(np.uint8) for c, n in SIZES.items()}
    codes["c"][1000:1100] = 4
    letters = np.frombuffer(b"ACGTN", np.uint8)
    text = b"".join(
        b">" + c.encode() + b"\n" + letters[v].tobytes() + b"\n" for c, v in codes.items()
    )
    path.write_bytes(text)
    return path
