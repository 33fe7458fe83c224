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

#: What each score is, with its unit, for those who read a table without the documentation.
MEANINGS = {
    "pixels": "pairs of bins that were compared",
    "mse": "mean squared change of ln(observed/expected)",
    "one_minus_r": "1 - Pearson's r of the map before and after",
    "one_minus_scc": "1 - HiCRep's stratum-adjusted correlation of the map before and after",
    "log_fold_change": "mean absolute change of ln(contact frequency) of the variant's own bins "
    "with all of the window; 0.02 is 2 %",
    "decay": "mean over distances of the absolute mean change of ln(observed/expected) there",
    "insulation": "mean absolute change of the insulation score over the window, log2",
    "insulation_at": "change of the insulation score at the variant, log2; positive is more "
    "contact across it",
    "boundaries_gained": "boundaries (minima of insulation) that only the changed map has",
    "boundaries_lost": "boundaries (minima of insulation) that only the map before has",
    "loops": "loops of the list that were compared",
    "loop_change": "mean change of the strength of the loops, ln; positive is stronger",
    "compartment": "1 - size of Pearson's r of the first eigenvectors (compartments)",
    "scd": "Akita's: root of the sum of squared changes of ln(observed/expected), so it grows with "
    "the window",
    "ssd": "Akita's: root of the sum of squares of the changed map less that of the map before; "
    "positive is more structure",
}
