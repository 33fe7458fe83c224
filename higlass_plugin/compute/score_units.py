"""Scores of variants as units of work: the rows that ``orca-cool variants`` writes of a line of
VCF.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from higlass_plugin.compute.jobs import Lookup, TilePlan
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.units import Preempted, Unit
from higlass_plugin.compute.vcf_text import variants_of_text
from orca_cool.errors import EditError, OrcaCoolError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.variants import Variant
from orca_cool.variants.budget import Budget

if TYPE_CHECKING:
    from orca_cool.effects.align import Reference
    from orca_cool.effects.sites import Site
    from orca_cool.model.network_spec import ModuleSpec

#: Variants that one text may hold (the ALTs of a line), places at which each may cut, and seconds
#: of processor time that it may take to read.
MAX_ALTS, MAX_PLACES, MAX_SECONDS = 8, 8, 2.0
#: Characters of a text, and segments that its variants may name.
MAX_TEXT, MAX_PIECES = 20_000, 100
#: Bytes of the reference's maps that are kept for variants that lie beside each other.
REFERENCE_BYTES = 2**26

_references: WeakKeyDictionary[PredictedGenome, Reference] = WeakKeyDictionary()


def module_of(predicted: PredictedGenome) -> ModuleSpec:
    """The module whose levels are scored: the model's first, as in ``orca-cool variants``."""
    module: ModuleSpec = predicted.engine.spec.modules[0]
    return module


def read(predicted: PredictedGenome, text: str) -> list[Variant]:
    """The variants of a text; EditError if it is no VCF, or asks for too much."""
    if len(text) > MAX_TEXT:
        raise EditError(f"the line has {len(text):,} characters; {MAX_TEXT:,} are read")
    budget = Budget(changes=MAX_ALTS, pieces=MAX_PIECES, seconds=MAX_SECONDS)
    return variants_of_text(text, predicted.engine.source, budget)


@dataclass(frozen=True)
class ScoreUnit:
    """The scores of the variants of one line of VCF. The value is JSON: a list, for each variant,
    of what the columns of the table say of it, its ``status``, and ``rows``: the scores of each
    level and place, null where the table has nan.

    Attributes
    ----------
    predicted : the model on the reference. text : the line, with or without a header.
    """

    predicted: PredictedGenome
    text: str

    needs = None

    @property
    def kind(self) -> Hashable:
        return self

    def compute(self, others: Sequence[ScoreUnit], above: Sequence[None]) -> list[tuple[str, int]]:
        found = [self._scored(variant) for variant in read(self.predicted, self.text)]
        text = json.dumps(found, allow_nan=False)
        return [(text, len(text))]

    def _scored(self, variant: Variant) -> dict[str, Any]:
        """What the table says of a variant."""
        from orca_cool.effects.scores import SCORES
        from orca_cool.effects.variant_rows import Scoring, batch_rows

        module, reference = module_of(self.predicted), self._reference()
        about = {
            key: getattr(variant, key)
            for key in ("name", "id", "chrom", "pos", "ref", "alt", "start", "end", "kind")
        }
        try:
            places = self._places(variant, module)
        except OrcaCoolError as error:
            return {**about, "status": " ".join(str(error).split()), "rows": []}
        self._encode(places, module)
        (found,) = batch_rows(reference, [variant], 0, Scoring(module.resolutions))
        rows = [
            {key: row[key] for key in ("resolution", "site", "status")}
            | {name: _number(row[name]) for name in SCORES}
            for row in found.rows
            if row["resolution"] is not None
        ]
        return {**about, "status": found.status, "rows": rows}

    def _places(self, variant: Variant, module: ModuleSpec) -> list[Site]:
        """Where the maps of a variant are compared; EditError if these are many, or it cannot be
        used.
        """
        from orca_cool.effects.sites import sites

        if variant.problem:
            raise EditError(variant.problem)
        engine = self.predicted.engine
        genome = apply_edits(engine.source, variant.changes)
        footprint = variant.chrom, variant.start, max(variant.end, variant.start + 1)
        found = sites(genome, engine.spec, module, footprint=footprint)
        if len(found) > MAX_PLACES:
            raise EditError(
                f"it has breakpoints at {len(found)} places, more than {MAX_PLACES}: "
                f"`orca-cool variants` scores it"
            )
        return found

    def _encode(self, places: Sequence[Site], module: ModuleSpec) -> None:
        """Encode the reference at some places. Of large windows that takes most of the time; it
        makes way for what is more urgent, and what is done stays in a cache.
        """
        engine = self.predicted.engine
        for chrom, position in dict.fromkeys(r for site in places for r in site.references):
            origin = engine.encode_zoom(module, chrom, position, engine.edges).origin
            for _ in engine.encode_ahead(module, chrom, origin):
                if self.predicted.urgent.is_set():
                    raise Preempted

    def _reference(self) -> Reference:
        from orca_cool.effects.align import Reference

        found = _references.get(self.predicted)
        if found is None:
            module = module_of(self.predicted)
            found = _references[self.predicted] = Reference(
                self.predicted.engine, module, REFERENCE_BYTES
            )
        return found


class ScorePlan(TilePlan):
    """The scores of a text as what the scheduler calls a tile; its value is the unit's JSON, as an
    array of one text.
    """

    later = True

    def __init__(self, unit: ScoreUnit):
        self.unit = unit
        self.key = "scores", unit.predicted.url, unit.text

    def units(self) -> list[Unit]:
        return [self.unit]

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        found = np.array(lookup(self.unit))
        return found, found.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        return np.array("")


def _number(value: float) -> float | None:
    """A score as JSON can say it."""
    return float(value) if math.isfinite(value) else None
