"""Loops as a loss of their own: the strengths of dots at known loops, predicted against measured.

A loop is a few pixels among thousands, so the mean squared error of a map hardly feels it. A stage
with ``dots`` compares the strength of the dot at each loop as well: mean log observed/expected of
the 3 x 3 bins around it, less that of the 11 x 11 bins around it without the inner 5 x 5, as
``orca-cool variants --loops`` scores loops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from orca_cool.errors import TrainingError
from orca_cool.genome.loops import read_loops
from orca_cool.genome.segments import Segment
from orca_cool.maps.metrics import RING, dot_parts
from orca_cool.train.settings import Config

#: A control of a loop lies at its distance, this many bins up or down the diagonal.
CONTROL_SHIFT = 6, 20

#: By chromosome, (n, 2) positions of the anchors of its loops in bp, the left one first.
Loops = Mapping[str, np.ndarray]


#: (2, 11, 11) bool: the bins of a dot, and those that it is compared with.
PARTS = np.stack(dot_parts())


def loops_of(
    config: Config, chromsizes: Mapping[str, int], training: Sequence[str]
) -> dict[str, Loops]:
    """By name of a map, its loops on the training chromosomes.

    Raises
    ------
    TrainingError
        If a map of that name is not in the configuration, or has no loop there.
    EditError
        If a file is not BEDPE of this genome.
    """
    found: dict[str, Loops] = {}
    for name, path in config.loops.items():
        if name not in config.maps:
            raise TrainingError(
                f"loops of {name!r}: no map has this name; maps: {', '.join(config.maps)}"
            )
        by_chrom: dict[str, list[tuple[int, int]]] = {}
        for chrom, a, b in read_loops(config.path(path), chromsizes):
            if chrom in training:
                by_chrom.setdefault(chrom, []).append((a, b))
        if not by_chrom:
            raise TrainingError(f"loops {path!r} of {name!r} has none on a training chromosome")
        found[name] = {chrom: np.array(pairs) for chrom, pairs in by_chrom.items()}
    return found


def dots_of_window(
    rng: np.random.Generator,
    loops: Mapping[str, Loops],
    maps: Sequence[str],
    piece: Segment,
    targets: Mapping[int, np.ndarray],
    starts: Mapping[int, int],
) -> dict[int, np.ndarray]:
    """By resolution, (maps, bins, bins) bool: pixels whose dots are compared (:func:`dot_pixels`);
    empty without any loops, and nowhere true for a map that has none.
    """
    out = {}
    for r, y in targets.items() if loops else ():
        each = [
            dot_pixels(rng, loops.get(name, {}), piece, r, starts[r], y[k : k + 1])
            for k, name in enumerate(maps)
        ]
        out[r] = np.concatenate(each)
    return out


def dot_pixels(
    rng: np.random.Generator,
    loops: Loops,
    piece: Segment,
    resolution: int,
    start: int,
    target: np.ndarray,
) -> np.ndarray:
    """Pixels of a window whose dots are compared: its loops, and as many controls at the same
    distances, elsewhere along the diagonal. Without controls a network would do well to draw a dot
    wherever there may be one.

    Parameters
    ----------
    piece : where the top level's window lies.
    resolution : of the level in bp. start : bins from the start of the top level's window.
    target : (maps, bins, bins). Dots of which less than half is known are left out, and those
        whose surroundings reach the diagonal.

    Returns
    -------
    (maps, bins, bins) bool, above the diagonal; the same for all maps but for what is known.
    """
    out = np.zeros(target.shape, dtype=bool)
    pairs = loops.get(piece.chrom)
    if pairs is None:
        return out
    at = pairs - piece.start if piece.strand == "+" else piece.end - 1 - pairs[:, ::-1]
    bins = at // resolution - start
    low, high = CONTROL_SHIFT
    shift = rng.integers(low, high + 1, len(bins)) * rng.choice([-1, 1], len(bins))
    for i, j in np.concatenate([bins, bins + shift[:, None]]):
        inside = i >= RING and j + RING < target.shape[-1]
        if not inside or j - i <= 2 * RING:
            continue
        known = np.isfinite(target[:, i - RING : i + RING + 1, j - RING : j + RING + 1])
        enough = [2 * (known & part).sum(axis=(1, 2)) >= part.sum() for part in PARTS]
        out[:, i, j] = np.logical_and(*enough)
    return out


def dot_sums(
    maps: Mapping[int, Tensor], targets: Mapping[int, Tensor], dots: Mapping[int, Tensor]
) -> dict[int, Tensor]:
    """By resolution, (batch,) sums over ``dots`` of the squared errors of their strengths."""
    out = {}
    for r, chosen in dots.items():
        y = maps[r]
        known = torch.isfinite(targets[r])
        error = torch.where(known, y.float() - torch.nan_to_num(targets[r]), 0.0)
        strength = _strength(error, known.float())
        out[r] = torch.where(chosen, strength, 0.0).square().sum(dim=(1, 2, 3))
    return out


def _strength(values: Tensor, known: Tensor) -> Tensor:
    """(batch, maps, bins, bins) strength of a dot at every pixel, of what is known: ``values`` are
    0 elsewhere.
    """
    batch, maps, n, _ = values.shape
    kernels = torch.from_numpy(PARTS[:, None].astype(np.float32)).to(values.device)
    both = torch.cat([values, known]).view(2 * batch * maps, 1, n, n)
    sums, counts = F.conv2d(both, kernels, padding=RING).view(2, batch, maps, 2, n, n)
    means = sums / counts.clamp(min=1)
    return means[:, :, 0] - means[:, :, 1]
