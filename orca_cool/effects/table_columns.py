"""Columns of the table of scores."""

from __future__ import annotations

from orca_cool.effects.scores import SCORES

#: Columns of the table before the scores. The second to the sixth are those of the input, so that
#: the table can be joined with it; start and end are the interval of the reference that changes.
ABOUT = (
    "name",
    "id",
    "chrom",
    "pos",
    "ref",
    "alt",
    "start",
    "end",
    "kind",
    "changes",
    "where",
    "module",
    "resolution",
    "site",
    "reference",
)

#: All columns of the table.
COLUMNS = (*ABOUT, *SCORES, "status")

#: Columns of numbers that are no scores, but count what scores are taken of.
COUNTS = ("pixels", "loops")

#: Scores that are told among those of matched places.
RANKED = tuple(name for name in SCORES if name not in COUNTS)

#: Columns that are added before "status".
NULL_COLUMNS = (
    "null_places",
    *(f"{name}_{what}" for name in RANKED for what in ("percentile", "z")),
)

#: Columns of a table with a null.
COLUMNS_WITH_NULL = (*COLUMNS[:-1], *NULL_COLUMNS, COLUMNS[-1])
