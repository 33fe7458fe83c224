"""A predicted .mcool against a measured map: whole chromosomes, level by level.

The measured map is balanced, adaptively coarse-grained and block-averaged exactly as training
targets are; expected and eps are those stored with the prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool import __version__
from orca_cool.errors import CoolerError
from orca_cool.evaluate.baselines import (
    ROWS,
    baseline_windows,
    centromeres,
    check_training,
    fit_baselines,
    squares,
)
from orca_cool.evaluate.maps import Measurements, check_sizes
from orca_cool.evaluate.result import Example, Result, pooled
from orca_cool.evaluate.tally import Choices, Score, Tally
from orca_cool.genome.regions import n_bins
from orca_cool.maps.coolfile import read_layer, read_log_ratio
from orca_cool.maps.open import open_map, sizes_of
from orca_cool.maps.pixels import Layer
from orca_cool.maps.positional import Chromosome

#: Places of which examples are drawn.
EXAMPLES = 3


def depletion(
    y: np.ndarray, resolution: int, position: int, near: int = 10_000, far: int = 100_000
) -> dict[str, float]:
    """How strongly contacts across ``position`` are depleted, and where the depletion is strongest.

    Parameters
    ----------
    y : (n, n) log observed/expected of one chromosome. near, far : bounds in bp of the pixels'
        distance.

    Returns
    -------
    ``across``: mean of the pixels that span the position; ``elsewhere``: mean of the others of
    those distances, distance by distance so that both have the same ones; ``minimum``: centre in bp
    of the bin across which the mean is lowest, among bins with at least half of the possible
    pixels.
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
        "minimum": float((np.nanargmin(profile) + 0.5) * resolution)
        if np.isfinite(profile).any()
        else float("nan"),
    }


@dataclass(frozen=True)
class _Level:
    """One resolution of the predicted file."""

    uri: str
    layer: Layer
    sizes: dict[str, int]

    def expected(self, n: int) -> np.ndarray:
        """(n, n) expected, NaN beyond the band."""
        return self.layer.by_distance(n)[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]

    def predicted(self, chrom: str, a: int, b: int) -> np.ndarray:
        """(b - a, b - a) log observed/expected of bins a to b."""
        r = self.layer.resolution
        return read_log_ratio(self.uri, (chrom, a * r, min(b * r, self.sizes[chrom])))

    def measured(self, maps: Measurements, chrom: str, a: int, b: int) -> np.ndarray:
        """The same of the measured map."""
        r = self.layer.resolution
        return maps.target(chrom, a * r, b * r, r, self.expected(b - a), self.layer.eps)


