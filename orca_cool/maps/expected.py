"""Expected tables of a predicted map in the format of cooltools, from the model's own expected
frequencies.

With these, and only with these, log(observed / expected) is the prediction itself; a table computed
from the predicted map differs from it.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.errors import CoolerError, OutputError
from orca_cool.files import atomic_write
from orca_cool.genome.regions import Region, n_bins
from orca_cool.maps.coolfile import Layer
from orca_cool.profile import staged

if TYPE_CHECKING:
    import cooler
    import pandas as pd

#: Columns of a table by name, all of one length.
Table = dict[str, np.ndarray]

CIS_COLUMNS = [
    "region1",
    "region2",
    "dist",
    "dist_bp",
    "contact_frequency",
    "n_total",
    "n_valid",
    "count.sum",
    "balanced.sum",
] + ["count.avg", "balanced.avg", "balanced.avg.smoothed", "balanced.avg.smoothed.agg"]
TRANS_COLUMNS = [
    "region1",
    "region2",
    "n_valid",
    "count.sum",
    "balanced.sum",
    "count.avg",
    "balanced.avg",
]


def whole_chromosomes(chromsizes: dict[str, int]) -> list[Region]:
    """The view of whole chromosomes, each under its own name."""
    return [Region(chrom, 0, length, chrom) for chrom, length in chromsizes.items()]


def named_view(regions: Sequence[Region], chromsizes: Mapping[str, int]) -> list[Region]:
    """Regions, each with the name that the tables call it by: its own, else the chromosome's where
    it is whole, else its UCSC string.
    """

    def name(region: Region) -> str:
        whole = region.start == 0 and region.end == chromsizes[region.chrom]
        return region.name or (
            region.chrom if whole else f"{region.chrom}:{region.start}-{region.end}"
        )

    return [dataclasses.replace(r, name=name(r)) for r in regions]


def _rows(view: Sequence[Region]) -> list[tuple[str, int, int, str]]:
    """A view as rows (chrom, start, end, name)."""
    return [(r.chrom, r.start, r.end, r.name) for r in view]


def _usable(
    layer: Layer, chromsizes: dict[str, int], view: Sequence[Region]
) -> list[tuple[str, str, np.ndarray]]:
    """(name, chromosome, (bins,) bool not masked) of every region; partly covered bins belong to
    it, as cooler has it.
    """
    out = []
    for chrom, start, end, name in _rows(view):
        if chrom not in chromsizes or not 0 <= start < end <= chromsizes[chrom]:
            raise OutputError(
                f"view region {name} = {chrom}:{start}-{end} does not lie in the file's chromosomes"
            )
        mask = layer.mask(chrom, n_bins(chromsizes[chrom], layer.resolution))
        out.append((name, chrom, ~mask[start // layer.resolution : n_bins(end, layer.resolution)]))
    return out


def pairs_by_distance(usable: np.ndarray) -> np.ndarray:
    """(n,) int64 number of pairs of bins, neither of which is masked, at each distance in bins.

    Parameters
    ----------
    usable : (n,) bool, False where a bin is masked.
    """
    # the autocorrelation by numpy's FFT, whose error is far below a half; scipy.signal, which has a
    # function for it, takes half a second to be imported
    n = len(usable)
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(usable.astype(float), size)) ** 2
    return np.rint(np.fft.irfft(power, size)[:n]).astype(np.int64)


def expected_cis(
    layer: Layer, chromsizes: dict[str, int], view: Sequence[Region], mode: str, pseudo_depth: float
) -> list[Table]:
    """Expected by distance in every region of a view, one row per diagonal, NaN from the band on.

    Parameters
    ----------
    view : regions with their names.
    mode : "regularised": expected + eps; "contact": expected.
    pseudo_depth : N; ``count.*`` is N times ``balanced.*``.

    Returns
    -------
    For each region a table with CIS_COLUMNS; ``n_valid`` counts pairs of which neither bin is
    masked, sums are averages times ``n_valid``.
    """
    offset = layer.eps if mode == "regularised" else 0.0
    tables = []
    for name, _, usable in _usable(layer, chromsizes, view):
        n = len(usable)
        dist = np.arange(n)
        valid = pairs_by_distance(usable)
        average = layer.by_distance(n) + offset
        names = np.full(n, name, dtype=object)
        columns: Table = {"region1": names, "region2": names}
        columns |= {"dist": dist, "dist_bp": dist * layer.resolution}
        columns |= {"contact_frequency": average, "n_total": n - dist, "n_valid": valid}
        columns |= {"count.sum": average * valid * pseudo_depth, "balanced.sum": average * valid}
        columns |= {"count.avg": average * pseudo_depth, "balanced.avg": average}
        columns |= {"balanced.avg.smoothed": average, "balanced.avg.smoothed.agg": average}
        tables.append({name: columns[name] for name in CIS_COLUMNS})
    return tables


def expected_trans(
    layer: Layer, chromsizes: dict[str, int], view: Sequence[Region], mode: str, pseudo_depth: float
) -> Table:
    """Expected between every two regions on different chromosomes, with TRANS_COLUMNS; OutputError
    if the layer has no trans expected.
    """
    if layer.trans is None:
        raise OutputError(f"the layer of {layer.resolution} bp has no expected between chromosomes")
    average = layer.trans + (layer.eps if mode == "regularised" else 0.0)
    rows: list[tuple] = []
    for (name1, chrom1, usable1), (name2, chrom2, usable2) in itertools.combinations(
        _usable(layer, chromsizes, view), 2
    ):
        if chrom1 != chrom2:
            valid = int(usable1.sum()) * int(usable2.sum())
            rows.append(
                (
                    name1,
                    name2,
                    valid,
                    average * valid * pseudo_depth,
                    average * valid,
                    average * pseudo_depth,
                    average,
                )
            )
    columns = zip(*rows) if rows else [()] * len(TRANS_COLUMNS)
    return {name: np.array(c, dtype=object) for name, c in zip(TRANS_COLUMNS, columns)}


def table_path(out_path: str | os.PathLike[str], resolution: int, kind: str = "expected") -> Path:
    """``out.mcool`` -> ``out.expected.4000.tsv`` beside it (``kind`` "expected" or
    "expected-trans").
    """
    out = Path(out_path)
    return out.with_name(f"{out.name.removesuffix('.mcool')}.{kind}.{resolution}.tsv")


def view_path(out_path: str | os.PathLike[str]) -> Path:
    """``out.mcool`` -> ``out.view.bed`` beside it."""
    out = Path(out_path)
    return out.with_name(f"{out.name.removesuffix('.mcool')}.view.bed")


def needs_view(view: Sequence[Region], chromsizes: dict[str, int]) -> bool:
    """True unless a view is that of all whole chromosomes, which cooltools takes where it is given
    none.
    """
    return _rows(view) != _rows(whole_chromosomes(chromsizes))


@staged("expected")
def write_expected(
    out_path: str | os.PathLike[str],
    layers: Sequence[Layer],
    chromsizes: dict[str, int],
    view: Sequence[Region],
    mode: str,
    pseudo_depth: float,
) -> list[Path]:
    """Write the tables of every resolution beside the .mcool ``out_path``; each is renamed from a
    temporary name when whole. Where the view is not that of all whole chromosomes it is written
    too, as BED: cooltools reads the tables with it, and not without.

    Returns
    -------
    The paths, cis before trans, the view last. OutputError when one cannot be written.
    """
    written = []
    for layer in layers:
        tables = {"expected": expected_cis(layer, chromsizes, view, mode, pseudo_depth)}
        if layer.trans is not None and len({region.chrom for region in view}) > 1:
            tables["expected-trans"] = [expected_trans(layer, chromsizes, view, mode, pseudo_depth)]
        for kind, parts in tables.items():
            final = table_path(out_path, layer.resolution, kind)
            text = _tsv([list(parts[0])]) + "".join(map(_lines, parts))
            written.append(_write(final, text))
    if needs_view(view, chromsizes):
        written.append(_write(view_path(out_path), _tsv(_rows(view))))
    return written


def _lines(table: Table) -> str:
    """The rows of a table as text, without its header."""
    texts: dict[int, list[str]] = {}  # by column: several are the same array
    for column in table.values():
        if id(column) not in texts:
            texts[id(column)] = _texts(column)
    rows = zip(*(texts[id(column)] for column in table.values()))
    return "\n".join([*map("\t".join, rows), ""])


def _texts(column: np.ndarray) -> list[str]:
    """Values as texts; 17 digits, so that a float64 comes back as it was."""
    if column.dtype.kind == "f":
        # beyond the band, at most distances of a chromosome, nothing is known
        known = int(np.flatnonzero(~np.isnan(column)).max(initial=-1)) + 1
        return [f"{v:.17g}" for v in column[:known].tolist()] + ["nan"] * (len(column) - known)
    values = column.tolist()
    if column.dtype.kind == "i":
        return list(map(str, values))
    # names, in quotes where they need some, and the few rows of tables between chromosomes
    texts = {
        v: f"{v:.17g}" if isinstance(v, float) else _tsv([[v]]).removesuffix("\n")
        for v in set(values)
    }
    return list(map(texts.__getitem__, values))


def _tsv(rows: Iterable[Sequence[object]]) -> str:
    """Rows as text with tabs between columns."""
    stream = io.StringIO()
    csv.writer(stream, delimiter="\t", lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _write(path: Path, text: str) -> Path:
    """Write a file; OutputError when it cannot be written."""
    try:
        atomic_write(path, text)
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error}") from error
    return path


def read_tables(
    out_path: str | os.PathLike[str], layer: Layer, metadata: dict, clr: cooler.Cooler
) -> dict[str, pd.DataFrame]:
    """Read the tables beside an .mcool as cooltools does, verified against the cooler and against
    the file's own expected.

    Parameters
    ----------
    layer, metadata : of the resolution, from ``read_layer``. Where the metadata names no
        ``regions``, a table with other names than the chromosomes' is verified without a view.
    clr : the resolution, opened.

    Returns
    -------
    "cis" and, where the layer has trans and the view two chromosomes, "trans". CoolerError when one
    is missing, unreadable or not this file's.
    """
    from cooltools.lib.io import read_expected_from_file

    offset = layer.eps if metadata["mode"] == "regularised" else 0.0
    found: dict[str, pd.DataFrame] = {}
    view: pd.DataFrame | None = None
    for contact_type, kind in (("cis", "expected"), ("trans", "expected-trans")):
        path = table_path(out_path, layer.resolution, kind)
        if contact_type == "trans" and (
            layer.trans is None or view is None or view["chrom"].nunique() < 2
        ):
            continue
        if not path.is_file():
            raise CoolerError(f"there is no expected table {str(path)!r}")
        try:
            table = read_expected_from_file(path, contact_type)
            if contact_type == "cis":
                view = _view_of(list(dict.fromkeys(table["region1"])), metadata, clr)
            if view is not None:
                read_expected_from_file(path, contact_type, verify_view=view, verify_cooler=clr)
        except (ValueError, KeyError) as error:
            raise CoolerError(
                f"{str(path)!r} is not an expected table of {clr.uri!r}: {error.__cause__ or error}"
            ) from error
        if contact_type == "cis":
            truth = (
                layer.by_distance(int(table["dist"].max()) + 1)[table["dist"].to_numpy(int)]
                + offset
            )
        else:
            truth = np.full(len(table), float(layer.trans or 0.0) + offset)
        if not np.allclose(table["balanced.avg"], truth, rtol=1e-9, atol=0, equal_nan=True):
            raise CoolerError(
                f"{str(path)!r} does not hold the expected that {clr.uri!r} was made with"
            )
        found[contact_type] = table
    return found


def _view_of(names: list[str], metadata: dict, clr: cooler.Cooler) -> pd.DataFrame | None:
    """The view that a table was made for: the metadata's regions under the table's names, or whole
    chromosomes, or unknown.
    """
    chromsizes = {str(c): int(n) for c, n in clr.chromsizes.items()}
    import bioframe
    import pandas as pd

    regions = metadata.get("regions")
    if regions:
        if len(regions) != len(names):
            raise ValueError(f"{len(names)} regions, the file was made for {len(regions)}")
        rows = [
            (*bioframe.parse_region(text, chromsizes), name) for text, name in zip(regions, names)
        ]
    elif names == list(chromsizes):
        rows = _rows(whole_chromosomes(chromsizes))
    else:
        return None
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])
