"""Balancing weights of measured maps: which column, whether it multiplies or divides, which bins
are masked; and what is measured with them.

Everything that reads a measured map reads it through :class:`BalancedCooler`, whose column
"weight" is always finite or NaN and always multiplies.
"""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from cooler import Cooler
from cooler.core import RangeSelector1D, RangeSelector2D

from orca_cool.errors import CoolerError
from orca_cool.genome.regions import n_bins

logger = logging.getLogger(__name__)

#: The column that `cooler balance` writes.
WEIGHT = "weight"

#: Columns that divide where the file does not say whether they do: the normalizations of Juicer, as
#: hic2cool and the 4DN portal write them. hictk says so in the file.
DIVISIVE = ("KR", "SCALE", "VC", "VC_SQRT")

#: Expected by distance is measured on the longest chromosomes, until they have so many bp together:
#: bounded work for any genome.
MEASURED = 300_000_000

#: Pixels read at once in search of a contact.
CHUNK = 1 << 20


class BalancedCooler(Cooler):
    """A cooler whose column "weight" can be used as it is, by any reader of coolers.

    Whatever the weights' column is called in the file, and whether its numbers multiply or divide,
    "weight" multiplies here: balanced frequency is count * weight * weight. A bin whose weight is
    not a positive number (NaN, infinite, 0) is masked: NaN.

    Parameters
    ----------
    uri : of the cooler.
    column : the file's column of balancing weights.

    Attributes
    ----------
    column : see above.

    Raises
    ------
    CoolerError
        If the map is not symmetric with bins of one size, or has no such column.
    """

    def __init__(self, uri: str, column: str = WEIGHT):
        super().__init__(uri)
        self.column = column
        if self.binsize is None or self.storage_mode != "symmetric-upper":
            raise CoolerError(
                f"{uri!r} is not a symmetric map with bins of one size; expected by distance needs "
                f"one"
            )
        columns = weight_columns(self)
        if column not in columns:
            hint = f"; it has {', '.join(columns)} (--clr-weight-name)" if columns else ""
            raise CoolerError(
                f"{uri!r} is not balanced: it has no column {column!r} (run `cooler balance`){hint}"
            )
        if self.cleaned:
            _warn(
                f"{self.cleaned:,} of {len(self.weights):,} bins of {uri} have weights {column!r} "
                f"that are infinite or not positive; they count as masked"
            )

    def __getstate__(self) -> dict[str, Any]:
        # read again in another process: that costs less than to send them with every task
        return {k: v for k, v in self.__dict__.items() if k != "_read"}

    @functools.cached_property
    def _read(self) -> tuple[np.ndarray, int]:
        with self.open("r") as group:
            dataset = group[f"bins/{self.column}"]
            found = dataset[:]
        if found.shape != (self.shape[0],) or not np.issubdtype(found.dtype, np.number):
            raise CoolerError(
                f"the column {self.column!r} of {self.uri!r} holds no weights, one number for each "
                f"of {self.shape[0]:,} bins"
            )
        found = found.astype(float)
        with np.errstate(invalid="ignore"):
            usable = np.isfinite(found) & (found > 0)
        cleaned = int((~usable & ~np.isnan(found)).sum())
        found[~usable] = np.nan
        return (1 / found if self.divisive else found), cleaned

    @property
    def weights(self) -> np.ndarray:
        """(bins,) float64 weights that multiply, NaN where a bin is masked."""
        return self._read[0]

    @property
    def cleaned(self) -> int:
        """Number of bins that are masked although the file's weight is not NaN."""
        return self._read[1]

    @property
    def attributes(self) -> dict[str, Any]:
        """What balancing has noted about the weights ("ignore_diags", "cis_only", ...)."""
        with self.open("r") as group:
            return dict(group[f"bins/{self.column}"].attrs)

    @functools.cached_property
    def divisive(self) -> bool:
        """True if the file's numbers divide."""
        name = self.column.removeprefix("INTER_").removeprefix("GW_")
        return bool(self.attributes.get("divisive_weights", name in DIVISIVE))

    def bins(self, **options: Any) -> RangeSelector1D:
        """The table of bins, whose column "weight" is :attr:`weights`."""
        plain = super().bins(**options)

        def rows(fields: Any, lo: int, hi: int) -> Any:
            names = list(plain.columns) if fields is None else fields
            if isinstance(names, str):
                index = pd.RangeIndex(len(self.weights))[lo:hi]
                if names == WEIGHT:
                    return pd.Series(self.weights[lo:hi], index, name=WEIGHT)
                return plain[names][lo:hi]
            if fields is None and WEIGHT not in names:
                names = [*names, WEIGHT]
            table = plain[[c for c in names if c != WEIGHT] or ["start"]][lo:hi]
            if WEIGHT in names:
                table[WEIGHT] = self.weights[lo:hi]
            return table[list(names)]

        return RangeSelector1D(None, rows, self.extent, self.shape[0])

    def matrix(
        self, field: str | None = None, balance: bool | str = True, **options: Any
    ) -> RangeSelector2D:
        """The contact matrix; balanced only as a dense array, with the weights :attr:`weights`."""
        plain = super().matrix(field=field, balance=False, **options)
        if not balance:
            return plain
        if options or balance not in (True, WEIGHT):
            raise NotImplementedError(f"matrix(balance={balance!r}, {options})")

        def dense(field: str | None, i0: int, i1: int, j0: int, j1: int) -> np.ndarray:
            counts = plain[i0:i1, j0:j1]
            return counts * np.outer(self.weights[i0:i1], self.weights[j0:j1])

        def extents(region: Any, region2: Any = None) -> tuple[int, int, int, int]:
            return (*self.extent(region), *self.extent(region if region2 is None else region2))

        return RangeSelector2D(field, dense, extents, self.shape)


