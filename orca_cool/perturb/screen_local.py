"""The scores of a local screen: how much a change of a unit changes the row of its own bin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.effects.align import Comparison, Reference, compare
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.genome.regions import Region
from orca_cool.genome.source import SequenceSource
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.perturb.changed import changed, unchanged
from orca_cool.perturb.screen_plan import Frame
from orca_cool.prediction.engine import Engine, Request, StrandMaps, average
from orca_cool.prediction.windows import Window

#: Masked intervals of each chromosome: (n, 2) starts and ends in bp.
Mask = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Level:
    """What of a model is screened.

    Attributes
    ----------
    module : its module. resolution : of the level in bp.
    maps : numbers of the cell types' maps.
    strands : "both" (their mean) or "forward".
    """

    module: ModuleSpec
    resolution: int
    maps: tuple[int, ...] = (0,)
    strands: str = "both"

    @property
    def resolutions(self) -> tuple[int, ...]:
        """From the top level to the screened one, whose maps are handed down."""
        levels = self.module.resolutions
        return levels[: levels.index(self.resolution) + 1]


def predict(engines: Sequence[Engine], frame: Frame, level: Level) -> list[np.ndarray]:
    """The window of a frame, of several genomes.

    Parameters
    ----------
    engines : of the genomes, all of one model and one source.

    Returns
    -------
    For each genome float32 (maps, bins, bins), log observed/expected.
    """
    module, top = level.module, level.module.resolutions[0]
    forward = level.strands == "forward"
    roots = [engine.root(module, frame.chrom, frame.origin, forward) for engine in engines]
    above: list[StrandMaps | None] = [None] * len(roots)
    before: int | None = None
    pairs: list[StrandMaps] = []
    for r in level.resolutions:
        start = frame.origin // r + frame.starts[r]
        window = Window(r, start, before, frame.origin // top)
        requests: list[Request] = [(root, window, maps) for root, maps in zip(roots, above)]
        pairs = engines[0].decode_windows(requests)
        above, before = [*pairs], start
    return [np.stack([average(pair, k)[0] for k in level.maps]) for pair in pairs]


def bins_of(unit: Region, start: int, resolution: int) -> slice:
    """The bins of a unit in a window that begins at ``start`` bp.

    Its bin is the one that holds its middle; a unit longer than a bin has all whose middles it
    holds.

    Examples
    --------
    >>> bins_of(Region("a", 1010, 1020), 0, 1000), bins_of(Region("a", 900, 3100), 0, 1000)
    (slice(1, 2, None), slice(1, 3, None))
    """
    half = resolution // 2
    first = -(-(unit.start - start - half) // resolution)
    last = -(-(unit.end - start - half) // resolution)
    if len(unit) <= resolution or last <= first:
        first = ((unit.start + unit.end) // 2 - start) // resolution
        last = first + 1
    return slice(first, last)


def row_change(
    mutated: np.ndarray, reference: np.ndarray, rows: slice, columns: np.ndarray
) -> np.ndarray:
    """The score of a unit: the mean of \\|mutated - reference\\| over the unmasked bins of its row.

    Parameters
    ----------
    mutated, reference : (maps, n, n), natural log of observed/expected.
    rows : the bins of the unit; the mean of several. columns : (n,) bool, True where unmasked.

    Returns
    -------
    float64 (maps,).
    """
    change = mutated[:, rows].astype(float) - reference[:, rows].astype(float)
    scores: np.ndarray = np.abs(change[..., columns]).mean(axis=(1, 2))
    return scores


def unit_changes(
    mutated: np.ndarray,
    reference: np.ndarray,
    edits: Sequence[tuple[Region, np.ndarray]],
    start: int,
    resolution: int,
    columns: np.ndarray,
) -> np.ndarray:
    """The scores (:func:`row_change`) of the units that are changed together in a sequence.

    Parameters
    ----------
    edits : units, with the codes that replace them. start : of the maps' first row, in bp.

    Returns
    -------
    float64 (units, maps).
    """
    rows = [bins_of(unit, start, resolution) for unit, _ in edits]
    return np.stack([row_change(mutated, reference, r, columns) for r in rows])


def is_masked(mask: Mask, chrom: str, start: int, resolution: int, n: int) -> np.ndarray:
    """(n,) bool, bins that an interval of the mask touches."""
    out = np.zeros(n, dtype=bool)
    for a, b in mask.get(chrom, np.zeros((0, 2), dtype=int)):
        first = max((int(a) - start) // resolution, 0)
        last = -(-(int(b) - start) // resolution)
        out[first : max(last, first)] = True
    return out


def unmasked(
    source: SequenceSource, masked: np.ndarray, chrom: str, start: int, resolution: int
) -> tuple[np.ndarray, bool]:
    """Bins of a window that count.

    Parameters
    ----------
    masked : (n,) bool, bins of the window that do not.

    Returns
    -------
    (n,) bool: bins that are neither masked nor mostly gap, inside the chromosome; and whether they
    are at least half of those inside it, without which the window is skipped.
    """
    n = len(masked)
    end = start + n * resolution
    first = start + resolution * np.arange(n)
    inside = (first < source.chromsizes[chrom]) & (first + resolution > 0)
    keep = inside & ~masked
    if keep.any():
        keep &= gap_fraction(source, chrom, start, end, resolution) <= MAX_GAP
    return keep, bool(keep.any() and 2 * keep.sum() >= inside.sum())


class FrameScreen:
    """Scores units of one frame. The reference is predicted once, when it is first needed.

    Parameters
    ----------
    engine : of the genome in its file, whose encodings are used again.
    source : the genome that is screened: that of ``engine``, or an edited one.
    columns : (bins,) bool, bins of the frame's window that count.
    """

    def __init__(
        self,
        engine: Engine,
        source: SequenceSource,
        frame: Frame,
        level: Level,
        columns: np.ndarray,
    ):
        self.engine, self.source = engine, source
        self.frame, self.level, self.columns = frame, level, columns
        self._reference: np.ndarray | None = None

    @property
    def reference(self) -> np.ndarray:
        """(maps, bins, bins) of the genome that is screened."""
        if self._reference is None:
            engine = self._of(self.source)
            (self._reference,) = predict([engine], self.frame, self.level)
        return self._reference

    def _of(self, source: SequenceSource) -> Engine:
        return self.engine.for_genome(source) if isinstance(source, EditedGenome) else self.engine

    def scores(self, several: Sequence[Sequence[tuple[Region, np.ndarray]]]) -> list[np.ndarray]:
        """Scores of the units of several sequences, which are predicted together.

        Parameters
        ----------
        several : for each sequence its units, with the codes that replace them.

        Returns
        -------
        For each sequence float64 (units, maps).
        """
        engines = [
            self.engine.for_genome(changed(self.source, edits), keep=False) for edits in several
        ]
        r = self.level.resolution
        start = self.frame.start(r)
        reference, out = self.reference, []
        for edits, values in zip(several, predict(engines, self.frame, self.level)):
            out.append(unit_changes(values, reference, edits, start, r, self.columns))
        return out


class DeletionScreen:
    """Scores deletions, one a sequence, in the windows of ``orca-cool variants``, bin by bin.

    Parameters
    ----------
    engines : of the genome that is screened, edited or not; one for each cell type.
    """

    def __init__(self, engines: Sequence[Engine], level: Level, mask: Mask):
        self.level, self.mask = level, mask
        self.references = [Reference(engine, level.module) for engine in engines]

    def scores(self, several: Sequence[Sequence[tuple[Region, np.ndarray]]]) -> list[np.ndarray]:
        """As :meth:`FrameScreen.scores`."""
        source = unchanged(self.references[0].engine.source)
        genomes = [changed(source, edits) for edits in several]
        by_map = [
            compare(reference, genomes, keep=(self.level.resolution,))
            for reference in self.references
        ]
        return [
            np.array([[self._score(found[k][0]) for found in by_map]]) for k in range(len(several))
        ]

    def _score(self, found: Comparison) -> float:
        """Mean \\|change\\| of the rows of the bins on both sides of the deletion."""
        masked = np.zeros(len(found.touched), dtype=bool)
        for r, index in zip(found.references, found.bins):
            its = is_masked(self.mask, r.chrom, r.start, r.resolution, len(r.values))
            masked |= (index >= 0) & its[index]
        change = np.abs(found.difference.values[found.touched][:, ~masked].astype(float))
        return float(np.nanmean(change)) if np.isfinite(change).any() else float("nan")
