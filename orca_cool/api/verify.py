"""A model verified, with a report to send: ``oc.verify_model``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.prediction.job import Say

if TYPE_CHECKING:
    from orca_cool.evaluate.verification import Verification


def verify_model(
    model: str | Path,
    output: str | Path,
    *,
    map: str | Path | None = None,
    genome: str | Path | None = None,
    chroms: tuple[str, ...] | list[str] | None = None,
    progress: bool = True,
    say: Say = lambda line: None,
    **options: Any,
) -> Verification:
    """Hold a model's files against its networks, measure what approximations cost with its weights,
    score it on a measured map, and write one report (``orca-cool models verify``).

    Parameters
    ----------
    model : a model's name or folder; or the released files, a folder or a tar.
    output : the report (.json).
    map : balanced .cool or .mcool, a measured map; None: nothing is scored.
    genome : FASTA, .2bit, or the name of a shipped genome; needed with ``map``. None:
        approximations are measured on the shipped example, repeated.
    chroms : chromosomes that are scored; None: chr9 and chr10.
    progress : show progress bars. say : called with what the user should know, line by line.
    options : see :class:`orca_cool.evaluate.verify_job.VerifyJob` (windows, at, module, name,
        clr_weight_name, device, store, force, ...).

    Returns
    -------
    Verification: ``.sound``, ``.files``, ``.errors``, ``.result``, ``.table()``.

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what.

    Examples
    --------
    >>> oc.verify_model("yeast-metaphase", "report.json").sound  # doctest: +SKIP
    True
    """
    from orca_cool.evaluate.verify_job import TEST_CHROMS, VerifyJob

    job = VerifyJob(
        model=str(model),
        genome="" if genome is None else str(genome),
        output=str(output),
        observed=None if map is None else str(map),
        chroms=tuple(chroms or TEST_CHROMS),
        **options,
    )
    return job.run(progress=progress, say=say)
