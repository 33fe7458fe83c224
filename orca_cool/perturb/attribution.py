"""What an objective depends on, base by base or unit by unit: the one result of all methods."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.effects.parquet import import_pyarrow
from orca_cool.errors import OutputError, missing_package
from orca_cool.files import atomic_path, atomic_write, check_output
from orca_cool.genome.regions import Region
from orca_cool.maps.bigwig import require_room, writing_bigwig

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from orca_cool.maps.contact_map import ContactMap
    from orca_cool.perturb.laid import Laid
    from orca_cool.perturb.objective import Objective

#: The methods, by what each gives: a number for each base that may stand at a position, or one for
#: each stretch of sequence.
OF_BASES = ("gradient", "integrated", "expected", "ism")
OF_UNITS = ("deletion", "shuffle")
METHODS = (*OF_BASES, *OF_UNITS)
#: Those that change the sequence and predict each change by itself.
CHANGING = ("ism", *OF_UNITS)

_BASES = list("ACGT")

#: What Parquet tables call themselves.
PARQUET, PARQUET_VERSION = "orca-cool attribution", 1


@dataclass(frozen=True, eq=False)
class Attribution:
    """What an objective depends on.

    Attributes
    ----------
    method : one of :data:`METHODS`. objective : whose value is explained.
    region : whose bases were looked at, L bp.
    codes : (L,) uint8, the bases: 0 A, 1 C, 2 G, 3 T, 4 N.
    scores : (L, 4) for bases A, C, G, T. "gradient": the objective's derivative by the one-hot
        bases; "integrated", "expected": what each contributes to the difference from the baseline
        (of N, or the mean of shuffled ones); "ism": the change of the objective by that base in the
        place of the one that is there. For methods of units (units,): the change of the objective.
    units : (units, 2) start and end in bp, of methods of units; else empty.
    value : the objective where nothing is changed.
    map : the map that it is taken from, of the level that was chosen. Of an objective between two
        chromosomes it is that of two stretches end to end.
    chromsizes : {chromosome: bp} of the genome.
    about : model, genome, settings, and what else the method tells, as plain values.
    laid : the two stretches of an objective between chromosomes; None: it is of one.

    Examples
    --------
    >>> import orca_cool as oc
    >>> p = oc.Predictor("yeast-metaphase", "example", progress=False)
    >>> found = oc.attribute.gradient(p, "chrII:238,207-238,325", "insulation chrII:238,265")
    >>> found.matrix.columns.tolist()
    ['chrom', 'start', 'end', 'ref', 'A', 'C', 'G', 'T', 'projected']
    """

    method: str
    objective: Objective
    region: Region
    codes: np.ndarray
    scores: np.ndarray
    value: float
    map: ContactMap
    chromsizes: dict[str, int]
    units: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    about: dict[str, Any] = field(default_factory=dict)
    laid: Laid | None = None

    @property
    def projected(self) -> np.ndarray:
        """(L,) what each base contributes to the objective, signed: positive where it holds it up.

        "gradient": input x gradient. "integrated", "expected": the sum over the four bases. "ism":
        the change by the base that is there, which is none, less the mean of the four. "deletion"
        and "shuffle": minus the mean change by the units that hold the base. Of an objective that
        is the size of a change ("row") the size stands here, positive. NaN where nothing is known.
        """
        if self.method in OF_UNITS:
            found = -self._mean_of_units()
        elif self.method in ("integrated", "expected"):
            found = self.scores.sum(axis=1)
        else:
            centre = self.scores.mean(axis=1, keepdims=True) if self.method == "ism" else 0.0
            shares = np.concatenate([np.eye(4), np.full((1, 4), 0.25)])[self.codes]
            found = ((self.scores - centre) * shares).sum(axis=1)
        turned = self.objective.unsigned and self.method in ("ism", *OF_UNITS)
        return -found if turned else found

    def _mean_of_units(self) -> np.ndarray:
        """(L,) mean over the units that hold each base; NaN where there is none."""
        total, count = np.zeros(len(self.codes)), np.zeros(len(self.codes))
        for (start, end), change in zip(self.units - self.region.start, self.scores):
            total[start:end] += change
            count[start:end] += 1
        return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)

    @property
    def matrix(self) -> pd.DataFrame:
        """A line for each base (chrom, start, end, ref, A, C, G, T, projected) or, of methods of
        units, for each unit (chrom, start, end, change). Positions are 0-based and end-exclusive.
        """
        import pandas as pd

        if self.method in OF_UNITS:
            start, end = self.units[:, 0], self.units[:, 1]
            table = {"chrom": self.region.chrom, "start": start, "end": end, "change": self.scores}
            return pd.DataFrame(table)
        start = np.arange(self.region.start, self.region.end)
        frame = pd.DataFrame({"chrom": self.region.chrom, "start": start, "end": start + 1})
        frame["ref"] = [("ACGTN")[c] for c in self.codes]
        frame[_BASES] = self.scores
        return frame.assign(projected=self.projected)

    def top(self, number: int) -> list[int]:
        """Positions (bp) of the bases that contribute most, either way, strongest first."""
        size = np.nan_to_num(np.abs(self.projected))
        return [int(k) + self.region.start for k in np.argsort(-size, kind="stable")[:number]]

    # ---- files

    def to_bigwig(
        self, path: str | os.PathLike[str], *, base: str | None = None, force: bool = False
    ) -> Path:
        """Write :attr:`projected` as a bigWig, base by base; positions without a number are left
        out.

        Parameters
        ----------
        base : "A", "C", "G" or "T": the scores of that one instead, of methods that have them.

        Raises
        ------
        OutputError
            If the file exists or cannot be written, there is no room or nothing to write, or
            pyBigWig is missing.
        """
        path = Path(path)
        check_output(path, force)
        if base is not None and (self.method in OF_UNITS or base not in _BASES):
            raise OutputError(f"method {self.method!r} has no scores of base {base!r}")
        require_room(path.parent, len(self.codes))
        values = self.projected if base is None else self.scores[:, _BASES.index(base)]
        if not np.isfinite(values).any():
            raise OutputError(f"no base of {str(self.region)!r} has a number; {path} is not made")
        with atomic_path(path) as temporary, writing_bigwig(temporary, self.chromsizes) as track:
            track.add(self.region.chrom, self.region.start, 1, values)
        return path

    def to_tsv(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write :attr:`matrix` as a table with tabs, compressed if the name ends in ".gz". Lines
        that begin with "#" say what it is. The same result gives the same bytes.

        Raises
        ------
        OutputError
            If the file exists or cannot be written.
        """
        path = Path(path)
        check_output(path, force)
        lines = "".join(f"# {name}: {value}\n" for name, value in self._told().items())
        text = lines + self.matrix.to_csv(sep="\t", index=False, float_format="%.9g", na_rep="nan")
        data = text.encode()
        if path.suffix == ".gz":
            data = gzip.compress(data, mtime=0)
        atomic_write(path, data)
        return path

    def to_parquet(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write :attr:`matrix` as Parquet, with numbers as they are. What the lines with "#" of
        :meth:`to_tsv` say stands as JSON in the file's metadata, under "orca_cool".

        Raises
        ------
        OutputError
            If the file exists or cannot be written, or pyarrow is missing.
        """
        path = Path(path)
        check_output(path, force)
        pyarrow, parquet = import_pyarrow()
        table = pyarrow.Table.from_pandas(self.matrix, preserve_index=False)
        about = {"format": PARQUET, "version": PARQUET_VERSION} | self._told()
        told = {**(table.schema.metadata or {}), b"orca_cool": json.dumps(about).encode()}
        with atomic_path(path) as temporary:
            parquet.write_table(table.replace_schema_metadata(told), str(temporary))
        return path

    def _told(self) -> dict[str, Any]:
        """What files say of themselves."""
        told = {"method": self.method, "objective": self.objective.text, "value": self.value}
        return told | {"region": str(self.region), "resolution": self.map.resolution} | self.about

    def plot(self, *, letters: int = 120) -> Figure:
        """Draw the logo of the strongest stretch, the track of the region, and the map with the
        objective drawn in.

        Parameters
        ----------
        letters : bases that the logo shows at most; the track marks where they are.

        Raises
        ------
        OutputError
            If logomaker is missing.
        """
        from orca_cool.perturb.attribution_figure import draw_attribution

        return draw_attribution(self, letters)

    def __repr__(self) -> str:
        return (
            f"<Attribution of {self.objective.text!r} by {self.method} to {self.region}: value "
            f"{self.value:.4g}>"
        )


def import_logomaker() -> ModuleType:
    """The library that draws logos; OutputError that names the extra where it is missing."""
    try:
        import logomaker
    except ImportError as error:
        raise OutputError(
            missing_package("the logo of an attribution", error, "perturb")
        ) from error
    module: ModuleType = logomaker
    return module
