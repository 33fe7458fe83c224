"""Virtual screens: which base pairs a predicted map hangs on.

>>> import orca_cool as oc
>>> found = oc.screen.local(
...     "chrII:238,200-238,330", model="yeast-metaphase", genome="example", per_sequence=1
... )  # doctest: +SKIP
>>> found.top(3)  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orca_cool.errors import ModelError
from orca_cool.prediction.job import Say

if TYPE_CHECKING:
    from orca_cool.perturb.insert_output import InsertResult
    from orca_cool.perturb.motif_result import MotifScreenResult
    from orca_cool.perturb.screen_output import ScreenResult

__all__ = ["insert", "local", "motifs"]


def _silent(line: str) -> None:
    """Tell nobody."""


def local(
    regions: str | Sequence[str] = (),
    *,
    output: str | os.PathLike[str] | None = None,
    progress: bool = True,
    say: Say = _silent,
    **options: Any,
) -> ScreenResult:
    """Score units of regions by how much the contacts of their bin change when they are replaced.

    Parameters
    ----------
    regions : UCSC strings, "chrII:238,000-239,000"; none where ``sites`` names a BED.
    output : what the names of files begin with; None: nothing is written, and a run that is stopped
        begins anew.
    progress : show a progress bar. say : called with what the user should know, line by line.
    options : see :class:`orca_cool.perturb.screen_job.LocalScreenJob`; ``model`` and ``genome`` are
        needed; ``model`` may be a list, whose models all score the same sequences. Those of
        ``orca-cool screen local``: unit, per_sequence, runs, aggregate, replace, strands, mask,
        sites, width, step, seed, resolution, module, cell_type, preset, ...

    Returns
    -------
    ScreenResult : ``.table`` (a DataFrame: chrom, start, end, a column of scores for each cell
    type), ``.top()``, ``.to_bigwig()``, ``.plot()``.

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what.
    """
    from orca_cool.perturb.screen_job import LocalScreenJob

    plain = _plain(options | {"output": output})
    return LocalScreenJob(**plain, regions=_several(regions)).run(progress=progress, say=say)


def motifs(
    regions: str | Sequence[str] = (),
    *,
    motifs: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    progress: bool = True,
    say: Say = _silent,
    **options: Any,
) -> MotifScreenResult:
    """Score motif hits, and a matched background of each, by how much the contacts of their bin
    change when they are knocked out.

    Parameters
    ----------
    regions : UCSC strings, where hits are looked for; none is needed where ``motifs`` is a BED.
    motifs : file of JASPAR or MEME, or BED of hits with the motif's name in column 4.
    output, progress, say : as in :func:`local`.
    options : see :class:`orca_cool.perturb.motif_job.MotifScreenJob`; ``model`` (one or several)
        and ``genome`` are needed. Those of ``orca-cool screen motifs``: threshold, per_sequence,
        runs, aggregate, replace, strands, mask, seed, resolution, module, cell_type, ...

    Returns
    -------
    MotifScreenResult : ``.table`` (a DataFrame: motif, A, B, n, mean_A, mean_B, difference, p, q)
    and ``.hits`` (a row a hit, with its scores and its background's).

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what.
    """
    from orca_cool.perturb.motif_job import MotifScreenJob

    plain = _plain(options | {"output": output, "motifs": motifs})
    return MotifScreenJob(**plain, regions=_several(regions)).run(progress=progress, say=say)


def insert(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    sites: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    progress: bool = True,
    say: Say = _silent,
    **options: Any,
) -> InsertResult:
    """Put sequences at sites, and score each by how much the contacts there change.

    Parameters
    ----------
    sources : BED or FASTA files, ``"shuffle:FILE"``, ``"dinucleotide:FILE"`` or
        ``"background:GC"``: one or several.
    sites : a BED, or ``"background:GC:N"``: the middles of N random chromosomes.
    output : what the names of files begin with; None: nothing is written, and a run that is stopped
        begins anew.
    progress : show a progress bar. say : called with what the user should know, line by line.
    options : see :class:`orca_cool.perturb.insert_job.InsertScreenJob`; ``model`` and ``genome``
        are needed; ``model`` may be a list, whose models all score the same sequences. Those of
        ``orca-cool screen insert``: overwrite (False: insert), lengths, orientations, number,
        spacing, scores, loops, phasing_track, resolution, module, mask, seed, ...

    Returns
    -------
    InsertResult : ``.table`` (a DataFrame with a row for each sequence), ``.means`` (of each
    source), ``.matrix()``, ``.to_parquet()``, ``.to_bigwig()``, ``.plot()``.

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what.

    Examples
    --------
    >>> found = insert(
    ...     "ctcf.fa", "sites.bed", model="extrusion", genome="extrusion-example",
    ...     orientations="+,-", scores="row,insulation_at",
    ... )  # doctest: +SKIP
    >>> found.matrix("insulation_at.a")  # doctest: +SKIP
    """
    from orca_cool.perturb.insert_job import InsertScreenJob

    several = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    plain = _plain(options | {"output": output, "sites": sites})
    for name in ("lengths", "number", "spacing"):
        if isinstance(plain.get(name), int):
            plain[name] = (plain[name],)
        elif name in plain:
            plain[name] = tuple(plain[name])
    plain["sources"] = tuple(os.fspath(source) for source in several)
    return InsertScreenJob(**plain).run(progress=progress, say=say)


#: Options that are paths, which may be given as such.
_PATHS = {"genome", "store", "mask", "sites", "motifs", "loops", "output", "phasing_track"}


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the job of a screen, as plain values."""
    first, *others = _models(options)
    return _paths_as_text(options) | {"model": first, "other_models": tuple(others)}


def _several(regions: str | Sequence[str]) -> tuple[str, ...]:
    """One region or several, as several."""
    return (regions,) if isinstance(regions, str) else tuple(regions)


def _models(options: Mapping[str, Any]) -> list[str]:
    """The models that are named; ModelError if there is none."""
    model = options.get("model")
    if model is None:
        raise ModelError("a screen needs a model: give its name or folder")
    every = [model] if isinstance(model, str | os.PathLike) else list(model)
    if not every:
        raise ModelError(f"a screen needs a model; {model!r} holds none")
    return [os.fspath(name) for name in every]


def _paths_as_text(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with their paths as text."""
    return {
        name: os.fspath(value) if name in _PATHS and value is not None else value
        for name, value in options.items()
    }
