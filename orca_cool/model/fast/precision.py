"""In what precision convolutions run, whatever is set outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def convolutions(device: torch.device, tf32: bool, fixed: bool = False) -> Iterator[None]:
    """Convolutions of float32 tensors in full float32 or in TF32, whatever is set outside; the
    settings are put back.

    cuDNN takes TF32 by default, and a caller may have autocast on: neither may reach a float32
    network. The settings are the process's, so this is for one thread at a time.

    Parameters
    ----------
    fixed : no choice of algorithms by their time, which would change bits from run to run.
    """
    cudnn: Any = torch.backends.cudnn
    # PyTorch >= 2.9 has a setting of its own for convolutions (and refuses a mixture of both); the
    # older one is of recurrent ones too
    newer = hasattr(cudnn, "conv")
    settings: list[tuple[object, str, object]] = (
        [(cudnn.conv, "fp32_precision", "tf32" if tf32 else "ieee")] if newer else []
    )
    if not newer:
        settings = [(cudnn, "allow_tf32", tf32)]
    if fixed:
        settings += [(cudnn, "benchmark", False), (cudnn, "deterministic", True)]
    before = [getattr(holder, name) for holder, name, _ in settings]
    for holder, name, value in settings:
        setattr(holder, name, value)
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for (holder, name, _), value in zip(settings, before):
            setattr(holder, name, value)
