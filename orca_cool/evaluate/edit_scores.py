"""How well predicted changes of maps agree with true ones: numbers of each edit, scores of many.

All changes are natural logs of the contact frequency with an edit over that without, at the
coordinates of the unedited genome. Beside each score stands what two replicates of the truth reach
against each other, and the most that any prediction can expect to reach against their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from orca_cool.effects.scores import dot_change
from orca_cool.evaluate.edit_table import TrueChange, TrueEdit
from orca_cool.maps.metrics import diamond

#: Pixels fewer bins apart are left out; side of the insulation diamond in bins.
NEAREST, DIAMOND = 2, 10
#: The name of all kinds or cell types together.
ALL = "all"


@dataclass(frozen=True)
class Moments:
    """Sums over pixels of two maps, from which Pearson's r follows; they can be added.

    Attributes
    ----------
    sums : (6,) number of pixels, sums of x, y, x squared, y squared, and x times y.
    """

    sums: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Moments:
        """Of two arrays of the same length."""
        return cls(np.array([len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y], float))

    @property
    def r(self) -> float:
        """Pearson's r; NaN where one of the two does not vary."""
        n, x, y, xx, yy, xy = self.sums
        if n < 2:
            return float("nan")
        a, b = n * xx - x * x, n * yy - y * y
        if a <= 1e-12 * n * xx or b <= 1e-12 * n * yy:
            return float("nan")
        return float(np.clip((n * xy - x * y) / np.sqrt(a * b), -1, 1))


@dataclass(frozen=True)
class EditNumbers:
    """What is known of an edit, true and predicted; NaN where it is not.

    Attributes
    ----------
    edit : the edit.
    pixels : of predicted against mean true change. replicates : of the one true change against the
        other, at the same pixels; None: there is no replicate.
    size : mean square of the predicted change. true_size : of the mean true change.
    insulation, dots : of the predicted change; true_insulation, true_dots : (of the mean, of the
        first, of the second true change), natural log.
    """

    edit: TrueEdit
    pixels: Moments
    replicates: Moments | None
    size: float
    true_size: float
    insulation: float
    dots: float
    true_insulation: tuple[float, float, float]
    true_dots: tuple[float, float, float]


def numbers_of(
    edit: TrueEdit,
    true: TrueChange,
    predicted: np.ndarray,
    *,
    nearest: int = NEAREST,
    side: int = DIAMOND,
) -> EditNumbers:
    """Hold a predicted change against the true one, at the pixels that both have.

    Parameters
    ----------
    predicted : (n, n), NaN where it is not known.
    nearest : pixels fewer bins apart are left out. side : of the insulation diamond, in bins.
    """
    mean = true.mean
    both = np.isfinite(mean) & np.isfinite(predicted)
    known = np.triu(both, nearest)
    maps = [mean, true.change, mean * np.nan if true.replicate is None else true.replicate]
    everything = [np.where(both, m, np.nan) for m in (predicted, *maps)]
    at_edges = [insulation_change(m, true.reference, mean, edit.edges, side) for m in everything]
    at_dots = [_mean([dot_change(m, i, j) for i, j in edit.dots]) for m in everything]
    has_pixels = bool(known.any())
    return EditNumbers(
        edit,
        Moments.of(predicted[known], mean[known]),
        None if true.replicate is None else Moments.of(true.change[known], true.replicate[known]),
        float(np.mean(predicted[known] ** 2)) if has_pixels else float("nan"),
        float(np.mean(mean[known] ** 2)) if has_pixels else float("nan"),
        at_edges[0],
        at_dots[0],
        (at_edges[1], at_edges[2], at_edges[3]),
        (at_dots[1], at_dots[2], at_dots[3]),
    )


def insulation_change(
    change: np.ndarray,
    reference: np.ndarray,
    true: np.ndarray,
    edges: Sequence[int],
    side: int = DIAMOND,
) -> float:
    """Natural log of the mean contact across a bin with the edit over that without, mean over
    ``edges``; NaN if it is known at none of them.

    Bins of which the truth knows nothing, as those that are deleted, are taken out before: so the
    contacts are those of the same pairs of bins, which the edit has brought together.

    Parameters
    ----------
    change : (n, n) of the log contact frequency. reference : (n, n) contact frequency.
    true : (n, n) the true change, which tells what is taken out.
    side : of the diamond in bins; half of its pixels must be known.
    """
    kept = np.flatnonzero(np.isfinite(true).any(axis=1))
    cut = np.ix_(kept, kept)
    change, before = change[cut], reference[cut]
    before = np.where(np.isfinite(change), before, np.nan)
    mean, count = diamond(before, side)
    after, _ = diamond(before * np.exp(change), side)
    most = side**2 - 3  # the diamond leaves out the two diagonals nearest to the main one
    known = (2 * count >= most) & (count > 0) & (mean > 0)
    track = np.log(np.divide(after, mean, out=np.full(len(mean), np.nan), where=known))
    return _mean(track[np.isin(kept, edges)])


def _mean(values: Iterable[float]) -> float:
    finite = [float(v) for v in values if np.isfinite(v)]
    return float(np.mean(finite)) if finite else float("nan")


@dataclass(frozen=True)
class Agreement:
    """A correlation, with what the truth allows.

    Attributes
    ----------
    edits : number of edits that it is of.
    r : of predicted and mean true values. replicates : r of the two true ones.
    """

    edits: int
    r: float
    replicates: float

    @property
    def ceiling(self) -> float:
        """The most that any prediction can expect to reach: the root of the reliability of the
        replicates' mean, 2 r / (1 + r) (Spearman, Brown); 0 of an r below 0.
        """
        r = self.replicates
        return r if np.isnan(r) else float(np.sqrt(2 * max(0.0, r) / (1 + max(0.0, r))))


