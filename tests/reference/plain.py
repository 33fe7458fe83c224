"""The plain reference: Orca's prediction as the paper describes it, in its simplest form. Slow;
what every fast path must equal.

Nothing is shared between windows, nothing is folded, re-ordered or stored: the encoder runs over
800 kb blocks with 112 kb of sequence on both sides ("horizontal checkpointing", Zhou 2022,
Methods), the networks are the modules that are trained. :func:`decoder`, :func:`encoder` and
:func:`pyramid` do without these too: they compute from the named tensors of a state dict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from orca_cool.genome.source import one_hot, reverse_complement
from orca_cool.model.cascade import Orca, flip_map, mirror
from orca_cool.model.encoder import Encoder
from orca_cool.model.network_spec import ModuleSpec


@torch.inference_mode()
def encode(encoder: Encoder, codes: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """(width, bins) encodings of uint8 codes that end where they end: zero padding there, as in one
    pass of the network.
    """
    spec = encoder.spec
    parts = []
    for a in range(0, len(codes), spec.block):
        b = min(a + spec.block, len(codes))
        left, right = min(spec.flank, a), min(spec.flank, len(codes) - b)
        y = encoder(one_hot(codes[a - left : b + right], device)[None])[0]
        parts.append(y[:, left // spec.base_bin : y.shape[-1] - right // spec.base_bin].clone())
    return torch.cat(parts, dim=-1)


def one_strand(
    model: Orca,
    module: ModuleSpec,
    base: Tensor,
    distances: dict[int, Tensor],
    starts: dict[int, int],
) -> dict[int, Tensor]:
    """One zoom: a single window at every level, each inside the one before.

    Parameters
    ----------
    base : (batch, width, n) base encodings of the top window.
    distances : by resolution, (1 or batch, maps, bins, bins) log expected of that level's window,
        of each cell type.
    starts : by resolution, first bin of the window counted in that resolution's bins from the start
        of the top window.

    Returns
    -------
    By resolution, (batch, maps, bins, bins).
    """
    n = model.spec.bins
    encodings = model.encodings(module, base)
    maps: dict[int, Tensor] = {}
    parent: int | None = None
    for resolution in module.resolutions:
        start = starts[resolution]
        coarse = None
        if parent is not None:
            first = start // 2 - starts[parent]
            coarse = maps[parent][:, :, first : first + n // 2, first : first + n // 2]
        maps[resolution] = model.decode(
            module,
            resolution,
            encodings[resolution][..., start : start + n],
            distances[resolution],
            coarse,
        )
        parent = resolution
    return maps


@torch.inference_mode()
def zoom(
    model: Orca,
    module: ModuleSpec,
    codes: np.ndarray,
    distances: dict[int, Tensor],
    starts: dict[int, int],
    number: int = 0,
) -> dict[int, Tensor]:
    """One zoom over the sequence of a top window, both strands averaged.

    Parameters
    ----------
    codes : uint8 codes of the top window.
    distances : by resolution, (1, maps, bins, bins) log expected, the same on both strands (one
        chromosome).
    starts : by resolution, first bin of the level's window counted from the top window's start.
    number : which of the maps.

    Returns
    -------
    By resolution, (bins, bins).
    """
    n = model.spec.bins
    device = next(iter(distances.values())).device
    forward = one_strand(
        model, module, encode(model.encoder, codes, device)[None], distances, starts
    )
    backward = encode(model.encoder, reverse_complement(codes), device)[None]
    reverse = one_strand(
        model,
        module,
        backward,
        {r: flip_map(d) for r, d in distances.items()},
        mirror(starts, n, n),
    )
    return {r: 0.5 * (forward[r] + flip_map(reverse[r]))[0, number] for r in module.resolutions}


def sequence(
    state: Mapping[str, Tensor], prefix: str, x: Tensor, relu: bool, dilation: int = 1
) -> Tensor:
    """Convolutions and batch norms that follow each other, numbered below ``prefix``; with
    ``relu``, a ReLU after each norm.
    """
    numbers = {
        k.removeprefix(prefix + ".").split(".")[0] for k in state if k.startswith(prefix + ".")
    }
    for n in sorted(numbers, key=int):
        weight, bias = state[f"{prefix}.{n}.weight"], state[f"{prefix}.{n}.bias"]
        if weight.ndim > 1:
            convolve = F.conv1d if weight.ndim == 3 else F.conv2d
            padding = dilation * (weight.shape[-1] // 2)
            x = convolve(x, weight, bias, padding=padding, dilation=dilation)
            continue
        mean, variance = state[f"{prefix}.{n}.running_mean"], state[f"{prefix}.{n}.running_var"]
        x = F.batch_norm(x, mean, variance, weight, bias)
        x = x.relu() if relu else x
    return x


def encoder(state: Mapping[str, Tensor], x: Tensor, pools: Sequence[int]) -> Tensor:
    """(batch, 4, bp) to encodings; ``pools`` before each stage, 1 first."""
    both = c = x
    for s, pool in enumerate(pools, 1):
        linear = sequence(state, f"lconv{s}", F.max_pool1d(both, pool), relu=False)
        c = sequence(state, f"conv{s}", linear, relu=True)
        both = c + linear
    return c


def pyramid(state: Mapping[str, Tensor], x: Tensor, steps: int) -> list[Tensor]:
    """Encodings to encodings at 1, 2, ... ``2 ** steps`` times the bin, without a second half."""
    out = [x]
    for s in range(steps):
        linear = sequence(state, f"lblocks.{s}", F.max_pool1d(out[-1], 2), relu=False)
        out.append(sequence(state, f"blocks.{s}", linear, relu=True) + linear)
    return out


def decoder(
    state: Mapping[str, Tensor],
    dilations: Sequence[int],
    x: Tensor,
    distance: Tensor | None = None,
    coarse: Tensor | None = None,
    nearest: bool = False,
) -> Tensor:
    """Maps (batch, maps, n, n) of a decoder; without ``distance`` of a one-shot one.

    Parameters
    ----------
    x : (batch, channels, n). distance : (batch, maps, n, n). coarse : (batch, maps, n/2, n/2).
    nearest : how the coarser maps are brought to n bins: every pixel four times, or bilinear.
    """
    m, first = x[:, :, :, None] + x[:, :, None, :], 0
    if distance is not None:
        m = sequence(state, "lcombinerD", torch.cat([m, distance], 1), relu=False)
        m = sequence(state, "combinerD", m, relu=True) + m
    if coarse is not None:
        if nearest:
            up = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
        else:
            up = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        m = sequence(state, "lcombiner", torch.cat([m, up], 1), relu=False)
        m, first = sequence(state, "combiner", m, relu=True) + m, 1
    for i, d in enumerate(dilations[first:], first):
        linear = sequence(state, f"lconvtwos.{i}", m, relu=False, dilation=d)
        m = linear if i == 0 else linear + m
        m = sequence(state, f"convtwos.{i}", m, relu=True, dilation=d) + m
    m = sequence(state, "final", m, relu=True)
    return 0.5 * (m + m.transpose(2, 3))
