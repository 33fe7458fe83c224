"""Units and their values in a form that another process understands: texts, numbers and arrays.

A unit is told by the address of its predicted genome (an ``orca://`` URL), which the other process
opens by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from higlass_plugin.compute.attribution_units import Asked, AttributionUnit, EncodingGradientUnit
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.score_units import ScoreUnit
from higlass_plugin.compute.units import (
    DraftUnit,
    ProfileUnit,
    TransUnit,
    Unit,
    WindowMaps,
    WindowUnit,
)
from orca_cool.genome.segments import Segment
from orca_cool.perturb.objective_text import parse_objective

#: Name of the kind of unit, address of the predicted genome, and what tells the unit apart there.
PlainUnit = tuple[Any, ...]


def to_plain(unit: Unit) -> PlainUnit | None:
    """The plain form of a unit; None of one that only this process can compute."""
    if isinstance(unit, DraftUnit):
        return "draft", *_window(unit.final)
    if isinstance(unit, WindowUnit):
        return "window", *_window(unit)
    if isinstance(unit, TransUnit):
        pair = _segment(unit.first), _segment(unit.second)
        return "trans", unit.predicted.url, unit.module, *pair
    if isinstance(unit, ProfileUnit):
        return "profile", unit.predicted.url, unit.chrom, unit.block
    if isinstance(unit, EncodingGradientUnit):
        return "encoding gradient", *_asked(unit.asked)
    if isinstance(unit, AttributionUnit):
        return "attribution", *_asked(unit.asked), unit.block
    if isinstance(unit, ScoreUnit):
        return "scores", unit.predicted.url, unit.text
    return None


def from_plain(plain: PlainUnit, predicted_of: Callable[[str], PredictedGenome]) -> Unit:
    """The unit of a plain form; ``predicted_of``: gives the predicted genome of an address."""
    kind, url, *rest = plain
    predicted = predicted_of(url)
    if kind in ("window", "draft"):
        window = WindowUnit(predicted, *rest)
        return window if kind == "window" else DraftUnit(window)
    if kind == "trans":
        return TransUnit(predicted, rest[0], Segment(*rest[1]), Segment(*rest[2]))
    if kind == "profile":
        return ProfileUnit(predicted, *rest)
    if kind == "scores":
        return ScoreUnit(predicted, *rest)
    objective, level, *block = rest
    asked = Asked(predicted, parse_objective(objective), level, "")
    return AttributionUnit(asked, *block) if block else EncodingGradientUnit(asked)


def with_arrays(value: Any) -> Any:
    """What a unit has computed, with arrays in the place of tensors."""
    return _converted(value, lambda tensor: tensor.detach().cpu().numpy())


def with_tensors(value: Any, device: torch.device) -> Any:
    """The same as units expect it of those that they need: tensors on the device of the engine."""
    return _converted(value, lambda array: torch.from_numpy(array).to(device))


def _converted(value: Any, convert: Callable[[Any], Any]) -> Any:
    """A value, with what the networks made and will read again converted: strands of windows, and
    gradients at the base encodings, which are lists.
    """
    if isinstance(value, WindowMaps):
        strands = value.strands
        return replace(value, strands=None if strands is None else tuple(map(convert, strands)))
    if isinstance(value, tuple):  # a window's: what it needs, and its draft
        return tuple(_converted(one, convert) for one in value)
    if isinstance(value, list):
        return [convert(one) for one in value]
    return value


def _window(unit: WindowUnit) -> tuple[Any, ...]:
    return unit.predicted.url, unit.module, unit.chrom, unit.root, unit.path


def _segment(segment: Segment) -> tuple[Any, ...]:
    return segment.chrom, segment.start, segment.end, segment.strand, segment.literal


def _asked(asked: Asked) -> tuple[Any, ...]:
    return asked.predicted.url, asked.objective.text, asked.level
