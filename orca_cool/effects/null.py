"""How large a score is among those of matched places: percentile and z.

The way of the data: a variant's matched places (:mod:`orca_cool.variants.matched`) are ordinary
edits. They are a second group of the items that are scored (:mod:`orca_cool.prediction.sharing`):
predicted in pieces as the variants are, by one process or several, kept in the same journal, and
gone on with after an interruption. What is kept of one are its scores alone, as lines of
:func:`place_lines`. When all is there, :func:`with_null` reads the variants' rows and the places'
lines, both in order, and adds the columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from orca_cool.effects.align import Reference
from orca_cool.effects.percentiles import percentile, z_score
from orca_cool.effects.scores import SCORES
from orca_cool.effects.table_columns import ABOUT, COLUMNS, NULL_COLUMNS, RANKED
from orca_cool.effects.variant_rows import Scoring, VariantRows, iter_rows
from orca_cool.variants import Variant
from orca_cool.variants.matched import MatchedPlaces

#: (resolution, number of the site) of a row -> scores of the matched places there, by name.
Scores = Mapping[tuple[str, int], Mapping[str, Sequence[float]]]


def null_values(row: Mapping[str, Any], site: int, places: int, scores: Scores) -> dict[str, Any]:
    """The columns that are added to a row.

    Parameters
    ----------
    row : with "resolution" and the scores. site : its number among the variant's sites.
    places : matched places that were scored. scores : of all of them.
    """
    out: dict[str, Any] = {"null_places": places}
    there = scores.get((str(row["resolution"]), site), {})
    for name in RANKED:
        value, null = float(number_text(float(row[name]))), there.get(name, ())
        out[f"{name}_percentile"] = percentile(value, null)
        out[f"{name}_z"] = z_score(value, null)
    return out


def site_numbers(rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """For each row of a variant the number of its site, in the order in which sites come."""
    known: dict[str, int] = {}
    return [known.setdefault(str(row["site"]), len(known)) for row in rows]


def place_lines(number: int, place: int, found: VariantRows) -> str:
    """What is kept of a scored place: for each row a line of the number of the variant, that of the
    place, resolution, site and scores; nothing of one that could not be scored.
    """
    if found.status != "ok":
        return ""
    lines = []
    for row, site in zip(found.rows, site_numbers(found.rows)):
        values = (number_text(row[name]) for name in RANKED)
        lines.append("\t".join([str(number), str(place), str(row["resolution"]), str(site)]))
        lines[-1] += "\t" + "\t".join(values) + "\n"
    return "".join(lines)


def scores_of(places: Iterable[VariantRows]) -> tuple[int, Scores]:
    """The number of places that were scored, and their scores; the numbers are those that a table
    would hold.
    """
    lines = (place_lines(0, k, found) for k, found in enumerate(places))
    return _read(line for text in lines for line in text.splitlines())


def rows_with_null(
    reference: Reference, variants: Sequence[Variant], scoring: Scoring, null: MatchedPlaces
) -> Iterator[VariantRows]:
    """Rows of variants as a table with a null has them, one variant after the other.

    Parameters
    ----------
    null : draws the matched places.

    Raises
    ------
    EditError
        With ``scoring.strict``, if a variant cannot be scored.
    """
    of_places = replace(scoring, maps=None, strict=False, store=True)
    for variant, found in zip(variants, iter_rows(reference, variants, scoring)):
        count, scores = scores_of(iter_rows(reference, null.of(variant), of_places))
        rows = []
        for row, site in zip(found.rows, site_numbers(found.rows)):
            status = status_with_null(row["status"], count, null.number)
            rows.append(row | null_values(row, site, count, scores) | {"status": status})
        yield VariantRows(rows, found.status)


def _read(lines: Iterable[str]) -> tuple[int, Scores]:
    """The same from lines of one variant."""
    places: set[str] = set()
    scores: dict[tuple[str, int], dict[str, list[float]]] = {}
    for line in lines:
        _, place, resolution, site, *values = line.rstrip("\n").split("\t")
        places.add(place)
        there = scores.setdefault((resolution, int(site)), {name: [] for name in RANKED})
        for name, value in zip(RANKED, values, strict=True):
            there[name].append(float(value))
    return len(places), scores


def status_with_null(status: str, places: int, wanted: int) -> str:
    """A status that says where fewer places were scored than were asked for."""
    if places == wanted or not status.startswith("ok"):
        return status
    return f"{status}; only {places:,} of {wanted:,} matched places"


def with_null(rows: Iterable[str], places: Iterable[str], wanted: int) -> Iterator[str]:
    """Rows of variants with the columns of a null, as lines behind the numbers of their variants.

    Parameters
    ----------
    rows : lines of the variants, in order, each behind the number of its variant and a tab.
    places : lines of the matched places (:func:`place_lines`), in order of their variants.
    wanted : places that were asked for.
    """
    of_places = groupby(places, lambda line: int(line.partition("\t")[0]))
    ahead = next(of_places, None)
    for number, some in groupby(rows, lambda line: int(line.partition("\t")[0])):
        found: tuple[int, Scores] = (0, {})
        if ahead is not None and ahead[0] == number:
            found = _read(ahead[1])
            ahead = next(of_places, None)
        yield from (f"{number}\t{line}" for line in _lines(list(some), *found, wanted))


def _lines(lines: Sequence[str], count: int, scores: Scores, wanted: int) -> Iterator[str]:
    """The lines of one variant with the columns that are added."""
    fields = [line.rstrip("\n").split("\t")[1:] for line in lines]
    rows = [dict(zip(COLUMNS, some, strict=True)) for some in fields]
    for row, some, site in zip(rows, fields, site_numbers(rows)):
        added = null_values(row, site, count, scores)
        texts = [str(count), *(number_text(added[name]) for name in NULL_COLUMNS[1:])]
        status = status_with_null(row["status"], count, wanted)
        yield "\t".join([*some[: len(ABOUT) + len(SCORES)], *texts, status]) + "\n"


def number_text(value: float) -> str:
    """A number as the table has it."""
    return "nan" if math.isnan(value) else f"{value:.8g}"
