"""Chromosomes that are called by Roman numerals in one genome and by Arabic ones in another."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"(?:chr)?(?:(?P<arabic>[1-9]\d?)|(?P<roman>[IVX]+))", re.IGNORECASE)
_ROMAN = ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


def number_of(chrom: str) -> int | None:
    """The number of a chromosome, in numerals of either kind; None of other names.

    A lone X is a sex chromosome's name more often than the tenth's.
    """
    found = _NUMBERED.fullmatch(chrom)
    if found is None or (found["roman"] or "").upper() == "X":
        return None
    if found["arabic"]:
        return int(found["arabic"])
    return next((n for n in range(1, 40) if _roman(n) == found["roman"].upper()), None)


def _roman(number: int) -> str:
    """A number from 1 to 39 in Roman numerals."""
    text = ""
    for value, letters in _ROMAN:
        text += letters * (number // value)
        number %= value
    return text


def in_other_numerals(name: str, names: Sequence[str]) -> dict[int | None, str]:
    """Chromosomes by their numbers, if those are in Roman numerals and ``name``'s in Arabic ones,
    or the other way round; else empty.
    """
    if number_of(name) is None:
        return {}
    numbered = {known: number for known in names if (number := number_of(known)) is not None}
    kinds = {known[-1].isdigit() for known in numbered}
    if kinds != {not name[-1].isdigit()}:
        return {}
    found: dict[int | None, str] = {number: known for known, number in numbered.items()}
    tenth = next((known for known in names if known.lower() in ("x", "chrx")), None)
    if tenth is not None and kinds == {False}:  # beside II and III it is the tenth
        found.setdefault(10, tenth)
    return found
