"""What approximate number types cost, told when they are used and kept from run to run.

A check decodes a window of each level twice, in the approximate type and in float32. What it finds
belongs to the model, the types and the processor, so it is made once for each, and kept in the
user's cache folder with a digest of itself. What is damaged there is measured again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from orca_cool import __version__
from orca_cool.errors import OrcaCoolError
from orca_cool.files import atomic_write, cache_folders, check_format
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.windows import Window

FORMAT, VERSION = "orca-cool-approximation", 1

#: By "encoder", or a level's resolution: Pearson's r, and the largest difference in standard
#: deviations, against float32.
Errors = dict[str, tuple[float, float]]


def told_errors(
    engine: Engine, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
) -> list[str]:
    """A line for each approximation of an engine: what it costs, measured on one window of each
    level, now or in an earlier run. Nothing where all is float32.

    Parameters
    ----------
    levels : one root's part of a plan (:func:`orca_cool.prediction.windows.by_root`).
    """
    if engine.dtype == "float32" and engine.encoder_dtype == "float32":
        return []
    about = _about(engine, module, levels)
    found = _kept(about)
    if found is not None:
        chrom, errors = found
        where = f"one window of {chrom}, measured in an earlier run"
    else:
        errors, where = (
            engine.approximation_error(module, chrom, levels),
            f"one window of {chrom}",
        )
        _keep(about, chrom, errors)
    lines = []
    for part, (r, largest) in errors.items():
        kind = f"{engine.dtype} decoders, {part} bp"
        if part == "encoder":
            kind = f"{engine.encoder_dtype} encoder"
        lines.append(
            f"{kind}: r {r:.6f}, at most {largest:.2g} standard deviations off float32 ({where})"
        )
    return lines


def _about(
    engine: Engine, module: ModuleSpec, levels: Sequence[Sequence[Window]]
) -> dict[str, Any]:
    """What errors depend on. The maps of all cell types are compared, whichever is wanted."""
    numerics = engine.numerics
    device = numerics.get("device", "cpu")
    return {
        "orca_cool": __version__,
        "model_digest": engine.digest,
        "module": module.name,
        "levels": [level[0].resolution for level in levels if level],
        "dtype": engine.dtype,
        "encoder_dtype": engine.encoder_dtype,
        "device": device,
        "processor": torch.cuda.get_device_name() if device == "cuda" else processor(),
        "torch": torch.__version__,
    }


def processor() -> str:
    """The processor's name, and which of its instructions convolutions may use."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    return " ".join(filter(None, (name, torch.backends.cpu.get_cpu_capability(), limit)))


def _name(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32] + ".json"


def _digest(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _kept(about: dict[str, Any]) -> tuple[str, Errors] | None:
    """Chromosome and errors of an earlier run; None if there are none, or damaged ones."""
    for folder in cache_folders("approximation"):
        try:
            if folder.stat().st_uid != os.getuid():
                continue  # a folder for all users has anybody's files
            path = folder / _name(about)
            data = json.loads(path.read_bytes())
            check_format(data, FORMAT, VERSION, path, OrcaCoolError)
            if data.pop("sha256") != _digest(data) or data["about"] != about:
                continue
            errors = {str(part): (float(r), float(d)) for part, (r, d) in data["errors"].items()}
            return str(data["chrom"]), errors
        except (OSError, ValueError, TypeError, KeyError, OrcaCoolError):
            continue
    return None


def _keep(about: dict[str, Any], chrom: str, errors: Errors) -> None:
    """Keep errors where that is possible."""
    if not all(math.isfinite(number) for pair in errors.values() for number in pair):
        return  # such as of a window of N alone
    data = {
        "format": FORMAT,
        "version": VERSION,
        "about": about,
        "chrom": chrom,
        "errors": {part: list(pair) for part, pair in errors.items()},
    }
    data["sha256"] = _digest(data)
    for folder in cache_folders("approximation"):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid == os.getuid():
                atomic_write(folder / _name(about), json.dumps(data))
                return
