"""What an insertion screen found, as a table, as files and as a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.effects.parquet import import_pyarrow
from orca_cool.errors import OutputError
from orca_cool.files import atomic_path, atomic_write
from orca_cool.genome.regions import Region
from orca_cool.maps.bigwig import writing_bigwig
from orca_cool.perturb.insert_plan import Cassette
from orca_cool.perturb.insert_scores import UNSIGNED
from orca_cool.perturb.insert_sources import Source

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMAT = "orca-cool.insertion-screen"
FORMAT_VERSION = 1

#: Columns that say how a source was put at a site.
_HOW = ["length", "orientation", "number", "spacing"]
_PLACE = ["source_chrom", "source_start", "source_end"]

#: Rows or columns of a figure that have labels, at the most.
_LABELLED = 40


@dataclass(frozen=True)
class InsertResult:
    """Scores of sources at sites.

    Attributes
    ----------
    table : a row for each sequence that was predicted: source, source_chrom, source_start,
        source_end (bp, 0-based, end-exclusive; missing for what lies nowhere in the genome), site,
        chrom, start (the site's first base), length (of a copy, bp), orientation, number (of
        copies), spacing (bp), and the scores. NaN: the source holds N, the site's window is mostly
        masked, or nothing there can be compared.
    columns : of scores: "row", or "row.TYPE" of several cell types.
    chromsizes : of the sources' genome, {chromosome: bp}.
    settings : all that the scores depend on, plain values.
    """

    table: pd.DataFrame
    columns: tuple[str, ...]
    chromsizes: dict[str, int]
    settings: dict[str, Any]

    @property
    def means(self) -> pd.DataFrame:
        """Means over the sites, for each source and each way in which it was put there; ``n``: how
        many sites have a score.
        """
        names = list(self.columns)
        groups = self.table.groupby(["source", *_PLACE, *_HOW], sort=False, dropna=False)
        found = groups[names].mean()
        found.insert(0, "n", groups[names[0]].count())
        return found.reset_index()

    def track(self, column: str) -> pd.DataFrame:
        """Means of a score over all that was done with a source, as a track of the sources that
        lie in the genome: chrom, start, end, value.

        Raises
        ------
        OutputError
            If no source lies in the genome, two overlap, or none has a number.
        """
        known = self.table.dropna(subset=["source_chrom", column])
        found = known.groupby(["source", *_PLACE], sort=False)[column].mean().reset_index()
        found.columns = ["source", "chrom", "start", "end", "value"]
        found = found.sort_values(["chrom", "start", "end"], kind="stable", ignore_index=True)
        same = found["chrom"].eq(found["chrom"].shift())
        before = found["end"].shift().fillna(0)
        if not len(found) or bool((same & (found["start"] < before)).any()):
            raise OutputError(
                f"there is no track of {column!r}: no source with a number lies in the genome, or "
                f"two overlap"
            )
        return found.drop(columns="source")

    def to_parquet(self, path: str | Path) -> Path:
        """Write :attr:`table`.

        Raises
        ------
        OutputError
            If pyarrow is missing.
        """
        import_pyarrow()
        with atomic_path(Path(path)) as temporary:
            self.table.to_parquet(temporary, engine="pyarrow", index=False)
        return Path(path)

    def to_bigwig(self, path: str | Path, column: str | None = None) -> Path:
        """Write the means of a score as a bigWig.

        Parameters
        ----------
        column : of :attr:`columns`; None: the first.

        Raises
        ------
        OutputError
            If there is no such column or track, or the library is missing.
        """
        name = self.columns[0] if column is None else column
        if name not in self.columns:
            raise OutputError(
                f"{name!r} is no column of scores of this screen; it has: {', '.join(self.columns)}"
            )
        track, path = self.track(name), Path(path)
        with atomic_path(path) as temporary, writing_bigwig(temporary, self.chromsizes) as out:
            for chrom, part in track.groupby("chrom", sort=True):
                values = (part[c].to_numpy() for c in ("start", "end", "value"))
                out.add_intervals(str(chrom), *values)
        return path

    def matrix(self, column: str | None = None) -> pd.DataFrame:
        """One score as sources x sites: a row for each source and way in which it was put there.

        Parameters
        ----------
        column : of :attr:`columns`; None: the first.
        """
        varied = self._varied()
        labels = self.table["source"].astype(str)
        for name in varied:
            text = self.table[name].astype(str)
            labels = labels + " " + (text if name == "orientation" else f"{name} " + text)
        found = self.table.assign(label=labels)
        value = self.columns[0] if column is None else column
        wide = found.pivot(index="label", columns="site", values=value)
        return wide.loc[labels.unique(), self.table["site"].unique()]

    def _varied(self) -> list[str]:
        """The columns that tell the ways apart in which a source was put at a site."""
        kept = ["source"]
        for name in ("orientation", "length", "number", "spacing"):
            if len(self.table[[*kept, name]].drop_duplicates()) > len(
                self.table[kept].drop_duplicates()
            ):
                kept.append(name)
        # one source may have a length that another has not
        return [n for n in kept[1:] if (self.table.groupby("source")[n].nunique() > 1).any()]

    def plot(self) -> Figure:
        """Insertion matrices: sources (rows) x sites (columns), a panel for each score."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        matrices = {name: self.matrix(name) for name in self.columns}
        rows, columns = next(iter(matrices.values())).shape
        width = 2.2 + min(max(0.45 * columns, 2.5), 12)
        height = 1.6 + min(max(0.32 * rows, 1.5), 12)
        figure = Figure(figsize=(width * len(matrices), height), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, len(matrices), squeeze=False)[0]
        for axis, (name, values) in zip(axes, matrices.items()):
            _draw(axis, name, values, first=axis is axes[0])
        return figure


