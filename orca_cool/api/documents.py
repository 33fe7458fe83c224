"""What a run has written, as one document for other programs (``--json``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool import __version__
from orca_cool.errors import CoolerError

if TYPE_CHECKING:
    from orca_cool.effects.unfinished_table import Summary

#: Name and version of the document.
FORMAT, FORMAT_VERSION = "orca-cool.outputs", 1


def describe_prediction(paths: Sequence[str | Path]) -> dict[str, Any]:
    """What a prediction has written.

    Parameters
    ----------
    paths : as :func:`orca_cool.predict_to_mcool` returns them.

    Returns
    -------
    Plain values: ``outputs``, path and bytes of each file; ``settings``, of the first .mcool, as
    its metadata has them; ``numbers``, for each .mcool and resolution (bp) bins, pixels and the sum
    of the counts.

    Raises
    ------
    CoolerError
        If an .mcool is none.

    Examples
    --------
    >>> paths = oc.predict_to_mcool("x.mcool", model="m", genome="g.fa")  # doctest: +SKIP
    >>> oc.describe_prediction(paths)["numbers"]["x.mcool"]["2000"]["pixels"]  # doctest: +SKIP
    26335
    """
    settings: dict[str, Any] = {}
    numbers: dict[str, Any] = {}
    for path in (p for p in map(Path, paths) if p.suffix == ".mcool"):
        found, counted = _of_mcool(path)
        settings = settings or found
        numbers[path.name] = counted
    return _document(paths, settings, numbers)


def describe_scores(paths: Sequence[str | Path], summary: Summary) -> dict[str, Any]:
    """What the scoring of variants has written.

    Parameters
    ----------
    paths : of the tables, and of what else was written.
    summary : as :func:`orca_cool.score_variants` returns it.

    Returns
    -------
    Plain values: ``outputs``, path and bytes of each file; ``settings``, of the first table;
    ``numbers``: ``scored``, and ``unscored``, the reasons of the others, counted.
    """
    beside = [p for p in (Path(f"{path}.json") for path in paths) if p.is_file()]
    settings: dict[str, Any] = {}
    if beside:
        settings = json.loads(beside[0].read_text(encoding="utf-8"))
        settings = {k: v for k, v in settings.items() if k not in ("scored", "unscored")}
    numbers = {"scored": summary.scored, "unscored": summary.unscored}
    return _document([*paths, *beside], settings, numbers)


def _document(
    paths: Sequence[str | Path], settings: dict[str, Any], numbers: dict[str, Any]
) -> dict[str, Any]:
    outputs = [{"path": str(p), "bytes": _bytes(Path(p))} for p in paths]
    about = {"format": FORMAT, "format_version": FORMAT_VERSION, "orca_cool": __version__}
    return {**about, "outputs": outputs, "settings": settings, "numbers": numbers}


def _bytes(path: Path) -> int:
    """Of a file, or of all files of a folder."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size


def _of_mcool(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its settings, and its numbers by resolution."""
    import h5py

    try:
        with h5py.File(path) as file:
            settings: dict[str, Any] = {}
            numbers = {}
            for name in sorted(file["resolutions"], key=int):
                told = file["resolutions"][name].attrs
                settings = settings or json.loads(told.get("metadata", "{}"))
                numbers[name] = {
                    "bins": int(told["nbins"]),
                    "pixels": int(told["nnz"]),
                    "sum": float(told["sum"]),
                }
            return settings, numbers
    except (OSError, KeyError, ValueError) as error:
        raise CoolerError(f"{path} cannot be read as .mcool: {error}") from error
