"""Compare a predicted .mcool with a measured map: correlation by level beside baselines and the map's own ceiling.

All numbers come from files on disk. The measured map is balanced, adaptively coarse-grained and block-averaged exactly as
training targets are; expected and eps are those stored with the prediction.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.background import Background
from orca_cool.errors import CoolerError, RegionError
from orca_cool.positional import Chromosome, Positional
from orca_cool.train.sequence import read_bed
from orca_cool.train.targets import block_mean, coarse_grain, log_ratio, open_map
from orca_cool.train.validate import pearson

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Score:
    """One level of one chromosome (or of all, ``chrom`` = "all": the pixels pooled).

    Attributes
    ----------
    r : Pearson's r of predicted and measured log observed/expected, over ``pixels`` pixels of 2 to bins - 1 bins.
    telomere, centromere : the same of the baselines told (a) distance and telomeres, (b) the centromere too; None if not asked for.
    ceiling : r of two binomial halves of the measured map's contacts, both treated as the target is.
    full_ceiling : that r carried to the whole map's depth, sqrt(2 r / (1 + r)): the most that any prediction can expect to reach.
    """

    chrom: str
    resolution: int
    r: float
    pixels: int
    telomere: float | None = None
    centromere: float | None = None
    ceiling: float | None = None
    full_ceiling: float | None = None


def split_half(raw: np.ndarray, weights: np.ndarray, cutoff: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two coarse-grained maps from a binomial split of the contacts.

    Parameters
    ----------
    raw : (n, n) symmetric contact counts. weights : (n,) balancing weights, NaN where masked.
    """
    rng = np.random.default_rng(seed)
    upper = np.triu(raw).astype(np.int64)
    first = rng.binomial(upper, 0.5)
    halves = []
    for part in (first, upper - first):
        whole = (part + np.triu(part, 1).T).astype(float)
        # twice, so that both halves keep the frequency that expected and eps are measured in
        halves.append(coarse_grain(2 * whole * np.outer(weights, weights), whole, cutoff))
    return halves[0], halves[1]


