"""Models by name: those shipped with the package, those in the user's folder, those that can be
fetched.

Folders are told in :mod:`orca_cool.model.folders`: ``models/<name>`` of the user's folder are
bundles, a ``registry.json`` in it adds to the fetchable models of the package, and bundles of
shared folders are known, too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orca_cool.errors import BundleError, ModelError, OutputError
from orca_cool.files import PARTIAL, atomic_folder, atomic_path, check_format, replace_folder
from orca_cool.genome.regions import closest
from orca_cool.locks import locked_outputs
from orca_cool.model.folders import bundles_in, home, shared_folders, user_models
from orca_cool.model.header import (
    MAX_HEADER,
    SPEC_FILE,
    add_digest,
    check_weights,
    is_bundle,
    read_header,
)

DATA = Path(__file__).parents[1] / "data"
REGISTRY_FORMAT = "orca-cool-registry"
REGISTRY_VERSION = 1

#: A name in a Python file, which makes a model.
ADDRESS = re.compile(r"(?P<file>.+\.py)(?P<colon>:(?P<name>.*))?", re.DOTALL)


@dataclass(frozen=True)
class Archive:
    """A file that can be fetched.

    ``kind`` is "released" (tar of the released Orca resources) or "bundle" (zip of one of our
    bundles); ``sha256`` is None where the publisher gives none that we know.
    """

    key: str
    kind: str
    urls: tuple[str, ...]
    sha256: str | None = None
    size: str = ""
    licence: str = ""
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A known model: where it is ("user", "shared", "shipped"; its folder), or how to get it
    ("fetchable"; its archive).
    """

    name: str
    origin: str
    path: Path | None = None
    archive: Archive | None = None
    about: str = field(default="", compare=False)


def shipped_models() -> Path:
    """Folder of the bundles that come with the package."""
    return DATA / "models"


def known() -> dict[str, Entry]:
    """Every known model by name. Of the same name the user's comes first, then those of shared
    folders, in their order, then the shipped one, then one that can be fetched.
    """
    entries = {}
    for name, (archive, about) in fetchable().items():
        entries[name] = Entry(name, "fetchable", archive=archive, about=about)
    shared = [("shared", folder) for folder in reversed(shared_folders())]
    for origin, folder in (("shipped", shipped_models()), *shared, ("user", user_models())):
        for path in bundles_in(folder):
            entries[path.name] = Entry(path.name, origin, path=path)
    return dict(sorted(entries.items()))


def fetchable() -> dict[str, tuple[Archive, str]]:
    """Models of the registries of package and user: name -> (archive, one line about it).

    Raises
    ------
    ModelError
        If a registry file is not understood.
    """
    models: dict[str, tuple[Archive, str]] = {}
    for path in (DATA / "registry.json", home() / "registry.json"):
        if path.is_file():
            models.update(_read_registry(path))
    return models


