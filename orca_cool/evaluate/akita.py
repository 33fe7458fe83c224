"""The paper's comparison with Akita: a prediction of 4 kb bins is brought to the form of Akita's
maps, window by window, and both are scored on the measured map in that form.

The form: 250 bins of 4 kb, bilinear to 500 of 2 kb, a Gaussian of sigma 1 cut off at 2, values
clipped to -2 .. 2, the 448 bins in the middle, the mean of each distance subtracted. Akita's own
maps, 448 bins of 2,048 bp about the same place, are taken as they are, but for the means: the two
are laid bin on bin, as in the paper, though their bins differ by 2 %.

Of two cell types, the difference of their maps in this form is scored likewise: for predictions
that of the two maps without their means, for the measured maps the difference without its means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.errors import CoolerError, RegionError, WindowsError
from orca_cool.evaluate.files import MISSING
from orca_cool.evaluate.maps import MeasuredMaps
from orca_cool.evaluate.options import EvaluationOptions
from orca_cool.evaluate.predictions import Prediction, open_prediction
from orca_cool.evaluate.several import Level, base_of, level_of
from orca_cool.genome.regions import n_bins
from orca_cool.maps.given_windows import GivenWindow, GivenWindows
from orca_cool.maps.metrics import Moments
from orca_cool.maps.open import open_map
from orca_cool.prediction.progress import Report, no_report

#: Bins of a map before and after it is brought to the form, and their size in bp before.
BEFORE, AFTER, BIN = 250, 448, 4000

#: Mean r of the windows of Akita's and Orca's common test set, on targets in this form (Zhou 2022).
PUBLISHED = {"H1-ESC": (0.621, 0.771), "HFF": (0.486, 0.610)}

#: The same of the difference of the two cell types.
PUBLISHED_DIFFERENCE = {"H1-ESC - HFF": (0.133, 0.349)}

#: Ours, Akita's and the measured map of a window, in the form.
Maps = tuple[np.ndarray, np.ndarray, np.ndarray]


def in_form(y: np.ndarray) -> np.ndarray:
    """A map of 250 x 250 bins in the form of Akita's, (448, 448); NaN spreads as far as the
    Gaussian reaches. Means of distances are still there.
    """
    import torch
    from scipy.ndimage import gaussian_filter

    tensor = torch.from_numpy(np.ascontiguousarray(y, np.float64))[None, None]
    size = (2 * BEFORE, 2 * BEFORE)
    up = torch.nn.functional.interpolate(tensor, size=size, mode="bilinear", align_corners=False)
    smooth = np.clip(gaussian_filter(up[0, 0].numpy(), 1, truncate=2), -2, 2)
    cut = (2 * BEFORE - AFTER) // 2
    return np.asarray(smooth[cut:-cut, cut:-cut])


def without_means(y: np.ndarray) -> np.ndarray:
    """A map less the mean of each distance, over the pixels that are known."""
    d = np.abs(np.subtract.outer(np.arange(len(y)), np.arange(len(y))))
    known = np.isfinite(y)
    sums = np.bincount(d[known], y[known], len(y))
    counts = np.bincount(d[known], minlength=len(y))
    with np.errstate(invalid="ignore"):
        means: np.ndarray = sums / np.where(counts > 0, counts, np.nan)
    return np.asarray(y - means[d])


def r_of_both(ours: np.ndarray, theirs: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Pearson's r of two maps with a third, over the pixels that all know."""
    known = np.isfinite(ours) & np.isfinite(theirs) & np.isfinite(target)
    y = target[known]
    return Moments().add(ours[known], y).r(), Moments().add(theirs[known], y).r()


