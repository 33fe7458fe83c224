"""Tables of edits whose true changes are known, and the maps of these changes: what
``orca-cool evaluate --edits`` reads. The format is described in docs/evaluation.md.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orca_cool.errors import EditError, shown
from orca_cool.genome.textfile import Row, TextFile

#: Columns that a table must have, and those that it may have.
REQUIRED = ("id", "kind", "chrom", "start", "end", "resolution", "edit", "maps")
OPTIONAL = ("cell_type", "changes", "edges", "dots")
#: The true change of a row, and the same from an independent replicate; contact frequency of the
#: unedited genome; the change that somebody predicts.
CHANGE, REPLICATE, REFERENCE, PREDICTED = "change1", "change2", "reference", "change"


@dataclass(frozen=True)
class TrueEdit:
    """A row of the table.

    Attributes
    ----------
    id, kind : a name of its own; a kind, by which edits are scored together.
    cell_type : in which it was measured; "": the model's only one.
    chrom, start, end : the stretch that is scored, in bp of the unedited genome, whole bins.
    resolution : bp of a bin.
    edit : in the grammar of edits.
    changes : whether it changes anything; None: not known.
    edges : bins of the stretch beside its breakpoints, where insulation is compared.
    dots : pairs of bins of the stretch where the strength of a dot is compared.
    maps : the file of the true change.
    """

    id: str
    kind: str
    cell_type: str
    chrom: str
    start: int
    end: int
    resolution: int
    edit: str
    changes: bool | None
    edges: tuple[int, ...]
    dots: tuple[tuple[int, int], ...]
    maps: Path

    @property
    def bins(self) -> int:
        """Number of bins of the stretch."""
        return (self.end - self.start) // self.resolution


@dataclass(frozen=True)
class TrueChange:
    """What an edit does to the map of its stretch of n bins, at the coordinates of the unedited
    genome.

    Attributes
    ----------
    change : (n, n) natural log of the contact frequency with the edit over that without; NaN where
        it is not known, as of what is deleted.
    replicate : (n, n) the same from independent data; None: there is none.
    reference : (n, n) contact frequency without the edit, up to a factor.
    """

    change: np.ndarray
    replicate: np.ndarray | None
    reference: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(n, n) mean of the two replicates, or the only one."""
        if self.replicate is None:
            return self.change
        return np.asarray((self.change + self.replicate) / 2)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        arrays = (self.change, self.replicate, self.reference)
        return sum(array.nbytes for array in arrays if array is not None)


class Truths:
    """The true changes of a table: all are checked before anything is predicted, and kept until
    they are asked for, so that each file is read once.

    Parameters
    ----------
    most : bytes that are kept; what is beyond is read again.
    """

    def __init__(self, most: int = 2**30):
        self._left = most
        self._kept: dict[str, TrueChange] = {}

    def check(self, edit: TrueEdit) -> None:
        """Read the true change of a row; EditError as of :func:`read_true`."""
        if edit.id in self._kept:
            return
        true = read_true(edit)
        if true.nbytes <= self._left:
            self._left -= true.nbytes
            self._kept[edit.id] = true

    def take(self, edit: TrueEdit) -> TrueChange:
        """The true change of a row, which is kept no longer; EditError as of :func:`read_true`."""
        true = self._kept.pop(edit.id, None)
        if true is None:
            return read_true(edit)
        self._left += true.nbytes
        return true


def read_edits(path: str | Path) -> list[TrueEdit]:
    """Read a table of edits: tab-separated, with a header; the maps are not opened.

    Raises
    ------
    EditError
        If it cannot be read, lacks a column or has an unknown one, or a value is wrong; the message
        quotes the line.
    """
    file = TextFile(path, "table of edits", EditError)
    header: list[str] | None = None
    found: dict[str, TrueEdit] = {}
    for row in file.rows(spaces=False):
        if header is None:
            header = _header(file, row)
            continue
        if len(row.fields) != len(header):
            raise row.error(f"has {len(row.fields)} columns, the header {len(header)}")
        edit = _edit(row, dict(zip(header, (field.strip() for field in row.fields))), file.path)
        if edit.id in found:
            raise row.error(f"has the id {edit.id!r} of another row")
        found[edit.id] = edit
    if not found:
        raise file.error("holds no edit")
    return list(found.values())


def _header(file: TextFile, row: Row) -> list[str]:
    names = [field.strip() for field in row.fields]
    for name in REQUIRED:
        if name not in names:
            raise file.error(
                f"has no column {name!r}; its first line must name: {', '.join(REQUIRED)}, and may "
                f"name: {', '.join(OPTIONAL)}"
            )
    for name in names:
        if name not in REQUIRED + OPTIONAL or names.count(name) > 1:
            what = "twice the column" if names.count(name) > 1 else "the unknown column"
            raise file.error(f"has {what} {name!r}; columns are: {', '.join(REQUIRED + OPTIONAL)}")
    return names


