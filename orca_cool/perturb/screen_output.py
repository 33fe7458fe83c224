"""What a screen found, as a table, as files and as a figure."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.errors import OutputError
from orca_cool.files import atomic_path, atomic_write
from orca_cool.genome.source import SequenceSource, codes_to_letters
from orca_cool.maps.bigwig import require_room, writing_bigwig

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FORMAT = "orca-cool.screen"
FORMAT_VERSION = 1

#: Column of the scores of a model without named cell types.
SCORE = "score"


@dataclass(frozen=True)
class ScreenResult:
    """Scores of the units of a screen.

    Attributes
    ----------
    table : chrom, start, end (0-based, end-exclusive, bp) and a column of scores for each cell
        type, "score" where there is but one; in the genome's order. NaN: in a window that is mostly
        masked.
    chromsizes : of the screened genome, {chromosome: bp}.
    settings : all that the scores depend on, plain values.
    step : bp between units that overlap their neighbours; None: they do not.
    """

    table: pd.DataFrame
    chromsizes: dict[str, int]
    settings: dict[str, Any]
    step: int | None = None

    @property
    def names(self) -> list[str]:
        """The columns of scores."""
        return [name for name in self.table.columns if name not in ("chrom", "start", "end")]

    def track(self, name: str) -> pd.DataFrame:
        """One cell type's scores that are numbers, as a track: chrom, start, end, value.

        Units that overlap their neighbours are drawn as the ``step`` bp in their middle.
        """
        found = self.table[["chrom", "start", "end", name]].dropna()
        found = found.rename(columns={name: "value"})
        if self.step is not None:
            found["start"] = (found["start"] + found["end"] - self.step) // 2
            found["end"] = found["start"] + self.step
        return found

    def top(self, n: int = 100) -> pd.DataFrame:
        """The strongest units, by the largest of their scores."""
        strongest = self.table[self.names].max(axis=1)
        order = strongest.sort_values(ascending=False, kind="stable").dropna().index[:n]
        return self.table.loc[order].reset_index(drop=True)

    def to_bigwig(self, path: str | Path, name: str | None = None) -> Path:
        """Write a cell type's scores as a bigWig.

        Parameters
        ----------
        name : of the column; None: the only one.

        Raises
        ------
        OutputError
            If there are several columns and none is named, the column has no number, the disk has
            no room, or the library is missing.
        """
        path, track = Path(path), self.track(self._chosen(name))
        require_room(path.parent, len(track))
        with atomic_path(path) as temporary, writing_bigwig(temporary, self.chromsizes) as out:
            for chrom, part in track.groupby("chrom", sort=True):
                columns = (part[column].to_numpy() for column in ("start", "end", "value"))
                out.add_intervals(str(chrom), *columns)
        return path

    def _chosen(self, name: str | None) -> str:
        if name is None and len(self.names) == 1:
            return self.names[0]
        if name not in self.names:
            raise OutputError(
                f"{name!r} is no column of scores of this screen; it has: {', '.join(self.names)}"
            )
        return name

    def plot(self) -> Figure:
        """Scores along the genome: a row for each chromosome, a colour for each cell type."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        groups = list(self.table.groupby("chrom", sort=False))
        figure = Figure(figsize=(10, 1 + 2 * len(groups)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
        for axis, (chrom, part) in zip(axes, groups):
            middle = (part["start"] + part["end"]) / 2
            for k, name in enumerate(self.names):
                axis.vlines(middle, 0, part[name], color=f"C{k}", lw=1, alpha=0.8, label=name)
            axis.set_ylim(bottom=0)
            axis.set_xlim(part["start"].min(), part["end"].max())
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axis.set_xlabel(f"{chrom} (bp)")
            axis.set_ylabel("mean |change of\nln observed/expected|")
            axis.spines[["top", "right"]].set_visible(False)
            if len(self.names) > 1:
                axis.legend(frameon=False)
        return figure


def paths_of(output: str, names: list[str]) -> dict[str, Path]:
    """The files of a screen by what they are: those of the tracks carry the cell type's name where
    there are several.
    """
    out = {"json": Path(f"{output}.json")}
    for name in names:
        stem = output if len(names) == 1 else f"{output}.{name}"
        out |= {f"bw {name}": Path(f"{stem}.bw"), f"bedgraph {name}": Path(f"{stem}.bedgraph.gz")}
    return out | {"top": Path(f"{output}.top.tsv"), "fasta": Path(f"{output}.top.fa")}


def write_files(
    result: ScreenResult,
    output: str,
    source: SequenceSource,
    counts: Mapping[str, int],
    top: int,
    flank: int,
) -> list[Path]:
    """Write all files of a screen; the one with the settings last, as the sign that all are there.

    Parameters
    ----------
    output : what their names begin with.
    source : the screened genome.
    counts : of units, sequences and windows, for the settings.
    top : how many of the strongest units are listed. flank : bp of sequence on either side of them.

    Raises
    ------
    OutputError
        If the disk has no room; nothing is written then.
    """
    paths = paths_of(output, result.names)
    require_room(paths["json"].parent, 2 * len(result.table), len(result.names))
    for name in result.names:
        result.to_bigwig(paths[f"bw {name}"], name)
        track = result.track(name)
        text = track.to_csv(sep="\t", header=False, index=False, float_format="%.8g")
        atomic_write(paths[f"bedgraph {name}"], gzip.compress(text.encode(), mtime=0))
    strongest = result.top(top)
    atomic_write(
        paths["top"], strongest.to_csv(sep="\t", index=False, float_format="%.8g", na_rep="nan")
    )
    atomic_write(paths["fasta"], _fasta(strongest, source, flank))
    about = {"format": FORMAT, "version": FORMAT_VERSION, **result.settings, **counts}
    atomic_write(paths["json"], json.dumps(about, indent=1) + "\n")
    return [path for name, path in paths.items() if name != "json"] + [paths["json"]]


def _fasta(table: pd.DataFrame, source: SequenceSource, flank: int) -> str:
    out = []
    for chrom, start, end in table[["chrom", "start", "end"]].itertuples(index=False):
        a, b = max(start - flank, 0), min(end + flank, source.chromsizes[chrom])
        text = codes_to_letters(source.fetch(chrom, int(a), int(b))).decode()
        out.append(f">{chrom}:{a}-{b} unit={start}-{end}\n{text}\n")
    return "".join(out)
