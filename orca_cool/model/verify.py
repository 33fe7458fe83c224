"""Whether a model's files are what its networks need: which are there, their digests, and the names
and shapes of their tensors. What is found is told, not only the first thing that is wrong.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from orca_cool.errors import BundleError, FetchError, ModelError
from orca_cool.files import sha256
from orca_cool.genome.regions import few
from orca_cool.model.fetch import tar_problem, unpack
from orca_cool.model.header import check_weights, read_header
from orca_cool.model.import_orca import ACCESSIONS, files_of, import_one
from orca_cool.model.networks import empty_model, is_counter
from orca_cool.model.orca_spec import orca_spec
from orca_cool.model.released_files import hg38, profiles_in, read_networks, read_statedict
from orca_cool.model.spec import ModelSpec

#: Fields of a specification that decide which networks there are.
_NETWORKS = ("bins", "encoder", "pyramids", "base_decoder", "modules", "profile_width")

Shapes = Mapping[str, Sequence[int]]


def compare_tensors(found: Shapes, wanted: Shapes) -> dict[str, Any]:
    """Tensors by name and shape, held against those that networks have.

    Returns
    -------
    JSON-able: ``found``, ``wanted``, their numbers; ``missing``, ``unexpected``, names;
    ``shapes``, by name the two shapes where they differ; ``sha256`` of the names and shapes that
    were found, in the order of their names.
    """
    text = "".join(f"{name} {list(found[name])}\n" for name in sorted(found))
    return {
        "found": len(found),
        "wanted": len(wanted),
        "missing": sorted(set(wanted) - set(found)),
        "unexpected": sorted(set(found) - set(wanted)),
        "shapes": {
            name: {"found": list(found[name]), "wanted": list(wanted[name])}
            for name in sorted(set(found) & set(wanted))
            if tuple(found[name]) != tuple(wanted[name])
        },
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def shapes_of(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """The shapes of a specification's tensors by name, without counters of training."""
    state = empty_model(spec).state_dict()
    return {k: tuple(v.shape) for k, v in state.items() if not is_counter(k)}


def verify_bundle(folder: Path) -> dict[str, Any]:
    """What a model folder holds.

    Returns
    -------
    JSON-able: ``kind``, ``files``, ``missing_files``, ``tensors`` (:func:`compare_tensors`),
    ``architecture`` (:func:`compare_with_released`).

    Raises
    ------
    BundleError
        If its header or its weights are damaged.
    """
    header = read_header(folder)
    weights = check_weights(folder, header)
    try:
        with safe_open(weights, framework="pt") as file:
            found = {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{weights} is not a sound safetensors file: {error}") from error
    tables = {k for k in found if k.startswith(("expected.", "background."))}
    spec: ModelSpec = header["spec"]
    networks = {k: v for k, v in found.items() if k not in tables}
    return {
        "kind": "model folder",
        "files": [_about(weights, {"sha256": header["weights"]["sha256"], "tensors": len(found)})],
        "missing_files": [],
        "tensors": compare_tensors(networks, shapes_of(spec)),
        "architecture": compare_with_released(spec),
    }


def name_of(folder: Path) -> str:
    """The name that a model folder gives itself."""
    spec: ModelSpec = read_header(folder)["spec"]
    return spec.name


def compare_with_released(spec: ModelSpec) -> dict[str, Any]:
    """Whether the networks are those of the released model of the same name.

    Returns
    -------
    JSON-able: ``released``, the name, None if there is no such model; ``differs``, the parts of the
    specification that are others.
    """
    if spec.name not in ACCESSIONS:
        return {"released": None, "differs": []}
    modules = tuple(m.name for m in spec.modules)
    try:
        wanted = orca_spec(spec.name, modules=modules, profiles=len(spec.profiles))
    except ModelError:  # a module that the released model does not have
        return {"released": spec.name, "differs": ["modules"]}
    differs = [f for f in _NETWORKS if getattr(spec, f) != getattr(wanted, f)]
    return {"released": spec.name, "differs": differs}


def is_released(source: Path) -> bool:
    """Whether a path is the folder of the released files, or a tar."""
    return (source / "models").is_dir() or (source.is_file() and source.suffix != ".zip")


def unpacked(source: Path, folder: Path) -> Path:
    """The folder of the released files: ``source``, or ``folder``, into which a tar is unpacked.

    Raises
    ------
    FetchError
        If it is no sound tar.
    """
    if source.is_dir():
        return source
    try:
        unpack(source, folder)
    except (tarfile.TarError, EOFError, ValueError, OSError) as error:
        raise FetchError(f"{source} is not a sound tar archive: {tar_problem(error)}") from error
    return folder


def released_name(folder: Path, name: str | None) -> str:
    """The released model that is meant; ModelError if that is not certain."""
    if name is not None:
        if name not in ACCESSIONS:
            raise ModelError(f"unknown released model {name!r}; known: {', '.join(ACCESSIONS)}")
        return name
    there = [n for n in ACCESSIONS if (folder / f"models/orca_{n}.net0.statedict").is_file()]
    if len(there) != 1:
        have = f"holds {', '.join(there)}" if there else f"holds none of {', '.join(ACCESSIONS)}"
        raise ModelError(f"{folder} {have}; say with --name which is to be verified")
    return there[0]


def verify_released(folder: Path, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the folder of the released files holds of a model.

    Returns
    -------
    As of :func:`verify_bundle`, and the modules whose files are all there.

    Raises
    ------
    BundleError
        If a file is damaged, or no module is complete.
    """
    needs = files_of(name)
    every = list(dict.fromkeys(f for files in needs.values() for f in files))
    missing = [f for f in every if not (folder / f).is_file()]
    modules = tuple(m for m, files in needs.items() if not set(missing) & set(files))
    if not modules:
        raise BundleError(f"{folder} lacks {len(missing)} file(s): {few(missing, 12)}")
    stem = folder / "models" / f"orca_{name}"
    net0 = read_statedict(f"{stem}.net0.statedict")
    profiles = 0 if name == "hctnoc" else profiles_in(net0)
    spec = orca_spec(name, modules=modules, profiles=profiles, assemblies=hg38())
    state = read_networks(stem, spec, net0)
    found = {k: tuple(v.shape) for k, v in state.items() if not is_counter(k)}
    odd = sorted(k for k, v in state.items() if not bool(torch.isfinite(v).all()))
    return {
        "kind": "released files",
        "files": [_about(folder / f) for f in every if f not in missing],
        "missing_files": missing,
        "modules": list(modules),
        "tensors": compare_tensors(found, shapes_of(spec)) | {"not_finite": odd},
        "architecture": compare_with_released(spec),
    }, modules


def bundle_of(folder: Path, name: str, modules: tuple[str, ...], out: Path) -> Path:
    """The bundle of the complete modules of a released model, in ``out``."""
    return import_one(folder, name, modules, out / name, False)


def is_sound(found: Mapping[str, Any]) -> bool:
    """Whether the networks can be made from what was found. Tensors that are too many are no harm
    in the released files, whose own programs leave them out.
    """
    tensors, architecture = found["tensors"], found["architecture"]
    too_many = tensors["unexpected"] if found["kind"] == "model folder" else []
    wrong = (tensors["missing"], tensors["shapes"], tensors.get("not_finite"), too_many)
    return not any(wrong) and not architecture["differs"]


def _about(path: Path, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Name, size and digest of a file."""
    about = {"name": path.name, "bytes": path.stat().st_size}
    return about | dict(known or {"sha256": sha256(path)})
