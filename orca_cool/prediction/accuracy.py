"""What number types other than float32 cost, measured instead of promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from orca_cool.model.fast.decoder import FastCascade
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.batch_decoder import BatchDecoder, strand_window
from orca_cool.prediction.windows import Window

if TYPE_CHECKING:
    from orca_cool.prediction.orca_engine import OrcaEngine


@torch.inference_mode()
def approximation_error(
    engine: OrcaEngine, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
) -> dict[str, tuple[float, float]]:
    """Compare an engine's number types with float32 on one window of each level of a root.

    Parameters
    ----------
    levels : one root's part of a plan (:func:`orca_cool.prediction.windows.by_root`).

    Returns
    -------
    Pearson's r, and the largest difference in standard deviations, against float32: by resolution
    for the decoders (each kind of numbers goes from the top down by itself), and "encoder" for one
    block of encodings. Only for what is approximated.
    """
    found: dict[str, tuple[float, float]] = {}
    start = levels[0][0].start * module.resolutions[0]
    if engine.encoder_dtype != "float32":
        exact = FastEncoder(engine.model.encoder, engine.device)
        approximate = engine.encodings.encoder.encoder
        end = start + engine.spec.encoder.block
        found["encoder"] = differ(
            *(
                encoder.span(lambda a, b: engine.source.fetch(chrom, a, b), start, end)
                for encoder in (exact, approximate)
            )
        )
    if engine.dtype != "float32":
        windows = nested(levels)
        bases, segments = engine.top_window(module, chrom, start)
        exact_decoder = engine.new_decoder(
            FastCascade(engine.model, engine.device, "float32"), engine.batch
        )
        one, two = (
            descend(decoder, module, bases[0], windows, segments)
            for decoder in (exact_decoder, engine.decoder)
        )
        found |= {str(r): differ(one[r], two[r]) for r in one}
    return found


def nested(levels: Sequence[Sequence[Window]]) -> list[Window]:
    """One window of each level of a root, each inside the one above it; the finest is the middle
    one of its level.
    """
    windows = [levels[-1][len(levels[-1]) // 2]]
    for level in reversed(levels[:-1]):
        windows.insert(0, next(w for w in level if w.start == windows[0].parent))
    return windows


def descend(
    decoder: BatchDecoder,
    module: ModuleSpec,
    base: Tensor,
    windows: Sequence[Window],
    segments: list | None,
    rounded: Callable[[Tensor], Tensor] = lambda y: y,
) -> dict[int, Tensor]:
    """The forward strand's map of each of ``windows``, which lie inside each other.

    Parameters
    ----------
    rounded : what becomes of a map before it is handed down.
    """
    encodings = decoder.cascade.encodings(module, base[None])
    above: Tensor | None = None
    maps: dict[int, Tensor] = {}
    for w in windows:
        strand = strand_window(module, w, False, encodings, above, segments)
        (decoded,) = decoder.decode(module, w.resolution, [strand])
        maps[w.resolution] = above = rounded(decoded)
    return maps


def differ(exact: Tensor, approximate: Tensor) -> tuple[float, float]:
    """Pearson's r, and the largest difference in standard deviations of the exact values."""
    a, b = (y.flatten().cpu().double().numpy() for y in (exact, approximate))
    return float(np.corrcoef(a, b)[0, 1]), float(np.abs(a - b).max() / a.std())
