"""A folder of expected tables: ``expected.json``, one ``expected.<resolution>.tsv`` per resolution
and a picture of them.

A table holds both what was measured (``balanced.avg``) and what was fitted to it
(``balanced.avg.smoothed``), so that the fit can be judged; a model uses the latter.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from orca_cool.errors import ModelError, OutputError
from orca_cool.files import atomic_folder, check_format
from orca_cool.maps.expected_fit import Fit
from orca_cool.maps.expected_model import ExpectedModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = "orca-cool-expected"
VERSION = 1
HEADER_FILE = "expected.json"
#: Format and header of version 0.1, still read.
FORMER_FORMAT, FORMER_HEADER = "orca-cool-background", "background.json"
PICTURE_FILE = "expected.png"
COLUMNS = {
    "dist": np.int64,
    "dist_bp": np.int64,
    "n_valid": np.int64,
    "balanced.avg": np.float64,
    "balanced.avg.smoothed": np.float64,
}

#: Points of a line in the picture; more lie on top of each other.
DRAWN = 1500


def table_file(resolution: int) -> str:
    """Name of a resolution's table within the folder."""
    return f"expected.{resolution}.tsv"


def check_target(folder: str | os.PathLike[str], force: bool) -> None:
    """OutputError if the folder exists and may not be replaced: without ``force``, or if it holds
    no expected tables.
    """
    folder = Path(folder)
    mine = any((folder / name).is_file() for name in (HEADER_FILE, FORMER_HEADER))
    if os.path.lexists(folder) and not (force and mine):
        hint = (
            "--force replaces it"
            if mine
            else "and is not a folder of expected tables: choose another name"
        )
        raise OutputError(f"{str(folder)!r} exists; {hint}")


