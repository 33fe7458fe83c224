"""What a model is: ``ModelDescription`` (bins, levels, names; of any model) and ``ModelSpec`` (also
base bin, pools and widths of an Orca-type model).

The released Orca models are one specification, small-genome models another, a toy for tests a
third. Their networks: :mod:`orca_cool.model.network_spec`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orca_cool.errors import ModelError
from orca_cool.model.bounds import check_bounds
from orca_cool.model.network_spec import DecoderSpec, EncoderSpec, ModuleSpec, PyramidSpec

#: Where windows lie on a chromosome.
PLACEMENTS = ("start", "centred")


@dataclass(frozen=True)
class ModelDescription:
    """What planning, files and tiles need to know of a model, whatever computes its maps.

    Attributes
    ----------
    name : for messages and the metadata of files.
    bins : a window's map is ``bins`` x ``bins``.
    modules : which resolutions are predicted; a resolution that several modules offer is predicted
        by the first.
    profiles : names of the chromatin profiles that the model predicts besides maps. Two that end in
        "(+)" and "(-)" and are otherwise the same are of the two strands: each is the other on the
        reverse complement.
    assemblies : assembly names to {chromosome: length}: the genomes that the model accepts without
        a word.
    cell_types : names of the maps that each window has, one for each cell type or condition; empty
        for a model of a single map.
    organism, cell_type, licence : for people, and the metadata of files. Of a model with
        ``cell_types``, ``cell_type`` is the one whose maps are wanted; empty until one is chosen.
    placement : where windows lie on a chromosome (:mod:`orca_cool.prediction.windows`). "start":
        from its first bin on, as Orca's. "centred": symmetrically, a chromosome shorter than the
        top window in its middle, N on both sides; for models that were trained so. Modules that
        read several chromosomes lay them end to end either way; where windows are centred, the
        second strand has the chromosome turned in its own place
        (:mod:`orca_cool.prediction.end_to_end`).
    """

    name: str
    bins: int
    modules: tuple[ModuleSpec, ...]
    profiles: tuple[str, ...] = ()
    assemblies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    organism: str = ""
    cell_type: str = ""
    licence: str = ""
    placement: str = "start"
    cell_types: tuple[str, ...] = ()

    @property
    def n_maps(self) -> int:
        """Maps that each window has: one for each cell type."""
        return max(1, len(self.cell_types))

    @property
    def map_number(self) -> int:
        """Which of a window's maps is wanted: that of ``cell_type``.

        Raises
        ------
        ModelError
            If the model has several cell types and none of them is chosen.
        """
        if not self.cell_types:
            return 0
        return self.cell_types.index(self.check_cell_type(self.cell_type))

    @property
    def known_cell_types(self) -> tuple[str, ...]:
        """Cell types whose maps the model predicts: of a model of a single map, its own, if it is
        named.
        """
        return self.cell_types or ((self.cell_type,) if self.cell_type else ())

    def check_cell_type(self, name: str) -> str:
        """``name``, if the model has that cell type; else ModelError lists those it has."""
        known = self.known_cell_types
        if name in known:
            return name
        have = ", ".join(known) or "none named"
        if not name:
            raise ModelError(f"model {self.name!r} has several cell types; choose one of: {have}")
        raise ModelError(f"model {self.name!r} has no cell type {name!r}; it has: {have}")

    @property
    def profiles_of_reverse(self) -> list[int]:
        """For each profile, the number of the one that it is on the reverse complement."""
        names, other = list(self.profiles), {"(+)": "(-)", "(-)": "(+)"}
        turned = [name[:-3] + other.get(name[-3:], name[-3:]) for name in names]
        return [names.index(t) if t in names else k for k, t in enumerate(turned)]

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Every resolution that some module predicts, finest first."""
        return tuple(sorted({r for module in self.modules for r in module.resolutions}))

    @property
    def base_bin(self) -> int:
        """Bin in bp of which all resolutions are multiples."""
        return math.gcd(*self.resolutions)

    def window(self, resolution: int) -> int:
        """Window of a level in bp."""
        return resolution * self.bins

    def label(self, resolution: int) -> str:
        """Name of a level: its window, as Orca names levels ("32M"), or in kb below 1 Mb
        ("256k").
        """
        window = self.window(resolution)
        return f"{window / 1_000_000:g}M" if window >= 1_000_000 else f"{window / 1000:g}k"

    def parse_level(self, text: str | int) -> int:
        """Resolution in bp of a level given as a resolution ("4000") or as a window ("1M", "32Mb",
        "256k").

        Raises
        ------
        ModelError
            If the model has no such level; the message lists those it has.
        """
        wanted = str(text).strip()
        for resolution in self.resolutions:
            label = self.label(resolution)
            if wanted in (str(resolution), label, label + "b"):
                return resolution
        known = ", ".join(f"{r} ({self.label(r)})" for r in self.resolutions)
        raise ModelError(f"model {self.name!r} has no level {wanted!r}; it has: {known}")

    def module(self, name: str) -> ModuleSpec:
        """The module called ``name``; ModelError lists the known ones."""
        for module in self.modules:
            if module.name == name:
                return module
        known = ", ".join(m.name for m in self.modules)
        raise ModelError(f"model {self.name!r} has no module {name!r}; it has: {known}")

    def module_with(self, resolutions: Iterable[int], name: str | None = None) -> ModuleSpec:
        """The first module that predicts all of some resolutions.

        Parameters
        ----------
        resolutions : in bp; none: any module will do.
        name : of the module that is to have them; None: any.

        Raises
        ------
        ModelError
            If there is none; the message lists what the modules have.
        """
        wanted = sorted(set(resolutions))
        offered = self.modules if name is None else (self.module(name),)
        for module in offered:
            if set(wanted) <= set(module.resolutions):
                return module
        have = "; ".join(f"{m.name}: {', '.join(map(str, m.resolutions))}" for m in offered)
        raise ModelError(
            f"model {self.name!r}: no module has all of the levels {', '.join(map(str, wanted))}; "
            f"there are {have}"
        )

    def check_levels(self) -> None:
        """Raise ModelError unless maps can be halved and every module's resolutions halve."""
        if self.bins % 2:
            raise ModelError(f"model {self.name!r}: bins per map must be even, not {self.bins}")
        if self.placement not in PLACEMENTS:
            raise ModelError(
                f"model {self.name!r}: placement {self.placement!r} is not known; use one of "
                f"{', '.join(PLACEMENTS)}"
            )
        for module in self.modules:
            steps = [a != 2 * b for a, b in zip(module.resolutions, module.resolutions[1:])]
            if not module.resolutions or any(steps):
                raise ModelError(
                    f"module {module.name!r}: resolutions {module.resolutions} must halve from "
                    f"level to level"
                )


