"""Wide 1-D convolutions with 5/9 of the multiplications: F(3, 3) of Winograd, three outputs of
three taps at a time.

Source: Lavin and Gray 2016, "Fast algorithms for convolutional neural networks" (there in two
dimensions); interpolation points 0, 1, -1, 2 and infinity. A kernel of 3 g taps is g such kernels
side by side, and tiles lie 3 apart as they do, so in the transformed domain it is a convolution of
g taps over tiles; other kernels get zeros as their last taps. Rounding errors stay at the level of
a direct float32 convolution (the root mean square grows by about 1.4).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Tiles of three positions at a time, so that the five transformed streams stay near the processor.
TILES = 3000

#: Of the kernel: taps to the five products of a tile.
_KERNEL = (
    (1 / 2, 0, 0),
    (-1 / 2, -1 / 2, -1 / 2),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 6, 1 / 3, 2 / 3),
    (0, 0, 1),
)


def transform(weight: Tensor) -> list[Tensor]:
    """Weight (out, in, 1, width) to five weights (out, in, 1, ceil(width / 3)), one for each
    product, channels-last, of its type.

    Give it float64 and convert the result, so that the transform adds no rounding of its own.
    """
    out, channels, _, width = weight.shape
    weight = F.pad(weight, (0, -width % 3))
    matrix = torch.tensor(_KERNEL, dtype=weight.dtype, device=weight.device)
    products = torch.einsum("jr,oigr->joig", matrix, weight.reshape(out, channels, -1, 3))
    return [p[:, :, None].contiguous(memory_format=torch.channels_last) for p in products]


def convolve(
    x: Tensor, weights: list[Tensor], bias: Tensor, width: int, relu: bool = False
) -> Tensor:
    """Valid convolution of ``x`` (1, in, 1, n), channels-last, with weights of :func:`transform`,
    of a kernel ``width`` wide.

    Returns
    -------
    (1, out, 1, n - width + 1), channels-last; with ``relu``, what is negative set to zero.
    """
    rows = x[0, :, 0].t()  # (n, in), contiguous
    groups = weights[0].shape[-1]
    length = len(rows) - width + 1
    tiles = -(-length // 3)
    out = x.new_empty(tiles, 3, len(bias))
    for first in range(0, tiles, TILES):
        count = min(TILES, tiles - first) + groups - 1
        part = rows[3 * first : 3 * count + 3 * first + 2]
        if len(part) < 3 * count + 2:
            part = F.pad(part, (0, 0, 0, 3 * count + 2 - len(part)))
        tile = out[first : first + TILES]
        _tiles(part, count, weights, bias, tile)
        if relu:
            tile.relu_()  # here, while it is near
    return _image(out.view(3 * tiles, -1)[:length])


def _tiles(x: Tensor, count: int, weights: list[Tensor], bias: Tensor, out: Tensor) -> None:
    """Outputs (tiles, 3, out) of ``count`` overlapping tiles, five rows each and three apart, of
    ``x`` (3 count + 2, in).
    """
    # Each of the five combinations of a tile's rows but one holds the factor x[i + 1] - 2 x[i],
    # taken once for all.
    step = torch.sub(x[1:], x[:-1], alpha=2)
    s0, s1, s2, s3 = (_every_third(step, i, count) for i in range(4))
    m0 = _product(s2 - s0, weights[0])
    m1 = _product(s1 + s2, weights[1], bias)  # the bias here reaches each of the three outputs once
    m2 = _product(s2 - s1, weights[2])
    m3 = _product(_every_third(x, 3, count) - _every_third(x, 1, count), weights[3])
    m4 = _product(s3 - s1, weights[4])
    both = m1 + m2
    torch.add(m0.add_(both), m3, out=out[:, 0])
    torch.add(m1.sub_(m2), m3, alpha=2, out=out[:, 1])
    torch.add(m4.add_(both), m3, alpha=4, out=out[:, 2])


def _every_third(x: Tensor, first: int, count: int) -> Tensor:
    return x[first : first + 3 * count - 2 : 3]


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.conv2d(_image(rows), weight, bias)[0, :, 0].t()


def _image(rows: Tensor) -> Tensor:
    """(n, channels) as (1, channels, 1, n), with the strides by which channels-last is recognized
    (``t()[None]`` has others).
    """
    return rows[None].permute(0, 2, 1)[:, :, None]
