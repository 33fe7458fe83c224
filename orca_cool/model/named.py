"""A model by what somebody writes on the command line or in Python: a model folder or its name, or
a model of somebody else (:mod:`orca_cool.model.foreign`).

Everything else (servers, addresses of tilesets, configurations) opens model folders alone, with
:func:`orca_cool.model.registry.resolve`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orca_cool.errors import ModelError
from orca_cool.model.header import is_bundle, read_header
from orca_cool.model.registry import is_address, known, resolve
from orca_cool.model.spec import ModelDescription

if TYPE_CHECKING:
    from orca_cool.model.bundle import Model
    from orca_cool.model.foreign import ForeignModel


def is_foreign(name: str) -> bool:
    """Whether a name is that of a model of somebody else: ``FILE.py:NAME``, or an entry point that
    no model folder has as its name.
    """
    if is_address(name):
        return not Path(name).is_dir()
    if os.sep in name or name in known() or is_bundle(Path(name)):
        return False
    from orca_cool.model.foreign import entry_points

    return name in entry_points()


def described(name: str) -> ModelDescription:
    """What a model is, from its header alone; a model of somebody else must be made for it.

    Raises
    ------
    ModelError, BundleError
        If there is no such model, or it cannot be used.
    """
    if is_foreign(name):
        from orca_cool.model.foreign import foreign_model

        return foreign_model(name).spec
    spec: ModelDescription = read_header(resolve(name))["spec"]
    return spec


def open_named(name: str | os.PathLike[str]) -> Model | ForeignModel:
    """The model, ready to predict.

    Raises
    ------
    ModelError, BundleError
        If there is no such model, or it cannot be used.
    """
    if is_foreign(os.fspath(name)):
        from orca_cool.model.foreign import foreign_model

        return foreign_model(os.fspath(name))
    from orca_cool.model.bundle import load_bundle

    return load_bundle(resolve(name))


def absolute_name(name: str) -> str:
    """The same for a process in another working folder."""
    if not is_foreign(name):
        return str(resolve(name).absolute())
    return str(Path(name).expanduser().absolute()) if is_address(name) else name


def require_no_device(spec: ModelDescription, device: str) -> None:
    """ModelError if a device is asked for, of a model that decides about it itself."""
    if device != "auto":
        raise ModelError(
            f"device {device!r} means nothing to model {spec.name!r}, which predicts whole windows "
            f"by itself"
        )
