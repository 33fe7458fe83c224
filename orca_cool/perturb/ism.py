"""In-silico mutagenesis: how an objective changes where bases are substituted, deleted or shuffled.

Each change is an edited genome, of which only what is changed is encoded anew. Substitutions and
shuffles leave the length as it is, so that is little; behind a deletion all sequence moves against
the bins, and up to half of the window is encoded for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import RegionError
from orca_cool.genome.regions import Region
from orca_cool.genome.source import GAP
from orca_cool.perturb.changed import changed
from orca_cool.perturb.screen_plan import tiled
from orca_cool.perturb.watched import Watched
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.progress import Report, no_report
from orca_cool.prediction.zoom import EncodedZoom


@dataclass(frozen=True)
class Replaced:
    """``[start, end)`` of a chromosome in bp, and the codes in its place: as many, or none."""

    chrom: str
    start: int
    end: int
    codes: tuple[int, ...] = ()


def substitutions(watched: Watched, region: Region, progress: Report = no_report) -> np.ndarray:
    """The change of an objective by every substitution of every base of a region.

    Returns
    -------
    (L, 4) float64; 0 for the base that is there, NaN where that is N.

    Raises
    ------
    RegionError
        If the region lies outside the sequence that the objective is predicted from.
    """
    watched.require_inside(region)
    codes = watched.engine.source.fetch(region.chrom, region.start, region.end)
    out = np.zeros((len(region), 4))
    out[codes == GAP] = np.nan
    places = [(k, b) for k in range(len(region)) for b in range(4) if codes[k] not in (b, GAP)]
    edits = [
        Replaced(region.chrom, region.start + k, region.start + k + 1, (b,)) for k, b in places
    ]
    for (k, b), change in zip(places, changes(watched, edits, progress)):
        out[k, b] = change
    return out


def units(region: Region, width: int, step: int) -> list[tuple[int, int]]:
    """Intervals of ``width`` bp every ``step`` bp that lie in a region.

    Raises
    ------
    RegionError
        If none does, or width or step are not at least 1.
    """
    if width < 1 or step < 1:
        raise RegionError(f"width {width} and step {step} must be at least 1 bp")
    return [(unit.start, unit.end) for unit in tiled([region], width, step)]


def deletions(
    watched: Watched, chrom: str, intervals: Sequence[tuple[int, int]], progress: Report = no_report
) -> np.ndarray:
    """The change of an objective by deleting each interval of a chromosome: (units,) float64.

    Windows are laid so that the longer part of them keeps its bins (where a module reads several
    chromosomes: what lies before the deletion); the objective's positions move with the sequence,
    and one that is deleted lies where the deletion is.
    """
    edits = [Replaced(chrom, a, b) for a, b in intervals]
    return np.array(list(changes(watched, edits, progress)))


def shuffles(
    watched: Watched,
    chrom: str,
    intervals: Sequence[tuple[int, int]],
    *,
    runs: int = 3,
    seed: int = 0,
    progress: Report = no_report,
) -> np.ndarray:
    """The change of an objective by shuffling the bases of each interval of a chromosome: (units,)
    float64, the mean of some runs.

    Each interval's order is drawn from the seed, the run and its start alone, so that it does not
    depend on what else is asked for.
    """
    edits = []
    for a, b in intervals:
        codes = watched.engine.source.fetch(chrom, a, b)
        for run in range(runs):
            drawn = np.random.default_rng([seed, run, a]).permutation(codes)
            edits.append(Replaced(chrom, a, b, tuple(int(c) for c in drawn)))
    found = np.array(list(changes(watched, edits, progress)))
    return found.reshape(len(intervals), runs).mean(axis=1)


def changes(
    watched: Watched, edits: Sequence[Replaced], progress: Report = no_report
) -> Iterable[float]:
    """The change of an objective by each of some edits; the edits are predicted in batches."""
    size = watched.engine.windows_per_batch
    for edit in edits:
        watched.require_inside(Region(edit.chrom, edit.start, edit.end))
    before = watched.value
    progress(0, len(edits))
    for at in range(0, len(edits), size):
        some = edits[at : at + size]
        for value in _values(watched, some):
            yield value - before
        progress(at + len(some), len(edits))


def _values(watched: Watched, edits: Sequence[Replaced]) -> list[float]:
    """The objective of each edited genome."""
    engines = [_engine(watched, edit) for edit in edits]
    lifts = [_lift(edit) for edit in edits]
    zooms: list[EncodedZoom | None] = [None] * len(edits)
    maps = [watched.reference] * len(edits)
    if watched.objective.reads_map:
        encoded = [
            watched.encoded(e, _centre(watched, edit), lift)
            for e, edit, lift in zip(engines, edits, lifts)
        ]
        zooms, maps = [*encoded], watched.decoded(encoded)
    out = []
    for m, zoom, e, lift in zip(maps, zooms, engines, lifts):
        profile = watched.profile_of(e)
        seen = watched.view(m, zoom=zoom, profile=profile, lift=lift, source=e.source)
        out.append(float(watched.objective(seen)))
    return out


def _engine(watched: Watched, edit: Replaced) -> OrcaEngine:
    """The engine of the genome with the edit."""
    where = Region(edit.chrom, edit.start, edit.end)
    genome = changed(watched.engine.source, [(where, np.array(edit.codes, np.uint8))])
    return watched.engine.for_genome(genome, keep=False)


def _centre(watched: Watched, edit: Replaced) -> int:
    """What the windows of the edited genome centre on: the longer part of them keeps its bins."""
    lost = edit.end - edit.start - len(edit.codes)
    position = watched.placed.position
    stays = edit.chrom != watched.chrom or edit.start >= position
    return position if stays else position - lost


def _lift(edit: Replaced) -> Callable[[str, int], int]:
    """Where positions of the genome lie after an edit."""
    lost = edit.end - edit.start - len(edit.codes)

    def lift(chrom: str, position: int) -> int:
        if chrom != edit.chrom or position < edit.start or not lost:
            return position
        return position - lost if position >= edit.end else edit.start

    return lift
