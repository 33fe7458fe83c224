"""Objectives as text: ``dot chr9:100,000 chr9:400,000``."""

from __future__ import annotations

from collections.abc import Callable

from orca_cool.errors import RegionError
from orca_cool.perturb.named_objectives import (
    difference,
    dot,
    e1,
    insulation,
    pixel,
    profile,
    rect,
    row,
)
from orca_cool.perturb.objective import Objective

#: The grammar: how each objective is written, by its first word.
FORMS = {
    "pixel": "pixel POSITION POSITION",
    "dot": "dot POSITION POSITION",
    "rect": "rect REGION REGION",
    "insulation": "insulation POSITION",
    "row": "row POSITION",
    "e1": "e1 POSITION",
    "profile": "profile NAME POSITION",
    "difference": "difference TYPE TYPE OBJECTIVE",
}

_PLAIN: dict[str, tuple[int, Callable[..., Objective]]] = {
    "pixel": (2, pixel),
    "dot": (2, dot),
    "rect": (2, rect),
    "insulation": (1, insulation),
    "row": (1, row),
    "e1": (1, e1),
}


def parse_objective(text: str) -> Objective:
    """The objective of a text.

    Parameters
    ----------
    text : one of :data:`FORMS`; positions and regions are 0-based, regions end-exclusive. The name
        of a profile may hold spaces.

    Raises
    ------
    RegionError
        If the text is none of them; the message quotes it.

    Examples
    --------
    >>> parse_objective("difference a b insulation chr70:1,689,000").cell_types
    ('a', 'b')
    """
    word, *rest = text.split() or [""]
    if word in _PLAIN and len(rest) == _PLAIN[word][0]:
        return _PLAIN[word][1](*rest)
    if word == "profile" and len(rest) >= 2:
        return profile(" ".join(rest[:-1]), rest[-1])
    if word == "difference" and len(rest) >= 3:
        return difference(rest[0], rest[1], parse_objective(" ".join(rest[2:])))
    if word in FORMS:
        raise RegionError(f"objective {text!r} is not complete; write it as {FORMS[word]!r}")
    raise RegionError(
        f"objective {text!r} is not understood; it is one of: " + "; ".join(FORMS.values())
    )
