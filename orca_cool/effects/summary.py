"""One row a variant: its strongest scores, and its rank among the variants of the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from orca_cool.effects import RANK_BY
from orca_cool.effects.percentiles import percentile
from orca_cool.effects.scores import SCORES
from orca_cool.effects.table_columns import ABOUT, RANKED

#: Columns of the table that say where a row is; of a summary those of the row whose score ranks.
PLACE = ("resolution", "site", "reference")
#: What a summary has behind the scores.
RANKS = ("rank", "rank_percentile")


def summary_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Columns of a summary of a table with ``columns``."""
    more = [name for name in columns if name not in (*ABOUT, *SCORES, "status")]
    return (*ABOUT, *RANKED, *more, *RANKS, "status")


def summarised(
    lines: Iterable[str], columns: Sequence[str], rank_by: str = RANK_BY
) -> Iterator[list[str]]:
    """Rows of a summary.

    Parameters
    ----------
    lines : of a table, in order, each behind the number of its variant and a tab.
    columns : of the table. rank_by : the score by which variants are ranked.

    Yields
    ------
    For each variant the fields of :func:`summary_columns`. Of each score the value of the level and
    breakpoint at which it is largest (its absolute value, the sign is kept), with its percentile
    and z where there is a null; ``resolution``, ``site`` and ``reference`` are those of the score
    that ranks. ``rank`` is 1 for the largest, and the same for equal ones; ``rank_percentile`` is
    the share of the run's scored variants, itself among them, that lie below it, equal ones
    counting half. Both are empty where the variant has no such score.
    """
    rows = [
        _strongest([line.rstrip("\n").split("\t")[1:] for line in some], columns, rank_by)
        for _, some in groupby(lines, lambda line: line.partition("\t")[0])
    ]
    values = np.array([abs(float(row[rank_by])) for row in rows])
    known = values[np.isfinite(values)]
    for row, value in zip(rows, values):
        if math.isfinite(value):
            row["rank"] = str(1 + int(np.sum(known > value)))
            row["rank_percentile"] = f"{percentile(value, known):.8g}"
        yield [row[name] for name in summary_columns(columns)]


def _strongest(
    some: Sequence[Sequence[str]], columns: Sequence[str], rank_by: str
) -> dict[str, str]:
    """The summary of a variant, without its rank."""
    rows = [dict(zip(columns, fields, strict=True)) for fields in some]
    out = dict(rows[0]) | dict.fromkeys(RANKS, "")
    for name in RANKED:
        best = max(rows, key=lambda row: _size(row[name]))
        out |= {key: best[key] for key in (name, f"{name}_percentile", f"{name}_z") if key in best}
        if name == rank_by:
            out |= {key: best[key] for key in PLACE}
    return out


def _size(text: str) -> float:
    """How large a score is; -1 of one that is not known."""
    value = abs(float(text))
    return -1.0 if math.isnan(value) else value
