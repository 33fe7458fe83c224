"""An evaluation as a table, and as a folder of tables and figures."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.evaluate.figures import distance_figure, examples_figure, levels_figure
from orca_cool.evaluate.result import COLUMNS, Result, Score, rows
from orca_cool.files import atomic_folder

#: The files that an evaluation writes into its folder.
FILES = (
    "scores.tsv",
    "scores.json",
    "by_distance.tsv",
    "levels.png",
    "distance.png",
    "examples.png",
)

FORMAT, FORMAT_VERSION = "orca-cool.evaluation", 1


#: Title, width and value of the table's columns. Values are the model's unless the title names a
#: baseline, the halves or the replicate; "d-log" is of the expected alone.
_TABLE: tuple[tuple[str, int, Callable[[Score], str | int | float | None]], ...] = (
    ("bin", 8, lambda s: s.resolution),
    ("r", 8, lambda s: s.r),
    ("(a) tel", 9, lambda s: s.telomere),
    ("(b) +cen", 10, lambda s: s.centromere),
    ("halves", 8, lambda s: s.ceiling),
    ("ceiling", 9, lambda s: s.full_ceiling),
    ("beyond", 8, lambda s: s.beyond),
    ("pixels", 12, lambda s: s.pixels),
    ("replicate", 11, lambda s: s.replicate),
    ("r-dist", 8, lambda s: s.metrics["model"].r_distance),
    ("spearman", 10, lambda s: s.metrics["model"].spearman),
    ("scc", 7, lambda s: s.metrics["model"].scc),
    ("insul", 7, lambda s: s.metrics["model"].insulation),
    ("E1", 7, lambda s: s.metrics["model"].compartments),
    ("r-log", 7, lambda s: s.metrics["model"].r_contact),
    ("d-log", 7, lambda s: s.metrics["distance"].r_contact if "distance" in s.metrics else None),
    ("windows", 9, lambda s: s.metrics["model"].windows),
    *(
        (name, 7, lambda s, k=k: s.metrics["model"].r_window[k])
        for k, name in enumerate(("mean", "10%", "50%", "90%"))
    ),
)


def table(result: Result) -> str:
    """The scores as text: a line for each chromosome and level, and for each centromere."""
    lines = [f"{'chrom':<10}" + "".join(f"{title:>{width}}" for title, width, _ in _TABLE)]
    for s in result.scores:
        name = s.chrom if s.kind == "cis" else "trans"
        lines.append(
            f"{name:<10}" + "".join(f"{cell(value(s)):>{width}}" for _, width, value in _TABLE)
        )
    for chrom, d in result.centromeres.items():
        lines.append(
            f"{chrom} centromere at {d['at']:,.0f}: across it {d['across']:+.3f} (elsewhere "
            f"{d['elsewhere']:+.3f}), strongest depletion at "
            f"{d['minimum']:,.0f}; measured {d['measured_across']:+.3f} "
            f"({d['measured_elsewhere']:+.3f}), {d['measured_minimum']:,.0f}"
        )
    return "\n".join(lines)


def cell(value: str | int | float | None) -> str:
    """A value as the table on standard output has it: "-" where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else f"{value}"


def to_json(result: Result) -> dict[str, Any]:
    """Everything but the pictures, in plain JSON types; None in place of NaN.

    ``scores`` has a row for each chromosome and level, with all numbers of the model and r of the
    baselines, the replicate and the ceilings; ``predictors`` has all numbers of all predictors.
    """
    scores = []
    for s in result.scores:
        (model,) = (r for r in rows([s]) if r["predictor"] == "model")
        others = {
            k: getattr(s, k)
            for k in ("telomere", "centromere", "beyond", "replicate", "ceiling", "full_ceiling")
        }
        scores.append(
            {k: v for k, v in model.items() if k != "predictor"}
            | {k: _known(v) for k, v in others.items()}
        )
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "provenance": result.provenance,
        "scores": scores,
        "centromeres": {
            c: {k: _known(v) for k, v in d.items()} for c, d in result.centromeres.items()
        },
        "predictors": list(rows(result.scores)),
    }


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def check_folder(folder: Path, force: bool, files: tuple[str, ...] = FILES) -> None:
    """Raise OutputError if the folder exists and ``force`` is not given, or if it holds anything
    but the ``files`` of an evaluation.
    """
    if not folder.parent.is_dir():
        raise OutputError(
            f"the folder {str(folder.parent)!r} for the output {folder.name!r} does not exist"
        )
    if not os.path.lexists(folder):
        return
    if not force:
        raise OutputError(f"the output {str(folder)!r} exists; use --force to replace it")
    if folder.is_symlink() or not folder.is_dir():
        raise OutputError(f"the output {str(folder)!r} is no folder; choose another name")
    strange = sorted(p.name for p in folder.iterdir() if p.name not in files)
    if strange:
        raise OutputError(
            f"the output {str(folder)!r} holds {strange[0]!r}, which no evaluation wrote; choose "
            f"another name"
        )


def write_folder(folder: str | Path, result: Result, force: bool = False) -> Path:
    """Write scores.tsv, scores.json, by_distance.tsv and the figures; the folder appears whole.

    Raises
    ------
    OutputError
        If the folder exists (without ``force``), holds other things, or cannot be written; nothing
        is left behind then.
    """
    folder = Path(folder)
    check_folder(folder, force)
    try:
        with atomic_folder(folder, replace=force) as part:
            write_tsv(
                part / "scores.tsv",
                ("chrom", "kind", "resolution", "predictor", *COLUMNS),
                rows(result.scores),
            )
            write_tsv(
                part / "by_distance.tsv",
                ("chrom", "resolution", "predictor", "distance", "pixels", "r"),
                _distances(result.scores),
            )
            (part / "scores.json").write_text(
                json.dumps(to_json(result), indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )
            levels_figure(result.scores).savefig(part / "levels.png")
            distance_figure(result.scores).savefig(part / "distance.png")
            if result.examples:
                examples_figure(result.examples).savefig(part / "examples.png")
    except OSError as error:
        raise OutputError(f"cannot write {str(folder)!r}: {error.strerror or error}") from error
    return folder


def write_tsv(path: Path, columns: tuple[str, ...], lines: Iterator[dict[str, Any]]) -> None:
    """Write rows as a tab-separated table with a header, "nan" for None."""
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for line in lines:
            writer.writerow(
                {
                    k: "nan" if v is None else f"{v:.6g}" if isinstance(v, float) else v
                    for k, v in line.items()
                }
            )


def _distances(scores: list[Score]) -> Iterator[dict[str, Any]]:
    """Rows of by_distance.tsv: r of every distance that has pixels."""
    for s in scores:
        for name, m in s.metrics.items():
            if s.kind == "trans" or name == "distance":
                continue
            for d in np.flatnonzero(m.pixels_by_distance):
                r = float(m.by_distance[d])
                yield {
                    "chrom": s.chrom,
                    "resolution": s.resolution,
                    "predictor": name,
                    "distance": int(d) * s.resolution,
                    "pixels": int(m.pixels_by_distance[d]),
                    "r": _known(r),
                }