def save_expected(
    folder: str | os.PathLike[str],
    fits: Sequence[Fit],
    about: Mapping[str, Any],
    *,
    force: bool = False,
) -> Path:
    """Write a folder; it appears whole or not at all.

    Parameters
    ----------
    fits : one a resolution.
    about : what to put in the header beside the tables (source, chromosomes, settings): values of
        JSON.
    force : replace a folder of expected tables that is there.

    Raises
    ------
    OutputError
        If the folder exists (without ``force``; or holds no expected tables), or cannot be written.
    """
    folder = Path(folder)
    check_target(folder, force)
    fits = sorted(fits, key=lambda f: f.expected.resolution)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(folder, replace=force) as temporary:
            for f in fits:
                _write_table(temporary / table_file(f.expected.resolution), f)
            draw(fits).savefig(temporary / PICTURE_FILE)
            tables = [
                {
                    "resolution": f.expected.resolution,
                    "file": table_file(f.expected.resolution),
                    "bins": len(f.expected.cis),
                    "trans": f.expected.trans,
                    "monotone": f.monotone,
                }
                for f in fits
            ]
            header = {"format": FORMAT, "version": VERSION, **about, "tables": tables}
            (temporary / HEADER_FILE).write_text(json.dumps(header, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise OutputError(
            f"the expected tables {str(folder)!r} could not be written: {error}"
        ) from error
    return folder


def _write_table(path: Path, f: Fit) -> None:
    """One resolution's table: what was measured beside what the model uses."""
    distance = np.arange(len(f.expected.cis))
    values = [
        distance,
        distance * f.expected.resolution,
        f.measured.n_valid,
        f.measured.average,
        f.expected.cis,
    ]
    # 17 digits: a float64 comes back as it was
    pd.DataFrame(dict(zip(COLUMNS, values))).to_csv(
        path, sep="\t", index=False, na_rep="nan", float_format="%.17g"
    )


def load_expected(folder: str | os.PathLike[str]) -> dict[int, ExpectedModel]:
    """Expected tables of a folder by resolution in bp, finest first.

    Raises
    ------
    ModelError
        If the header or a table is missing, damaged, or of a newer version; the message quotes its
        path.
    """
    path = Path(folder) / HEADER_FILE
    if not path.is_file() and path.with_name(FORMER_HEADER).is_file():
        path = path.with_name(FORMER_HEADER)
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{str(folder)!r} is no folder of expected tables (`orca-cool expected` makes one): no "
            f"{HEADER_FILE}"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(path)!r} cannot be read: {error}") from error
    check_format(header, (FORMAT, FORMER_FORMAT), VERSION, repr(str(path)), ModelError)
    tables = header.get("tables")
    if not isinstance(tables, list) or not tables:
        raise ModelError(f"{str(path)!r}: 'tables' must list the resolutions, not {tables!r}")
    by_resolution: dict[int, ExpectedModel] = {}
    for entry in tables:
        one = _read_entry(path, entry)
        if one.resolution in by_resolution:
            raise ModelError(
                f"{str(path)!r}: table {entry!r} needs a resolution of its own and a number of bins"
            )
        by_resolution[one.resolution] = one
    return dict(sorted(by_resolution.items()))


def _read_entry(header: Path, entry: object) -> ExpectedModel:
    """The table that an entry of the header's list describes; ModelError if it makes no sense."""
    resolution, trans, bins, file = (
        entry.get(k) if isinstance(entry, dict) else None
        for k in ("resolution", "trans", "bins", "file")
    )
    if not isinstance(resolution, int) or resolution < 1 or not isinstance(bins, int) or bins < 1:
        raise ModelError(
            f"{str(header)!r}: table {entry!r} needs a resolution of its own and a number of bins"
        )
    if trans is not None and not (isinstance(trans, (int, float)) and 0 < trans < math.inf):
        raise ModelError(
            f"{str(header)!r}: trans at {resolution} bp is {trans!r}, expected a positive "
            f"number or null"
        )
    if file != table_file(resolution):
        raise ModelError(
            f"{str(header)!r}: file at {resolution} bp is {file!r}, expected "
            f"{table_file(resolution)!r}"
        )
    cis = _read_table(header.with_name(table_file(resolution)), resolution, bins)
    return ExpectedModel(resolution, cis, None if trans is None else float(trans))


def _read_table(path: Path, resolution: int, bins: int) -> np.ndarray:
    """Column ``balanced.avg.smoothed``, (bins,) float64, of a table whose every column makes sense;
    ModelError otherwise.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = pd.read_csv(
            io.StringIO(text), sep="\t", dtype=COLUMNS, float_precision="round_trip"
        )
    except FileNotFoundError:
        raise ModelError(f"there is no expected table {str(path)!r}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(path)!r} is not an expected table: {error}") from error
    if list(table.columns) != list(COLUMNS):
        raise ModelError(
            f"{str(path)!r}: columns are {', '.join(map(str, table.columns))}; expected "
            f"{', '.join(COLUMNS)}"
        )
    if len(table) != bins or not text.endswith("\n"):
        raise ModelError(
            f"{str(path)!r} is truncated or of another run: {len(table)} rows, expected {bins}"
        )
    if not np.array_equal(table["dist"], np.arange(bins)) or not np.array_equal(
        table["dist_bp"], np.arange(bins) * resolution
    ):
        raise ModelError(
            f"{str(path)!r}: dist must be 0, 1, ... {bins - 1}, and dist_bp {resolution} times that"
        )
    cis = table["balanced.avg.smoothed"].to_numpy()
    reach = int((~np.isnan(cis)).sum())
    if not reach or not np.isfinite(cis[:reach]).all() or not (cis[:reach] > 0).all():
        raise ModelError(
            f"{str(path)!r}: balanced.avg.smoothed must be positive, and nan only from some "
            f"distance on to the end"
        )
    return cis


def draw(fits: Sequence[Fit]) -> Figure:
    """Frequency by distance, both in logs: measured points, the smoothed line, and trans dashed;
    one colour a resolution.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for i, f in enumerate(fits):
        resolution, colour, n = f.expected.resolution, f"C{i % 10}", len(f.expected.cis)
        d = (
            np.unique(np.geomspace(1, max(n - 1, 1), DRAWN).astype(int))
            if n > 1
            else np.zeros(0, dtype=int)
        )
        measured = f.measured.average
        shown = d[measured[d] > 0]  # neither NaN nor 0
        axes.plot(shown * resolution, measured[shown], ".", color=colour, markersize=2, alpha=0.4)
        axes.plot(
            d * resolution,
            f.expected.cis[d],
            color=colour,
            linewidth=1.2,
            label=f"{resolution:,} bp",
        )
        if f.expected.trans is not None:
            axes.axhline(
                f.expected.trans,
                color=colour,
                linestyle="--",
                linewidth=1,
                label=f"{resolution:,} bp, trans",
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("distance (bp)")
    axes.set_ylabel("balanced contact frequency")
    axes.set_title("expected: measured (points), smoothed (line)", fontsize=10)
    axes.legend(fontsize=8)
    return figure