@functools.cache
def _warn(text: str) -> None:
    """Warn once, however often a map is opened."""
    logger.warning("%s", text)


def weight_columns(clr: Cooler) -> list[str]:
    """Columns that a file has for its bins beside the place: weights, and whatever else."""
    columns = Cooler.bins(clr).columns  # without those that BalancedCooler adds
    return [str(c) for c in columns if c not in ("chrom", "start", "end")]


def balanced_or_raw(clr: Cooler, column: str = WEIGHT) -> Cooler:
    """The map with its weights; as it is if it was not balanced, and no column was asked for.

    Raises
    ------
    CoolerError
        As :class:`BalancedCooler`.
    """
    if isinstance(clr, BalancedCooler):
        return clr
    if column == WEIGHT and WEIGHT not in weight_columns(clr):
        return clr
    return BalancedCooler(clr.uri, column)


def is_adjusted(clr: Cooler) -> bool:
    """True if a map's weights are used otherwise than as the numbers that are in the file."""
    return isinstance(clr, BalancedCooler) and (clr.divisive or clr.cleaned > 0)


def ignored_diagonals(clr: Cooler) -> int:
    """Diagonals, from the main one, that balancing left out; 2 where the map does not say."""
    if not isinstance(clr, BalancedCooler):
        return 2
    return int(clr.attributes.get("ignore_diags", 2))


def has_contacts(clr: Cooler, chrom: str, between: bool = False) -> bool:
    """True if a map has a contact within a chromosome (``between``: of it and another one) whose
    bins are not masked.
    """
    usable = ~np.isnan(clr.weights) if isinstance(clr, BalancedCooler) else None
    first, last = clr.extent(chrom)
    with clr.open("r") as group:
        lo, hi = (
            int(group["indexes/bin1_offset"][i]) for i in ((0, -1) if between else (first, last))
        )
        for a in range(lo, hi, CHUNK):
            part = slice(a, min(a + CHUNK, hi))
            i, j, n = (group["pixels"][c][part] for c in ("bin1_id", "bin2_id", "count"))
            inside = [(first <= x) & (x < last) for x in (i, j)]
            found = (inside[0] ^ inside[1] if between else inside[0] & inside[1]) & (n > 0)
            if usable is not None:
                found &= usable[i] & usable[j]
            if found.any():
                return True
    return False


def require_contacts(clr: Cooler, chroms: Iterable[str], name: str, advice: str) -> None:
    """CoolerError that names the first of some chromosomes within which a map has no contact.

    Parameters
    ----------
    name : the map as messages call it. advice : what to do, the end of the sentence.
    """
    for chrom in chroms:
        if not has_contacts(clr, chrom):
            raise CoolerError(
                f"{name} has no contacts within {chrom!r} between bins that are not masked; "
                f"{advice}"
            )


def measured_expected(clr: Cooler, chroms: Sequence[str] | None = None) -> np.ndarray:
    """Mean frequency by distance of a measured map (``cooltools.expected_cis``, smoothed).

    Parameters
    ----------
    clr : its weights are used (see :func:`balanced_or_raw`); of a map that is not balanced the raw
        counts.
    chroms : chromosomes that are measured, together; default: the longest, until they have MEASURED
        bp together.

    Returns
    -------
    (n,) float64 for 0, 1, ... bins of distance, to the end of the longest chromosome of the map;
    NaN where it is not known, and on the diagonals that balancing left out.
    """
    from cooltools import expected_cis

    clr = balanced_or_raw(clr)
    balanced = isinstance(clr, BalancedCooler)
    sizes = {str(c): int(n) for c, n in clr.chromsizes.items()}
    if chroms is None:
        ordered = clr.chromsizes.sort_values(ascending=False, kind="stable")
        chosen = ordered[(ordered.cumsum() - ordered) < MEASURED].index
        chroms = [c for c in sizes if c in chosen]
    view = pd.DataFrame(
        {"chrom": chroms, "start": 0, "end": [sizes[c] for c in chroms], "name": chroms}
    )
    ignored = ignored_diagonals(clr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cooltools warns of every empty diagonal
        table = expected_cis(
            clr,
            view_df=view,
            clr_weight_name=WEIGHT if balanced else None,
            ignore_diags=ignored,
            smooth=True,
            aggregate_smoothed=True,
            nproc=1,
        )
    column = ("balanced" if balanced else "count") + ".avg.smoothed.agg"
    by_distance = table.groupby("dist")[column].max()  # the same in every region
    longest = n_bins(max(sizes.values()), int(clr.binsize or 1))
    expected = by_distance.reindex(np.arange(longest)).to_numpy(float)
    expected[:ignored] = np.nan  # what smoothing leaks onto them
    return expected