@dataclass
class BesideAkita:
    """What the comparison finds.

    Attributes
    ----------
    r : by prediction ("ours", "akita"), Pearson's r of each window.
    places : of the windows, as texts.
    published : by cell type, the mean r of Akita and of Orca in the paper.
    provenance : how it was made; JSON-able.
    """

    r: dict[str, np.ndarray]
    places: list[str]
    published: dict[str, tuple[float, float]]
    provenance: dict[str, Any]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Mean and percentiles of each prediction's r."""
        for name, values in self.r.items():
            known = values[np.isfinite(values)]
            low, middle, high = (
                np.percentile(known, (10, 50, 90)).tolist() if len(known) else [None] * 3
            )
            mean = float(known.mean()) if len(known) else None
            about = {"prediction": name, "windows": len(known), "mean": mean}
            yield about | {"10%": low, "50%": middle, "90%": high}


@dataclass(frozen=True)
class AkitaEvaluation:
    """A prediction, Akita's windows and a measured map, open and checked; :meth:`run` scores."""

    ours: Prediction
    akita: GivenWindows
    options: EvaluationOptions
    maps: MeasuredMaps
    level: Level

    @classmethod
    def open(cls, ours: str, akita: str, options: EvaluationOptions) -> AkitaEvaluation:
        """Open the files and check that they fit together.

        Raises
        ------
        WindowsError
            If Akita's windows have not 448 bins.
        CoolerError, RegionError
            If the prediction has no bins of 4 kb, or a file cannot be used.
        """
        chroms = options.scored_chroms
        observed = open_map(options.observed)
        sizes = observed.chromsizes
        prediction = open_prediction(ours, chroms, sizes)
        if BIN not in prediction.resolutions:
            have = ", ".join(map(str, prediction.resolutions))
            raise CoolerError(f"prediction {ours!r} has bins of {have} bp; {BIN} are needed")
        windows = GivenWindows.open(akita, sizes, "the measured map")
        if windows.bins != AFTER:
            raise WindowsError(f"windows {akita!r} have {windows.bins} bins; Akita's have {AFTER}")
        if any(w.units == "frequency" for w in windows.windows):
            raise WindowsError(
                f"windows {akita!r} are contact frequencies; Akita's are log observed/expected"
            )
        base = options.base or base_of(observed.uris, [BIN])
        missing = MISSING if options.missing is None else options.missing
        maps = MeasuredMaps.open(options, base, missing, [BIN])
        maps.check(chroms, ())
        prediction.check(chroms, sizes, maps.name, BIN)
        return cls(prediction, windows, options, maps, level_of(BIN, [prediction], options, maps))

    def run(self, progress: Report = no_report) -> BesideAkita:
        """Score every window of the chromosomes that lies in one of them whole."""
        r, places = _scored(self.chosen, self._window, self.akita, progress)
        return BesideAkita(r, places, PUBLISHED, self.provenance())

    @property
    def chosen(self) -> list[GivenWindow]:
        """Akita's windows on the chromosomes that are scored."""
        return [w for w in self.akita.windows if w.chrom in self.options.scored_chroms]

    def _window(self, w: GivenWindow) -> tuple[float, float] | None:
        """r of ours and of Akita's in one window; None if its megabase leaves the chromosome."""
        found = self.maps_of(w)
        if found is None:
            return None
        ours, theirs, target = (without_means(y) for y in found)
        return r_of_both(ours, theirs, target)

    def maps_of(self, w: GivenWindow) -> Maps | None:
        """Ours, Akita's and the measured map of one window in the form, with their means; None if
        its megabase leaves the chromosome.
        """
        middle = (w.start + w.end) * self.akita.resolution // 2
        first = round(middle / BIN) - BEFORE // 2
        last = first + BEFORE
        if first < 0 or last > n_bins(self.maps.observed.chromsizes[w.chrom], BIN):
            return None
        level, where = self.level, (w.chrom, first * BIN, last * BIN, BIN)
        ours = self.ours.log_ratio(w.chrom, BIN, first, last, level.expected, level.eps)
        target = self.maps.target(*where, level.matrix(BEFORE), level.eps)
        theirs = self.akita.log_ratio(w, level.expected, level.eps).astype(float)
        return in_form(ours), theirs, in_form(target)

    def provenance(self) -> dict[str, Any]:
        """How the comparison was made, JSON-able."""
        kind = {
            "way": "akita",
            "predicted": Path(self.ours.path).name,
            "akita": Path(self.akita.path).name,
            "published": {cell: list(pair) for cell, pair in PUBLISHED.items()},
        }
        settings = self.options.score_settings(0)
        base = self.maps.observed.resolution
        return self.options.provenance(kind, base, self.maps.missing, settings)


