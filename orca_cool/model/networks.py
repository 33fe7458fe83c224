"""Networks without weights, and weights put into them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from orca_cool.errors import BundleError, ModelError
from orca_cool.model.cascade import Orca
from orca_cool.model.spec import ModelSpec


def reduce_spec(spec: ModelSpec, modules: Sequence[str]) -> ModelSpec:
    """The specification with only some modules, and only the networks that they need."""
    wanted = {spec.module(name).name for name in modules}
    kept = tuple(m for m in spec.modules if m.name in wanted)
    used = {p for m in kept for p in m.pyramids}
    return dataclasses.replace(
        spec,
        modules=kept,
        pyramids={k: p for k, p in spec.pyramids.items() if k in used},
        base_decoder=spec.base_decoder if any(m.base_decoder for m in kept) else None,
    )


def empty_model(spec: ModelSpec) -> Orca:
    """The networks of a specification without storage ("meta" device): names and shapes, no random
    draws.
    """
    try:
        with torch.device("meta"):
            return Orca(spec).eval()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # a module called "keys"
        raise ModelError(f"model {spec.name!r} cannot be made: {error}") from error


def fill(
    model: Orca, state: Mapping[str, torch.Tensor], source: object, *, copy: bool = True
) -> None:
    """Put tensors into an empty model, in place; BundleError names ``source`` and the first tensors
    that do not fit.

    Parameters
    ----------
    copy : False if nobody else holds the tensors: those of float32 become the model's own.
    """
    expected = model.state_dict()
    same_names(
        source, {k for k in state if not is_counter(k)}, {k for k in expected if not is_counter(k)}
    )
    ready = {}
    for key, blank in expected.items():
        if is_counter(key):
            # batches seen in training: inference never reads it
            ready[key] = torch.zeros((), dtype=torch.long)
            continue
        tensor = state[key]
        if tensor.shape != blank.shape:
            raise BundleError(
                f"{source}: {key} has shape {tuple(tensor.shape)}, expected {tuple(blank.shape)}"
            )
        if not tensor.is_floating_point() or not _is_finite(tensor):
            raise BundleError(
                f"{source}: {key} holds values that are not finite numbers ({tensor.dtype})"
            )
        tensor = tensor.to(torch.float32)
        ready[key] = tensor.clone(memory_format=torch.contiguous_format) if copy else tensor
    # names and shapes are known to fit: load_state_dict, which looks at them again, takes longer
    # than all of the above
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        for name, parameter in list(module.named_parameters(recurse=False)):
            own = torch.nn.Parameter(ready[prefix + name], parameter.requires_grad)
            setattr(module, name, own)
        for name, _ in list(module.named_buffers(recurse=False)):
            setattr(module, name, ready[prefix + name])
    model.eval()


def _is_finite(tensor: torch.Tensor) -> bool:
    """Whether all values are finite numbers."""
    if tensor.dtype == torch.float32:  # numpy calls take a third of the time of torch's
        return bool(np.isfinite(tensor.numpy()).all())
    return bool(torch.isfinite(tensor).all())


def is_counter(key: str) -> bool:
    """Whether a tensor counts batches seen in training: inference never reads it."""
    return key.endswith("num_batches_tracked")


def same_names(source: object, found: set[str], expected: set[str]) -> None:
    """BundleError that names ``source`` and the first tensors that are missing or too many."""

    def few(names: Iterable[str]) -> str:
        names = sorted(names)
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    if expected - found:
        raise BundleError(f"{source} lacks tensors: {few(expected - found)}")
    if found - expected:
        raise BundleError(f"{source} holds unexpected tensors: {few(found - expected)}")
