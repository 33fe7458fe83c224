"""The change of a map that a model predicts for an edit, at the coordinates of the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from orca_cool.effects.align import Comparison, Reference, compare
from orca_cool.effects.sites import sites
from orca_cool.effects.variant_rows import batch_size
from orca_cool.errors import EditError, ModelError
from orca_cool.evaluate.edit_table import TrueEdit
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.source import SequenceSource, length_of
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.model.window_model import WindowModel
from orca_cool.prediction.engine import Engine
from orca_cool.variants import parse_edits


def module_of(spec: ModelDescription, edit: TrueEdit, name: str | None = None) -> ModuleSpec:
    """The module that predicts an edit: the one that is named, or the first with its resolution.

    Raises
    ------
    ModelError
        If no module of a single chromosome (or the named one) has the resolution.
    """
    modules = [spec.module(name)] if name else list(spec.modules)
    for module in modules:
        if edit.resolution in module.resolutions and not module.multi_chromosome:
            return module
    offered = sorted({r for m in modules if not m.multi_chromosome for r in m.resolutions})
    what = f"module {name!r} of model" if name else "model"
    raise ModelError(
        f"edit {edit.id!r} has bins of {edit.resolution} bp; {what} {spec.name!r} predicts "
        f"{', '.join(map(str, offered))} bp"
    )


def check_cell_type(spec: ModelDescription, edit: TrueEdit) -> None:
    """ModelError if the model has no such cell type, or the edit does not say which of several."""
    if edit.cell_type or spec.cell_types:
        try:
            spec.check_cell_type(edit.cell_type)
        except ModelError as error:
            raise ModelError(f"edit {edit.id!r}: {error}") from None


def for_cell_type(model: WindowModel, name: str) -> WindowModel:
    """The model with the maps of a cell type; "": of the only one that it has."""
    choose: Callable[[str], WindowModel] | None = getattr(model, "for_cell_type", None)
    return model if choose is None or not name else choose(name)


def edited_genome(edit: TrueEdit, source: SequenceSource) -> EditedGenome:
    """The genome with an edit.

    Raises
    ------
    EditError
        If the edit cannot be read or applied, changes another chromosome or nothing, or the stretch
        is not in the genome; the message names the edit.
    """
    if edit.chrom not in source.chromsizes or edit.end > length_of(source, edit.chrom):
        known = source.chromsizes.get(edit.chrom)
        length = "is not there" if known is None else f"has {known:,} bp"
        raise EditError(
            f"edit {edit.id!r} has the stretch {edit.chrom}:{edit.start:,}-{edit.end:,}; "
            f"{edit.chrom} {length} in the genome"
        )
    try:
        genome = apply_edits(source, parse_edits(edit.edit, source, files=False))
    except EditError as error:
        raise EditError(f"edit {edit.id!r}: {error}") from None
    if not genome.edited:
        raise EditError(f"edit {edit.id!r}: {edit.edit!r} changes nothing")
    return genome


def predicted_changes(
    engine: Engine, module: ModuleSpec, edits: Sequence[TrueEdit]
) -> Iterator[tuple[TrueEdit, np.ndarray]]:
    """The change that a model predicts for each edit, several edits decoded together.

    Windows are centred on the middle of the stretch, where an edit has a single place of the
    reference, so that a stretch as wide as the window lies in it whole.

    Returns
    -------
    For each edit, in order, (n, n) natural log of the contact frequency with the edit over that
    without: see :func:`at_reference`.
    """
    reference = Reference(engine, module)
    size = batch_size(engine)
    for first in range(0, len(edits), size):
        some = edits[first : first + size]
        genomes = [edited_genome(edit, engine.source) for edit in some]
        shifts = [_shift(g, e, engine.spec, module) for g, e in zip(genomes, some)]
        keep = sorted({edit.resolution for edit in some})
        for edit, found in zip(some, compare(reference, genomes, shift=shifts, keep=keep)):
            yield edit, at_reference(edit, [c for c in found if c.resolution == edit.resolution])


def _shift(genome: EditedGenome, edit: TrueEdit, spec: ModelDescription, module: ModuleSpec) -> int:
    """bp from where the reference's window would be centred to the middle of the stretch; 0 where
    there are several windows, or they lie elsewhere.
    """
    places = {place for site in sites(genome, spec, module) for place in site.references}
    if len(places) != 1:
        return 0
    ((chrom, position),) = places
    shift = (edit.start + edit.end) // 2 - position
    inside = chrom == edit.chrom and abs(shift) <= spec.window(module.resolutions[-1]) // 4
    return shift if inside else 0


def at_reference(edit: TrueEdit, found: Sequence[Comparison]) -> np.ndarray:
    """The predicted change of a stretch, from the comparisons at all sites of an edit.

    Parameters
    ----------
    found : at the edit's resolution.

    Returns
    -------
    (n, n) at the coordinates of the reference. A bin of the alternate stands for the bin of the
    reference in which the base lies that it is compared with; a pair of bins that the alternate has
    several times has the mean of its frequencies; one that no window shows is NaN. Where several
    windows show a pair, as sites that lie near each other have, all are averaged.
    """
    n, r = edit.bins, edit.resolution
    after, before, number = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for one in found:
        bins = _own_bins(one, edit.chrom, edit.start, r, n)
        own, theirs = one.alternate.frequency, one.reference.frequency
        known = np.isfinite(own) & np.isfinite(theirs) & (own > 0) & (theirs > 0)
        i, j = np.nonzero(known & (bins >= 0)[:, None] & (bins >= 0)[None, :])
        np.add.at(after, (bins[i], bins[j]), own[i, j])
        np.add.at(before, (bins[i], bins[j]), theirs[i, j])
        np.add.at(number, (bins[i], bins[j]), 1)
    ratio = np.divide(after, before, out=np.full((n, n), np.nan), where=number > 0)
    return np.asarray(np.log(ratio))


def _own_bins(one: Comparison, chrom: str, start: int, resolution: int, n: int) -> np.ndarray:
    """(bins of the alternate,) the bin of the stretch that each is compared with, -1 where none."""
    out = np.full(len(one.alternate.values), -1)
    for reference, index in zip(one.references, one.bins):
        if reference.chrom != chrom:
            continue
        middle = reference.start + index * resolution + resolution // 2 - start
        own = np.where((index >= 0) & (middle >= 0), middle // resolution, -1)
        out = np.where((out < 0) & (own < n), own, out)
    return out
