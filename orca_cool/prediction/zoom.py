"""A zoom: one window at every level around a position, each inside the one before, as Orca's own
program predicts.

The windows' phase is arbitrary: they need not lie on the bins of the chromosome.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from orca_cool.encodings.reuse import CONCATENATED
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.maps.contact_map import ContactMap
from orca_cool.model.cascade import mirror
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.batch_decoder import plain
from orca_cool.prediction.end_to_end import input_around, second_strand
from orca_cool.prediction.engine import Request, StrandMaps, average
from orca_cool.prediction.root import Root
from orca_cool.prediction.window_key import Content, content_of
from orca_cool.prediction.windows import Window, centred_on, zoom_top, zoom_windows

if TYPE_CHECKING:
    from orca_cool.prediction.orca_engine import OrcaEngine


@dataclass(frozen=True, eq=False)
class EncodedZoom:
    """What the maps of a zoom are decoded from; it is read from the genome when that is first
    needed.

    Attributes
    ----------
    read : reads the top window; see :attr:`strands`.
    starts : by resolution, the window's first bin from the start of the top window.
    origin : start of the top window on ``chrom`` in bp.
    segments : what the top window consists of, for a module that reads several chromosomes.
    reverse_expected_starts : by resolution, where, in bp from the top window's start, the expected
        of the second strand's window is taken; it is flipped.
    turned : the second strand's segments, where chromosomes are turned in their own places.
    content : by what its windows are found in the window store, where there is one.
    """

    chrom: str
    read: Callable[[], list[Tensor]]
    starts: Mapping[int, int]
    origin: int
    segments: list[Segment] | None = None
    reverse_expected_starts: Mapping[int, int] = dataclasses.field(default_factory=dict)
    turned: list[Segment] | None = None
    content: Content | None = None

    @cached_property
    def strands(self) -> list[Tensor]:
        """Of the top window. Orca: base encodings of both strands, (width, bins) each. A
        WindowModel: one element, the codes of the forward strand with their context.
        """
        with torch.inference_mode(False):  # tensors like any other, which may be kept
            return self.read()

    def root(self, engine: OrcaEngine, module: ModuleSpec) -> Root:
        """The top window as a :class:`~orca_cool.prediction.engine.Root`."""
        return engine._root(
            module, lambda: self.strands, self.segments, self.turned, content=self.content
        )


#: Called with the maps of each zoom so far; which of them are wanted at the next level.
GoOn = Callable[[Sequence[Sequence["ContactMap"]]], Sequence[bool]]


def still_wanted(
    live: Sequence[int], out: Sequence[Sequence[ContactMap]], go_on: GoOn | None
) -> list[int]:
    """Of the zooms that have come so far, by number, those that go on."""
    wanted = None if go_on is None else go_on(out)
    return [k for k in live if wanted is None or wanted[k]]


def zoom_map(
    chrom: str,
    resolution: int,
    start: int,
    maps: tuple[np.ndarray, np.ndarray],
    expected: np.ndarray,
    eps: float,
) -> ContactMap:
    """One level of a zoom, from what :func:`~orca_cool.prediction.engine.average` made."""
    end = start + resolution * len(expected)
    values, strand_difference = maps
    region = Region(chrom, start, end)
    return ContactMap(values, expected, eps, region, resolution, strand_difference)


def encode_zoom(
    engine: OrcaEngine, module: ModuleSpec, chrom: str, position: int, edges: str
) -> EncodedZoom:
    """Encode the top window of a zoom.

    Where the top window begins on a base bin of its chromosome the encodings are the chromosome's
    (from memory or the store) but for its ends; otherwise all of the window is encoded anew.

    Parameters
    ----------
    position : 0-based, the base that every level centres on as far as the coarser level's bins
        allow.
    edges : "zero-padded": zero padding at the top window's ends; "real": the chromosome goes on
        there.
    """
    spec, top = engine.spec, module.resolutions[0]
    sizes = engine.source.chromsizes
    window, length = spec.window(top), sizes[chrom]
    segments, other, origin = None, None, 0
    if module.multi_chromosome:
        unit = engine.expected(module).resolution
        origin, segments = input_around(spec, engine.source, module, unit, chrom, position)
        other = second_strand(spec, module, segments)
    else:
        centred = centred_on(spec, engine.source, chrom)
        origin = zoom_top(position, length, window, top, centred)

    def read() -> list[Tensor]:
        if segments is not None:
            return engine.concatenated(segments, window, other=other)
        if edges == "zero-padded":
            return engine.concatenated([Segment(chrom, origin, origin + window)], window)
        return [
            engine.encodings.span(chrom, origin, origin + window, reverse=r) for r in (False, True)
        ]

    starts = zoom_windows(
        position, origin, module.resolutions, spec.bins, len(segments[0]) if segments else None
    )
    # The released program flips the expected of the *mirrored* window. That is the right one for a
    # single chromosome (it depends on distance alone) but not for several end to end, where
    # `windows` takes the window's own; here its numbers are to be had, so its way is followed.
    mirrored = mirror(starts, spec.bins, spec.bins)
    reverse_starts = {r: s * r for r, s in mirrored.items()}
    content = content_of(engine, module, chrom, origin, edges, segments, other)
    return EncodedZoom(chrom, read, starts, origin, segments, reverse_starts, other, content)


def zoom_concatenated(
    engine: OrcaEngine, module: ModuleSpec, segments: Sequence[Segment], starts: Mapping[int, int]
) -> list[ContactMap]:
    """One zoom into segments of chromosomes laid end to end, for a module whose input they are
    (256M).

    Unlike in :func:`encode_zoom` the second strand's expected is always that of the window itself,
    and the second strand is the reverse complement of the whole, whatever the model's placement: a
    window may lie across the end of any of the segments.

    Parameters
    ----------
    segments : at most the top window; lengths are multiples of the expected's bin; the rest is N.
    starts : by resolution, the window's first bin from the start of the first segment, inside the
        window one level up.

    Returns
    -------
    Level by level; ``chrom`` is "concatenated", ``start`` and ``end`` count from the start of the
    first segment.
    """
    read = partial(engine.concatenated, segments, engine.spec.window(module.resolutions[0]))
    own_starts = {r: s * r for r, s in starts.items()}
    encoded = EncodedZoom(CONCATENATED, read, starts, 0, list(segments), own_starts)
    return decode_zooms(engine, module, [encoded])[0]


@torch.inference_mode()
def decode_zooms(
    engine: OrcaEngine, module: ModuleSpec, zooms: Sequence[EncodedZoom], go_on: GoOn | None = None
) -> list[list[ContactMap]]:
    """The maps of several zooms, each level by level.

    Several together fill a batch; the numbers of a zoom do not depend on the others.

    Parameters
    ----------
    go_on : asked after each level which zooms are wanted any finer; None: all are.
    """
    expected, bins = engine.expected(module), engine.spec.bins
    roots = [zoom.root(engine, module) for zoom in zooms]
    above: list[StrandMaps | None] = [None for _ in zooms]
    before: int | None = None
    out: list[list[ContactMap]] = [[] for _ in zooms]
    live = list(range(len(zooms)))
    for r in module.resolutions:
        requests: list[Request] = []
        for k in live:
            starts = zooms[k].starts
            w = Window(r, starts[r], None if before is None else starts[before], 0)
            requests.append((roots[k], w, above[k]))
        reverse_expected = [
            None if zooms[k].turned is not None else zooms[k].reverse_expected_starts[r]
            for k in live
        ]
        for k, pair in zip(live, engine.decode_windows(requests, reverse_expected)):
            zoom, above[k] = zooms[k], pair
            begin = zoom.starts[r] * r
            if zoom.segments is None:
                matrix = expected.expected_matrix(r, bins)
            else:
                matrix = expected.assembled(r, plain(zoom.segments), begin, bins)
            start, eps = zoom.origin + begin, module.window_eps(expected.eps(r, bins), matrix)
            averaged = average(pair, engine.spec.map_number)
            out[k].append(zoom_map(zoom.chrom, r, start, averaged, matrix, eps))
        before = r
        live = still_wanted(live, out, go_on)
        if not live:
            break
    return out
