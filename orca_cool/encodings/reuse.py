"""What an edited sequence shares with the genome that it is made of: which bins can be taken from
its chromosomes, and the outputs of the encoder's first tier, kept in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from cachetools import LRUCache
from torch import Tensor

from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import GAP, SequenceSource
from orca_cool.model.fast.encoder import FastEncoder

#: Name of segments laid end to end.
CONCATENATED = "concatenated"


def known_runs(
    segments: Sequence[Segment], base: int, margin: int, first: int, last: int
) -> Iterator[tuple[int, int, Segment | None]]:
    """Bins of segments laid end to end whose values are those of their chromosomes: they depend on
    one segment only, and lie as the bins of its chromosome do.

    Parameters
    ----------
    base : bin in bp.
    margin : bins on either side of a bin that its value depends on.
    first, last : bins of the segments laid end to end that are wanted.

    Yields
    ------
    Runs of bins (a, b, piece), with the piece of a chromosome in which they lie; its name is empty
    where all is N. Runs so short that computing them costs less than two more junctions are left
    out. The last is (last, last, None).
    """
    offset = 0
    for s in segments:
        a, b = -(-offset // base) + margin, (offset + len(s)) // base - margin
        if s.chrom:
            known = (
                (s.start - offset) % base == 0 if s.strand == "+" else (s.end + offset) % base == 0
            )
        else:
            known = s.literal is None
        if known and b - a > 2 * margin and max(a, first) < min(b, last):
            a, b = max(a, first), min(b, last)
            yield a, b, s.part(a * base - offset, b * base - offset)
        offset += len(s)
    yield last, last, None


class FineCache:
    """Outputs of the encoder's first tier, which is about 95 % of its work, for a genome's
    chromosomes: computed on demand and kept in memory.

    Each of many small edits in one place then costs little more than the second tier. Outputs of
    the released networks take 6.4 bytes a bp and strand.

    Parameters
    ----------
    max_bytes : when the outputs take more, the chunks that were least recently used are dropped.
    """

    def __init__(self, encoder: FastEncoder, source: SequenceSource, max_bytes: int = 2**30):
        self.encoder, self.source = encoder, source
        self._chunks: LRUCache[tuple[str, int, bool], Tensor] = LRUCache(
            max_bytes, getsizeof=lambda y: 4 * y.numel()
        )
        self._gap: dict[bool, Tensor] = {}

    def read(self, chrom: str, reverse: bool, start: int, end: int) -> Tensor:
        """Outputs (1, channels, 1, n) of ``[start, end)`` in bp, multiples of the fine bin, in the
        forward order of bins.
        """
        grid = list(self.encoder.grid(start, end))
        found = {a: y for a, _ in grid if (y := self._chunks.get((chrom, a, reverse))) is not None}
        missing = [(a, b) for a, b in grid if a not in found]
        if missing:  # from the first to the last in one run: what surrounds it is paid once
            for a, _, y in self.encoder.fine(
                lambda i, j: self.source.fetch(chrom, i, j),
                missing[0][0],
                missing[-1][1],
                reverse=reverse,
            ):
                found.setdefault(a, y)
        for a, _ in grid:
            with contextlib.suppress(ValueError):  # larger than the whole cache
                self._chunks[chrom, a, reverse] = found[a]
        size = self.encoder.fine_bin
        parts = [
            found[a][..., max(start - a, 0) // size : (min(end, b) - a) // size] for a, b in grid
        ]
        return torch.cat(parts, dim=-1)

    def laid(
        self, joined: EditedGenome, origin: int, reverse: bool, start: int, end: int
    ) -> Tensor:
        """As :meth:`read`, of segments laid end to end, in coordinates that begin at ``origin``.

        Fine bins that :func:`known_runs` finds are taken from the chromosomes, the others computed.
        """
        size, margin = self.encoder.fine_bin, self.encoder.fine_margin
        first, last = (start - origin) // size, (end - origin) // size
        parts: list[Tensor] = []
        at = first
        for a, b, piece in known_runs(joined.contigs[CONCATENATED], size, margin, first, last):
            if at < a:
                parts.append(
                    self.encoder.fine_piece(
                        lambda i, j: joined.fetch(CONCATENATED, i, j),
                        at * size,
                        a * size,
                        reverse=reverse,
                    )
                )
            if piece is not None and not piece.chrom:
                parts.append(self._all_N(reverse).expand(-1, -1, -1, b - a))
            elif piece is not None:
                y = self.read(piece.chrom, (piece.strand == "-") != reverse, piece.start, piece.end)
                parts.append(y.flip(-1) if piece.strand == "-" else y)
            at = b
        return torch.cat(parts, dim=-1)

    def _all_N(self, reverse: bool) -> Tensor:
        """(1, channels, 1, 1) of a fine bin that sees N alone."""
        if reverse not in self._gap:
            self._gap[reverse] = self.encoder.fine_piece(
                lambda i, j: np.full(j - i, GAP, dtype=np.uint8),
                0,
                self.encoder.fine_bin,
                reverse=reverse,
            )
        return self._gap[reverse]
