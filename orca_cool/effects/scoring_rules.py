"""What of the choices of scores goes together, for the job of the command line and for Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from orca_cool.effects import GENOTYPES
from orca_cool.errors import EditError


def check_scoring(
    *,
    shifts: str | Sequence[int],
    stop_below: float | None,
    genotype: str,
    null: int,
    seed: int,
    genes: str | os.PathLike[str] | None,
    option: Callable[[str], str] = str,
) -> None:
    """Raise what of the choices cannot be, alone or together.

    Parameters
    ----------
    shifts, stop_below, genotype, null, seed, genes : see
        :class:`orca_cool.effects.variants_job.VariantsJob`; ``shifts`` as text or as numbers.
    option : how a message calls a choice, by its name.

    Raises
    ------
    EditError

    Examples
    --------
    >>> check_scoring(shifts=(), stop_below=0.1, genotype="hom", null=50, seed=0, genes=None)
    ... # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    EditError: null 50 and stop_below 0.1: scores are held against those of levels ...
    """
    if stop_below is not None:
        stop = f"{option('stop_below')} {stop_below:g}"
        if not stop_below > 0:
            raise EditError(f"{stop} is not a number above 0")
        if shifts:
            raise EditError(
                f"{stop} and {option('shifts')} {shifts!r}: an average is of levels that are "
                f"predicted in all windows; leave one out"
            )
        if null:
            raise EditError(
                f"{option('null')} {null} and {stop}: scores are held against those of levels "
                f"that are all predicted; leave one out"
            )
    if genotype not in GENOTYPES:
        known = " or ".join(GENOTYPES)
        raise EditError(f"{option('genotype')} {genotype!r} is not known; use {known}")
    for name, value in (("null", null), ("seed", seed)):
        if value < 0:
            raise EditError(f"{option(name)} {value} is less than 0")
    if not null and (genes is not None or seed):
        given = f"{option('seed')} {seed}"
        if genes is not None:
            given = f"{option('genes')} {os.fspath(genes)!r}"
        raise EditError(f"{given} is about matched places; it needs {option('null')} N")
