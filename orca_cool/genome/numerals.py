"""What names of chromosomes mean: numbers in Roman or Arabic numerals, and which of two names can
only be two chromosomes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"(?:chr)?(?:(?P<arabic>[1-9]\d?)|(?P<roman>[IVX]+))", re.IGNORECASE)
#: What stands behind "chr" in the name of a whole chromosome: 7, 2L, 2a, XVI, X, Y, Z, W, M, MT.
_WHOLE = re.compile(r"(?:chr)?(?P<label>[1-9]\d?[abLR]?|[IVX]+|[XYZWM]|MT)", re.IGNORECASE)
_MITOCHONDRIAL = {"m", "mt"}
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


def are_two_chromosomes(one: str, other: str) -> bool:
    """Whether two names, each of a whole chromosome, can only mean two of them: chrII and chrIII
    look alike, and none is a misspelling of the other. MT and chrM are one.

    Examples
    --------
    >>> are_two_chromosomes("chrII", "chrIII"), are_two_chromosomes("MT", "chrM")
    (True, False)
    """
    labels = [_WHOLE.fullmatch(name) for name in (one, other)]
    if None in labels:
        return False
    a, b = (found["label"].lower() for found in labels if found is not None)
    same = a == b or {a, b} == _MITOCHONDRIAL
    return not same and (number_of(one) is None or number_of(one) != number_of(other))


def mitochondrial(name: str, names: Sequence[str]) -> str | None:
    """The mitochondrial chromosome by its other name, MT or chrM; None if ``name`` is none."""
    labels = {
        known: found["label"].lower()
        for known in (name, *names)
        if (found := _WHOLE.fullmatch(known))
    }
    if labels.get(name) not in _MITOCHONDRIAL:
        return None
    return next((known for known in names if labels.get(known) in _MITOCHONDRIAL), None)
