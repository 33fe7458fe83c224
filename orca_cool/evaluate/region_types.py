"""How well strong contacts between regions of one kind are found: places where a mark (CTCF,
histone marks, any bigWig) is high, as the paper of Orca scores them.

For each mark and level: positives are pixels whose measured log observed/expected is above the
level's 90th percentile, and both of whose bins are above the mark's 95th; for other marks than CTCF
both bins are below CTCF's 90th, too. Negatives are the pixels that are not above the level's 90th
percentile; for CTCF without those both of whose bins are above its 95th.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orca_cool.errors import ModelError, RegionError
from orca_cool.genome.regions import n_bins, suggestion
from orca_cool.maps.bigwig import import_pybigwig

#: Percentiles of a mark's bins, of CTCF's bins, and of a level's pixels.
HIGH, LOW_CTCF, STRONG = 95, 90, 90

#: The mark whose rules are its own.
CTCF = "CTCF"

#: With so many positives or fewer there is no score.
LEAST = 20


@dataclass(frozen=True)
class MarkScore:
    """How well a prediction finds the strong contacts between regions with a mark.

    Attributes
    ----------
    prediction, mark : names. resolution : in bp.
    positives, negatives : numbers of pixels, of all chromosomes.
    auroc : area under the receiver operating characteristic of the predicted log
        observed/expected. auprc : average precision. Both NaN with :data:`LEAST` positives or
        fewer, or no negatives.
    """

    prediction: str
    mark: str
    resolution: int
    positives: int
    negatives: int
    auroc: float
    auprc: float

    @property
    def baseline(self) -> float:
        """AUPRC of chance: the share of positives."""
        return self.positives / max(1, self.positives + self.negatives)


def parse_marks(texts: Sequence[str]) -> dict[str, str]:
    """Marks by name, of texts NAME=FILE.

    Raises
    ------
    ModelError
        If a text is none, or a name is given twice.
    """
    marks: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ModelError(f"mark {text!r} is not NAME=FILE, such as CTCF=ctcf.bw")
        if name in marks:
            raise ModelError(f"mark {name!r} is given twice: {marks[name]!r} and {path!r}")
        marks[name] = path
    return marks


class Marks:
    """BigWigs of marks, averaged over bins.

    Parameters
    ----------
    paths : by name.

    Raises
    ------
    RegionError
        If a file cannot be read as a bigWig.
    """

    def __init__(self, paths: Mapping[str, str]):
        library = import_pybigwig()
        self.paths, self._files = dict(paths), {}
        for name, path in self.paths.items():
            if not Path(path).is_file():
                raise RegionError(f"mark {name!r}: there is no file {path!r}")
            try:
                self._files[name] = library.open(path)
                signal = self._files[name].isBigWig()
            except RuntimeError as error:
                raise RegionError(f"mark {name!r}: {path!r} is no bigWig: {error}") from error
            if not signal:
                raise RegionError(f"mark {name!r}: {path!r} is no bigWig")

    def check(self, chroms: Sequence[str], sizes: Mapping[str, int]) -> None:
        """Raise RegionError if a file lacks a chromosome, or has it of another length."""
        for name, file in self._files.items():
            known = file.chroms()
            for chrom in chroms:
                if chrom not in known:
                    raise RegionError(
                        f"mark {name!r}: {self.paths[name]!r} has no chromosome {chrom!r}; "
                        f"{suggestion(chrom, known)}"
                    )
                if known[chrom] != sizes[chrom]:
                    raise RegionError(
                        f"mark {name!r}: {chrom} is {known[chrom]:,} bp in {self.paths[name]!r}, "
                        f"{sizes[chrom]:,} bp in the measured map; they are not of one assembly"
                    )

    def means(self, name: str, chrom: str, size: int, resolution: int) -> np.ndarray:
        """(bins,) mean of a mark over each bin, NaN where it has no value."""
        n, file = n_bins(size, resolution), self._files[name]
        whole = size // resolution
        values: list[float | None] = []
        if whole:
            values += file.stats(chrom, 0, whole * resolution, nBins=whole, type="mean", exact=True)
        if whole < n:
            values += file.stats(chrom, whole * resolution, size, type="mean", exact=True)
        return np.array([np.nan if v is None else v for v in values], float)


class MarkedLevel:
    """Pixels of a level, gathered until thresholds over all of them can be taken.

    Parameters
    ----------
    marks : that are scored. chroms, sizes : of the chromosomes. resolution : in bp.
    share : of the pixels that are kept, drawn at random. seed : of that.
    """

    def __init__(
        self,
        marks: Marks,
        chroms: Sequence[str],
        sizes: Mapping[str, int],
        resolution: int,
        share: float,
        seed: int,
    ):
        self.names, self.resolution, self.share = list(marks.paths), resolution, share
        self._rng = np.random.default_rng([seed, resolution])
        self._high: dict[str, dict[str, np.ndarray]] = {}
        self._low: dict[str, np.ndarray] | None = None
        for name in self.names:
            means = {c: marks.means(name, c, sizes[c], resolution) for c in chroms}
            every = np.concatenate(list(means.values()))
            every = every[np.isfinite(every)]
            if not len(every):
                raise RegionError(f"mark {name!r} has no value on {', '.join(chroms)}")
            above = np.percentile(every, HIGH)
            self._high[name] = {c: m > above for c, m in means.items()}
            if name == CTCF:
                limit = np.percentile(every, LOW_CTCF)
                self._low = {c: m < limit for c, m in means.items()}
        self._y: list[np.ndarray] = []
        self._x: dict[str, list[np.ndarray]] = {}
        self._marked: dict[str, list[np.ndarray]] = {name: [] for name in self.names}

    def add(
        self,
        chrom: str,
        start: int,
        measured: np.ndarray,
        predicted: Mapping[str, np.ndarray],
        i: np.ndarray,
        j: np.ndarray,
    ) -> None:
        """Add pixels (i, j) of a square that begins at bin ``start``."""
        if self.share < 1:
            keep = self._rng.random(len(i)) < self.share
            i, j = i[keep], j[keep]
        self._y.append(measured[i, j].astype(np.float32))
        for name, x in predicted.items():
            self._x.setdefault(name, []).append(x[i, j].astype(np.float32))
        for name in self.names:
            both = self._high[name][chrom][i + start] & self._high[name][chrom][j + start]
            if name != CTCF and self._low is not None:
                both &= self._low[chrom][i + start] & self._low[chrom][j + start]
            self._marked[name].append(both)

    def scores(self) -> list[MarkScore]:
        """A score of every mark and prediction."""
        from sklearn.metrics import average_precision_score, roc_auc_score

        if not self._y or not sum(map(len, self._y)):
            return []
        y = np.concatenate(self._y)
        strong = y > np.percentile(y, STRONG)
        out = []
        for mark in self.names:
            both = np.concatenate(self._marked[mark])
            positive = strong & both
            negative = ~strong & ~both if mark == CTCF else ~strong
            used = positive | negative
            n, m = int(positive.sum()), int(negative.sum())
            for name, parts in self._x.items():
                auroc = auprc = float("nan")
                if n > LEAST and m:
                    x = np.concatenate(parts)[used]
                    auroc = float(roc_auc_score(positive[used], x))
                    auprc = float(average_precision_score(positive[used], x))
                out.append(MarkScore(name, mark, self.resolution, n, m, auroc, auprc))
        return out
