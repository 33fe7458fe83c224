"""Folders of models: the user's, and those that several users share.

The user's folder is ``$ORCA_COOL_HOME``; without it ``orca-cool`` in ``$XDG_DATA_HOME``, which is
``~/.local/share`` where it is not set. Shared folders are those of ``$ORCA_COOL_MODEL_PATH``
(several with ``:`` between them), for whoever sets up a machine, then those that the user has
added, which are kept in ``model-paths.json`` of the user's folder. Nothing is ever written there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from orca_cool.errors import ModelError, OutputError
from orca_cool.files import atomic_write, check_format, temporary_path
from orca_cool.locks import locked_outputs
from orca_cool.model.header import is_bundle

PATHS_FORMAT, PATHS_VERSION = "orca-cool-model-paths", 1


def home() -> Path:
    """The user's folder."""
    if own := os.environ.get("ORCA_COOL_HOME"):
        return Path(own).expanduser()
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    # the XDG specification: a relative path is ignored
    return (data if data.is_absolute() else Path.home() / ".local" / "share") / "orca-cool"


def user_models() -> Path:
    """Folder of the bundles that were imported or fetched."""
    return home() / "models"


def bundles_in(folder: Path) -> list[Path]:
    """The bundles of a folder, by name; none where it cannot be read."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return []
    return [path for path in paths if is_bundle(path) and not path.name.startswith(".")]


def shared_folders() -> list[Path]:
    """Folders whose models are known, too; of models of one name the first folder's counts.

    Raises
    ------
    ModelError
        If ``model-paths.json`` is not understood.
    """
    given = os.environ.get("ORCA_COOL_MODEL_PATH", "").split(os.pathsep)
    return list(dict.fromkeys([Path(text).expanduser() for text in given if text] + added()))


def added() -> list[Path]:
    """The folders that the user has added, in order; ModelError if their list is damaged."""
    path = _list()
    if not path.is_file():
        return []
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        check_format(data, PATHS_FORMAT, PATHS_VERSION, path, ModelError)
        return [Path(str(text)) for text in data["paths"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} is not a list of folders: {error!r}; delete it") from error


def add_folder(folder: str | os.PathLike[str]) -> list[Path]:
    """Have the models of a folder known.

    Returns
    -------
    The bundles in it.

    Raises
    ------
    ModelError
        If there is no such folder, it is a bundle itself, or it is known already.
    OutputError
        If the list cannot be written.
    """
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        raise ModelError(f"{str(folder)!r} is not a folder")
    if is_bundle(path):
        raise ModelError(
            f"{str(folder)!r} is a model, not a folder of models; use its parent, or "
            f"`orca-cool models import`"
        )
    before = added()
    if path in before:
        raise ModelError(f"{path} is known already")
    _write([*before, path])
    return bundles_in(path)


def forget_folder(folder: str | os.PathLike[str]) -> None:
    """Have the models of an added folder no longer known; its files stay.

    Raises
    ------
    ModelError
        If it is not an added one; the message lists those.
    OutputError
        If the list cannot be written.
    """
    path, before = Path(folder).expanduser().absolute(), added()
    if path not in before:
        known = ", ".join(map(str, before)) or "none"
        raise ModelError(f"{path} is not a folder that was added; those are: {known}")
    _write([one for one in before if one != path])


def remove_model(name: str) -> Path:
    """Delete one of the user's models.

    Returns
    -------
    The folder that it was.

    Raises
    ------
    ModelError
        If the user has no model of that name.
    OutputError
        If it cannot be deleted.
    """
    path = user_models() / name
    if path not in bundles_in(user_models()):
        mine = ", ".join(p.name for p in bundles_in(user_models())) or "none"
        raise ModelError(
            f"{name!r} is not one of your models, which are: {mine}; shipped and shared ones are "
            f"not deleted"
        )
    try:
        with locked_outputs(path):
            aside = temporary_path(path)  # it is gone at once, whatever happens then
            path.rename(aside)
            shutil.rmtree(aside)
    except OSError as error:
        raise OutputError(f"{path} cannot be deleted: {error.strerror or error}") from error
    return path


def _list() -> Path:
    return home() / "model-paths.json"


def _write(paths: Sequence[Path]) -> None:
    told = {"format": PATHS_FORMAT, "version": PATHS_VERSION, "paths": [str(p) for p in paths]}
    try:
        home().mkdir(parents=True, exist_ok=True)
        atomic_write(_list(), json.dumps(told, indent=1) + "\n")
    except OSError as error:
        raise OutputError(f"{_list()} cannot be written: {error.strerror or error}") from error