def depletion(y: np.ndarray, resolution: int, position: int, near: int = 10_000, far: int = 100_000) -> dict[str, float]:
    """How strongly contacts across ``position`` are depleted, and where the depletion is strongest.

    Parameters
    ----------
    y : (n, n) log observed/expected of one chromosome. near, far : bounds in bp of the pixels' distance.

    Returns
    -------
    ``across``: mean of the pixels that span the position; ``elsewhere``: mean of the others of those distances, distance by
    distance so that both have the same ones; ``minimum``: centre in bp of the bin across which the mean is lowest, among bins
    with at least half of the possible pixels.
    """
    n = y.shape[0]
    low, high = max(1, near // resolution), far // resolution
    total, count = np.zeros(n), np.zeros(n)
    across, elsewhere = [], []
    at = position // resolution
    for d in range(low, high + 1):
        v = np.diagonal(y, d)
        i = np.flatnonzero(np.isfinite(v))
        spans = (i < at) & (i + d > at)
        if spans.any() and (~spans).any():
            across.append(v[i[spans]].mean())
            elsewhere.append(v[i[~spans]].mean())
        for k in i:
            total[k + 1 : k + d] += v[k]
            count[k + 1 : k + d] += 1
    most = count.max()
    with np.errstate(invalid="ignore", divide="ignore"):
        profile = np.where(count >= 0.75 * most, total / count, np.nan)
    return {
        "across": float(np.mean(across)) if across else float("nan"),
        "elsewhere": float(np.mean(elsewhere)) if elsewhere else float("nan"),
        "minimum": float((np.nanargmin(profile) + 0.5) * resolution) if np.isfinite(profile).any() else float("nan"),
    }


def centromeres(features: str | Path, chroms: Iterable[str]) -> dict[str, int]:
    """Centre of the centromere of each chromosome, from a BED file whose seventh column is "centromere" there."""
    return {i.chrom: (i.start + i.end) // 2 for i in read_bed(Path(features), 6, "", chroms) if i.kind == "centromere"}


def evaluate(
    predicted: str | Path,
    observed: str | Path,
    chroms: Iterable[str],
    *,
    resolutions: Iterable[int] = (),
    base: int = 2000,
    cutoff: float = 5.0,
    missing: float = 0.5,
    train: Iterable[str] = (),
    features: str | Path | None = None,
    ceiling: bool = True,
) -> tuple[list[Score], dict[str, dict[str, float]]]:
    """Scores of every level of every chromosome.

    Parameters
    ----------
    predicted : .mcool written by ``orca-cool predict``. observed : balanced .cool or .mcool with bins of ``base`` bp.
    train : chromosomes that the baselines learn from; none, no baselines.
    features : BED with centromeres, for baseline (b) and for the depletion across them.

    Returns
    -------
    The scores, and by chromosome the depletion across its centromere at the finest level.
    """
    from orca_cool.coolfile import read_layer

    chroms, train = list(chroms), list(train)
    both = set(chroms) & set(train)
    if both:
        raise RegionError(f"chromosome {min(both)!r} is to be evaluated and to train the baselines")
    measured = open_map(observed, base)
    for c in (*chroms, *train):
        if c not in measured.chromnames:
            raise RegionError(f"chromosome {c!r} is not in {str(observed)!r}, which has: {', '.join(measured.chromnames)}")
    uris = _resolutions(predicted)
    wanted = sorted(resolutions) or [r for r in uris if r % base == 0]
    for r in wanted:
        if r not in uris:
            raise CoolerError(f"{str(predicted)!r} has no resolution {r}; it has: {', '.join(map(str, uris))}")
    layers = {r: read_layer(uris[r])[0] for r in wanted}
    raw = {c: measured.matrix(balance=False).fetch(c) for c in (*chroms, *train)}
    weight = {c: measured.bins().fetch(c)["weight"].to_numpy() for c in raw}
    fine = {c: coarse_grain(raw[c] * np.outer(weight[c], weight[c]), raw[c], cutoff) for c in raw}
    length = {c: int(measured.chromsizes[c]) for c in raw}

    def target(m: np.ndarray, r: int) -> np.ndarray:
        return _log_ratio(block_mean(m, r // base, missing), layers[r])

    middle = centromeres(features, raw) if features else {}
    baselines: dict[str, Positional] = {}
    if train:
        for name, told in (("telomere", False), ("centromere", True)):
            pairs = [
                (Chromosome(length[c], middle.get(c)), {r: target(fine[c], r) for r in wanted}) for c in train if not told or c in middle
            ]
            if pairs:
                baselines[name] = Positional(told, max(len(layer.expected) for layer in layers.values())).fit(pairs)
    scores: list[Score] = []
    drawn: dict[str, dict[str, float]] = {}
    for c in chroms:
        halves = split_half(raw[c], weight[c], cutoff) if ceiling else None
        for r in wanted:
            y = target(fine[c], r)
            p = _prediction(uris[r], c, length[c], r)
            far = layers[r].band - 1 if getattr(layers[r], "band", None) else None
            value, pixels = pearson(p, y, 2, far)
            extra: dict[str, Any] = {}
            for name, model in baselines.items():
                if name == "telomere" or c in middle:
                    extra[name] = pearson(model.predict(Chromosome(length[c], middle.get(c)), r, y.shape[0]), y, 2, far)[0]
            if halves:
                half = pearson(target(halves[0], r), target(halves[1], r), 2, far)[0]
                extra |= {"ceiling": half, "full_ceiling": float(np.sqrt(max(0.0, 2 * half / (1 + half))))}
            scores.append(Score(c, r, value, pixels, **extra))
            if c in middle and r == wanted[0]:
                drawn[c] = {"at": float(middle[c]), **depletion(p, r, middle[c])}
                drawn[c] |= {f"measured_{k}": v for k, v in depletion(y, r, middle[c]).items()}
    return scores, drawn


def _resolutions(predicted: str | Path) -> dict[int, str]:
    import cooler

    path = str(predicted)
    if not Path(path).is_file():
        raise CoolerError(f"predicted map {path!r} does not exist")
    try:
        groups = cooler.fileops.list_coolers(path)
        return {
            int(cooler.Cooler(f"{path}::{g}").binsize or 0): f"{path}::{g}" for g in sorted(groups, key=lambda g: int(g.split("/")[-1]))
        }
    except (OSError, KeyError, ValueError) as error:
        raise CoolerError(f"predicted map {path!r} cannot be opened: {error}") from error


def _prediction(uri: str, chrom: str, length: int, resolution: int) -> np.ndarray:
    """Predicted log observed/expected of a chromosome; RegionError if the file lacks it or has another length to the bin."""
    import cooler

    from orca_cool.coolfile import read_log_ratio

    sizes = cooler.Cooler(uri).chromsizes
    if chrom not in sizes or -(-int(sizes[chrom]) // resolution) != -(-length // resolution):
        raise RegionError(f"chromosome {chrom!r} of {length} bp (measured) is not in {uri!r} with as many bins: {dict(sizes)}")
    return read_log_ratio(uri, chrom)


def _log_ratio(observed: np.ndarray, layer: Any) -> np.ndarray:
    """log((observed + eps) / (expected + eps)) with the prediction's own expected and eps, NaN beyond the table."""
    n = observed.shape[0]
    d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    table = np.full(n, np.nan)
    m = min(n, len(layer.expected))
    table[:m] = layer.expected[:m]
    with np.errstate(invalid="ignore"):
        return np.log((observed + layer.eps) / (table[d] + layer.eps)).astype(np.float32)


def evaluate_arrays(
    predicted: Mapping[int, np.ndarray], fine: np.ndarray, base: int, background: Background, bins: int, missing: float = 0.5
) -> dict[int, float]:
    """r by resolution of a prediction in memory against a coarse-grained map (n, n) at ``base`` bp."""
    found = {}
    for r, p in predicted.items():
        y = log_ratio(block_mean(fine, r // base, missing), background, r, bins)
        found[r] = pearson(p, y, 2, bins - 1)[0]
    return found