def _draw(axis: Axes, name: str, values: pd.DataFrame, first: bool) -> None:
    numbers = values.to_numpy(dtype=float)
    most = float(np.nanmax(np.abs(numbers))) if np.isfinite(numbers).any() else 1.0
    unsigned = name.split(".")[0] in UNSIGNED
    image = axis.imshow(
        numbers,
        aspect="auto",
        interpolation="nearest",
        cmap="viridis" if unsigned else "RdBu_r",
        vmin=0 if unsigned else -most,
        vmax=most or 1.0,
    )
    axis.figure.colorbar(image, ax=axis, shrink=0.8)
    axis.set_title(name)
    axis.set_xlabel("site" if values.shape[1] <= _LABELLED else f"{values.shape[1]:,} sites")
    if values.shape[1] <= _LABELLED:
        axis.set_xticks(range(values.shape[1]), list(values.columns), rotation=90, fontsize=7)
    else:
        axis.set_xticks([])
    if values.shape[0] <= _LABELLED and first:
        axis.set_yticks(range(values.shape[0]), list(values.index), fontsize=8)
    else:
        axis.set_yticks([])
    if first:
        axis.set_ylabel("source" if values.shape[0] <= _LABELLED else f"{values.shape[0]:,} rows")


def make_table(
    sources: Sequence[Source],
    sites: Sequence[Region],
    cassettes: Sequence[Cassette],
    lengths: Sequence[Sequence[int | None]],
    columns: Sequence[str],
    scores: np.ndarray,
) -> pd.DataFrame:
    """The table of :class:`InsertResult`: by source, cassette and site.

    Parameters
    ----------
    lengths : of each source with each cassette, in bp.
    scores : (sites, sources, cassettes, columns).
    """
    import pandas as pd

    n, m, k = len(sources), len(cassettes), len(sites)
    one, how, where = (x.ravel() for x in np.indices((n, m, k)))
    regions = [s.region for s in sources]
    table = pd.DataFrame({"source": np.array([s.name for s in sources], dtype=object)[one]})
    chroms = np.array([None if r is None else r.chrom for r in regions], dtype=object)
    table["source_chrom"] = chroms[one]
    for name, values in (
        ("source_start", [None if r is None else r.start for r in regions]),
        ("source_end", [None if r is None else r.end for r in regions]),
    ):
        table[name] = pd.array(values, dtype="Int64")[one]
    table["site"] = np.array([s.name or str(s) for s in sites], dtype=object)[where]
    table["chrom"] = np.array([s.chrom for s in sites], dtype=object)[where]
    table["start"] = np.array([s.start for s in sites])[where]
    table["length"] = np.array(lengths, dtype=np.int64)[one, how]
    table["orientation"] = np.array([c.orientation for c in cassettes], dtype=object)[how]
    table["number"] = np.array([c.number for c in cassettes])[how]
    table["spacing"] = np.array([c.spacing for c in cassettes])[how]
    for column, values in zip(columns, np.moveaxis(scores, 3, 0)):
        table[column] = values[where, one, how]
    return table


def paths_of(output: str, columns: Sequence[str]) -> dict[str, Path]:
    """The files of a screen by what they are; the settings first, which are written last."""
    out = {name: Path(f"{output}.{name}") for name in ("json", "parquet", "tsv", "png")}
    return out | {f"bw {column}": Path(f"{output}.{column}.bw") for column in columns}


def write_files(result: InsertResult, output: str, counts: Mapping[str, int]) -> list[Path]:
    """Write all files of a screen; the one with the settings last, as the sign that all are there.

    Parameters
    ----------
    output : what their names begin with.
    counts : of sources, sites and sequences, for the settings.
    """
    paths = paths_of(output, result.columns)
    for column in result.columns:
        path = paths[f"bw {column}"]
        try:
            result.track(column)
        except OutputError:
            del paths[f"bw {column}"]
            path.unlink(missing_ok=True)  # of another screen, which this one replaces
            continue
        result.to_bigwig(path, column)
    result.to_parquet(paths["parquet"])
    text = result.means.to_csv(sep="\t", index=False, float_format="%.8g", na_rep="nan")
    atomic_write(paths["tsv"], text)
    with atomic_path(paths["png"]) as temporary:
        result.plot().savefig(temporary, format="png")
    about = {"format": FORMAT, "version": FORMAT_VERSION, **result.settings, **counts}
    atomic_write(paths["json"], json.dumps(about, indent=1) + "\n")
    return [path for name, path in paths.items() if name != "json"] + [paths["json"]]
