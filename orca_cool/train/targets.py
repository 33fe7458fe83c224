"""Targets of training and evaluation: measured maps to log observed/expected at every level.

Source: Zhou 2022, Methods; ``cooltools.lib.numutils.adaptive_coarsegrain`` (Akita, Fudenberg 2020).
"""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import cooler
import numpy as np

from orca_cool.background import Background
from orca_cool.errors import CoolerError, TrainingError

log = logging.getLogger(__name__)


def open_map(path: str | Path, resolution: int) -> cooler.Cooler:
    """A .cool of ``resolution`` or that resolution of an .mcool."""
    name = str(path)
    if not Path(name.partition("::")[0]).is_file():
        raise CoolerError(f"contact map {name!r} does not exist")
    try:
        if "::" not in name and cooler.fileops.is_multires_file(name):
            name = f"{name}::/resolutions/{resolution}"
        c = cooler.Cooler(name)
    except (KeyError, OSError, ValueError) as error:
        raise CoolerError(f"contact map {name!r} cannot be opened as a cooler: {error}") from error
    if c.binsize != resolution:
        raise CoolerError(f"contact map {name!r} has bins of {c.binsize} bp; {resolution} are needed")
    if "weight" not in c.bins().columns:
        raise CoolerError(f"contact map {name!r} is not balanced: it has no column 'weight' (run `cooler balance`)")
    return c


def coarse_grained(c: cooler.Cooler, chrom: str, cutoff: float) -> np.ndarray:
    """Balanced map of one chromosome after adaptive coarse-graining.

    Returns
    -------
    (n, n) float32; NaN in masked rows and columns and where too few contacts exist at any scale.
    """
    raw = c.matrix(balance=False).fetch(chrom).astype(float)
    balanced = c.matrix(balance=True).fetch(chrom)
    return coarse_grain(balanced, raw, cutoff)


def coarse_grain(balanced: np.ndarray, raw: np.ndarray, cutoff: float) -> np.ndarray:
    """Adaptive coarse-graining of one dense map (n, n)."""
    from cooltools.lib.numutils import adaptive_coarsegrain

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = adaptive_coarsegrain(balanced, raw, cutoff=cutoff)
    return np.asarray(y, dtype=np.float32)


def block_mean(m: np.ndarray, factor: int, missing: float) -> np.ndarray:
    """Means of ``factor`` x ``factor`` blocks of (n, n), ignoring NaN; n is padded with NaN to a multiple of ``factor``.

    A block with more than the share ``missing`` of NaN becomes NaN.
    """
    n = -(-m.shape[0] // factor)
    full = np.full((n * factor, n * factor), np.nan)
    full[: m.shape[0], : m.shape[1]] = m
    blocks = full.reshape(n, factor, n, factor)
    found = np.isfinite(blocks)
    count = found.sum(axis=(1, 3))
    total = np.where(found, blocks, 0.0).sum(axis=(1, 3))
    # what lies past the chromosome's end is not missing: the last bin is judged by the part that exists
    size = np.minimum(np.full(n, factor), m.shape[0] - factor * np.arange(n))
    enough = count >= np.maximum(1, (1 - missing) * np.outer(size, size))
    return np.where(enough, total / np.maximum(count, 1), np.nan)


def expected_by_distance(maps: Iterable[np.ndarray], resolution: int, smooth: float = 0.06, keep: int = 8) -> Background:
    """Mean frequency by distance over several maps, smoothed and not increasing.

    Distances below ``keep`` bins stay as measured; beyond, a Gaussian in log distance of width ``smooth`` (natural log).
    Distances that fewer than 20 pixels support are left out (NaN at the end).
    """
    total: np.ndarray = np.zeros(0)
    count: np.ndarray = np.zeros(0)
    for m in maps:
        n = m.shape[0]
        if n > len(total):
            total, count = np.pad(total, (0, n - len(total))), np.pad(count, (0, n - len(count)))
        for d in range(n):
            diagonal = np.diagonal(m, d)
            found = np.isfinite(diagonal)
            total[d] += diagonal[found].sum()
            count[d] += found.sum()
    enough = count >= 20
    if not enough.any():
        raise TrainingError("no distance of the training maps has 20 measured pixels: the background cannot be computed")
    n = int(np.argmin(enough)) if not enough.all() else len(enough)
    mean = total[:n] / count[:n]
    d = np.log(np.arange(n) + 0.5)
    out = mean.copy()
    for k in range(keep, n):
        w = np.exp(-0.5 * ((d - d[k]) / smooth) ** 2) * count[:n]
        out[k] = (w * mean).sum() / w.sum()
    return Background(resolution=resolution, cis=np.minimum.accumulate(out), trans=None)


def log_ratio(observed: np.ndarray, background: Background, resolution: int, bins: int) -> np.ndarray:
    """log((observed + eps) / (expected + eps)), natural log, within the band that one window reaches.

    Parameters
    ----------
    observed : (n, n) balanced frequency at ``resolution``.

    Returns
    -------
    (n, n) float32, NaN beyond ``bins - 1`` bins of distance.
    """
    n = observed.shape[0]
    expected = background.normmat(resolution, bins)[0]
    eps = background.eps(resolution, bins)
    d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    inside = d < bins
    e = expected[np.where(inside, d, 0)]
    with np.errstate(invalid="ignore"):
        y = np.log((observed + eps) / (e + eps))
    return np.where(inside, y, np.nan).astype(np.float32)


class TargetMaps:
    """Coarse-grained maps of the allowed chromosomes of one cooler, with a cache file beside the run.

    Parameters
    ----------
    exclude : chromosomes that are never read (the test chromosomes).
    """

    def __init__(self, path: Path, resolution: int, cutoff: float, exclude: Iterable[str], cache: Path | None = None):
        self.cooler = open_map(path, resolution)
        self.resolution = resolution
        refused = set(exclude)
        chroms = [c for c in self.cooler.chromnames if c not in refused and self.cooler.matrix(balance=False).fetch(c).sum() > 0]
        self.lengths = {c: int(self.cooler.chromsizes[c]) for c in chroms}
        stat = Path(path).stat()
        key = hashlib.sha256(f"{Path(path).name} {stat.st_size} {resolution} {cutoff} {sorted(chroms)}".encode()).hexdigest()[:12]
        file = cache / f"targets-{key}.npz" if cache else None
        if file and file.is_file():
            with np.load(file) as stored:
                self.maps = {c: stored[c] for c in chroms}
            return
        log.info("adaptive coarse-graining of %d chromosomes of %s", len(chroms), path)
        self.maps = {c: coarse_grained(self.cooler, c, cutoff) for c in chroms}
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part.npz")
            np.savez_compressed(part, **self.maps)
            os.replace(part, file)

    def levels(self, chrom: str, background: Background, resolutions: Iterable[int], bins: int, missing: float) -> Mapping[int, np.ndarray]:
        """Targets of one chromosome by resolution, each (n, n); all cover the same bp, padded with NaN to the coarsest bin."""
        resolutions = tuple(resolutions)
        most = max(resolutions) // self.resolution
        n = -(-self.maps[chrom].shape[0] // most) * most
        out = {}
        for r in resolutions:
            f = r // self.resolution
            y = log_ratio(block_mean(self.maps[chrom], f, missing), background, r, bins)
            full = np.full((n // f, n // f), np.nan, np.float32)
            full[: y.shape[0], : y.shape[1]] = y
            out[r] = full
        return out
