"""HDF5 files that others gave: what a file may refer to, and how deep it may go.

HDF5 lets a file name other files of this machine as a part of itself: by external links, by data
sets whose bytes lie elsewhere (external storage), and by data sets put together from others
(virtual data sets). A map from a stranger could so show what it has no right to. Links may also
lead in a circle, which readers that follow them never leave.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import h5py

from orca_cool.errors import CoolerError, OrcaCoolError

#: Levels of groups that a file may have; a cooler in a file of cells has four.
MAX_DEPTH = 32


def check_self_contained(
    path: str | os.PathLike[str], error: type[OrcaCoolError] = CoolerError
) -> None:
    """Check that an HDF5 file holds all that it seems to hold, and that its links lead somewhere.

    Each object is looked at once, whatever number of names it has, and none of its data is read.

    Parameters
    ----------
    path : of the file.
    error : what is raised.

    Raises
    ------
    OrcaCoolError
        The ``error``, if the file is no HDF5 or damaged; if it has external links, external storage
        or virtual data sets; if a link leads nowhere or in a circle. The message names the object.
    """
    for _ in groups_of(path, error):
        pass


def groups_of(
    path: str | os.PathLike[str], error: type[OrcaCoolError] = CoolerError
) -> Iterator[h5py.Group]:
    """Check a file as :func:`check_self_contained` does, and give its groups as they are met.

    Yields
    ------
    Each group under each of its names, the root first. What lies below a group that has several
    names is given under the first of them alone.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
            yield from _below(file, os.fspath(path), error, {_identity(file)}, {_identity(file)})
    except (OSError, RuntimeError, ValueError, KeyError) as problem:
        raise error(f"{os.fspath(path)!r} cannot be read as HDF5: {problem}") from problem


def _identity(item: h5py.Group | h5py.Dataset | h5py.Datatype) -> int:
    """What an object of a file has in common under all its names."""
    return int(h5py.h5o.get_info(item.id).addr)


def _below(
    group: h5py.Group, path: str, error: type[OrcaCoolError], above: set[int], seen: set[int]
) -> Iterator[h5py.Group]:
    """The groups below a group. ``above``: the groups that hold it; ``seen``: all so far."""
    if len(above) > MAX_DEPTH:
        raise error(f"{path!r} is no map: its groups are nested more than {MAX_DEPTH} deep")
    for name in group:
        where = f"{group.name.rstrip('/')}/{name}"
        item = _linked(group, name, where, path, error)
        here = _identity(item)
        if isinstance(item, h5py.Dataset):
            _check_dataset(item, where, path, error)
        elif isinstance(item, h5py.Group):
            if here in above:
                raise error(f"{path!r} has links that lead in a circle: {where} holds itself")
            yield item
            if here not in seen:
                seen.add(here)
                yield from _below(item, path, error, above | {here}, seen)


def _linked(
    group: h5py.Group, name: str, where: str, path: str, error: type[OrcaCoolError]
) -> h5py.Group | h5py.Dataset | h5py.Datatype:
    """What a link leads to, if that is a part of the file."""
    try:
        link = group.get(name, getlink=True)
    except TypeError:  # of a kind that a plug-in defines
        link = None
    if isinstance(link, h5py.ExternalLink):
        raise error(
            f"{path!r} has an external link, {where}, to the file {link.filename!r}; a file must "
            f"hold all of its data (`h5repack` or `cooler cp` copy them)"
        )
    if not isinstance(link, h5py.HardLink | h5py.SoftLink):
        raise error(f"{path!r} has a link of an unknown kind, {where}")
    try:
        return group[name]
    except (KeyError, OSError, RuntimeError) as problem:
        target = f" to {link.path!r}" if isinstance(link, h5py.SoftLink) else ""
        raise error(
            f"{path!r} has a link, {where}{target}, that leads nowhere or in a circle"
        ) from problem


def _check_dataset(item: h5py.Dataset, where: str, path: str, error: type[OrcaCoolError]) -> None:
    """Raise the error unless the bytes of a data set lie in the file."""
    kind = "a virtual data set" if item.is_virtual else ""
    kind = kind or ("external storage" if item.external else "")
    if kind:
        raise error(
            f"{path!r} has {kind}, {where}, whose numbers lie elsewhere; a file must hold all of "
            f"its data (`cooler cp` copies them)"
        )