@dataclass(frozen=True)
class ModelSpec(ModelDescription):
    """Everything that defines an Orca-type model but its weights."""

    bins: int = 250
    modules: tuple[ModuleSpec, ...] = ()
    encoder: EncoderSpec = EncoderSpec()
    pyramids: Mapping[str, PyramidSpec] = field(default_factory=dict)
    base_decoder: DecoderSpec | None = None
    profile_width: int = 128
    training_data: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""

    @property
    def base_bin(self) -> int:
        """Bin of the encodings in bp."""
        return self.encoder.base_bin

    def check(self) -> None:
        """Raise ModelError if a number is out of its bounds, or the parts do not fit each other."""
        check_bounds(self)
        e = self.encoder
        if len(e.widths) != len(e.pools) or e.pools[0] != 1:
            raise ModelError(
                f"encoder of {self.name!r}: pools {e.pools} and widths {e.widths} do not fit "
                f"(as many, first pool 1)"
            )
        if e.block % e.base_bin or e.flank % e.base_bin or e.flank < e.half_receptive_field:
            raise ModelError(
                f"encoder of {self.name!r}: block {e.block} and flank {e.flank} must be "
                f"multiples of the base bin "
                f"{e.base_bin}, flank at least {e.half_receptive_field}"
            )
        self.check_levels()
        self._check_widths()
        for module in self.modules:
            self._check_module(module)

    def _check_widths(self) -> None:
        """All networks behind the encoder read encodings of one width, the encoder's last."""
        width = self.encoder.widths[-1]
        readers = {f"pyramid {name!r}": p.width for name, p in self.pyramids.items()}
        for m in self.modules:
            readers |= {f"decoder of {m.name!r}": m.decoder.channels} if m.decoder else {}
        if self.base_decoder:
            readers["base decoder"] = self.base_decoder.channels
            if not self.base_decoder.one_shot:
                raise ModelError(f"base decoder of {self.name!r}: one_shot must be true, not False")
        for reader, found in readers.items():
            if found != width:
                raise ModelError(
                    f"{reader} of {self.name!r} reads {found} channels, the encoder makes {width}"
                )

    def _check_module(self, module: ModuleSpec) -> None:
        if [m.name for m in self.modules].count(module.name) > 1:
            raise ModelError(f"module {module.name!r} comes twice; names must differ")
        if not (module.base_decoder and self.base_decoder):
            if module.base_decoder or module.decoder is None:
                raise ModelError(f"module {module.name!r} has no decoder")
        for name in module.pyramids:
            if name not in self.pyramids:
                raise ModelError(f"module {module.name!r} names an unknown pyramid {name!r}")
        steps = sum(self.pyramids[p].steps for p in module.pyramids)
        reach = self.base_bin * 2**steps if module.decoder else self.base_bin
        if module.resolutions[0] > reach or module.resolutions[-1] % self.base_bin:
            raise ModelError(
                f"module {module.name!r}: its encodings end at {reach} bp, its levels start "
                f"at {module.resolutions[0]}"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types only. What files of former versions do not name is left out where it is
        as in them: Orca's placement, no cell types, and modules' eps by the table.
        """
        plain = dataclasses.asdict(self)
        for module in plain["modules"]:
            if module["eps"] == "table":
                del module["eps"]
        if self.placement == PLACEMENTS[0]:
            del plain["placement"]
        if self.cell_types:
            plain["cell_type"] = ""  # a choice of whoever uses it
        else:
            del plain["cell_types"]
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelSpec:
        """Inverse of :meth:`to_json`; ModelError names a key that is unknown or missing."""
        try:
            plain = dict(data)
            plain["encoder"] = EncoderSpec(**_tuples(plain.get("encoder", {})))
            plain["pyramids"] = {k: PyramidSpec(**v) for k, v in plain.get("pyramids", {}).items()}
            if plain.get("base_decoder"):
                plain["base_decoder"] = DecoderSpec(**_tuples(plain["base_decoder"]))
            modules = []
            for item in plain.get("modules", ()):
                item = _tuples(item)
                if item.get("decoder"):
                    item["decoder"] = DecoderSpec(**_tuples(item["decoder"]))
                if "assembly" in item:  # its name in version 0.1
                    item["multi_chromosome"] = item.pop("assembly")
                modules.append(ModuleSpec(**item))
            plain["modules"] = tuple(modules)
            for key in ("profiles", "cell_types"):
                plain[key] = tuple(plain.get(key, ()))
            spec = cls(**plain)
        except (TypeError, AttributeError, ValueError, RecursionError) as error:
            raise ModelError(f"model specification not understood: {str(error)[:200]}") from error
        spec.check()
        return spec


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
