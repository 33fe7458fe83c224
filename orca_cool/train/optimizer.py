"""Optimiser and learning rate of a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from orca_cool.train.settings import Stage


def make_optimizer(stage: Stage, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """SGD with momentum (Zhou 2022), or AdamW."""
    if stage.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=stage.lr, momentum=stage.momentum, weight_decay=stage.weight_decay
        )
    return torch.optim.AdamW(
        parameters, lr=stage.lr, weight_decay=stage.weight_decay, betas=(0.9, 0.98)
    )


def make_schedule(stage: Stage, optimizer: torch.optim.Optimizer) -> Any:
    """Of the learning rate: stepped at validations (plateau), at steps (onecycle), or None."""
    if stage.schedule == "plateau":
        return torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=stage.factor,
            patience=stage.plateau,
            threshold=stage.threshold,
        )
    if stage.schedule == "onecycle":
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, stage.lr, total_steps=stage.steps + 1, pct_start=0.15
        )
    return None


def plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a schedule's state that are numbers, text or lists."""
    return {
        k: v for k, v in state.items() if isinstance(v, (int, float, str, bool, list, type(None)))
    }
