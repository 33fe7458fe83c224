"""Several predictions of any models, scored on one measured map: the same pixels, which all of them
know, and one table.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.errors import CoolerError, ModelError
from orca_cool.evaluate.accumulate import LevelSums, pooled_scores
from orca_cool.evaluate.baselines import baseline_windows, check_training, fit_baselines, squares
from orca_cool.evaluate.centromeres import read_centromeres
from orca_cool.evaluate.files import MISSING, NEAREST, resolution_of
from orca_cool.evaluate.maps import MeasuredMaps
from orca_cool.evaluate.options import EvaluationOptions
from orca_cool.evaluate.predictions import Prediction, open_prediction
from orca_cool.evaluate.region_types import MarkedLevel, Marks, MarkScore, parse_marks
from orca_cool.evaluate.result import Score
from orca_cool.genome.regions import n_bins
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.expected_named import named_expected
from orca_cool.maps.metrics import shared_pixels
from orca_cool.maps.open import open_map
from orca_cool.maps.positional import Chromosome
from orca_cool.maps.weights import measured_expected
from orca_cool.prediction.progress import Report, no_report

logger = logging.getLogger(__name__)

#: Pixels of a level that scores by mark are computed of; if there are more, a random sample.
LIMIT = 8_000_000


@dataclass
class Compared:
    """What the evaluation of several predictions finds.

    Attributes
    ----------
    scores : by name of the prediction, a score of each level of each chromosome, then of all
        chromosomes pooled. Pixels are the same in all. The first prediction's hold what is not of
        the predictions too: replicate, halves and baselines.
    provenance : how the evaluation was made; JSON-able.
    marks : of each level, mark and prediction, how well strong contacts between regions with the
        mark are found; all chromosomes together.
    """

    scores: dict[str, list[Score]]
    provenance: dict[str, Any]
    marks: list[MarkScore] = field(default_factory=list)


@dataclass(frozen=True)
class Level:
    """One resolution that is scored.

    Attributes
    ----------
    resolution : in bp. band : distances of 0 .. band - 1 bins are scored.
    expected : (band,) frequency by distance that the measured map is divided by. eps : added to
        both before.
    """

    resolution: int
    band: int
    expected: np.ndarray
    eps: float

    def matrix(self, n: int) -> np.ndarray:
        """(n, n) expected, NaN beyond the band."""
        row = np.full(max(n, self.band), np.nan)
        row[: self.band] = self.expected
        return row[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]


@dataclass(frozen=True)
class SeveralEvaluation:
    """Predictions and a measured map, open and checked, ready to be scored by :meth:`run`.

    Attributes
    ----------
    predictions : by name. options : the measured map, the chromosomes, and how they are scored.
    maps : the measured maps, open. levels : finest first. marks : open; None: none are asked for.
    """

    predictions: dict[str, Prediction]
    options: EvaluationOptions
    maps: MeasuredMaps
    levels: list[Level]
    marks: Marks | None = None

    @classmethod
    def open(cls, predicted: Sequence[str], options: EvaluationOptions) -> SeveralEvaluation:
        """Open the files and check that they fit together.

        Raises
        ------
        RegionError, CoolerError, WindowsError, ModelError
            If one cannot be read, lacks a chromosome, or they have no resolution in common.
        """
        chroms, train = options.scored_chroms, options.training_chroms
        check_training(chroms, train)
        marks = Marks(parse_marks(options.marks)) if options.marks else None
        asked = [resolution_of(level) for level in options.level_names]
        observed = open_map(options.observed)
        sizes = observed.chromsizes
        if marks is not None:
            marks.check([c for c in chroms if c in sizes], sizes)
        named = dict(zip(names_of(predicted), predicted))
        predictions = {name: open_prediction(path, chroms, sizes) for name, path in named.items()}
        wanted = common_levels(list(predictions.values()), asked, options.base, observed.uris)
        base = options.base or base_of(observed.uris, wanted)
        missing = MISSING if options.missing is None else options.missing
        maps = MeasuredMaps.open(options, base, missing, wanted)
        maps.check(chroms, train)
        for p in predictions.values():
            for r in wanted:
                p.check(chroms, sizes, maps.name, r)
        levels = [level_of(r, list(predictions.values()), options, maps) for r in wanted]
        return cls(predictions, options, maps, levels, marks)

    def run(self, progress: Report = no_report) -> Compared:
        """Score every level of every chromosome.

        Parameters
        ----------
        progress : called with the number of levels of chromosomes that are done, and of all.
        """
        options, settings = self.options, self.options.score_settings(NEAREST)
        chroms, sizes = options.scored_chroms, self.maps.observed.chromsizes
        centromeres = read_centromeres(options.features, [*chroms, *options.training_chroms])
        by_resolution = {level.resolution: level for level in self.levels}

        def target(chrom: str, r: int, start: int, end: int) -> np.ndarray:
            level = by_resolution[r]
            n = (end - start) // r
            return self.maps.target(chrom, start, end, r, level.matrix(n), level.eps)

        baselines = fit_baselines(
            target,
            {c: sizes[c] for c in options.training_chroms},
            centromeres,
            {level.resolution: level.band for level in self.levels},
            settings.seed,
        )
        sums: dict[str, list[LevelSums]] = {name: [] for name in self.predictions}
        marked = self._marked()
        done = 0
        for c in chroms:
            place = Chromosome(sizes[c], centromeres.get(c))
            for level in self.levels:
                r = level.resolution
                new = {name: LevelSums(c, r, level.band, settings) for name in self.predictions}
                for a, b, own in squares(n_bins(place.length, r), level.band):
                    beside = baseline_windows(baselines, place, r, b - a, a * r)
                    self._add(new, level, c, (a, b, own), beside, marked.get(r))
                for name, one in new.items():
                    sums[name].append(one)
                done += 1
                progress(done, len(chroms) * len(self.levels))
        scores = {name: pooled_scores(found) for name, found in sums.items()}
        by_mark = [score for level in marked.values() for score in level.scores()]
        return Compared(scores, self.provenance(), by_mark)

    def _marked(self) -> dict[int, MarkedLevel]:
        """By resolution, what gathers pixels for the scores by mark."""
        if self.marks is None:
            return {}
        chroms, sizes = self.options.scored_chroms, self.maps.observed.chromsizes
        out = {}
        for level in self.levels:
            r = level.resolution
            share = LIMIT / max(1, sum(n_bins(sizes[c], r) * level.band for c in chroms))
            out[r] = MarkedLevel(self.marks, chroms, sizes, r, share, self.options.seed)
        return out

    def _add(
        self,
        sums: dict[str, LevelSums],
        level: Level,
        chrom: str,
        square: tuple[int, int, int],
        beside: dict[str, np.ndarray],
        marked: MarkedLevel | None,
    ) -> None:
        """Add one square of a chromosome: of every prediction the pixels that all know."""
        a, b, own = square
        r = level.resolution
        values = {
            name: p.log_ratio(chrom, r, a, b, level.expected, level.eps)
            for name, p in self.predictions.items()
        }
        known = np.logical_and.reduce([np.isfinite(y) for y in values.values()])
        known[own:, own:] = False
        expected = level.matrix(b - a)
        measured = self.maps.window(chrom, a * r, b * r, r, expected, level.eps)
        log_expected = np.log(expected + level.eps)
        if marked is not None:
            nearest = self.options.score_settings(NEAREST).nearest
            both = np.where(known, measured.target, np.nan)
            i, j = shared_pixels(both, both, nearest, level.band - 1)
            marked.add(chrom, a, measured.target, values, i, j)
        for k, (name, y) in enumerate(values.items()):
            if k:  # what is not of a prediction is scored once
                measured, beside = replace(measured, replicate=None, halves=None), {}
            y = np.where(known, y, np.nan)
            sums[name].add(measured, {"model": y, **beside}, log_expected, whole=False)

    def provenance(self) -> dict[str, Any]:
        """How the evaluation was made, JSON-able."""
        kind = {
            "way": "predictions",
            "predicted": {name: Path(p.path).name for name, p in self.predictions.items()},
            "levels": [level.resolution for level in self.levels],
            "bands": {str(level.resolution): level.band for level in self.levels},
            "marks": {k: Path(v).name for k, v in parse_marks(self.options.marks).items()},
            "expected": None if self.options.expected is None else Path(self.options.expected).name,
        }
        settings = self.options.score_settings(NEAREST)
        base = self.maps.observed.resolution
        return self.options.provenance(kind, base, self.maps.missing, settings)


def names_of(paths: Sequence[str]) -> list[str]:
    """Short names of predictions, each its own: the file's name, with its folder's where two are
    alike.

    Raises
    ------
    ModelError
        If a file is given twice.
    """
    if twice := [p for k, p in enumerate(paths) if p in paths[:k]]:
        raise ModelError(f"prediction {twice[0]!r} is given twice; give each once")
    for parts in range(1, 20):
        names = [
            "/".join(Path(p.partition("::")[0]).parts[-parts:])
            .removesuffix(".mcool")
            .removesuffix(".cool")
            .removesuffix(".npz")
            .removesuffix(".zarr")
            for p in paths
        ]
        if len(set(names)) == len(names):
            return names
    return list(paths)


def common_levels(
    predictions: Sequence[Prediction],
    asked: Sequence[int],
    base: int | None,
    measured: Sequence[int] | Any,
) -> list[int]:
    """Resolutions that all predictions have, and to which the measured map can be averaged, finest
    first; those that are asked for, or all.

    Raises
    ------
    CoolerError
        If there is none; the message lists what each has.
    """
    common = set.intersection(*(set(p.resolutions) for p in predictions))
    fine = [base] if base else list(measured)
    fits = {r for r in common if any(r % f == 0 for f in fine)}
    if wrong := [r for r in asked if r not in fits]:
        r = wrong[0]
        if r in common:
            raise CoolerError(
                f"the measured map has bins of {', '.join(map(str, fine))} bp, which cannot be "
                f"averaged to level {r}"
            )
    if wrong or not fits:
        have = "; ".join(f"{p.path!r}: {', '.join(map(str, p.resolutions))}" for p in predictions)
        what = f"level {wrong[0]} is not in all predictions" if wrong else "no level is scored"
        raise CoolerError(
            f"{what}: predictions have {have} bp, the measured map {', '.join(map(str, fine))} bp, "
            f"and all must have a level's bins (those of the measured map may be parts of them)"
        )
    return sorted(set(asked) or fits)


def base_of(measured: Sequence[int] | Any, levels: Sequence[int]) -> int:
    """The coarsest bin of the measured map that can be averaged to all levels."""
    fits = [f for f in measured if all(r % f == 0 for r in levels)]
    if not fits:
        raise CoolerError(
            f"no bin of the measured map ({', '.join(map(str, measured))} bp) can be averaged to "
            f"all of the levels {', '.join(map(str, levels))}; choose with --levels"
        )
    return max(fits)


def level_of(
    resolution: int,
    predictions: Sequence[Prediction],
    options: EvaluationOptions,
    maps: MeasuredMaps,
) -> Level:
    """What a level's measured map is divided by, and how far it is scored: the expected that is
    named, else that of the first prediction that has one, else the measured map's own mean.
    """
    band = min(p.band(resolution) for p in predictions)
    if options.expected is not None:
        table = named_expected(options.expected, resolution, band)
        return Level(
            resolution, band, table.by_distance(resolution, band), table.eps(resolution, band)
        )
    known = [e for p in predictions if (e := p.expected(resolution)) is not None]
    if known:
        row, eps = known[0]
        return Level(resolution, min(band, len(row)), row[:band], eps)
    logger.warning(
        "no prediction says which expected it was made with: at %s bp log observed/expected of the "
        "measured map is relative to its own mean by distance (--expected names another)",
        f"{resolution:,}",
    )
    own = measured_expected(maps.observed.cooler)
    first = int(np.argmax(np.isfinite(own)))
    own[:first] = own[first]
    table = ExpectedModel(maps.observed.resolution, own)
    row = table.by_distance(resolution, band)
    reach = band if np.isfinite(row).all() else int(np.argmin(np.isfinite(row)))
    positive = row[:reach][row[:reach] > 0]
    if not len(positive):
        raise CoolerError(
            f"{maps.name} has no mean by distance at {resolution} bp; give --expected"
        )
    return Level(resolution, reach, row[:reach], float(positive.min()))