def _edit(row: Row, fields: dict[str, str], table: Path) -> TrueEdit:
    start, end, resolution = (
        _number(row, name, fields[name]) for name in ("start", "end", "resolution")
    )
    if not resolution or start >= end or (end - start) % resolution or start % resolution:
        raise row.error(
            f"has a stretch of {start} to {end} bp, which is no whole number of bins of "
            f"{resolution} bp"
        )
    for name in ("id", "kind", "chrom", "edit", "maps"):
        if not fields[name]:
            raise row.error(f"has no {name}")
    if Path(fields["id"]).name != fields["id"]:
        raise row.error(f"has the id {fields['id']!r}, which cannot be the name of a file")
    known = {"": None, "0": False, "1": True}
    if (changes := fields.get("changes", "")) not in known:
        raise row.error(f"has {changes!r} in the column changes; write 1, 0 or nothing")
    bins = (end - start) // resolution
    return TrueEdit(
        fields["id"],
        fields["kind"],
        fields.get("cell_type", ""),
        fields["chrom"],
        start,
        end,
        resolution,
        fields["edit"],
        known[changes],
        tuple(k for (k,) in _bins(row, "edges", fields.get("edges", ""), 1, bins)),
        tuple((i, j) for i, j in _bins(row, "dots", fields.get("dots", ""), 2, bins)),
        table.parent / fields["maps"],
    )


def _number(row: Row, name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise row.error(f"has {text!r} in the column {name}, where a whole number of bp is needed")
    return int(text)


def _bins(row: Row, name: str, text: str, number: int, bins: int) -> list[list[int]]:
    """Bins of the stretch: "3,17", or pairs of them: "3-17,5-40"."""
    out = []
    for part in filter(None, text.split(",")):
        pieces = part.split("-")
        if len(pieces) != number or not all(p.isascii() and p.isdecimal() for p in pieces):
            form = "bins as 3,17" if number == 1 else "pairs of bins as 3-17,5-40"
            raise row.error(f"has {part!r} in the column {name}; write {form}")
        out.append([int(p) for p in pieces if len(p) < 10 and int(p) < bins])
        if len(out[-1]) != number:
            raise row.error(
                f"has {part!r} in the column {name}; its stretch has the bins 0 to {bins - 1}"
            )
    return out


def read_true(edit: TrueEdit) -> TrueChange:
    """The true change of a row.

    Raises
    ------
    EditError
        If the file is missing or no .npz, lacks an array, or one has another shape than the
        stretch; the message quotes it.
    """
    arrays = _arrays(edit, edit.maps, (CHANGE, REFERENCE), (REPLICATE,))
    reference = arrays[REFERENCE]
    if (reference[np.isfinite(reference)] < 0).any():
        raise EditError(
            f"edit {edit.id!r}: {REFERENCE!r} in {str(edit.maps)!r} has the value "
            f"{shown(float(np.nanmin(reference)))}; it holds contact frequencies"
        )
    return TrueChange(arrays[CHANGE], arrays.get(REPLICATE), reference)


def read_predicted(edit: TrueEdit, folder: Path) -> np.ndarray:
    """(n, n) the change of a row that somebody has predicted, in ``folder/ID.npz``; EditError as of
    :func:`read_true`.
    """
    return _arrays(edit, folder / f"{edit.id}.npz", (PREDICTED,), ())[PREDICTED]


def _arrays(
    edit: TrueEdit, path: Path, required: Sequence[str], optional: Sequence[str]
) -> dict[str, np.ndarray]:
    where = f"edit {edit.id!r}: {str(path)!r}"
    out = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            names = getattr(file, "files", ())
            for name in (*required, *optional):
                if name in names:
                    out[name] = np.asarray(file[name])
    except FileNotFoundError:
        raise EditError(f"{where} is not there") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise EditError(f"{where} is no sound .npz without objects: {shown(error)}") from None
    for name in required:
        if name not in out:
            raise EditError(f"{where} has no array {name!r}")
    for name, array in out.items():
        if array.shape != (edit.bins, edit.bins) or array.dtype.kind not in "fiu":
            raise EditError(
                f"{where}: {name!r} is {array.dtype} of shape {array.shape}; the stretch has "
                f"{edit.bins} bins, so numbers of shape {(edit.bins, edit.bins)} are needed"
            )
    return {name: array.astype(float) for name, array in out.items()}
