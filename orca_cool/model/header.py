"""The header of a model bundle (``model.json``): read and checked without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orca_cool.errors import BundleError, ModelError
from orca_cool.files import check_format, sha256
from orca_cool.model.spec import ModelSpec

FORMAT = "orca-cool-model"
#: Version 2 calls "expected" what version 1 called "background", and "multi_chromosome" what it
#: called "assembly"; both are read.
VERSION = 2
SPEC_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"


def is_bundle(folder: str | os.PathLike[str]) -> bool:
    """True if the folder looks like a bundle (has a ``model.json``)."""
    return (Path(folder) / SPEC_FILE).is_file()


def read_header(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """``model.json`` of a bundle, its format and version checked, with ``spec`` as a
    :class:`ModelSpec`.

    Raises
    ------
    BundleError
        If the file is missing, is not JSON, is of another format or of a newer version.
    """
    path = Path(folder) / SPEC_FILE
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{folder} is not a model bundle: it has no {SPEC_FILE}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    version = check_format(header, FORMAT, VERSION, path, BundleError)
    if version == 1:
        header["expected"] = header.pop("backgrounds", None)
    missing = [key for key in ("spec", "weights", "expected") if header.get(key) is None]
    if missing:
        raise BundleError(f"{path} lacks {', '.join(missing)}")
    weights = header["weights"]
    types = {"file": str, "sha256": str, "bytes": int}
    if not isinstance(weights, dict) or any(
        not isinstance(weights.get(k), t) for k, t in types.items()
    ):
        raise BundleError(f"{path}: 'weights' must hold file, sha256 and bytes, not {weights!r}")
    if Path(weights["file"]).name != weights["file"] or weights["file"] in ("", ".", ".."):
        raise BundleError(
            f"{path}: weights file {weights['file']!r} must be a plain name inside the bundle"
        )
    try:
        header["spec"] = ModelSpec.from_json(header["spec"])
        tables = header["expected"]
        header["expected"] = [
            {"resolution": int(b["resolution"]), "bins": int(b["bins"]), "trans": bool(b["trans"])}
            for b in tables
        ]
    except ModelError as error:
        raise BundleError(f"{path}: {error}") from error
    except (TypeError, KeyError, ValueError) as error:
        raise BundleError(
            f"{path}: specification or expected tables not understood: {error!r}"
        ) from error
    return header


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
