"""Batch norm folded into the convolution before it: one multiplication less, equal to float
rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def fold(conv: nn.Module, norm: nn.Module | None = None) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution followed by a batch norm in eval mode; worked out in
    float64.

    Returns
    -------
    weight, bias : float64, shaped as the convolution's.
    """
    assert isinstance(conv, nn.Conv1d | nn.Conv2d)
    if conv.weight.device.type == "mps":  # which has no float64
        conv, norm = copy.deepcopy(conv).cpu(), None if norm is None else copy.deepcopy(norm).cpu()
        assert isinstance(conv, nn.Conv1d | nn.Conv2d)
    weight = conv.weight.detach().double()
    bias = (
        torch.zeros(len(weight), dtype=torch.float64, device=weight.device)
        if conv.bias is None
        else conv.bias.detach().double()
    )
    if norm is None:
        return weight, bias
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shape = (-1,) + (1,) * (weight.ndim - 1)
    return weight * scale.view(shape), (
        bias - norm.running_mean.double()
    ) * scale + norm.bias.detach().double()


def folded(modules: Iterable[nn.Module]) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of every convolution of a sequence, each with the batch norm that follows
    it, if one does.
    """
    found: list[tuple[Tensor, Tensor]] = []
    before: nn.Module | None = None
    for module in modules:
        if isinstance(before, nn.Conv1d | nn.Conv2d):
            found.append(
                fold(
                    before, module if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) else None
                )
            )
        before = module
    if isinstance(before, nn.Conv1d | nn.Conv2d):
        found.append(fold(before))
    return found
