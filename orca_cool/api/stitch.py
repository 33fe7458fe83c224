"""Windows of somebody else's model, joined to a file: ``oc.stitch_windows``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orca_cool.prediction.job import Say


def stitch_windows(
    windows: str | Path,
    output: str | Path,
    *,
    genome: str | Path,
    expected: str | Path,
    progress: bool = True,
    say: Say = lambda line: None,
    **options: Any,
) -> list[Path]:
    """Join windows that any model has predicted, and write them as an .mcool with expected tables
    (``orca-cool stitch``).

    Parameters
    ----------
    windows : a folder of .npz, an .npz or a Zarr group, with the arrays chrom, start, end and
        values; docs/stitch.md describes the format.
    output : the .mcool.
    genome : FASTA, .2bit, or the name of a shipped genome, in which the windows lie.
    expected : folder of :func:`orca_cool.measure_expected`, a table of cooltools expected-cis, or
        "inverse-distance".
    progress : show progress bars. say : called with what the user should know, line by line.
    options : see :class:`orca_cool.prediction.stitch_job.StitchJob`.

    Returns
    -------
    Paths written.

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what, and nothing is written.

    Examples
    --------
    >>> oc.stitch_windows(
    ...     "windows", "akita.mcool", genome="hg38.fa", expected="expected"
    ... )  # doctest: +SKIP
    """
    from orca_cool.prediction.stitch_job import StitchJob

    job = StitchJob(
        windows=str(windows),
        output=str(output),
        genome=str(genome),
        expected=str(expected),
        **options,
    )
    return job.run(progress=progress, say=say)
