"""PyTorch's layers, which draw no starting weights where there is no storage for them.

Networks that are about to be filled from a file are made on the "meta" device, where drawing
changes nothing but costs more than half of the time of making them.
"""

from __future__ import annotations

from torch import nn


class Conv1d(nn.Conv1d):
    """As :class:`torch.nn.Conv1d`."""

    def reset_parameters(self) -> None:
        """Draw starting weights, where there is storage."""
        if not self.weight.is_meta:
            super().reset_parameters()


class Conv2d(nn.Conv2d):
    """As :class:`torch.nn.Conv2d`."""

    def reset_parameters(self) -> None:
        """Draw starting weights, where there is storage."""
        if not self.weight.is_meta:
            super().reset_parameters()


class BatchNorm1d(nn.BatchNorm1d):
    """As :class:`torch.nn.BatchNorm1d`."""

    def reset_parameters(self) -> None:
        """Set weights and running statistics, where there is storage."""
        if not self.weight.is_meta:
            super().reset_parameters()


class BatchNorm2d(nn.BatchNorm2d):
    """As :class:`torch.nn.BatchNorm2d`."""

    def reset_parameters(self) -> None:
        """Set weights and running statistics, where there is storage."""
        if not self.weight.is_meta:
            super().reset_parameters()
