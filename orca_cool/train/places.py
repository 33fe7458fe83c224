"""Where the windows of measured maps lie: those of training are drawn, those of validation are
spread evenly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orca_cool.errors import TrainingError
from orca_cool.genome.segments import Segment
from orca_cool.train.draw import (
    draw_by_length,
    draw_concatenated,
    draw_window,
    evenly_placed_window,
)

if TYPE_CHECKING:
    from orca_cool.train.samples import StageData


def window_place(
    data: StageData, rng: np.random.Generator, maps: tuple[str, ...], held: bool, index: int
) -> tuple[Segment, ...] | None:
    """Where a window lies: in one chromosome, or over several laid end to end; None if it overlaps
    the blacklist.

    Parameters
    ----------
    maps : chromosomes must be in all of them.
    held : the ``index``-th window of validation, not one of training.

    Raises
    ------
    TrainingError
        If a map has none of the chromosomes, or the blacklist leaves no window for validation.
    """
    assert data.module is not None
    stage, window, grid = data.stage, data.window, data.observed[maps[0]].resolution
    sizes = _measured(data, maps, data.validation if held else data.training)
    if not sizes:
        kind, observed = "validation" if held else "training", data.observed[maps[0]]
        raise TrainingError(
            f"map {observed.path!r} has none of the {kind} chromosomes; it has: "
            f"{', '.join(observed.chromsizes)}"
        )
    if data.module.multi_chromosome:
        if stage.chromosomes == "by_length":
            long = {c: size for c, size in sizes.items() if size >= grid}
            return draw_by_length(rng, long or sizes, window, grid)
        every = _measured(data, maps, (*data.training, *data.validation)) if held else sizes
        first = data.validation if held else ()
        return draw_concatenated(rng, every, window, grid, first, stage.fewer)
    if held:
        count = stage.validation
        if data.blacklist:
            return (data.blacklist.evenly_placed_window(index, count, sizes, window, grid),)
        return (evenly_placed_window(index, count, sizes, window, grid, data.centred),)
    piece = draw_window(rng, sizes, window, grid, stage.overhang, data.centred)
    return None if data.blacklist.overlaps(piece) else (piece,)


def _measured(data: StageData, maps: tuple[str, ...], chroms: tuple[str, ...]) -> dict[str, int]:
    """Lengths in bp of the chromosomes that all of some maps have."""
    observed = [data.observed[name] for name in maps]
    return {c: data.chromsizes[c] for c in chroms if all(c in o.chromsizes for o in observed)}
