"""Averaged weights: what is validated and kept.

Sources: stochastic weight averaging (Izmailov et al. 2018), as in Zhou 2022, stage 1; exponential
averaging.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import nn

from orca_cool.train.batch import Batch
from orca_cool.train.net import StageNet
from orca_cool.train.settings import Stage


class Average:
    """The average of what a stage learns.

    Attributes
    ----------
    net : a copy of the stage's network that holds the average. count : steps that went into it.
    first : steps before the first that does.
    """

    def __init__(self, net: StageNet, stage: Stage):
        self.net = copy.deepcopy(net)
        self.kind, self.decay, self.norms = stage.average, stage.decay, stage.norms
        self.first = int(stage.average_from * stage.steps) if self.kind == "swa" else 0
        self.count = 0

    @property
    def begun(self) -> bool:
        return self.kind != "none" and self.count > 0

    @torch.no_grad()
    def update(self, net: StageNet, step: int) -> bool:
        """Take in the weights after ``step`` steps; False if it is too early for them.

        Running statistics are averaged as weights are, but where the averaged networks have their
        own (``norms: running``): those begin with what the network has when averaging begins.
        """
        if self.kind == "none" or step <= self.first:
            return False
        self.count += 1
        # an exponential average of few steps would remember the random start
        share = (
            1 / self.count if self.kind == "swa" else max(1 - self.decay, 10 / (self.count + 10))
        )
        mine, theirs = self.net.learning.state_dict(), net.learning.state_dict()
        weights = {name for name, _ in net.learning.named_parameters()}
        for name, a in mine.items():
            b = theirs[name]
            if self.norms == "running" and self.count > 1 and name not in weights:
                continue
            if a.is_floating_point():
                a.lerp_(b.to(a.dtype), share)
            else:
                a.copy_(b)
        return True


@torch.no_grad()
def recompute_norms(
    net: StageNet, batches: Iterable[Batch], reduce: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Running statistics of the learning batch norms as plain means over ``batches``: those of
    averaged weights are of no use.

    Frozen parts keep theirs. ``reduce`` averages over ranks.
    """
    norms = [m for m in net.learning.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # the cumulative mean
    net.train()
    for batch in batches:
        net(batch)
    net.eval()
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
        for stat in (m.running_mean, m.running_var):
            if stat is not None:
                stat.copy_(reduce(stat))


@torch.no_grad()
def share_norms(net: StageNet, reduce: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Running statistics of the learning batch norms as means over ranks; ``reduce`` takes them."""
    for m in net.learning.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            for stat in (m.running_mean, m.running_var):
                if stat is not None:
                    stat.copy_(reduce(stat))