def _read_registry(path: Path) -> dict[str, tuple[Archive, str]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        check_format(data, REGISTRY_FORMAT, REGISTRY_VERSION, path, ModelError)
        archives = {}
        for key, a in data["archives"].items():
            if a["kind"] not in ("released", "bundle"):
                raise ModelError(
                    f"{path}: archive {key!r} is of kind {a['kind']!r}; known: released, bundle"
                )
            names = tuple(n for n, m in data["models"].items() if m["archive"] == key)
            archives[key] = Archive(
                key,
                a["kind"],
                tuple(a["urls"]),
                a.get("sha256"),
                a.get("size", ""),
                a.get("licence", ""),
                names,
            )
        return {
            check_name(n): (archives[m["archive"]], m.get("about", ""))
            for n, m in data["models"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is not a registry of models: {error!r}") from error


def check_name(name: str) -> str:
    """``name`` if it can be a folder's name everywhere; ModelError otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ModelError(
            f"model name {name!r}: letters, digits, '.', '_' and '-' only, beginning with a "
            f"letter or digit"
        )
    return name


#: How files of genomes are called.
GENOME_SUFFIXES = (".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz", ".2bit")


def is_address(text: str) -> bool:
    """Whether a model's name is that of a Python file, with or without a name in it:
    ``FILE.py:NAME`` (:mod:`orca_cool.model.foreign`).
    """
    return ADDRESS.fullmatch(text) is not None


def unknown(name: str) -> ModelError:
    """The error for a name that nobody knows: it lists the known ones, and the closest."""
    from orca_cool.genome.open import SHIPPED

    names = list(known())
    close = closest(name, names)
    hint = f"did you mean {close!r}? " if close else ""
    if name in SHIPPED or name.endswith(GENOME_SUFFIXES):  # --model and --genome exchanged
        hint = "that is a genome (--genome); "
    return ModelError(f"unknown model {name!r}; {hint}known models: {', '.join(names) or 'none'}")


def resolve(name_or_path: str | os.PathLike[str]) -> Path:
    """Folder of a model's bundle.

    Parameters
    ----------
    name_or_path : a known model's name, or a bundle's folder. A plain word is a name first, then a
        folder.

    Raises
    ------
    ModelError
        If there is no such model (the message lists the known ones), or it must be fetched first;
        if it is a Python file: whoever calls this never runs the code of a model
        (:mod:`orca_cool.model.named` does).
    BundleError
        If a path is given and is not a bundle.
    """
    text = os.fspath(name_or_path)
    path = Path(text).expanduser()
    if is_address(text) and not path.is_dir():
        raise ModelError(
            f"model {text!r} is a Python file; here only a model's name or its folder is taken"
        )
    if os.sep in text or text in (".", "..") or isinstance(name_or_path, Path):
        if not is_bundle(path):
            state = f"it has no {SPEC_FILE}" if path.is_dir() else "there is no such folder"
            raise BundleError(f"{text} is not a model bundle: {state}")
        return path
    entry = known().get(text)
    if entry is not None and entry.path is not None:
        return entry.path
    if is_bundle(path):
        return path
    if entry is not None:
        raise ModelError(
            f"model {text!r} is not on this machine: run `orca-cool models fetch {text}`, or "
            f"`orca-cool models import FOLDER`"
        )
    raise unknown(text)


def import_bundle(
    source: str | os.PathLike[str], out: Path, name: str | None = None, *, force: bool = False
) -> Path:
    """Copy a bundle (folder or .zip) to ``out / name`` after it was read whole and found sound.

    Parameters
    ----------
    name : default: the specification's.

    Raises
    ------
    BundleError, ModelError
        If it is not a sound bundle, or its name cannot be a folder's.
    OutputError
        If the model exists, or cannot be written.
    """
    from orca_cool.model.bundle import load_bundle  # with torch

    source = Path(source)
    with (
        _writing(out),
        tempfile.TemporaryDirectory(prefix=".import.", suffix=PARTIAL, dir=out) as stage,
    ):
        new = Path(stage) / "bundle"
        new.mkdir()
        if source.is_dir():
            header = read_header(source)
            for file in (SPEC_FILE, header["weights"]["file"]):
                if not (source / file).is_file():
                    raise BundleError(f"{source / file} is missing")
                shutil.copyfile(source / file, new / file)
        else:
            _unzip(source, new)
        bundle = load_bundle(new)  # every tensor, before anything appears under the name
        add_digest(new)  # which former versions did not write
        target = out / check_name(name or bundle.spec.name)
        with locked_outputs(target):
            _refuse_existing(target, force)
            replace_folder(new, target)
    return target


def _unzip(source: Path, new: Path) -> None:
    """The two files of a zipped bundle, under their plain names; nothing else is read, no path of
    the archive is used.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            headers = [i for i in archive.infolist() if i.filename.rpartition("/")[2] == SPEC_FILE]
            if len(headers) != 1:
                raise BundleError(f"{source} holds {len(headers)} {SPEC_FILE}, expected one")
            with archive.open(headers[0]) as data:
                _copy(data, new / SPEC_FILE, MAX_HEADER)
            weights = read_header(new)["weights"]
            folder = headers[0].filename.rpartition("/")[0]
            with archive.open(f"{folder}/{weights['file']}" if folder else weights["file"]) as data:
                _copy(data, new / weights["file"], weights["bytes"])
    except FileNotFoundError:
        raise BundleError(f"{source}: no such file") from None
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
        raise BundleError(f"{source} is not a sound zip of a model bundle: {error}") from error


def _copy(data: Any, path: Path, limit: int) -> None:
    """At most ``limit`` + 1 bytes, so that a lying archive can neither fill the disk nor pass the
    size check.
    """
    with open(path, "wb") as file:
        left = limit + 1
        while left and (block := data.read(min(left, 1 << 20))):
            file.write(block)
            left -= len(block)


def export_bundle(source: Path, target: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Copy a bundle to a folder, or to one file if ``target`` ends in .zip, for sharing.

    Raises
    ------
    BundleError
        If the bundle is damaged.
    OutputError
        If the target exists, cannot be written, or has the suffix of another archive.
    """
    target = Path(target)
    header = read_header(source)
    if target.name.endswith((".tar", ".tgz", ".gz", ".bz2", ".xz")):
        raise OutputError(f"{target}: a model is written as a folder or a .zip, not in this form")
    files = [SPEC_FILE, check_weights(source, header).name]
    _refuse_existing(target, force)
    with _writing(target.parent):
        if target.suffix == ".zip":
            with (
                atomic_path(target) as temporary,
                # weights do not compress
                zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
            ):
                for file in files:
                    archive.write(source / file, f"{target.stem}/{file}")
        else:
            with atomic_folder(target, replace=force) as folder:
                for file in files:
                    shutil.copyfile(source / file, folder / file)
    return target


def _refuse_existing(target: Path, force: bool) -> None:
    if target.exists() and not force:
        raise OutputError(f"{target} exists; --force replaces it")
    if target.is_dir() and not is_bundle(target):
        raise OutputError(f"{target} exists and is not a model bundle: choose another name")
    if target.is_file() and target.suffix != ".zip":
        raise OutputError(f"{target} is a file: choose another name")


@contextmanager
def _writing(parent: Path) -> Iterator[None]:
    """Make the folder ``parent`` if need be; an OSError here or in the block becomes
    OutputError.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise OutputError(f"{parent} cannot be written: {error.strerror or error}") from error
