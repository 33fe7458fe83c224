"""The header of a model bundle (``model.json``): read and checked without torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orca_cool.errors import BundleError, ModelError, shown
from orca_cool.files import atomic_write, check_format, sha256
from orca_cool.model.bounds import RESOLUTION
from orca_cool.model.spec import ModelSpec

FORMAT = "orca-cool-model"
#: Version 2 calls "expected" what version 1 called "background", and "multi_chromosome" what it
#: called "assembly". Version 3 is written for models that have one of :data:`NEW_IN_3`. All are
#: read.
VERSION = 3
#: Keys of a specification, and of its modules, that former versions do not know.
NEW_IN_3 = frozenset({"placement", "cell_types", "eps"})
SPEC_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"

#: A ``model.json`` is some kilobytes; a larger one is none.
MAX_HEADER = 16 << 20

#: Most distances of an expected table.
MOST_DISTANCES = 100_000_000

#: What a specification tells people; none of it changes a number, and it may be edited.
PROSE = frozenset(
    {"name", "organism", "cell_type", "licence", "training_data", "metrics", "notes", "assemblies"}
)


def version_for(spec: Mapping[str, Any]) -> int:
    """The oldest version of the format that can say what a specification says."""
    keys = set(spec).union(*spec["modules"])
    return VERSION if NEW_IN_3 & keys else 2


def is_bundle(folder: str | os.PathLike[str]) -> bool:
    """True if the folder looks like a bundle (has a ``model.json``)."""
    return (Path(folder) / SPEC_FILE).is_file()


def numbers_digest(header: Mapping[str, Any]) -> str:
    """SHA-256 in hexadecimal of all that decides a model's numbers, as ``model.json`` holds it:
    specification without :data:`PROSE`, expected tables, size and SHA-256 of the weights.
    """
    weights, spec = header["weights"], header["spec"]
    plain = {
        "spec": {key: value for key, value in spec.items() if key not in PROSE},
        "expected": header.get("expected", header.get("backgrounds")),
        "weights": {key: weights[key] for key in ("sha256", "bytes")},
    }
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_header(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """``model.json`` of a bundle, its format, version and digest checked, with ``spec`` as a
    :class:`ModelSpec`. "digest" is None in a bundle of a version that wrote none.

    Raises
    ------
    BundleError
        If the file is missing, is not JSON, is of another format or of a newer version, holds a
        number out of its bounds, or was changed since it was written.
    """
    path = Path(folder) / SPEC_FILE
    raw = _read_json(path)
    version = check_format(raw, FORMAT, VERSION, path, BundleError)
    header = dict(raw)
    if version == 1:
        header["expected"] = header.pop("backgrounds", None)
    missing = [key for key in ("spec", "weights", "expected") if header.get(key) is None]
    if missing:
        raise BundleError(f"{path} lacks {', '.join(missing)}")
    _check_named_weights(path, header["weights"])
    try:
        header["spec"] = ModelSpec.from_json(header["spec"])
        header["expected"] = check_tables(header["expected"], header["spec"].cell_types)
    except ModelError as error:
        raise BundleError(f"{path}: {error}") from error
    header.setdefault("digest", None)
    if header["digest"] not in (None, numbers_digest(raw)):
        raise BundleError(
            f"{path} was changed or damaged since it was written: specification, expected tables "
            f"or weights are not those of its digest {shown(header['digest'])}; fetch or import "
            f"the model again"
        )
    return header


def _read_json(path: Path) -> dict[str, Any]:
    """A file's JSON; BundleError if it is none."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_HEADER + 1)
        if len(data) > MAX_HEADER:
            raise BundleError(f"{path} has more than {MAX_HEADER:,} bytes; it is no {SPEC_FILE}")
        header: dict[str, Any] = json.loads(data.decode())
        return header
    except FileNotFoundError:
        raise BundleError(f"{path.parent} is not a model bundle: it has no {SPEC_FILE}") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    except RecursionError:
        raise BundleError(f"{path} cannot be read: it is nested too deep") from None


def _check_named_weights(path: Path, weights: Any) -> None:
    """BundleError if the entry that names the weights file is not of its form."""
    types = {"file": str, "sha256": str, "bytes": int}
    if not isinstance(weights, dict) or any(
        not isinstance(weights.get(k), t) for k, t in types.items()
    ):
        raise BundleError(
            f"{path}: 'weights' must hold file, sha256 and bytes, not {shown(weights)}"
        )
    file = weights["file"]
    if Path(file).name != file or file in ("", ".", "..") or not file.isprintable():
        raise BundleError(
            f"{path}: weights file {shown(file)} must be a plain name inside the bundle"
        )


def check_tables(entries: Any, cell_types: Sequence[str]) -> list[dict[str, Any]]:
    """The entries of the expected tables, as they are; ModelError if one is not of its form. Those
    of a model of several cell types name one of them each, and all have tables of the same
    resolutions, since a map of one is made from the expected of all.
    """
    wanted: dict[str, type] = {"resolution": int, "bins": int, "trans": bool}
    if cell_types:
        wanted["cell_type"] = str
    if not isinstance(entries, list):
        raise ModelError(f"'expected' must be a list of tables, not {shown(entries)}")
    for entry in entries:
        if (
            not isinstance(entry, dict)
            or set(entry) != set(wanted)
            or any(type(entry[key]) is not kind for key, kind in wanted.items())
            or not 1 <= entry["resolution"] <= RESOLUTION[1]
            or not 1 <= entry["bins"] <= MOST_DISTANCES
            or (cell_types and entry["cell_type"] not in cell_types)
        ):
            raise ModelError(
                f"an expected table must have resolution (1 to {RESOLUTION[1]:,}), bins (1 to "
                f"{MOST_DISTANCES:,}) and trans (true or false)"
                + (f" and cell_type (one of {', '.join(cell_types)})" if cell_types else "")
                + f", not {shown(entry)}"
            )
    if len({(e["resolution"], e.get("cell_type")) for e in entries}) < len(entries):
        raise ModelError(f"two expected tables are of one resolution: {shown(entries)}")
    have = {c: sorted(e["resolution"] for e in entries if e["cell_type"] == c) for c in cell_types}
    for cell_type, own in have.items():
        if own != have[cell_types[0]]:
            raise ModelError(
                f"cell type {cell_type!r} has expected tables at {own} bp, {cell_types[0]!r} at "
                f"{have[cell_types[0]]} bp; they must be the same"
            )
    return entries


def add_digest(folder: Path) -> None:
    """Write the digest into the ``model.json`` of a sound bundle that has none."""
    path = folder / SPEC_FILE
    header = _read_json(path)
    if header.get("digest") is None:
        header["digest"] = numbers_digest(header)
        atomic_write(path, json.dumps(header, indent=1) + "\n")


def check_weights(folder: str | os.PathLike[str], header: Mapping[str, Any]) -> Path:
    """Path of the weights file, after its size and SHA-256 were compared with the header's;
    BundleError if they differ.
    """
    wanted = header["weights"]
    path = Path(folder) / wanted["file"]
    try:
        size = path.stat().st_size
        if size != wanted["bytes"]:
            state = "truncated" if size < wanted["bytes"] else "damaged"
            raise BundleError(f"{path} is {state}: {size} bytes, expected {wanted['bytes']}")
        found = sha256(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}") from error
    if found != wanted["sha256"]:
        raise BundleError(f"{path} is damaged: SHA-256 is {found}, expected {wanted['sha256']}")
    return path
