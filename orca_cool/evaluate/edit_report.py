"""An evaluation on edits as a table, and as a folder of tables and a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.evaluate.edit_figure import edits_figure
from orca_cool.evaluate.edit_scores import ALL, Agreement, EditNumbers, EditScores, as_row
from orca_cool.evaluate.report import cell, write_tsv
from orca_cool.files import atomic_folder

#: The files that an evaluation on edits writes into its folder.
FILES = ("edits.tsv", "scores.tsv", "scores.json", "edits.png")

FORMAT, FORMAT_VERSION = "orca-cool.edits-evaluation", 1

#: Maps that the figure shows.
EXAMPLES = 4


@dataclass(frozen=True)
class Example:
    """An edit to look at: (n, n) true and predicted change, NaN where unknown."""

    numbers: EditNumbers
    true: np.ndarray
    predicted: np.ndarray


@dataclass
class Examples:
    """Of each kind the edit that changes most, so that no more maps than kinds are kept."""

    best: dict[str, Example] = field(default_factory=dict)

    def offer(self, numbers: EditNumbers, true: np.ndarray, predicted: np.ndarray) -> None:
        """Look at an edit."""
        kind = numbers.edit.kind
        if not math.isfinite(numbers.true_size) or numbers.edit.changes is False:
            return
        if kind not in self.best or numbers.true_size > self.best[kind].numbers.true_size:
            self.best[kind] = Example(numbers, true, predicted)

    @property
    def chosen(self) -> list[Example]:
        """Those of the kinds that were met first."""
        return list(self.best.values())[:EXAMPLES]


@dataclass
class EditResult:
    """What an evaluation on edits finds.

    Attributes
    ----------
    numbers : of each edit, in the order of the table.
    scores : of all edits, then of each cell type if there are several, each kind, and each kind in
        each cell type.
    provenance : how the evaluation was made, JSON-able.
    examples : edits to look at.
    """

    numbers: list[EditNumbers]
    scores: list[EditScores]
    provenance: dict[str, Any]
    examples: list[Example] = field(default_factory=list)


#: Title, width and value of the table's columns. "rep": one replicate of the truth against the
#: other; "most": what a prediction can expect to reach.
_TABLE: tuple[tuple[str, int, Callable[[EditScores], float | int]], ...] = (
    ("edits", 7, lambda s: s.edits),
    ("change", 8, lambda s: s.changing),
    ("r", 8, lambda s: s.pixels.r),
    ("rep", 7, lambda s: s.pixels.replicates),
    ("most", 7, lambda s: s.pixels.ceiling),
    ("median", 8, lambda s: s.single.r),
    ("rep", 7, lambda s: s.single.replicates),
    ("insul", 8, lambda s: s.insulation.r),
    ("rep", 7, lambda s: s.insulation.replicates),
    ("most", 7, lambda s: s.insulation.ceiling),
    ("dots", 8, lambda s: s.dots.r),
    ("rep", 7, lambda s: s.dots.replicates),
    ("most", 7, lambda s: s.dots.ceiling),
    ("sign", 7, lambda s: s.sign[0]),
    ("rep", 7, lambda s: s.sign[1]),
    ("AUROC", 8, lambda s: s.auroc),
)


def edits_table(result: EditResult) -> str:
    """The scores as text: a line for all edits, each cell type and each kind."""
    lines = [f"{'kind':<20}" + "".join(f"{title:>{width}}" for title, width, _ in _TABLE)]
    for s in result.scores:
        if ALL in (s.kind, s.cell_type):
            name = s.kind if s.cell_type == ALL else f"{s.kind}, {s.cell_type}"
            values = "".join(f"{cell(value(s)):>{width}}" for _, width, value in _TABLE)
            lines.append(f"{name:<20}{values}")
    return "\n".join(lines)


def edits_json(result: EditResult) -> dict[str, Any]:
    """The scores in plain JSON types; None in place of NaN."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "provenance": result.provenance,
        "scores": [_plain(_row(s)) for s in result.scores],
    }


def _row(s: EditScores) -> dict[str, Any]:
    out: dict[str, Any] = {
        "kind": s.kind,
        "cell_type": s.cell_type,
        "edits": s.edits,
        "changing": s.changing,
    }
    agreements: dict[str, Agreement] = {
        "r": s.pixels,
        "r_median": s.single,
        "insulation": s.insulation,
        "dots": s.dots,
    }
    for name, found in agreements.items():
        out |= {
            name: found.r,
            f"{name}_replicates": found.replicates,
            f"{name}_ceiling": found.ceiling,
            f"{name}_edits": found.edits,
        }
    return out | {"sign": s.sign[0], "sign_replicates": s.sign[1], "auroc": s.auroc}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def write_edits(folder: Path, result: EditResult, force: bool = False) -> Path:
    """Write edits.tsv (a row for each edit), scores.tsv, scores.json and edits.png; the folder
    appears whole.

    Raises
    ------
    OutputError
        If it cannot be written; nothing is left behind then.
    """
    edits: Iterator[dict[str, Any]] = (_plain(dict(as_row(n))) for n in result.numbers)
    scores: Iterator[dict[str, Any]] = (_plain(_row(s)) for s in result.scores)
    try:
        with atomic_folder(folder, replace=force) as part:
            write_tsv(part / "edits.tsv", tuple(as_row(result.numbers[0])), edits)
            write_tsv(part / "scores.tsv", tuple(_row(result.scores[0])), scores)
            text = json.dumps(edits_json(result), indent=2, allow_nan=False)
            (part / "scores.json").write_text(text + "\n", encoding="utf-8")
            examples = [(e.numbers.edit, e.true, e.predicted) for e in result.examples]
            edits_figure(result.numbers, examples).savefig(part / "edits.png")
    except OSError as error:
        raise OutputError(f"cannot write {str(folder)!r}: {error.strerror or error}") from error
    return folder