def evaluate_files(
    predicted: str | Path,
    observed: str | Path,
    chroms: Iterable[str],
    *,
    resolutions: Iterable[int] = (),
    base: int | None = None,
    cutoff: float = 5.0,
    missing: float = 0.5,
    train: Iterable[str] = (),
    features: str | Path | None = None,
    replicate: str | Path | None = None,
    ceiling: bool = True,
    cache: Path | None = None,
    choices: Choices = Choices(),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Scores of every level of every chromosome.

    Parameters
    ----------
    predicted : .mcool written by ``orca-cool predict``. observed : balanced .cool or .mcool with
        bins of ``base`` bp.
    resolutions : default: all of the prediction that are multiples of ``base``. base : default: the
        prediction's finest.
    cutoff : of adaptive coarse-graining. missing : largest share of fine values that a coarse pixel
        may lack.
    train : chromosomes that the baselines learn from; none, no baselines.
    features : BED with centromeres, for baseline (b) and for the depletion across them.
    replicate : another measured map, scored as if it were a prediction. ceiling : split the measured map's
        contacts in halves.
    cache : folder for coarse-grained tiles, see :class:`orca_cool.maps.observed.ObservedMap`.
    progress : called with the number of levels of chromosomes done, and of all.

    Raises
    ------
    RegionError : a chromosome is not there, of another length, or in ``train`` too.
    CoolerError : a file or a resolution is not there, or not balanced.
    """
    chroms, train = list(dict.fromkeys(chroms)), list(dict.fromkeys(train))
    check_training(chroms, train)
    file = open_map(predicted)
    uris = file.uris
    base = min(uris) if base is None else base
    wanted = sorted(resolutions) or [r for r in uris if r % base == 0]
    for r in wanted:
        file.uri(r)
        if r % base:
            raise CoolerError(f"bins of {base} bp (--base) cannot be averaged to level {r}")
    if not wanted:
        raise CoolerError(
            f"no level of {str(predicted)!r} is a multiple of {base} bp (--base); it has: "
            f"{', '.join(map(str, uris))}"
        )
    maps = Measurements.open(
        observed,
        base,
        cutoff=cutoff,
        missing=missing,
        replicate=replicate,
        ceiling=ceiling,
        seed=choices.seed,
        cache=cache,
    )
    maps.check(chroms, train)
    sizes = maps.observed.chromsizes
    levels: dict[int, _Level] = {}
    metadata: dict[str, Any] = {}
    for r in wanted:
        layer, metadata = read_layer(uris[r])
        levels[r] = _Level(uris[r], layer, sizes_of(file.cooler(r)))
        check_sizes(
            chroms, levels[r].sizes, f"predicted map {str(predicted)!r}", sizes, maps.name, r
        )
    middle = centromeres(features, [*chroms, *train]) if features else {}
    bands = {r: level.layer.band for r, level in levels.items()}
    models = fit_baselines(
        lambda c, r, a, b: levels[r].measured(maps, c, a // r, b // r),
        {c: sizes[c] for c in train},
        middle,
        bands,
        choices.seed,
    )
    tallies, drawn = [], {}
    for c in chroms:
        place = Chromosome(sizes[c], middle.get(c))
        for r, level in levels.items():
            tally = Tally(c, r, bands[r], choices)
            for a, b, own in squares(n_bins(sizes[c], r), bands[r]):
                p = level.predicted(c, a, b)
                p[own:, own:] = np.nan
                e = level.expected(b - a)
                seen = maps.window(c, a * r, b * r, r, e, level.layer.eps)
                tally.add(
                    seen,
                    {"model": p, **baseline_windows(models, place, r, b - a, a * r)},
                    np.log(e + level.layer.eps),
                    whole=False,
                )
            tallies.append(tally)
            progress(len(tallies), len(chroms) * len(levels))
        if c in middle:
            drawn[c] = _depletions(levels[wanted[0]], maps, c, middle[c])
    provenance = {
        "orca_cool": __version__,
        "way": "files",
        "predicted": Path(str(predicted)).name,
        "observed": Path(str(observed)).name,
        "model": metadata.get("model"),
        "model_digest": metadata.get("model_digest"),
        "genome": metadata.get("genome"),
        "chroms": chroms,
        "levels": wanted,
        "base": base,
        "cutoff": cutoff,
        "missing": missing,
        "train": train,
        "replicate": None if replicate is None else Path(replicate).name,
        **asdict(choices),
    }
    return Result(pooled(tallies), provenance, drawn, _examples(levels, maps, chroms, sizes))


def evaluate(
    predicted: str | Path, observed: str | Path, chroms: Iterable[str], **options: Any
) -> tuple[list[Score], dict[str, dict[str, float]]]:
    """Scores, and by chromosome the depletion across its centromere, of :func:`evaluate_files`."""
    result = evaluate_files(predicted, observed, chroms, **options)
    return result.scores, result.centromeres


def _depletions(level: _Level, maps: Measurements, chrom: str, position: int) -> dict[str, float]:
    """Depletion across a centromere, predicted and measured, within a square around it."""
    r = level.layer.resolution
    n = n_bins(maps.observed.chromsizes[chrom], r)
    a = min(max(position // r - ROWS // 2, 0), max(n - ROWS, 0))
    b = min(a + ROWS, n)
    found = {"at": float(position)}
    for prefix, y in (
        ("", level.predicted(chrom, a, b)),
        ("measured_", level.measured(maps, chrom, a, b)),
    ):
        one = depletion(y, r, position - a * r)
        one["minimum"] += a * r
        found |= {prefix + k: v for k, v in one.items()}
    return found


def _examples(
    levels: dict[int, _Level], maps: Measurements, chroms: Sequence[str], sizes: dict[str, int]
) -> list[Example]:
    """A window of every level around a few places, spread over the chromosomes."""
    out = []
    for k in range(EXAMPLES):
        c = chroms[k * len(chroms) // EXAMPLES]
        at = sizes[c] * (k + 1) // (EXAMPLES + 1)
        for r, level in levels.items():
            n = n_bins(sizes[c], r)
            size = min(n, level.layer.band)
            a = min(max(at // r - size // 2, 0), n - size)
            out.append(
                Example(
                    f"{c}:{at:,}",
                    r,
                    level.predicted(c, a, a + size),
                    level.measured(maps, c, a, a + size),
                )
            )
    return out
