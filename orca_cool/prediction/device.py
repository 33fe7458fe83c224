"""Where the networks run, and how many windows at once."""

from __future__ import annotations

import torch

from orca_cool.errors import DeviceError
from orca_cool.model.spec import ModelSpec

#: What a device is called.
DEVICES = "auto, cpu, cuda, cuda:N or mps"


def resolve_device(name: str) -> torch.device:
    """ "auto", "cpu", "cuda", "cuda:n" or "mps" to a device that exists; DeviceError otherwise.

    "auto" is a CUDA device or the CPU: on Apple's GPUs nothing has been measured yet.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device {name!r} is not understood; use {DEVICES}") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"device {name!r} is not supported; use {DEVICES}")
    if device.type == "mps" and (device.index or not torch.backends.mps.is_available()):
        raise DeviceError(f"device {name!r} was asked for: no Apple GPU here; use cpu or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {name!r} was asked for, but this machine has {torch.cuda.device_count()} "
            f"CUDA devices; use cpu or auto"
        )
    return device


def default_batch(spec: ModelSpec, device: torch.device) -> int:
    """Windows (times strands) decoded at once: two for each thread of a CPU, or what half of a
    GPU's memory holds (of an Apple GPU, of what it should take of the machine's); at most 64.

    It does not depend on what else is on the GPU: the same kind of GPU decodes the same batches,
    hence the same bits.
    """
    if device.type == "cpu":
        return 2 * torch.get_num_threads()
    width = (
        max(m.decoder.width for m in spec.modules if m.decoder)
        if any(m.decoder for m in spec.modules)
        else 64
    )
    one = 8 * 4 * width * spec.bins**2  # about eight maps of float32 at the widest
    if device.type == "mps":
        memory = torch.mps.recommended_max_memory()
    else:
        memory = torch.cuda.get_device_properties(device).total_memory
    return int(min(64, max(1, memory // 2 // one)))
