"""What an evaluation finds, and its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orca_cool.evaluate.tally import Metrics, Score, Tally


@dataclass(frozen=True)
class Example:
    """One window to look at: ``predicted`` and ``observed`` (n, n) log observed/expected; ``row``
    names the place it is of.
    """

    row: str
    resolution: int
    predicted: np.ndarray
    observed: np.ndarray


@dataclass
class Result:
    """Scores, the depletion across centromeres by chromosome, windows to look at, and how it was
    all made (JSON-able).
    """

    scores: list[Score]
    provenance: dict[str, Any]
    centromeres: dict[str, dict[str, float]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)


def pooled(tallies: list[Tally]) -> list[Score]:
    """Scores of tallies and, after those of single chromosomes, of all pooled (``chrom`` = "all")
    by level; between chromosomes last.
    """
    within = [t for t in tallies if t.kind == "cis"]
    totals: dict[int, Tally] = {}
    if len({t.chrom for t in within}) > 1:
        for t in within:
            totals.setdefault(t.resolution, Tally("all", t.resolution, t.strata, t.choices)).merge(
                t
            )
    return [
        t.score() for t in (*within, *totals.values(), *(t for t in tallies if t.kind == "trans"))
    ]


#: Columns of scores.tsv after chrom, kind, resolution and predictor.
COLUMNS = (
    "r",
    "r_distance",
    "spearman",
    "scc",
    "insulation",
    "compartments",
    "r_contact",
    "r_window_mean",
    "r_window_p10",
    "r_window_p50",
    "r_window_p90",
    "windows",
    "pixels",
)


def row(m: Metrics) -> dict[str, float | int | None]:
    """The numbers of one predictor by :data:`COLUMNS`, None for what cannot be said."""
    values = (
        m.r,
        m.r_distance,
        m.spearman,
        m.scc,
        m.insulation,
        m.compartments,
        m.r_contact,
        *m.r_window,
    )
    plain: dict[str, float | int | None] = {
        k: v if np.isfinite(v) else None for k, v in zip(COLUMNS, values)
    }
    return plain | {"windows": m.windows, "pixels": m.pixels}


def rows(scores: list[Score]) -> Iterator[dict[str, Any]]:
    """One row for each chromosome, kind, level and predictor."""
    for s in scores:
        for name, m in s.found.items():
            yield {
                "chrom": s.chrom,
                "kind": s.kind,
                "resolution": s.resolution,
                "predictor": name,
                **row(m),
            }
