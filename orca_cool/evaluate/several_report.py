"""Several predictions, or a difference of two, in one table, and as a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orca_cool.errors import OutputError
from orca_cool.evaluate.akita import BesideAkita
from orca_cool.evaluate.differences import Differences
from orca_cool.evaluate.report import cell, check_folder, write_tsv
from orca_cool.evaluate.result import COLUMNS, Metrics, row
from orca_cool.evaluate.several import Compared
from orca_cool.files import atomic_folder

FORMAT, FORMAT_VERSION = "orca-cool.predictions", 1
DIFFERENCES = "orca-cool.differences"

#: The files that an evaluation of several predictions writes.
FILES = ("scores.tsv", "scores.json", "marks.tsv")

_COLUMNS: tuple[tuple[str, int, Callable[[Metrics], float | int | None]], ...] = (
    ("r", 8, lambda m: m.r),
    ("r-dist", 8, lambda m: m.r_distance),
    ("spearman", 10, lambda m: m.spearman),
    ("scc", 8, lambda m: m.scc),
    ("insul", 8, lambda m: m.insulation),
    ("E1", 8, lambda m: m.compartments),
    ("r-log", 8, lambda m: m.r_contact),
    ("pixels", 12, lambda m: m.pixels),
)


def lines(compared: Compared) -> Iterator[tuple[dict[str, Any], Metrics]]:
    """A line of the table: which chromosome, level and prediction, and its numbers. Behind the
    predictions of a level come the replicate, the halves and the baselines.
    """
    first, *_ = compared.scores.values()
    for k, score in enumerate(first):
        where = {"chrom": score.chrom, "kind": score.kind, "resolution": score.resolution}
        for name, scores in compared.scores.items():
            yield where | {"prediction": name}, scores[k].metrics["model"]
        for name, metrics in score.metrics.items():
            if name != "model":
                yield where | {"prediction": f"({name})"}, metrics


def several_table(compared: Compared) -> str:
    """The scores as text."""
    width = 2 + max(len(about["prediction"]) for about, _ in lines(compared))
    out = [f"{'chrom':<10}{'bin':>8}  {'prediction':<{width}}"]
    out[0] += "".join(f"{title:>{n}}" for title, n, _ in _COLUMNS)
    for about, m in lines(compared):
        if about["prediction"] == "(distance)":
            continue
        text = f"{about['chrom']:<10}{about['resolution']:>8}  {about['prediction']:<{width}}"
        out.append(text + "".join(f"{cell(value(m)):>{n}}" for _, n, value in _COLUMNS))
    if compared.marks:
        out += ["", *_marks_table(compared, width)]
    return "\n".join(out)


_OF_MARKS = (
    *("mark", "resolution", "prediction", "auroc", "auprc", "baseline"),
    *("positives", "negatives"),
)


def _mark_rows(compared: Compared) -> Iterator[dict[str, Any]]:
    """The scores by mark as plain values, None for NaN."""
    for s in compared.marks:
        values = {name: getattr(s, name) for name in _OF_MARKS}
        yield {k: None if v != v else v for k, v in values.items()}


def _marks_table(compared: Compared, width: int) -> Iterator[str]:
    head = f"{'mark':<10}{'bin':>8}  {'prediction':<{width}}"
    yield head + f"{'AUROC':>8}{'AUPRC':>8}{'chance':>8}{'positives':>12}"
    for s in sorted(compared.marks, key=lambda s: s.mark != "CTCF"):
        line = f"{s.mark:<10}{s.resolution:>8}  {s.prediction:<{width}}"
        numbers = (s.auroc, s.auprc, s.baseline)
        yield line + "".join(f"{cell(v):>8}" for v in numbers) + f"{s.positives:>12}"


def several_json(compared: Compared) -> dict[str, Any]:
    """Everything, in plain JSON types; None in place of NaN."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "provenance": compared.provenance,
        "scores": [about | row(m) for about, m in lines(compared)],
        "marks": list(_mark_rows(compared)),
    }


_OF_DIFFERENCES = ("chrom", "resolution", "r", "auroc", "top", "pixels")


def differences_table(found: Differences) -> str:
    """The scores of a difference as text."""
    out = [f"{'chrom':<10}{'bin':>8}{'r':>8}{'AUROC':>8}{'top 1 %':>10}{'pixels':>12}"]
    for s in found.scores:
        out.append(
            f"{s.chrom:<10}{s.resolution:>8}{cell(s.r):>8}{cell(s.auroc):>8}{s.top:>10}{s.pixels:>12}"
        )
    return "\n".join(out)


def differences_json(found: Differences) -> dict[str, Any]:
    """Everything, in plain JSON types; None in place of NaN."""
    return {
        "format": DIFFERENCES,
        "format_version": FORMAT_VERSION,
        "provenance": found.provenance,
        "scores": list(found.rows()),
    }


_OF_AKITA = ("prediction", "windows", "mean", "10%", "50%", "90%")
AKITA = "orca-cool.beside-akita"


def akita_table(found: BesideAkita) -> str:
    """The comparison with Akita as text, and what was published."""
    out = [f"{'prediction':<12}{'windows':>9}" + "".join(f"{k:>8}" for k in _OF_AKITA[2:])]
    for line in found.rows():
        numbers = "".join(f"{cell(line[k]):>8}" for k in _OF_AKITA[2:])
        out.append(f"{line['prediction']:<12}{line['windows']:>9}{numbers}")
    for cells, (theirs, ours) in found.published.items():
        out.append(f"published, {cells}, mean: Akita {theirs:.3f}, Orca {ours:.3f}")
    return "\n".join(out)


def akita_json(found: BesideAkita) -> dict[str, Any]:
    """Everything, in plain JSON types; None in place of NaN."""
    return {
        "format": AKITA,
        "format_version": FORMAT_VERSION,
        "provenance": found.provenance,
        "scores": list(found.rows()),
        "windows": [
            {"place": place}
            | {name: None if v[k] != v[k] else float(v[k]) for name, v in found.r.items()}
            for k, place in enumerate(found.places)
        ],
    }


def write_several(
    folder: str | Path, found: Compared | Differences | BesideAkita, force: bool = False
) -> Path:
    """Write scores.tsv and scores.json; the folder appears whole.

    Raises
    ------
    OutputError
        If the folder exists (without ``force``), holds other things, or cannot be written.
    """
    folder = Path(folder)
    check_folder(folder, force, FILES)
    if isinstance(found, Compared):
        columns: tuple[str, ...] = ("chrom", "kind", "resolution", "prediction", *COLUMNS)
        rows: Iterator[dict[str, Any]] = (about | row(m) for about, m in lines(found))
        plain = several_json(found)
    elif isinstance(found, BesideAkita):
        columns, rows, plain = _OF_AKITA, found.rows(), akita_json(found)
    else:
        columns, rows, plain = _OF_DIFFERENCES, found.rows(), differences_json(found)
    try:
        with atomic_folder(folder, replace=force) as part:
            write_tsv(part / "scores.tsv", columns, rows)
            if isinstance(found, Compared) and found.marks:
                write_tsv(part / "marks.tsv", _OF_MARKS, _mark_rows(found))
            text = json.dumps(plain, indent=2, allow_nan=False)
            (part / "scores.json").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {str(folder)!r}: {error.strerror or error}") from error
    return folder
