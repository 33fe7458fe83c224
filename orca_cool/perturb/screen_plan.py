"""What a screen does, as pure functions: its units, the windows that show them, which units share a
sequence, and what is put in their place.

All that is drawn depends on (seed, chromosome, window, run, unit) alone, so that a screen that is
killed goes on exactly, and any division of the work draws the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import EditError, RegionError
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import GAP, SequenceSource
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.perturb.laid import between
from orca_cool.prediction.windows import centred_on, zoom_top, zoom_windows

#: What may be put in the place of a unit.
REPLACEMENTS = ("sample", "shuffle", "dinucleotide", "N", "delete")

#: The share of a window, around its middle, whose units it scores: windows tile so.
CENTRAL = 0.8

#: What a drawing is for; it makes the drawings of one unit differ.
_ORDER, _BASES = 1, 2


@dataclass(frozen=True)
class Frame:
    """A window of the screened level, those above it, and the units that it scores.

    Attributes
    ----------
    chrom : chromosome. position : bp on which the windows of all levels are centred, as far as the
        ends of the chromosome allow.
    origin : first base of the top window in bp, a multiple of its bin; negative or beyond the end
        where the window overhangs.
    starts : by resolution, the window's first bin from ``origin``.
    units : numbers of the units, in order.
    pairs : of a screen between chromosomes: the stretches whose contacts are predicted, in the
        genome's order. One of each is the same stretch of ``chrom``, from ``origin``.
    """

    chrom: str
    position: int
    origin: int
    starts: dict[int, int]
    units: tuple[int, ...]
    pairs: tuple[tuple[Segment, Segment], ...] = ()

    @property
    def stretch(self) -> Segment:
        """The stretch of the chromosome, of a screen between chromosomes."""
        return next(s for s in self.pairs[0] if s.chrom == self.chrom)

    def start(self, resolution: int) -> int:
        """First base in bp of the window of a level."""
        return self.origin + self.starts[resolution] * resolution


#: Bytes that a screen keeps for each unit beside its numbers: where it lies (185), in which window
#: it is seen, its row in the table. Of fewer units than these nobody need ask for memory.
UNIT_BYTES, FEW_UNITS = 300, 1_000_000


def tiled(regions: Sequence[Region], width: int, step: int) -> list[Region]:
    """Units of ``width`` bp every ``step`` bp of each region, from its first base.

    Those that do not lie whole in their region are left out.

    Raises
    ------
    RegionError
        If a region is shorter than one unit.

    Examples
    --------
    >>> [str(u) for u in tiled([Region("a", 100, 125)], 10, 10)]
    ['a:100-110', 'a:110-120']
    """
    out = []
    for region in regions:
        if len(region) < width:
            raise RegionError(
                f"region {str(region)!r} is shorter than one unit of {width:,} bp; give a longer "
                f"region, or a smaller --unit or --width"
            )
        starts = range(region.start, region.end - width + 1, step)
        out += [Region(region.chrom, s, s + width) for s in starts]
    return out


def require_memory(regions: Sequence[Region], width: int, step: int, columns: int) -> None:
    """EditError if the units of regions, which a screen keeps in memory, do not fit there.

    Parameters
    ----------
    width, step : as of :func:`tiled`. columns : numbers that are kept for each unit.
    """
    count = sum(max(0, len(region) - width) // step + 1 for region in regions)
    if count < FEW_UNITS:
        return
    import psutil

    needed, free = count * (UNIT_BYTES + 8 * columns), psutil.virtual_memory().available
    if needed > free:
        raise EditError(
            f"{count:,} units take about {needed / 1e9:.0f} GB of memory, {free / 1e9:.0f} GB are "
            f"free; screen fewer regions in a run (a chromosome or a part of one each), or give a "
            f"larger --unit or --step"
        )


def require_apart(units: Sequence[Region]) -> None:
    """EditError if two units, which are in order, share a base."""
    for a, b in zip(units, units[1:]):
        if a.chrom == b.chrom and b.start < a.end:
            raise EditError(
                f"the sites {str(a)!r} and {str(b)!r} overlap, so that they cannot be changed in "
                f"one sequence; merge them, or give --per-sequence 1"
            )


def apart(units: Sequence[Region], numbers: Sequence[int]) -> list[list[int]]:
    """Units of one chromosome, in order, in as few lists as need be so that those of one list do
    not overlap.

    Examples
    --------
    >>> apart([Region("a", 0, 10), Region("a", 5, 15), Region("a", 10, 20)], [0, 1, 2])
    [[0, 2], [1]]
    """
    out: list[list[int]] = []
    for k in numbers:
        free = (layer for layer in out if units[layer[-1]].end <= units[k].start)
        if (layer := next(free, None)) is None:
            out.append(layer := [])
        layer.append(k)
    return out or [[]]


def frames(
    spec: ModelDescription,
    module: ModuleSpec,
    resolution: int,
    source: SequenceSource,
    units: Sequence[Region],
) -> list[Frame]:
    """The windows that score units, from left to right.

    Their middles lie 0.8 of a window apart, the first half a window from the chromosome's first
    base; a unit is scored in the window whose middle is nearest. At the ends of a chromosome
    windows slide inward.

    Parameters
    ----------
    resolution : of the level in bp.
    units : in the genome's order.

    Raises
    ------
    EditError
        If a unit does not fit its window.
    """
    top, width = module.resolutions[0], spec.window(resolution)
    step = max(1, round(CENTRAL * width / top)) * top
    first = width // 2 // top * top
    groups: dict[tuple[str, int], list[int]] = {}
    for number, unit in enumerate(units):
        middle = (unit.start + unit.end) // 2
        k = max(0, (middle - first + step // 2) // step)
        groups.setdefault((unit.chrom, k), []).append(number)
    out = []
    for (chrom, k), numbers in groups.items():
        length = source.chromsizes[chrom]
        position = min(first + k * step, (length - 1) // top * top)
        several = module.multi_chromosome
        centred = None if several else centred_on(spec, source, chrom)
        origin = top_origin(position, length, spec.window(top), top, centred)
        levels = module.resolutions[: module.resolutions.index(resolution) + 1]
        # where others follow in the input, windows keep inside the chromosome if they can
        inside = min(length - origin, spec.window(top)) if several else None
        starts = zoom_windows(position, origin, levels, spec.bins, inside)
        frame = Frame(chrom, position, origin, starts, tuple(numbers))
        start = frame.start(resolution)
        for number in numbers:
            unit = units[number]
            if unit.start < start or unit.end > start + width:
                raise EditError(
                    f"the unit {str(unit)!r} of {len(unit):,} bp does not fit the window of "
                    f"{width:,} bp around it; choose smaller units or a coarser --resolution"
                )
        out.append(frame)
    return out


def frames_between(
    spec: ModelDescription,
    module: ModuleSpec,
    source: SequenceSource,
    units: Sequence[Region],
    other: str,
) -> list[Frame]:
    """The stretches of chromosomes that score units by their contacts with another chromosome, as
    ``predict --trans`` lays them: whole chromosomes where both fit the input, else parts.

    Parameters
    ----------
    units : in the genome's order. other : the other chromosome.

    Raises
    ------
    EditError
        If a unit lies on the other chromosome itself, or in two stretches.
    """
    top = module.resolutions[0]
    groups: dict[tuple[str, int], list[tuple[Segment, Segment]]] = {}
    numbers: dict[tuple[str, int], list[int]] = {}
    for number, unit in enumerate(units):
        if unit.chrom == other:
            raise EditError(
                f"the unit {str(unit)!r} lies on the chromosome of --between {other!r} itself; "
                f"leave it out, or --between"
            )
        if not any(chrom == unit.chrom for chrom, _ in groups):
            for pair in between(spec, module, source, unit.chrom, other):
                own = next(s for s in pair if s.chrom == unit.chrom)
                groups.setdefault((own.chrom, own.start), []).append(pair)
        middle = (unit.start + unit.end) // 2
        at = max(start for chrom, start in groups if chrom == unit.chrom and start <= middle)
        numbers.setdefault((unit.chrom, at), []).append(number)
    out = []
    for key, some in numbers.items():
        chrom, origin = key
        frame = Frame(chrom, origin, origin, {top: 0}, tuple(some), tuple(groups[key]))
        end = frame.stretch.end
        for unit in (units[k] for k in some):
            if unit.start < origin or unit.end > end:
                border = end if unit.end > end else origin
                raise EditError(
                    f"the unit {str(unit)!r} lies across {chrom}:{border:,}, where the parts meet "
                    f"in which {chrom} is predicted beside {other}; choose smaller units"
                )
        out.append(frame)
    return out


def top_origin(position: int, length: int, window: int, top: int, centred: int | None) -> int:
    """Start of the top window in bp, a multiple of its bin ``top``.

    That of :func:`orca_cool.prediction.windows.zoom_top`; but the last one reaches the chromosome's
    last base, and so overhangs it by less than a bin.
    """
    if length <= window:
        return zoom_top(position, length, window, top, centred)
    last = -(-(length - window) // top) * top
    return min(max(position - window // 2, 0) // top * top, last)


def rng_of(seed: int, chrom: str, *numbers: int) -> np.random.Generator:
    """The random numbers of one drawing: always the same for the same arguments."""
    return np.random.default_rng([seed, zlib.crc32(chrom.encode()), *numbers])


def sequences(
    units: Sequence[int], per_sequence: int, seed: int, frame: Frame, run: int, layer: int = 0
) -> list[list[int]]:
    """Which units are changed together, in one run of one window.

    The units lie in ``per_sequence`` blocks, one behind the other; in each the order is permuted by
    itself, and sequence j holds the j-th of every block. So every unit is in one sequence.

    Parameters
    ----------
    units : of the frame that are changed at all, in order.
    layer : tells units from those that overlap them.

    Returns
    -------
    For each sequence its units, from left to right.

    Examples
    --------
    >>> f = Frame("a", 0, 0, {}, ())
    >>> found = sequences(range(6), 2, 0, f, 0)
    >>> len(found), sorted(sum(found, []))
    (3, [0, 1, 2, 3, 4, 5])
    """
    size = -(-len(units) // per_sequence)
    blocks = []
    for k, first in enumerate(range(0, len(units), max(size, 1))):
        block = list(units[first : first + size])
        rng = rng_of(seed, frame.chrom, _ORDER, frame.position, run, k, *[layer] * (layer > 0))
        blocks.append([block[i] for i in rng.permutation(len(block))])
    return [[block[j] for block in blocks if j < len(block)] for j in range(size)]


def replacement(
    codes: np.ndarray, how: str, window: np.ndarray, seed: int, frame: Frame, run: int, start: int
) -> np.ndarray:
    """What is put in the place of a unit.

    Parameters
    ----------
    codes : uint8 (n,), the unit's bases, all of them A, C, G or T.
    how : one of :data:`REPLACEMENTS`. "sample": bases drawn one by one from the window; "shuffle":
        the unit's own in another order; "dinucleotide": so that every pair of neighbours occurs as
        often as before; "N"; "delete".
    window : uint8, the bases A, C, G and T of the window.
    start : of the unit in bp.

    Returns
    -------
    uint8 (n,), or (0,) for "delete".
    """
    rng = rng_of(seed, frame.chrom, _BASES, frame.position, run, start)
    if how == "sample":
        return window[rng.integers(0, len(window), len(codes))]
    if how == "shuffle":
        return rng.permutation(codes)
    if how == "dinucleotide":
        return dinucleotide_shuffle(codes, rng)
    if how == "N":
        return np.full(len(codes), GAP, dtype=np.uint8)
    return codes[:0]


def dinucleotide_shuffle(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sequence with the same count of every pair of neighbours, and the same two ends.

    Every such sequence is equally likely (Altschul and Erickson 1985): of each base the last step
    that leaves it is drawn until these steps lead from everywhere to the end, and the others are
    permuted.

    Parameters
    ----------
    codes : uint8 (n,).

    Examples
    --------
    >>> dinucleotide_shuffle(np.array([0, 1, 0, 2, 0], np.uint8), np.random.default_rng(1)).tolist()
    [0, 2, 0, 1, 0]
    """
    if len(codes) < 3:
        return codes.copy()
    steps = {int(a): codes[1:][codes[:-1] == a] for a in np.unique(codes[:-1])}
    end = int(codes[-1])
    while True:
        last = {a: int(rng.integers(len(s))) for a, s in steps.items() if a != end}
        leads = {a: int(steps[a][k]) for a, k in last.items()}
        if all(_arrives(a, leads, end) for a in leads):
            break
    for a, follow in steps.items():
        if a in last:
            rest = rng.permutation(np.delete(follow, last[a]))
            steps[a] = np.append(rest, follow[last[a]])
        else:
            steps[a] = rng.permutation(follow)
    out, used = [int(codes[0])], dict.fromkeys(steps, 0)
    for _ in range(len(codes) - 1):
        at = out[-1]
        out.append(int(steps[at][used[at]]))
        used[at] += 1
    return np.array(out, dtype=np.uint8)


def _arrives(a: int, leads: dict[int, int], end: int) -> bool:
    """True if following ``leads`` from ``a`` comes to ``end``."""
    for _ in range(len(leads) + 1):
        if a == end:
            return True
        a = leads[a]
    return a == end
