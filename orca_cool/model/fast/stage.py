"""Stages of the fast encoder: batch norms folded, linear pairs collapsed, wide convolutions by
Winograd on the CPU.

Tensors are (batch, channels, 1, positions), channels-last. Each side of an array is either a true
end of the sequence, where every convolution pads its own input with zeros, or it is not, and every
convolution shortens it by half its width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from orca_cool.model.encoder import Encoder
from orca_cool.model.fast import winograd
from orca_cool.model.fast.fold import folded

#: Fewest channels, in and out, from which Winograd's additions cost less than the multiplications
#: that they save.
MANY = 64


@dataclass(frozen=True)
class FastConv:
    """A convolution with its batch norm: weight (out, in, 1, width), bias (out,); ``products``: of
    the transformed kernel.
    """

    weight: Tensor
    bias: Tensor
    products: list[Tensor] | None = None

    @property
    def half(self) -> int:
        return self.weight.shape[-1] // 2

    @property
    def work(self) -> float:
        """Multiplications per output position."""
        return (
            self.weight.numel()
            if self.products is None
            else sum(p.numel() for p in self.products) / 3
        )

    def __call__(self, x: Tensor, left: bool, right: bool, relu: bool = False) -> Tensor:
        """Valid, or padded with zeros where the array ends with the sequence."""
        if left or right:
            x = F.pad(x, (self.half * left, self.half * right))
        if self.products is not None and len(x) == 1:
            return winograd.convolve(x, self.products, self.bias, self.weight.shape[-1], relu)
        y = F.conv2d(x, self.weight, self.bias)
        return y.relu_() if relu else y


@dataclass(frozen=True)
class FastStage:
    """One stage; ``pair`` one by one at true ends, else ``whole``, and for the first stage
    ``ahead`` in place of ``first``.
    """

    pair: tuple[FastConv, FastConv]
    whole: FastConv | None
    ahead: FastConv | None
    first: FastConv
    second: FastConv
    add: bool

    def __call__(self, x: Tensor, left: bool, right: bool) -> Tensor:
        inside = not left and not right
        if inside and self.whole is not None:
            linear = self.whole(x, False, False)
        else:
            linear = self.pair[1](self.pair[0](x, left, right), left, right)
        if inside and self.ahead is not None:
            y = self.ahead(x, False, False, relu=True)
        else:
            y = self.first(linear, left, right, relu=True)
        y = self.second(y, left, right, relu=True)
        if self.add:
            cut = 2 * self.first.half
            y += crop(linear, 0 if left else cut, 0 if right else cut)
        return y


def crop(x: Tensor, left: int, right: int) -> Tensor:
    """``x`` without that many positions of its sides."""
    return x[..., left : x.shape[-1] - right]


def _collapse(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The one convolution, (out, in, width), that equals ``a`` followed by ``b``."""
    (wa, ba), (wb, bb) = a, b
    width = wa.shape[-1]
    weight = wa.new_zeros(len(wb), wa.shape[1], width + wb.shape[-1] - 1)
    for j in range(wb.shape[-1]):
        weight[:, :, j : j + width] += torch.einsum("cb,bai->cai", wb[:, :, j], wa)
    return weight, wb.sum(-1) @ ba + bb


def fast_stages(
    encoder: Encoder, device: torch.device, number: torch.dtype, mirrored: bool
) -> list[FastStage]:
    """Every stage of an encoder, folded and collapsed; weights are worked out in float64 and then
    of type ``number``.

    ``mirrored``: of the network that reads the forward strand and gives the encodings of the other,
    in forward order of bins.
    """

    def conv(pair: tuple[Tensor, Tensor]) -> FastConv:
        exact = pair[0][:, :, None]
        weight = exact.to(device, number).contiguous(memory_format=torch.channels_last)
        # Winograd's sums of inputs are too much for the 8 bits of bfloat16
        slow = device.type == "cpu" and number == torch.float32
        direct = not slow or min(exact.shape[:2]) < MANY
        products = None if direct else [p.to(device, number) for p in winograd.transform(exact)]
        return FastConv(weight, pair[1].to(device, number), products)

    stages = []
    for s in range(1, len(encoder.spec.widths) + 1):
        a, b = folded(getattr(encoder, f"lconv{s}"))
        c, d = folded(getattr(encoder, f"conv{s}"))
        if mirrored:
            a, b, c, d = ((w.flip(-1), bias) for w, bias in (a, b, c, d))
        if mirrored and s == 1:
            a = a[0].flip(1), a[1]  # A with T, C with G
        whole = _collapse(a, b)
        one, two = conv(whole), (conv(a), conv(b))
        saves = one.work <= two[0].work + two[1].work
        stages.append(
            FastStage(
                pair=two,
                whole=one if saves else None,
                ahead=conv(_collapse(whole, c)) if s == 1 else None,
                first=conv(c),
                second=conv(d),
                add=s < len(encoder.spec.widths),
            )
        )
    return stages
