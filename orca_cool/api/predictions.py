"""Predictions of any models beside each other: ``oc.evaluate_predictions``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.errors import ModelError

if TYPE_CHECKING:
    from orca_cool.evaluate.akita import BesideAkita
    from orca_cool.evaluate.differences import Differences
    from orca_cool.evaluate.several import Compared


def evaluate_predictions(
    predicted: Sequence[str | Path],
    observed: str | Path,
    chroms: Sequence[str],
    *,
    progress: bool = True,
    **options: Any,
) -> Compared:
    """Hold predictions of any models against one measured map, on the pixels that all of them know
    (``orca-cool evaluate PREDICTED... MEASURED``).

    Parameters
    ----------
    predicted : of each model an .mcool or .cool (of this package or not), or windows (.npz, a
        folder of them, or a Zarr group; docs/stitch.md).
    observed : the measured map. chroms : that are scored.
    options : fields of :class:`orca_cool.evaluate.options.EvaluationOptions`.

    Returns
    -------
    Compared: ``.scores``, by name of the prediction.

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what.

    Examples
    --------
    >>> found = oc.evaluate_predictions(
    ...     ["orca.mcool", "akita"], "measured.mcool", ["chr9"]
    ... )  # doctest: +SKIP
    >>> found.scores["akita"][0].r  # doctest: +SKIP
    """
    from orca_cool.api.verbs import _plain
    from orca_cool.evaluate.job import evaluate_several
    from orca_cool.evaluate.options import EvaluationOptions

    against = EvaluationOptions(observed=str(observed), chroms=tuple(chroms), **_plain(options))
    return evaluate_several([str(path) for path in predicted], against, progress=progress)


def evaluate_difference(
    predicted: Sequence[str | Path],
    observed: Sequence[str | Path],
    chroms: Sequence[str],
    *,
    progress: bool = True,
    **options: Any,
) -> Differences:
    """Hold the predicted difference of two cell types (or conditions) against the measured one
    (``orca-cool evaluate --difference``).

    Parameters
    ----------
    predicted, observed : of the first and the second cell type, as for
        :func:`evaluate_predictions`. chroms : that are scored.
    options : fields of :class:`orca_cool.evaluate.options.EvaluationOptions`.

    Returns
    -------
    Differences: ``.scores``, with Pearson's r and AUROC of the sign of the largest differences.

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what.
    """
    from orca_cool.api.verbs import _plain
    from orca_cool.evaluate.job import evaluate_differences
    from orca_cool.evaluate.options import EvaluationOptions

    one, two = (str(path) for path in observed)
    against = EvaluationOptions(observed=one, chroms=tuple(chroms), **_plain(options))
    return evaluate_differences([str(p) for p in predicted], two, against, progress=progress)


def evaluate_beside_akita(
    predicted: str | Path | Sequence[str | Path],
    akita: str | Path | Sequence[str | Path],
    observed: str | Path | Sequence[str | Path],
    chroms: Sequence[str],
    *,
    progress: bool = True,
    **options: Any,
) -> BesideAkita:
    """Score a prediction of 4 kb bins beside windows that Akita predicted, in the form of these, as
    the paper of Orca does it (``orca-cool evaluate --akita``).

    Parameters
    ----------
    predicted : an .mcool of this package, or as for :func:`evaluate_predictions`.
    akita : windows of 448 bins (docs/stitch.md). observed : the measured map. Of each a pair, of
        two cell types, scores the difference of their maps.
    chroms : whose windows are scored.
    options : fields of :class:`orca_cool.evaluate.options.EvaluationOptions`.

    Returns
    -------
    BesideAkita: ``.r`` of each window, by "ours" and "akita".

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what.

    Examples
    --------
    >>> oc.evaluate_beside_akita(
    ...     ["h1.mcool", "hff.mcool"],
    ...     ["akita-h1", "akita-hff"],
    ...     ["h1.measured.mcool", "hff.measured.mcool"],
    ...     ["chr9"],
    ... ).r["ours"].mean()  # doctest: +SKIP
    """
    from orca_cool.api.verbs import _plain
    from orca_cool.evaluate.job import evaluate_akita, evaluate_akita_difference
    from orca_cool.evaluate.options import EvaluationOptions

    given = [
        [str(x)] if isinstance(x, (str, Path)) else [str(part) for part in x]
        for x in (predicted, akita, observed)
    ]
    if (counts := [len(x) for x in given]) not in ([1, 1, 1], [2, 2, 2]):
        raise ModelError(
            f"{counts[0]} predictions, {counts[1]} windows of Akita and {counts[2]} measured maps: "
            f"one of each is needed, or two, of two cell types"
        )
    options = {"ceiling": False, **_plain(options)}
    ours, windows, measured = given
    against = EvaluationOptions(observed=measured[0], chroms=tuple(chroms), **options)
    if counts[0] == 2:
        return evaluate_akita_difference(ours, windows, measured, against, progress=progress)
    return evaluate_akita(ours[0], windows[0], against, progress=progress)
