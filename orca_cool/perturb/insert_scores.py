"""Scores of an insertion: most of them are those of ``orca-cool variants``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.effects.scores import SCORES as EFFECTS
from orca_cool.effects.scores import SIGNED as SIGNED_EFFECTS
from orca_cool.effects.scores import Choices, dot_change
from orca_cool.errors import EditError
from orca_cool.genome.regions import closest
from orca_cool.maps.metrics import RING

if TYPE_CHECKING:
    from orca_cool.effects.align import Comparison

#: Those that only screens have, and those of :mod:`orca_cool.effects.scores`.
ROW, SIGNED, DOT = OWN = ("row", "signed", "dot")
SCORES = OWN + tuple(name for name in EFFECTS if name not in ("pixels", "loops"))

#: Scores that are never negative, for figures.
UNSIGNED = tuple(name for name in SCORES if name not in (SIGNED, DOT, *SIGNED_EFFECTS))

#: Bins that the two places of a dot must lie apart.
DOT_APART = RING + 1


def chosen_scores(text: str) -> tuple[str, ...]:
    """The scores that are asked for, each once, in the order of :data:`SCORES`.

    Raises
    ------
    EditError
        If a name is not known; the message quotes it and the nearest one that is.

    Examples
    --------
    >>> chosen_scores("insulation_at, row")
    ('row', 'insulation_at')
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SCORES:
            near = closest(name, SCORES)
            meant = "" if near is None else f"did you mean {near!r}? "
            raise EditError(f"score {name!r} is not known; {meant}there are {', '.join(SCORES)}")
    return tuple(name for name in SCORES if name in names)


@dataclass(frozen=True)
class Columns:
    """Which bins of a reference's window count, and what they are.

    Attributes
    ----------
    keep : (n,) bool, bins that count.
    e1 : (n,) the first eigenvector of the reference's window, positive in A; NaN where not known.
        None: it is not needed.
    """

    keep: np.ndarray
    e1: np.ndarray | None = None


def scores(
    found: Comparison,
    rows: np.ndarray,
    columns: Columns,
    wanted: Sequence[str],
    ends: tuple[int, int],
    choices: Choices,
) -> list[float]:
    """Scores of one cell type's maps.

    Parameters
    ----------
    rows : (n,) bool, the bins of what was inserted.
    columns : of the (first) reference.
    ends : bins of the first and of the last copy.
    choices : how those of ``orca-cool variants`` are computed.

    Returns
    -------
    Of each of ``wanted`` its number, NaN where nothing can be compared.
    """
    if not columns.keep.any():
        return [float("nan")] * len(wanted)
    change = found.alternate.values.astype(float) - found.reference.values.astype(float)
    index = found.bins[0]
    keep = (index >= 0) & columns.keep[index]
    part = change[rows]
    out = {ROW: _mean(np.abs(part[:, keep]))}
    if SIGNED in wanted and columns.e1 is not None:
        e1 = np.where(keep, columns.e1[index], np.nan)
        out[SIGNED] = _mean(part[:, e1 > 0]) - _mean(part[:, e1 < 0])
    if DOT in wanted:
        out[DOT] = dot_change(change, *ends)
    if set(wanted) - set(OWN):
        out |= found.scores(choices)
    return [out[name] for name in wanted]


def _mean(values: np.ndarray) -> float:
    """Mean of the finite values; NaN if there is none."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")
