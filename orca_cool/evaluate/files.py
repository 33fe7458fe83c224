"""Score a predicted .mcool on a measured map: whole chromosomes, level by level.

The measured map is balanced, adaptively coarse-grained and block-averaged exactly as training
targets are; expected and eps are those stored with the prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.errors import CoolerError, ModelError
from orca_cool.evaluate.accumulate import LevelSums, ScoreSettings, pooled_scores
from orca_cool.evaluate.baselines import (
    ROWS,
    baseline_windows,
    check_training,
    fit_baselines,
    squares,
)
from orca_cool.evaluate.centromeres import depletion, read_centromeres
from orca_cool.evaluate.maps import MeasuredMaps, check_sizes
from orca_cool.evaluate.options import EvaluationOptions
from orca_cool.evaluate.result import Example, Result
from orca_cool.genome.regions import n_bins
from orca_cool.maps.coolfile import read_layer, read_log_ratio
from orca_cool.maps.open import MapFile, open_map, sizes_of
from orca_cool.maps.pixels import Layer
from orca_cool.maps.positional import Chromosome, Positional
from orca_cool.prediction.progress import Report, no_report

#: Number of places of which examples are shown.
EXAMPLES = 3

#: Defaults: pixels fewer bins apart are not scored, as measured maps are least certain there, nor
#: are coarse pixels of which more than this share is missing.
NEAREST, MISSING = 2, 0.5


@dataclass(frozen=True)
class PredictedLevel:
    """One resolution of the predicted file.

    Attributes
    ----------
    uri : of its cooler.
    layer : its bin, band, expected and eps.
    sizes : by chromosome, its length in bp.
    """

    uri: str
    layer: Layer
    sizes: dict[str, int]

    def expected(self, n: int) -> np.ndarray:
        """(n, n) expected contact frequency, NaN beyond the band."""
        return self.layer.by_distance(n)[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]

    def predicted(self, chrom: str, start: int, end: int) -> np.ndarray:
        """(n, n) predicted log observed/expected of bins ``start`` .. ``end - 1``."""
        r = self.layer.resolution
        return read_log_ratio(self.uri, (chrom, start * r, min(end * r, self.sizes[chrom])))

    def measured(self, maps: MeasuredMaps, chrom: str, start: int, end: int) -> np.ndarray:
        """(n, n) measured log observed/expected of bins ``start`` .. ``end - 1``."""
        r = self.layer.resolution
        expected = self.expected(end - start)
        return maps.target(chrom, start * r, end * r, r, expected, self.layer.eps)


@dataclass(frozen=True)
class FileEvaluation:
    """A predicted file and a measured map, open and checked, ready to be scored by :meth:`run`.

    Attributes
    ----------
    predicted : path of the predicted file.
    options : the measured map, the chromosomes, and how they are scored.
    maps : the measured maps, open.
    levels : by resolution in bp, finest first, the predicted maps.
    centromeres : by chromosome, the centre of its centromere in bp, where it is known.
    metadata : what the predicted file says about its model.
    """

    predicted: str
    options: EvaluationOptions
    maps: MeasuredMaps
    levels: dict[int, PredictedLevel]
    centromeres: dict[str, int]
    metadata: dict[str, Any]

    @classmethod
    def open(cls, predicted: str, options: EvaluationOptions) -> FileEvaluation:
        """Open the files and check that they fit together.

        Parameters
        ----------
        predicted : .mcool written by ``orca-cool predict``.
        options : see :class:`FileEvaluation`.

        Raises
        ------
        RegionError
            If a chromosome is not there, of another length, or is to train the baselines too.
        ModelError, CoolerError
            If a level is no resolution; if a file or a resolution is not there, or not balanced.
        """
        chroms, train = options.scored_chroms, options.training_chroms
        check_training(chroms, train)
        resolutions = [resolution_of(level) for level in options.level_names]
        file = open_map(predicted)
        base = min(file.uris) if options.base is None else options.base
        wanted = scored_levels(predicted, file, resolutions, base)
        missing = MISSING if options.missing is None else options.missing
        maps = MeasuredMaps.open(options, base, missing, wanted)
        maps.check(chroms, train)
        levels: dict[int, PredictedLevel] = {}
        metadata: dict[str, Any] = {}
        for r in wanted:
            uri = file.uri(r)
            layer, metadata = read_layer(uri)
            sizes = sizes_of(file.cooler(r))
            name, measured_sizes = f"predicted map {predicted!r}", maps.observed.chromsizes
            check_sizes(chroms, sizes, name, measured_sizes, maps.name, r)
            levels[r] = PredictedLevel(uri, layer, sizes)
        centromeres = read_centromeres(options.features, [*chroms, *train])
        return cls(predicted, options, maps, levels, centromeres, metadata)

    def run(self, progress: Report = no_report) -> Result:
        """Score every level of every chromosome.

        Parameters
        ----------
        progress : called with the number of levels of chromosomes that are done, and of all.
        """
        settings = self.options.score_settings(NEAREST)
        chroms, train = self.options.scored_chroms, self.options.training_chroms
        sizes, centromeres = self.maps.observed.chromsizes, self.centromeres
        baselines = fit_baselines(
            lambda c, r, a, b: self.levels[r].measured(self.maps, c, a // r, b // r),
            {c: sizes[c] for c in train},
            centromeres,
            {r: level.layer.band for r, level in self.levels.items()},
            settings.seed,
        )
        sums, depletions = [], {}
        for c in chroms:
            place = Chromosome(sizes[c], centromeres.get(c))
            for r in self.levels:
                sums.append(self.score_level(c, place, r, baselines, settings))
                progress(len(sums), len(chroms) * len(self.levels))
            if c in centromeres:
                depletions[c] = self.depletions(c, centromeres[c])
        return Result(pooled_scores(sums), self.provenance(), depletions, self.examples())

    def score_level(
        self,
        chrom: str,
        place: Chromosome,
        resolution: int,
        baselines: Mapping[str, Positional],
        settings: ScoreSettings,
    ) -> LevelSums:
        """Sums of one level of one chromosome, square by square along the diagonal."""
        level, r = self.levels[resolution], resolution
        layer = level.layer
        sums = LevelSums(chrom, r, layer.band, settings)
        for a, b, own in squares(n_bins(place.length, r), layer.band):
            predicted = level.predicted(chrom, a, b)
            predicted[own:, own:] = np.nan
            expected = level.expected(b - a)
            sums.add(
                self.maps.window(chrom, a * r, b * r, r, expected, layer.eps),
                {"model": predicted, **baseline_windows(baselines, place, r, b - a, a * r)},
                np.log(expected + layer.eps),
                whole=False,
            )
        return sums

    def depletions(self, chrom: str, position: int) -> dict[str, float]:
        """Depletion across a centromere at ``position`` bp, predicted and measured, within a square
        of the finest level around it; see :attr:`orca_cool.evaluate.result.Result.centromeres`.
        """
        r, level = next(iter(self.levels.items()))
        n = n_bins(self.maps.observed.chromsizes[chrom], r)
        a = min(max(position // r - ROWS // 2, 0), max(n - ROWS, 0))
        b = min(a + ROWS, n)
        found = {"at": float(position)}
        for prefix, y in (
            ("", level.predicted(chrom, a, b)),
            ("measured_", level.measured(self.maps, chrom, a, b)),
        ):
            one = depletion(y, r, position - a * r)
            one["minimum"] += a * r
            found |= {prefix + k: v for k, v in one.items()}
        return found

    def examples(self) -> list[Example]:
        """A window of every level around a few places, spread over the chromosomes."""
        chroms, sizes = self.options.scored_chroms, self.maps.observed.chromsizes
        out = []
        for k in range(EXAMPLES):
            c = chroms[k * len(chroms) // EXAMPLES]
            at = sizes[c] * (k + 1) // (EXAMPLES + 1)
            for r, level in self.levels.items():
                n = n_bins(sizes[c], r)
                size = min(n, level.layer.band)
                a = min(max(at // r - size // 2, 0), n - size)
                predicted = level.predicted(c, a, a + size)
                measured = level.measured(self.maps, c, a, a + size)
                out.append(Example(f"{c}:{at:,}", r, predicted, measured))
        return out

    def provenance(self) -> dict[str, object]:
        """How the evaluation was made, JSON-able."""
        kind = {
            "way": "files",
            "predicted": Path(self.predicted).name,
            "model": self.metadata.get("model"),
            "model_digest": self.metadata.get("model_digest"),
            "genome": self.metadata.get("genome"),
            "levels": list(self.levels),
        }
        settings = self.options.score_settings(NEAREST)
        base = self.maps.observed.resolution
        return self.options.provenance(kind, base, self.maps.missing, settings)


def resolution_of(level: str) -> int:
    """A level of a file as a resolution in bp; ModelError if it is not one."""
    if not level.isdecimal():
        raise ModelError(f"--levels {level!r} is not a resolution in bp")
    return int(level)


def scored_levels(
    predicted: str, file: MapFile, resolutions: Sequence[int], base: int
) -> list[int]:
    """Resolutions to score in bp, finest first: those asked for, or all multiples of ``base``.

    Raises
    ------
    CoolerError
        If the predicted file has no such resolution, or bins of ``base`` bp cannot be averaged to
        it.
    """
    for r in resolutions:
        file.uri(r)
        if r % base:
            raise CoolerError(f"bins of {base} bp (--base) cannot be averaged to level {r}")
    levels = sorted(resolutions) or [r for r in file.uris if r % base == 0]
    if not levels:
        raise CoolerError(
            f"no level of {predicted!r} is a multiple of {base} bp (--base); it has: "
            f"{', '.join(map(str, file.uris))}"
        )
    return levels
