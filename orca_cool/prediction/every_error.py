"""What every approximation costs on one model and one sequence: number types of decoders and
encoder, and float16 on disk, of encodings and of decoded windows.

As in :mod:`orca_cool.prediction.accuracy`, the forward strand's map of one window of each level is
compared with the same in float32, and each kind of numbers goes from the top down by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orca_cool.model import DECODER_DTYPES, ENCODER_DTYPES
from orca_cool.model.fast.decoder import FastCascade
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.model.fast.tiers import OF_DEVICE
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.accuracy import descend, differ, nested
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.progress import Report, no_report
from orca_cool.prediction.windows import Window

#: Number types of the decoders on a kind of device; on others float32 alone.
DECODERS_OF_DEVICE = {"cpu": ("bfloat16",), "cuda": ("tf32", "bfloat16")}

#: What is stored on disk, in float16.
ENCODINGS, WINDOWS = "stored encodings", "stored windows"


@dataclass(frozen=True)
class Error:
    """What one approximation costs at one place.

    Attributes
    ----------
    part : "decoders", "encoder", "stored encodings" or "stored windows".
    dtype : the number type.
    resolution : of the map in bp; None: encodings are compared, not maps.
    r : Pearson's r against float32. largest : the largest difference, in standard deviations of the
        values in float32. Both NaN where values do not vary, or do not fit the number type.
    """

    part: str
    dtype: str
    resolution: int | None
    r: float
    largest: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; None for NaN."""
        numbers = {"r": self.r, "largest_sd": self.largest}
        return {
            "part": self.part,
            "dtype": self.dtype,
            "resolution": self.resolution,
            **{k: v if np.isfinite(v) else None for k, v in numbers.items()},
        }


def kinds_on(device: str) -> list[tuple[str, str]]:
    """What can be measured on a kind of device: part and number type."""
    decoders = [("decoders", t) for t in DECODERS_OF_DEVICE.get(device, ())]
    encoders = [("encoder", t) for t in OF_DEVICE.get(device, ()) if t != "float32"]
    return [*decoders, *encoders, (ENCODINGS, "float16"), (WINDOWS, "float16")]


def kinds_elsewhere(device: str) -> list[tuple[str, str]]:
    """What needs another kind of device."""
    every = [
        *(("decoders", t) for t in DECODER_DTYPES if t != "float32"),
        *(("encoder", t) for t in ENCODER_DTYPES if t != "float32"),
    ]
    return [kind for kind in every if kind not in kinds_on(device)]


@torch.inference_mode()
def every_error(
    engine: OrcaEngine,
    module: ModuleSpec,
    chrom: str,
    levels: Sequence[Sequence[Window]],
    progress: Report = no_report,
) -> list[Error]:
    """Measure all approximations that an engine's device has, on one window of each level.

    Parameters
    ----------
    engine : in float32.
    levels : one root's part of a plan (:func:`orca_cool.prediction.windows.by_root`).
    progress : called with what is done, and how much there is.
    """
    start, windows = levels[0][0].start * module.resolutions[0], nested(levels)
    kinds = kinds_on(engine.device.type)
    total = len(kinds) + 1
    progress(0, total)
    bases, segments = engine.top_window(module, chrom, start, forward_only=True)
    base = bases[0]
    exact = descend(engine.decoder, module, base, windows, segments)
    progress(1, total)
    found: list[Error] = []
    for done, (part, dtype) in enumerate(kinds, 2):
        decoder, there = engine.decoder, base
        rounded: Callable[[Tensor], Tensor] = _unchanged
        if part == "decoders":
            cascade = FastCascade(engine.model, engine.device, dtype)
            decoder = engine.new_decoder(cascade, engine.batch)
        elif part == "encoder":
            found.append(Error(part, dtype, None, *_encoders(engine, chrom, start, dtype)))
            there = _encoded(engine, module, chrom, start, dtype)
        elif part == ENCODINGS:
            there = _half(base)
            found.append(Error(part, dtype, None, *_compared(base, there)))
        else:
            rounded = _half
        maps = descend(decoder, module, there, windows, segments, rounded)
        found += [Error(part, dtype, r, *_compared(exact[r], y)) for r, y in maps.items()]
        progress(done, total)
    return found


def _unchanged(y: Tensor) -> Tensor:
    return y


def _half(y: Tensor) -> Tensor:
    """Numbers as they come back from a store in float16."""
    return y.to(torch.float16).to(torch.float32)


def _encoded(engine: OrcaEngine, module: ModuleSpec, chrom: str, start: int, dtype: str) -> Tensor:
    """Base encodings of the top window by an encoder of another number type."""
    other = make_engine(
        engine.bundle, engine.source, str(engine.device), encoder_dtype=dtype, edges=engine.edges
    )
    assert isinstance(other, OrcaEngine)
    bases, _ = other.top_window(module, chrom, start, forward_only=True)
    return bases[0]


def _encoders(engine: OrcaEngine, chrom: str, start: int, dtype: str) -> tuple[float, float]:
    """One block of encodings in a number type against float32."""
    end = start + engine.spec.encoder.block
    one, two = (
        FastEncoder(engine.model.encoder, engine.device, t).span(
            lambda a, b: engine.source.fetch(chrom, a, b), start, end
        )
        for t in ("float32", dtype)
    )
    return _compared(one, two)


def _compared(exact: Tensor, approximate: Tensor) -> tuple[float, float]:
    """:func:`~orca_cool.prediction.accuracy.differ`; NaN where that cannot be said."""
    if not bool(torch.isfinite(approximate).all()) or float(exact.std()) == 0:
        return float("nan"), float("nan")
    return differ(exact, approximate)


def by_kind(errors: Sequence[Error]) -> Iterator[tuple[str, str, list[Error]]]:
    """The errors of each part and number type together, in their order."""
    for part, dtype in dict.fromkeys((e.part, e.dtype) for e in errors):
        yield part, dtype, [e for e in errors if (e.part, e.dtype) == (part, dtype)]
