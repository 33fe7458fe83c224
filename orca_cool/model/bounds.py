"""What the numbers of a model's specification may be.

A specification comes from a file that others wrote, or that is damaged. Every number of it is held
against its bounds before anything is computed with it or made of it: a network of 10**9 layers is
an error here, at once, and not later, when memory is full. The bounds are far beyond any model that
is known, and within what a machine can do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orca_cool.errors import ModelError, shown

if TYPE_CHECKING:
    from orca_cool.model.network_spec import DecoderSpec, EncoderSpec, ModuleSpec, PyramidSpec
    from orca_cool.model.spec import ModelSpec

#: Least and most of whole numbers.
BINS = (2, 4096)
CHANNELS = (1, 8192)
KERNEL = (1, 1001)
POOL = (1, 10_000)
BASE_PAIRS = (1, 100_000_000)
STEPS = (1, 30)
DILATION = (1, 4096)
RESOLUTION = (1, 1_000_000_000)
LENGTH = (1, 2**62)

#: Most stages, pyramids, modules, dilations and profiles; most steps of all decoders together.
STAGES, PYRAMIDS, MODULES, DILATIONS, PROFILES = 64, 64, 64, 1024, 100_000
#: Most cell types.
CELL_TYPES = 1000
DECODER_STEPS = 10_000

#: How deep what is told of a model's quality may be nested.
DEPTH = 16


def check_bounds(spec: ModelSpec) -> None:
    """Raise ModelError if a part of a specification is of the wrong kind or out of its bounds; the
    message names it and quotes the value. Whether the parts fit each other is not looked at.
    """
    where = f"model {shown(spec.name)}"
    for key in ("name", "organism", "cell_type", "licence", "training_data", "notes"):
        _kind(f"{where}: {key}", getattr(spec, key), str, "a text")
    _whole(f"{where}: bins", spec.bins, BINS)
    _whole(f"{where}: profile_width", spec.profile_width, CHANNELS)
    _many(f"{where}: profiles", spec.profiles, PROFILES)
    for profile in spec.profiles:
        _kind(f"{where}: a profile's name", profile, str, "a text")
    _many(f"{where}: cell_types", spec.cell_types, CELL_TYPES)
    for cell_type in spec.cell_types:
        _file_name(f"{where}: a cell type", cell_type)
    if len(set(spec.cell_types)) < len(spec.cell_types) or len(spec.cell_types) == 1:
        raise ModelError(
            f"{where}: cell_types must be two or more different names (a model of one has "
            f"cell_type), not {shown(list(spec.cell_types))}"
        )
    _shallow(f"{where}: metrics", spec.metrics)
    _check_assemblies(where, spec.assemblies)
    _check_encoder(f"encoder of {where}", spec.encoder)
    _kind(f"{where}: pyramids", spec.pyramids, Mapping, "a mapping")
    _many(f"{where}: pyramids", tuple(spec.pyramids), PYRAMIDS)
    for name, pyramid in spec.pyramids.items():
        _name(f"{where}: the name of a pyramid", name)
        _check_pyramid(f"pyramid {name!r} of {where}", pyramid)
    if spec.base_decoder is not None:
        _check_decoder(f"base decoder of {where}", spec.base_decoder)
    _many(f"{where}: modules", spec.modules, MODULES)
    for module in spec.modules:
        _name(f"{where}: the name of a module", module.name)
        _check_module(f"module {module.name!r} of {where}", module)
    steps = sum(len(m.resolutions) * len(m.decoder.dilations) for m in spec.modules if m.decoder)
    _whole(f"{where}: steps of all decoders together", steps, (0, DECODER_STEPS))


def _check_encoder(where: str, spec: EncoderSpec) -> None:
    _many(f"{where}: widths", spec.widths, STAGES, 1)
    _many(f"{where}: pools", spec.pools, STAGES, 1)
    for width in spec.widths:
        _whole(f"{where}: a width", width, CHANNELS)
    for pool in spec.pools:
        _whole(f"{where}: a pool", pool, POOL)
    _whole(f"{where}: base bin", math.prod(spec.pools), BASE_PAIRS)
    _odd(f"{where}: kernel", spec.kernel)
    _whole(f"{where}: block", spec.block, BASE_PAIRS)
    _whole(f"{where}: flank", spec.flank, BASE_PAIRS)
    _share(f"{where}: dropout", spec.dropout)


def _check_pyramid(where: str, spec: PyramidSpec) -> None:
    _whole(f"{where}: steps", spec.steps, STEPS)
    _whole(f"{where}: width", spec.width, CHANNELS)
    _odd(f"{where}: kernel", spec.kernel)
    _kind(f"{where}: down", spec.down, bool, "true or false")
    _share(f"{where}: dropout", spec.dropout)


def _check_decoder(where: str, spec: DecoderSpec) -> None:
    for key in ("channels", "width", "bottleneck", "head"):
        _whole(f"{where}: {key}", getattr(spec, key), CHANNELS)
    _many(f"{where}: dilations", spec.dilations, DILATIONS, 1)
    for dilation in spec.dilations:
        _whole(f"{where}: a dilation", dilation, DILATION)
    _kind(f"{where}: one_shot", spec.one_shot, bool, "true or false")
    if spec.upsample not in ("bilinear", "nearest"):
        raise ModelError(
            f"{where}: upsample must be 'bilinear' or 'nearest', not {shown(spec.upsample)}"
        )
    _share(f"{where}: dropout", spec.dropout)


def _check_module(where: str, spec: ModuleSpec) -> None:
    _many(f"{where}: resolutions", spec.resolutions, STEPS[1], 1)
    for resolution in spec.resolutions:
        _whole(f"{where}: a resolution", resolution, RESOLUTION)
    _many(f"{where}: pyramids", spec.pyramids, PYRAMIDS)
    for name in spec.pyramids:
        _kind(f"{where}: the name of a pyramid", name, str, "a text")
    if spec.decoder is not None:
        _check_decoder(f"decoder of {where}", spec.decoder)
    for key in ("base_decoder", "multi_chromosome"):
        _kind(f"{where}: {key}", getattr(spec, key), bool, "true or false")
    if spec.eps not in ("table", "window"):
        raise ModelError(f"{where}: eps must be 'table' or 'window', not {shown(spec.eps)}")


def _check_assemblies(where: str, assemblies: Any) -> None:
    _kind(f"{where}: assemblies", assemblies, Mapping, "a mapping")
    for name, sizes in assemblies.items():
        _kind(f"{where}: assembly {shown(name)}", sizes, Mapping, "a mapping")
        for chrom, length in sizes.items():
            _whole(f"{where}: the length of {shown(chrom)} in {shown(name)}", length, LENGTH)


def _whole(where: str, value: Any, bounds: tuple[int, int]) -> None:
    least, most = bounds
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ModelError(
            f"{where} must be a whole number from {least:,} to {most:,}, not {shown(value)}"
        )


def _odd(where: str, value: Any) -> None:
    _whole(where, value, KERNEL)
    if value % 2 == 0:
        raise ModelError(f"{where} must be an odd number, not {value}")


def _share(where: str, value: Any) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1:
        raise ModelError(f"{where} must be a number from 0 to below 1, not {shown(value)}")


def _many(where: str, values: Any, most: int, least: int = 0) -> None:
    if not isinstance(values, (tuple, list)) or not least <= len(values) <= most:
        count = f"{len(values):,}" if isinstance(values, (tuple, list)) else shown(values)
        raise ModelError(f"{where} must be a list of {least} to {most:,}, not {count}")


def _kind(where: str, value: Any, kind: type, noun: str) -> None:
    if not isinstance(value, kind):
        raise ModelError(f"{where} must be {noun}, not {shown(value)}")


def _name(where: str, name: Any) -> None:
    """A name becomes part of the names of tensors, between dots."""
    _kind(where, name, str, "a text")
    if not name or len(name) > 100 or not all(c.isalnum() or c in "_-" for c in name):
        raise ModelError(f"{where} must be of letters, digits, '_' and '-', not {shown(name)}")


def _file_name(where: str, name: Any) -> None:
    """A cell type becomes part of the names of files and of addresses."""
    _kind(where, name, str, "a text")
    fits = 0 < len(name) <= 100 and all(c.isalnum() or c in "_-+." for c in name)
    if not fits or not name[0].isalnum():
        raise ModelError(
            f"{where} must be of letters, digits, '_', '-', '+' and '.', a letter or digit first, "
            f"not {shown(name)}"
        )


def _shallow(where: str, value: Any) -> None:
    _kind(where, value, Mapping, "a mapping")
    level, seen = [value], set()  # YAML may name one part many times
    for _ in range(DEPTH):
        inner = [
            v for part in level for v in (part.values() if isinstance(part, Mapping) else part)
        ]
        level = []
        for part in inner:
            if isinstance(part, (Mapping, list, tuple)) and id(part) not in seen:
                seen.add(id(part))
                level.append(part)
        if not level:
            return
    raise ModelError(f"{where} are nested more than {DEPTH} deep")
