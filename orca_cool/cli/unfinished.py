"""What a verb that was stopped has left, in words."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any


def unfinished_folder(params: dict[str, Any], *also: Path) -> str | None:
    """What remains of a verb that keeps its unfinished work in a folder beside its output.

    Parameters
    ----------
    params : with ``output`` and ``force``.
    also : files or folders that also say that there is something to go on from.
    """
    output = Path(params["output"])
    folder = output.with_name(f"{output.name}.partial")
    types = output.parent.glob(f"{glob.escape(output.stem)}.*{glob.escape(output.suffix)}.partial")
    kept = next((path for path in (folder, *also, *sorted(types)) if path.exists()), None)
    if kept is None:
        return None
    if not params["force"]:
        return f"what is done is kept in {str(kept)!r}: repeat the command to go on"
    if not output.exists():
        return f"what is done is kept in {str(kept)!r}: repeat the command without --force to go on"
    return f"{str(output)!r} is as it was; with --force the command starts anew"


def kept_beside(params: dict[str, Any]) -> str | None:
    """What a screen that was stopped has left: the folder beside its output."""
    folder = Path(f"{params['output']}.partial")
    if not folder.exists():
        return None
    without = " without --force" if params["force"] else ""
    return f"what is done is kept in {str(folder)!r}: repeat the command{without} to go on"
