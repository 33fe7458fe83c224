"""The convolutions of a fast decoder, batch norms folded in."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Conv:
    """A 3x3 convolution (padding = dilation) or a 1x1 one, its batch norm folded in."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        dilation: int,
        device: torch.device,
        dtype: torch.dtype,
    ):
        # Not contiguous(memory_format=...), which leaves a kernel of one channel as it is: its
        # convolution is then many times slower.
        self.weight = torch.empty(
            weight.shape, device=device, dtype=dtype, memory_format=torch.channels_last
        ).copy_(weight)
        self.bias = None if bias is None else bias.to(device, dtype)
        self.dilation = dilation
        self.padding = dilation * (weight.shape[-1] // 2)

    def __call__(self, m: Tensor) -> Tensor:
        return F.conv2d(
            m.to(self.weight.dtype),
            self.weight,
            self.bias,
            padding=self.padding,
            dilation=self.dilation,
        )


class Head:
    """A 3x3 convolution of ``x_i + x_j`` (no bias), always in float32.

    Away from the border it is ``u_i + v_j``: ``u`` convolves x with the kernel summed over j's
    taps, ``v`` with the kernel summed over i's. Within ``dilation`` of a border a tap falls on
    padding, which is zero for *both* x_i and x_j: in these columns ``u`` loses the kernel's first
    (left border) or last column (right border), likewise ``v`` in these rows. The two losses are
    independent of each other, so that three edge classes a side come from two corrections, for any
    ``n``.
    """

    def __init__(self, weight: Tensor, dilation: int, device: torch.device):
        first_column, last_column, first_row, last_row = (
            weight[..., 0],
            weight[..., 2],
            weight[:, :, 0],
            weight[:, :, 2],
        )
        parts = [weight.sum(3), first_column, last_column, weight.sum(2), first_row, last_row]
        self.weight = torch.cat(parts).to(device, torch.float32)
        self.dilation = dilation

    def __call__(self, x: Tensor) -> Tensor:
        """Encodings (b, channels, n) to (b, n, n, out)."""
        d, n = self.dilation, x.shape[-1]
        y = (
            F.conv1d(x, self.weight, padding=d, dilation=d)
            .unflatten(1, (6, -1))
            .permute(1, 0, 3, 2)
            .contiguous()
        )
        u, u_first, u_last = y[:3, :, :, None]
        v, v_first, v_last = y[3:, :, None]
        m = u + v
        m[:, :, :d] -= u_first
        m[:, :, max(n - d, 0) :] -= u_last
        m[:, :d] -= v_first
        m[:, max(n - d, 0) :] -= v_last
        return m
