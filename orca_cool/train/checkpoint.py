"""Checkpoints: everything a run needs to go on, in one safetensors file that is whole or not there.

Tensors are under ``model.``, ``average.``, ``best.`` and ``optimizer.``; the rest is JSON in the
file's metadata, with a SHA-256 over that and all tensors, so that a damaged file is an error and
never a silent restart.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from orca_cool.errors import OutputError, TrainingError
from orca_cool.files import atomic_path

FORMAT = "orca-cool-checkpoint"
#: In version 1 the checksum was over the tensors alone.
VERSION = 2
_NAME = re.compile(r"(\d{3})-(\d{9})\.safetensors")


def newest(folder: Path) -> Path | None:
    """The checkpoint that went furthest, None if there is none."""
    found = [
        (int(m[1]), int(m[2]), p)
        for p in folder.glob("*.safetensors")
        if (m := _NAME.fullmatch(p.name))
    ]
    return max(found)[2] if found else None


def write(
    folder: Path,
    stage: int,
    step: int,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    digest: str,
    keep: int,
) -> Path:
    """Write the checkpoint of a step, then remove all but the ``keep`` newest."""
    plain = {k: v.detach().to("cpu").contiguous().clone() for k, v in tensors.items()}
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "digest": digest,
        "state": dict(state),
    }
    header = json.loads(json.dumps(header))  # as it will be read
    header["sha256"] = _sum(plain, header)
    target = folder / f"{stage:03d}-{step:09d}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as temporary:
            save_file(plain, temporary, metadata={"orca_cool": json.dumps(header)})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"checkpoint {str(target)!r} cannot be written: {error}") from error
    old = sorted(p for p in folder.glob("*.safetensors") if _NAME.fullmatch(p.name))[:-keep]
    for p in old:
        p.unlink(missing_ok=True)
    return target


def read(path: Path, digest: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state of a checkpoint.

    Raises
    ------
    TrainingError
        If it cannot be read, is damaged, of another format or of another configuration.
    """
    hint = "remove it to go on from the one before, or start in another folder"
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("orca_cool", "{}"))
            tensors = {k: file.get_tensor(k) for k in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise TrainingError(f"checkpoint {str(path)!r} cannot be read ({error}); {hint}") from error
    if header.get("format") != FORMAT or header.get("version") not in (1, VERSION):
        raise TrainingError(
            f"{str(path)!r} is no checkpoint of this version ({header.get('format')!r} "
            f"{header.get('version')!r}); {hint}"
        )
    found = header.pop("sha256", None)
    if found != _sum(tensors, header if header["version"] > 1 else {}):
        raise TrainingError(
            f"checkpoint {str(path)!r} is damaged: it does not have the checksum that it was "
            f"written with; {hint}"
        )
    if header.get("digest") != digest:
        raise TrainingError(
            f"checkpoint {str(path)!r} belongs to another configuration ({header.get('digest')}, "
            f"this one is {digest}); "
            "restore the configuration, or start in another folder"
        )
    return tensors, header["state"]


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose names begin with ``prefix`` and a dot, without it."""
    return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}


def pack_optimizer(
    optimizer: torch.optim.Optimizer,
) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """State of an optimiser as named tensors and plain parameter groups."""
    state = optimizer.state_dict()
    tensors = {
        f"optimizer.{i}.{k}": torch.as_tensor(v)
        for i, entry in state["state"].items()
        for k, v in entry.items()
        if v is not None
    }
    return tensors, state["param_groups"]


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Inverse of :func:`pack_optimizer`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in under(tensors, "optimizer").items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _sum(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    """SHA-256 of tensors, and of a header unless it is empty."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode() if header else b"")
    for key in sorted(tensors):
        t = tensors[key].contiguous()
        digest.update(f"{key} {t.dtype} {tuple(t.shape)}".encode())
        digest.update(t.reshape(-1).view(torch.uint8).numpy().data if t.numel() else b"")
    return digest.hexdigest()
