"""The plain reference: Orca's prediction as the paper describes it, in its simplest form. Slow;
what every fast path must equal.

Nothing is shared between windows, nothing is folded, re-ordered or stored: the encoder runs over
800 kb blocks with 112 kb of sequence on both sides ("horizontal checkpointing", Zhou 2022,
Methods), the networks are the modules that are trained.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from orca_cool.genome.source import one_hot, reverse_complement
from orca_cool.model.cascade import Orca, flip_map, mirror
from orca_cool.model.encoder import Encoder
from orca_cool.model.spec import ModuleSpec


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
    distances : by resolution, (1 or batch, 1, bins, bins) log expected of that level's window.
    starts : by resolution, first bin of the window counted in that resolution's bins from the start
        of the top window.

    Returns
    -------
    By resolution, (batch, 1, bins, bins).
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
) -> dict[int, Tensor]:
    """One zoom over the sequence of a top window, both strands averaged.

    Parameters
    ----------
    codes : uint8 codes of the top window.
    distances : by resolution, (1, 1, bins, bins) log expected, the same on both strands (one
        chromosome).
    starts : by resolution, first bin of the level's window counted from the top window's start.

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
    return {r: 0.5 * (forward[r] + flip_map(reverse[r]))[0, 0] for r in module.resolutions}