def _scored(
    windows: Sequence[GivenWindow],
    score: Callable[[GivenWindow], tuple[float, float] | None],
    akita: GivenWindows,
    progress: Report,
) -> tuple[dict[str, np.ndarray], list[str]]:
    """r of each window that has one, by prediction, and the windows' places."""
    found: dict[str, list[float]] = {"ours": [], "akita": []}
    places = []
    for done, w in enumerate(windows):
        one = score(w)
        if one is not None:
            places.append(akita.name(w))
            for name, r in zip(found, one):
                found[name].append(r)
        progress(done + 1, len(windows))
    return {name: np.array(values) for name, values in found.items()}, places


@dataclass(frozen=True)
class AkitaDifference:
    """The same of the difference of two cell types, of which each has a prediction, Akita's windows
    and a measured map.
    """

    sides: tuple[AkitaEvaluation, AkitaEvaluation]
    others: dict[tuple[str, int], GivenWindow]

    @classmethod
    def open(
        cls,
        ours: Sequence[str],
        akita: Sequence[str],
        observed: Sequence[str],
        options: EvaluationOptions,
    ) -> AkitaDifference:
        """Open the files of both cell types and check that they fit together.

        Raises
        ------
        WindowsError
            As :meth:`AkitaEvaluation.open`; and if the windows of the two lie at other places.
        CoolerError, RegionError
            As :meth:`AkitaEvaluation.open`; and if a chromosome differs in length.
        """
        one, two = (
            AkitaEvaluation.open(prediction, windows, replace(options, observed=path))
            for prediction, windows, path in zip(ours, akita, observed)
        )
        for chrom in options.scored_chroms:
            a, b = (side.maps.observed.chromsizes[chrom] for side in (one, two))
            if a != b:
                raise RegionError(
                    f"{chrom} is {a:,} bp long in measured map {observed[0]!r}, {b:,} bp in "
                    f"{observed[1]!r}"
                )
        places = [{(w.chrom, w.start): w for w in side.chosen} for side in (one, two)]
        first, second = places
        for mine, theirs, path in ((first, second, akita[1]), (second, first, akita[0])):
            if lacking := [w for place, w in mine.items() if place not in theirs]:
                r, w = one.akita.resolution, lacking[0]
                raise WindowsError(
                    f"windows {path!r} have none at {w.chrom}:{w.start * r:,}-{w.end * r:,}; of "
                    f"both cell types windows of the same places are needed"
                )
        return cls((one, two), second)

    def run(self, progress: Report = no_report) -> BesideAkita:
        """Score every window of the chromosomes that lies in one of them whole."""
        one = self.sides[0]
        r, places = _scored(one.chosen, self._window, one.akita, progress)
        provenance = one.provenance() | {
            "way": "akita-difference",
            "predicted": [Path(side.ours.path).name for side in self.sides],
            "akita": [Path(side.akita.path).name for side in self.sides],
            "observed_other": Path(self.sides[1].options.observed).name,
            "published": {k: list(v) for k, v in PUBLISHED_DIFFERENCE.items()},
        }
        return BesideAkita(r, places, PUBLISHED_DIFFERENCE, provenance)

    def _window(self, w: GivenWindow) -> tuple[float, float] | None:
        one, two = self.sides
        first, second = one.maps_of(w), two.maps_of(self.others[w.chrom, w.start])
        if first is None or second is None:
            return None
        ours, theirs = (without_means(first[k]) - without_means(second[k]) for k in (0, 1))
        return r_of_both(ours, theirs, without_means(first[2] - second[2]))
