"""Base encodings of a genome: each stretch of sequence is encoded once and used again by every
window and every edit that holds it.

A chromosome is encoded in blocks. They lie on a grid fixed by the chromosome and are encoded with
real sequence on both sides, so an encoding does not depend on the window that reads it (the encoder
is exactly equivariant on the grid of base bins). A block is taken from memory, else from the store
on disk (:mod:`orca_cool.encodings.store`), else from the network. An edited genome
(:class:`EditedCache`) takes all that its edits do not touch from the encodings of its source.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache
from torch import Tensor

from orca_cool.encodings.blocks import BlockEncoder, Notice
from orca_cool.encodings.reuse import CONCATENATED, FineCache, known_runs
from orca_cool.encodings.store import EncodingStore, runs
from orca_cool.errors import StoreError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.model.encoder import Encoder
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.profile import staged


def block_encoder(
    encoder: Encoder,
    source: SequenceSource,
    device: torch.device | str = "cpu",
    dtype: str = "float32",
) -> Callable[[str, int, int, bool], Iterator[tuple[int, np.ndarray]]]:
    """The function that :func:`orca_cool.encodings.store.build` fills a store with.

    Returns
    -------
    A function of (chromosome, first block, last block (inclusive), reverse strand) that yields the
    number of each block and its encodings, (bins of a block, width) float32.
    """
    blocks = BlockEncoder(FastEncoder(encoder, device, dtype), source).blocks

    def encode(
        chrom: str, first: int, last: int, reverse: bool
    ) -> Iterator[tuple[int, np.ndarray]]:
        for k, y in blocks(chrom, first, last, reverse):
            yield k, y.T.cpu().numpy()

    return encode


#: Bytes of the blocks that are kept of all edited genomes of one genome.
EDITED_BYTES = 2**28
_NUMBERS = itertools.count(1)


class EncodingCache:
    """Encodings of a genome's chromosomes on demand, both strands.

    Parameters
    ----------
    store : encodings on disk, read first; what it lacks is encoded and added to it, unless it was
        opened read-only. All encodings are then rounded to its number type, whether they come from
        it or not, so that a run and its repetition see the same numbers.
    max_bytes : of encodings kept in memory; the least recently used blocks are dropped.
    notice : called while a stretch is encoded.
    fine_bytes : of first-tier outputs kept in memory, for many edits in one place
        (:class:`FineCache`); 0: none.
    """

    def __init__(
        self,
        encoder: FastEncoder,
        source: SequenceSource,
        store: EncodingStore | None = None,
        max_bytes: int = 2**29,
        notice: Notice | None = None,
        fine_bytes: int = 0,
    ):
        self.fine = FineCache(encoder, source, fine_bytes) if fine_bytes else None
        self.encoder = BlockEncoder(encoder, source, notice, self.fine)
        self.source, self.store = source, store
        self.spec, self.size = encoder.spec, self.encoder.size
        self.device = encoder.device
        self.max_blocks = max(8, max_bytes // (4 * self.spec.widths[-1] * self.size))
        self._blocks: LRUCache[tuple[int, str, int, bool], Tensor] = LRUCache(self.max_blocks)
        # of all edited genomes together, and the number that tells this one's apart
        self._edited: LRUCache[tuple[int, str, int, bool], Tensor] = LRUCache(
            max(8, EDITED_BYTES // (4 * self.spec.widths[-1] * self.size))
        )
        self._number = 0

    @property
    def dtype(self) -> str:
        """Number type to which encodings are rounded."""
        return "float32" if self.store is None else self.store.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the encodings that are kept in memory, those of edited genomes among them."""
        blocks = [*self._blocks.values(), *self._edited.values()]
        return sum(4 * y.numel() for y in blocks)

    @property
    def encoded(self) -> int:
        """Base pairs encoded so far, over both strands."""
        return self.encoder.encoded

    @property
    def margin(self) -> int:
        """Bins on either side of a bin that its encoding depends on."""
        return self.spec.context // self.spec.base_bin

    def window(self, chrom: str, start: int, bins: int, *, reverse: bool = False) -> Tensor:
        """(width, bins) encodings from base bin ``start``; with ``reverse``, of the reverse
        complement, in its orientation.

        Beyond the chromosome's ends the sequence is N.
        """
        first, last = start // self.size, (start + bins - 1) // self.size
        y = torch.cat(self._get(chrom, first, last, reverse), dim=-1)[
            :, start - first * self.size : start - first * self.size + bins
        ]
        return y.flip(-1) if reverse else y

    def span(self, chrom: str, start: int, end: int, *, reverse: bool = False) -> Tensor:
        """Encodings of ``[start, end)`` in bp, with real flanks.

        A start that is no multiple of the base bin has bins of its own: the stretch is then encoded
        anew.
        """
        base = self.spec.base_bin
        if start % base == 0:
            return self.window(chrom, start // base, (end - start) // base, reverse=reverse)
        y = self._rounded(
            self.encoder.span(
                chrom, start, end, reverse, lambda i, j: self.source.fetch(chrom, i, j)
            )
        )
        return y.flip(-1) if reverse else y

    @staged("encoding")
    def sequence(
        self,
        segments: Sequence[Segment],
        length: int,
        *,
        reverse: bool = False,
        inside: tuple[int, int] | None = None,
        origin: int = 0,
        name: str = CONCATENATED,
    ) -> Tensor:
        """Encodings of segments laid end to end, with the network's zero padding where the sequence
        ends, as Orca encodes a window.

        Bins that depend on one segment only, and lie as the bins of its chromosome do, are taken
        from the chromosome; the others (around junctions, at the ends, between the chromosome's
        bins) are encoded anew.

        Parameters
        ----------
        length : in bp, a multiple of the base bin; what the segments do not fill is N.
        inside : bins (first, last) that are wanted, at least ``margin`` from the ends, so that none
            depends on the padding. Default: all.
        origin : coordinate in bp of the first base, which decides where the encoder's blocks lie
            and so how the last bits are rounded.
        name : of the sequence, for the notice.

        Returns
        -------
        (width, length / base bin), or (width, last - first); with ``reverse``, of the reverse
        complement, in its orientation.
        """
        base, bins = self.spec.base_bin, length // self.spec.base_bin
        rest = length - sum(len(s) for s in segments)
        joined = EditedGenome(
            self.source, {CONCATENATED: [*segments, *[Segment("", 0, rest)] * (rest > 0)]}
        )
        first, last = inside or (0, bins)
        parts: list[Tensor] = []  # in the forward order of bins
        at = first
        for a, b, known in known_runs(joined.contigs[CONCATENATED], base, self.margin, first, last):
            if at < a:  # up to the next known run
                ends = (at == 0, a == bins) if inside is None else (False, False)
                parts.append(self._anew(joined, (at, a), origin, reverse, ends, name))
            if known is not None and not known.chrom:
                parts.append(self._rounded(self.encoder.all_N(reverse))[:, :1].expand(-1, b - a))
            elif known is not None:
                y = self.window(
                    known.chrom,
                    known.start // base,
                    b - a,
                    reverse=(known.strand == "-") != reverse,
                )
                parts.append(y.flip(-1) if reverse else y)
            at = b
        out = torch.cat(parts, dim=-1)
        return out.flip(-1) if reverse else out

    def _anew(
        self,
        joined: EditedGenome,
        bins: tuple[int, int],
        origin: int,
        reverse: bool,
        ends: tuple[bool, bool],
        name: str,
    ) -> Tensor:
        """Encode bins (first, last) of segments laid end to end, in the forward order of bins."""
        first, last = bins
        base, fine = self.spec.base_bin, None
        # a long stretch is one that lies otherwise than the chromosome's bins: nothing is at hand
        if self.fine is not None and not any(ends) and last - first <= 8 * self.margin:
            fine = partial(self.fine.laid, joined, origin, reverse)
        y = self.encoder.span(
            name,
            origin + first * base,
            origin + last * base,
            reverse,
            partial(_shifted, joined, origin),
            ends,
            fine,
        )
        return self._rounded(y)

    @staged("encoding")
    def _get(self, chrom: str, first: int, last: int, reverse: bool) -> list[Tensor]:
        """Blocks ``first`` to ``last`` (inclusive), in the forward order of bins."""
        found = {
            k: y
            for k in range(first, last + 1)
            if (y := self._look_up(chrom, k, reverse)) is not None
        }
        for a, b in runs([k for k in range(first, last + 1) if k not in found]):
            for k, y in self._encode(chrom, a, b - 1, reverse):
                if (
                    self.store is not None
                    and not self.store.read_only
                    and 0 <= k < self.store.blocks(chrom)
                ):
                    self.store.write(chrom, k, reverse, y.T.cpu().numpy())
                found[k] = self._rounded(y)
        for k in range(first, last + 1):
            self._blocks[self._number, chrom, k, reverse] = found[k]
        return [found[k] for k in range(first, last + 1)]

    def _encode(
        self, chrom: str, first: int, last: int, reverse: bool
    ) -> Iterator[tuple[int, Tensor]]:
        """Blocks that neither memory nor store has, ``first`` to ``last`` (inclusive)."""
        return self.encoder.blocks(chrom, first, last, reverse)

    def _look_up(self, chrom: str, k: int, reverse: bool) -> Tensor | None:
        """A block from memory or from the store, None if neither has it."""
        kept: Tensor | None = self._blocks.get((self._number, chrom, k, reverse))
        if kept is not None:
            return kept
        if self.store is not None and 0 <= k < self.store.blocks(chrom):
            values = self.store.read(chrom, k, reverse)
            if values is not None:
                return torch.from_numpy(np.ascontiguousarray(values.T)).to(self.device)
        return None

    def _rounded(self, y: Tensor) -> Tensor:
        """Encodings as they come back from the store: rounded to its number type, in float32."""
        if self.dtype == "float32":
            return y
        half = y.to(torch.float16)
        if not bool(torch.isfinite(half).all()):
            raise StoreError(
                "encodings of this model do not fit float16; make a store with --dtype float32"
            )
        return half.to(torch.float32)


class EditedCache(EncodingCache):
    """Encodings of an edited genome; what its edits do not touch is taken from the encodings of its
    source.

    A bin that depends on one segment only, and lies as the bins of that segment's chromosome do, is
    the source's; the others are encoded. The result equals encoding the edited sequence anew, up to
    float rounding.

    Parameters
    ----------
    reference : encodings of the source of ``genome``; what is encoded here is counted, and
        announced, there.
    """

    def __init__(self, reference: EncodingCache, genome: EditedGenome):
        super().__init__(reference.encoder.encoder, genome)
        self.reference, self.genome = reference, genome
        self.encoder = reference.encoder
        # dozens may be open: their memory together is bounded
        self._blocks, self._number = reference._edited, next(_NUMBERS)

    @property
    def dtype(self) -> str:
        return self.reference.dtype

    def span(self, chrom: str, start: int, end: int, *, reverse: bool = False) -> Tensor:
        """As :meth:`EncodingCache.span`; segments whose bins fall on those of their chromosome are
        not encoded anew.
        """
        base, around = self.spec.base_bin, self.margin * self.spec.base_bin
        origin, length = start - around, end - start + 2 * around
        segments = self.genome.overhanging(chrom, origin, origin + length)
        inside = (self.margin, self.margin + (end - start) // base)
        return self.reference.sequence(
            segments, length, reverse=reverse, inside=inside, origin=origin, name=chrom
        )

    def sequence(
        self, segments: Sequence[Segment], length: int, *, reverse: bool = False, **options: Any
    ) -> Tensor:
        """As :meth:`EncodingCache.sequence`, of segments of the edited genome: they are translated
        into segments of the source.
        """
        return self.reference.sequence(
            self.genome.flat(segments), length, reverse=reverse, **options
        )

    def _encode(
        self, chrom: str, first: int, last: int, reverse: bool
    ) -> Iterator[tuple[int, Tensor]]:
        block = self.spec.block
        y = self.span(chrom, first * block, (last + 1) * block, reverse=reverse)
        y = y.flip(-1) if reverse else y
        for k in range(first, last + 1):
            yield k, y[:, (k - first) * self.size : (k - first + 1) * self.size].clone()


def _shifted(joined: EditedGenome, origin: int, start: int, end: int) -> np.ndarray:
    """Sequence of segments laid end to end, in coordinates that begin at ``origin``."""
    return joined.fetch(CONCATENATED, start - origin, end - origin)
