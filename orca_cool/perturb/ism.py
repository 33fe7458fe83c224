"""In-silico mutagenesis: how an objective changes where bases are substituted, deleted or shuffled.

Each change is an edited genome, of which only what is changed is encoded anew. Substitutions and
shuffles leave the length as it is, so that is little; behind a deletion all sequence moves against
the bins, and up to half of the window is encoded for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import RegionError
from orca_cool.genome.regions import Region
from orca_cool.genome.source import GAP, SequenceSource
from orca_cool.perturb.changed import changed
from orca_cool.perturb.screen_plan import tiled
from orca_cool.perturb.watched import Watched
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.zoom import EncodedZoom


@dataclass(frozen=True)
class Replaced:
    """``[start, end)`` of a chromosome in bp, and the codes in its place: as many, or none."""

    chrom: str
    start: int
    end: int
    codes: tuple[int, ...] = ()


def substitutions(codes: np.ndarray, region: Region) -> list[Replaced]:
    """Every substitution of every base of a region that is not N, base by base.

    Parameters
    ----------
    codes : (L,) of the region's bases.
    """
    return [
        Replaced(region.chrom, region.start + k, region.start + k + 1, (b,))
        for k, b in _places(codes)
    ]


def of_bases(codes: np.ndarray, found: np.ndarray) -> np.ndarray:
    """What was found of :func:`substitutions`, by base: (L, 4) float64; 0 for the base that is
    there, NaN where that is N.
    """
    out = np.zeros((len(codes), 4))
    out[codes == GAP] = np.nan
    for (k, b), change in zip(_places(codes), found, strict=True):
        out[k, b] = change
    return out


def _places(codes: np.ndarray) -> list[tuple[int, int]]:
    """Each base's number and what it may be substituted by."""
    return [(k, b) for k in range(len(codes)) for b in range(4) if codes[k] not in (b, GAP)]


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


def deletions(chrom: str, intervals: Sequence[tuple[int, int]]) -> list[Replaced]:
    """The deletion of each interval of a chromosome.

    Windows are laid so that the longer part of them keeps its bins (where a module reads several
    chromosomes: what lies before the deletion); the objective's positions move with the sequence,
    and one that is deleted lies where the deletion is.
    """
    return [Replaced(chrom, a, b) for a, b in intervals]


def shuffles(
    source: SequenceSource,
    chrom: str,
    intervals: Sequence[tuple[int, int]],
    *,
    runs: int = 3,
    seed: int = 0,
) -> list[Replaced]:
    """Shuffles of the bases of each interval of a chromosome, some runs of each.

    Each interval's order is drawn from the seed, the run and its start alone, so that it does not
    depend on what else is asked for.
    """
    edits = []
    for a, b in intervals:
        codes = source.fetch(chrom, a, b)
        for run in range(runs):
            drawn = np.random.default_rng([seed, run, a]).permutation(codes)
            edits.append(Replaced(chrom, a, b, tuple(int(c) for c in drawn)))
    return edits


def values(watched: Watched, edits: Sequence[Replaced]) -> list[float]:
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
