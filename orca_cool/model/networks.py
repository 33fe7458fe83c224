"""Networks without weights, and weights put into them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

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


def fill(model: Orca, state: Mapping[str, torch.Tensor], source: object) -> None:
    """Put tensors into an empty model, in place; BundleError names ``source`` and the first tensors
    that do not fit.
    """
    expected = model.state_dict()
    same_names(
        source, {k for k in state if not is_counter(k)}, {k for k in expected if not is_counter(k)}
    )
    ready = {}
    for key, blank in expected.items():
        if is_counter(key):
            ready[key] = torch.zeros(
                (), dtype=torch.long
            )  # batches seen in training: inference never reads it
            continue
        tensor = state[key]
        if tensor.shape != blank.shape:
            raise BundleError(
                f"{source}: {key} has shape {tuple(tensor.shape)}, expected {tuple(blank.shape)}"
            )
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise BundleError(
                f"{source}: {key} holds values that are not finite numbers ({tensor.dtype})"
            )
        ready[key] = tensor.to(torch.float32).clone(memory_format=torch.contiguous_format)
    model.load_state_dict(ready, strict=True, assign=True)
    model.eval()


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
