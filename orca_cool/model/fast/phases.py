"""Dilated convolutions in bfloat16 on a CPU, rows by phase.

What bfloat16 instructions are fed by falls behind where rows are far apart: a convolution of
dilation 64 takes ten times as long as one whose width alone is dilated. The rows of a map that
differ by multiples of the dilation ``d`` depend on each other alone, so each of the ``d`` phases is
a map of its own, whose rows lie close: rows are padded with zeros to a multiple of ``d``, (C, q d,
n) is read as (d, C, q, n), and the convolution is dilated by (1, d). The sums are the same, in
another order at most.

The zero rows stand for the padding that the map's own end would have. They are written again after
each convolution, which gives them its bias.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor


def fuses() -> bool:
    """True where oneDNN has bfloat16 convolutions of its own, which take their ReLU in."""
    operations = torch.ops.mkldnn
    return bool(
        torch.backends.mkldnn.is_available()
        and hasattr(operations, "_is_mkldnn_bf16_supported")
        and hasattr(operations, "_convolution_pointwise")
        and operations._is_mkldnn_bf16_supported()
    )


class PhaseConv:
    """A 3x3 convolution (padding = dilation), its batch norm folded in, of maps whose rows are read
    by phase.

    Parameters
    ----------
    weight : (out, channels, 3, 3). bias : (out,). dilation : of rows and columns.
    number : type of what is computed; sums are in float32.
    fused : the ReLU runs inside the convolution.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        dilation: int,
        number: torch.dtype = torch.bfloat16,
        fused: bool = False,
    ):
        self.weight = torch.empty(
            weight.shape, dtype=number, memory_format=torch.channels_last
        ).copy_(weight)
        self.bias = None if bias is None else bias.to(number)
        self.dilation, self.fused = dilation, fused

    def __call__(self, x: Tensor, relu: bool) -> Tensor:
        """(d, channels, q, n) to (d, out, q, n), channels last."""
        across = (1, self.dilation)
        if not self.fused:
            y = F.conv2d(x, self.weight, self.bias, padding=across, dilation=across)
            return y.relu_() if relu else y
        operation = torch.ops.mkldnn._convolution_pointwise
        attribute = "relu" if relu else "none"
        y = operation(x, self.weight, self.bias, across, (1, 1), across, 1, attribute, [None], "")
        return y.contiguous(memory_format=torch.channels_last)


class Rows:
    """A residual stream, (1, channels, n, n) float32, whose rows are read by phase and added to.

    Parameters
    ----------
    m : channels last; it is copied.
    dilations : of the convolutions to come.
    """

    def __init__(self, m: Tensor, dilations: Iterable[int]):
        self.n = m.shape[-1]
        rows = max(self._rows(d) for d in dilations)
        self._m = m.new_zeros(rows, self.n, m.shape[1])
        self._m[: self.n] = m[0].permute(1, 2, 0)

    @property
    def map(self) -> Tensor:
        """The stream as it is now, (1, channels, n, n), channels last; a view."""
        return self._m[: self.n].permute(2, 0, 1)[None]

    def add(self, pair: tuple[PhaseConv, PhaseConv], relu: bool) -> None:
        """Add two convolutions of the stream, each with a ReLU if ``relu``."""
        first, second = pair
        phases = self._phases(first.dilation)
        x = torch.empty(
            phases.shape, dtype=first.weight.dtype, memory_format=torch.channels_last
        ).copy_(phases)
        y = self._blanked(second(self._blanked(first(x, relu)), relu))
        phases.add_(y)

    def _rows(self, d: int) -> int:
        return -(-self.n // d) * d

    def _phases(self, d: int) -> Tensor:
        """(d, channels, q, n), a view."""
        rows = self._m[: self._rows(d)]
        return rows.unflatten(0, (-1, d)).permute(1, 3, 0, 2)

    def _blanked(self, y: Tensor) -> Tensor:
        """The same with zeros in rows beyond the map: the last ones of the last phases."""
        d = len(y)
        beyond = self._rows(d) - self.n
        if beyond:
            y[d - beyond :, :, -1] = 0
        return y