@dataclass(frozen=True)
class EditScores:
    """Scores of many edits: of a kind, of a cell type, or of all.

    Attributes
    ----------
    kind, cell_type : of which; :data:`ALL` of all of them.
    edits, changing : number of edits, and of those that change something.
    pixels : of the change of the map, pixels of all edits pooled. single : the median over the
        edits that change of the r of their own pixels.
    insulation, dots : of the change of insulation at the edges, and of the strength of dots.
    sign : share of the edits that change whose change of insulation has the true sign, and of those
        where it is the same in both replicates.
    auroc : area under the ROC curve of the mean squared predicted change, edits of this kind and
        cell type that change against all edits of the table in the cell type that do not.
    """

    kind: str
    cell_type: str
    edits: int
    changing: int
    pixels: Agreement
    single: Agreement
    insulation: Agreement
    dots: Agreement
    sign: tuple[float, float]
    auroc: float


def scores(numbers: Sequence[EditNumbers]) -> list[EditScores]:
    """Scores of all edits, of each cell type, of each kind, and of each kind in each cell type."""
    kinds = list(dict.fromkeys(n.edit.kind for n in numbers))
    types = list(dict.fromkeys(n.edit.cell_type for n in numbers))
    several = types if len(types) > 1 else []
    groups = [(ALL, ALL), *((ALL, c) for c in several)]
    groups += [(k, ALL) for k in kinds] + [(k, c) for k in kinds for c in several]
    found = []
    for kind, cell_type in groups:
        here = [n for n in numbers if cell_type in (ALL, n.edit.cell_type)]
        own = [n for n in here if kind in (ALL, n.edit.kind)]
        if own:
            still = [n.size for n in here if n.edit.changes is False]
            found.append(_scores(kind, cell_type, own, still))
    return found


def _scores(
    kind: str, cell_type: str, numbers: Sequence[EditNumbers], still: Sequence[float]
) -> EditScores:
    changing = [n for n in numbers if n.edit.changes]
    signs = [(n.insulation, *n.true_insulation) for n in changing]
    return EditScores(
        kind,
        cell_type,
        len(numbers),
        len(changing),
        Agreement(
            sum(bool(n.pixels.sums[0] > 0) for n in numbers),
            _pooled(n.pixels for n in numbers),
            _pooled(n.replicates for n in numbers),
        ),
        Agreement(
            sum(bool(np.isfinite(n.pixels.r)) for n in changing),
            _median(n.pixels.r for n in changing),
            _median(n.replicates.r for n in changing if n.replicates is not None),
        ),
        _agreement(numbers, lambda n: (n.insulation, *n.true_insulation)),
        _agreement(numbers, lambda n: (n.dots, *n.true_dots)),
        (_same_sign((p, m) for p, m, _, _ in signs), _same_sign((a, b) for _, _, a, b in signs)),
        auroc([n.size for n in changing], still),
    )


def _pooled(moments: Iterable[Moments | None]) -> float:
    known = [m.sums for m in moments if m is not None]
    return Moments(np.sum(known, axis=0)).r if known else float("nan")


def _median(values: Iterable[float]) -> float:
    finite = [v for v in values if np.isfinite(v)]
    return float(np.median(finite)) if finite else float("nan")


def _agreement(
    numbers: Sequence[EditNumbers],
    values: Callable[[EditNumbers], tuple[float, float, float, float]],
) -> Agreement:
    """Of a number of each edit: predicted, mean true, and the two true ones."""
    table = np.array([values(n) for n in numbers], float)
    both = np.isfinite(table[:, :2]).all(axis=1)
    twice = both & np.isfinite(table[:, 2:]).all(axis=1)
    return Agreement(
        int(both.sum()),
        Moments.of(table[both, 0], table[both, 1]).r,
        Moments.of(table[twice, 2], table[twice, 3]).r,
    )


def _same_sign(pairs: Iterable[tuple[float, float]]) -> float:
    """Share of the pairs of known numbers that have the same sign; a second one of 0 has none."""
    known = [(a, b) for a, b in pairs if np.isfinite(a) and np.isfinite(b) and b]
    return float(np.mean([a * b > 0 for a, b in known])) if known else float("nan")


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Area under the ROC curve: how often a positive is above a negative, ties counting half; NaN
    without one of the two.
    """
    a, b = (np.array([v for v in some if np.isfinite(v)]) for some in (positive, negative))
    if not len(a) or not len(b):
        return float("nan")
    ranks = rankdata(np.concatenate([a, b]))[: len(a)]
    return float((ranks.sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b)))


def as_row(numbers: EditNumbers) -> Mapping[str, object]:
    """What is known of an edit, as a row of a table."""
    edit, again = numbers.edit, numbers.replicates
    return {
        "id": edit.id,
        "kind": edit.kind,
        "cell_type": edit.cell_type,
        "edit": edit.edit,
        "changes": "" if edit.changes is None else int(edit.changes),
        "pixels": int(numbers.pixels.sums[0]),
        "r": numbers.pixels.r,
        "r_replicates": float("nan") if again is None else again.r,
        "size": numbers.size,
        "true_size": numbers.true_size,
        "insulation": numbers.insulation,
        "true_insulation": numbers.true_insulation[0],
        "true_insulation1": numbers.true_insulation[1],
        "true_insulation2": numbers.true_insulation[2],
        "dots": numbers.dots,
        "true_dots": numbers.true_dots[0],
        "true_dots1": numbers.true_dots[1],
        "true_dots2": numbers.true_dots[2],
    }
