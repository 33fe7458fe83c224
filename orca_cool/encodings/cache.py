"""Base encodings of a genome: each stretch of sequence is encoded once and re-used by every window,
layout and edit that holds it.

Blocks lie on a grid fixed by the chromosome and carry real flanks, so an encoding does not depend
on the window that reads it (the encoder is exactly equivariant on the base-bin grid). Three places
are asked in turn: memory, the store on disk (:mod:`orca_cool.encodings.store`), the network. An edited genome
(:class:`EditedCache`) takes from its source's encodings all that its edits do not touch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache
from torch import Tensor

from orca_cool.encodings.reuse import CONCATENATED, FineCache, known_runs
from orca_cool.encodings.store import EncodingStore, runs
from orca_cool.errors import DeviceError, StoreError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import GAP, SequenceSource
from orca_cool.model.encoder import Encoder
from orca_cool.model.fast.encoder import FastEncoder, Fine

#: (name, start, end, reverse strand): what is left to encode of a stretch, in bp; called when it is
#: begun and after each block
Notice = Callable[[str, int, int, bool], None]


class BlockEncoder:
    """Blocks of a source's chromosomes, as the network gives them; nothing is kept but the one
    block of which all is N.
    """

    def __init__(
        self,
        encoder: FastEncoder,
        source: SequenceSource,
        notice: Notice | None = None,
        fine: FineCache | None = None,
    ):
        self.encoder, self.source, self.notice, self.fine = encoder, source, notice, fine
        self.spec = encoder.spec
        self.size = self.spec.block // self.spec.base_bin
        self.encoded = (
            0  # base pairs encoded so far, over both strands: what benchmarks and tests look at
        )
        self._all_N: dict[bool, Tensor] = {}

    def blocks(
        self, chrom: str, first: int, last: int, reverse: bool
    ) -> Iterator[tuple[int, Tensor]]:
        """Blocks ``first`` to ``last`` (inclusive) as (k, (width, bins of a block)), in the forward
        order of bins.
        """
        unknown = {k for k in range(first, last + 1) if self.is_N(chrom, k)}
        for k in sorted(unknown):
            yield k, self.all_N(reverse)
        block = self.spec.block
        # in runs: flanks are paid once a run, and who is killed has stored all but the last
        for a, b in runs([k for k in range(first, last + 1) if k not in unknown]):
            fine = None if self.fine is None else partial(self.fine.read, chrom, reverse)
            y = self.span(
                chrom,
                a * block,
                b * block,
                reverse,
                lambda i, j: self.source.fetch(chrom, i, j),
                fine=fine,
            )
            for k in range(a, b):
                yield k, y[:, (k - a) * self.size : (k - a + 1) * self.size].clone()

    def span(
        self,
        name: str,
        start: int,
        end: int,
        reverse: bool,
        fetch: Callable[[int, int], np.ndarray],
        ends: tuple[bool, bool] = (False, False),
        fine: Fine | None = None,
    ) -> Tensor:
        """(width, bins) of any stretch, in the forward order of bins; ``name`` is only said."""
        self.encoded += end - start
        base = self.spec.base_bin

        def say(done: int, total: int) -> None:
            if self.notice is not None:
                self.notice(name, start + done * base, end, reverse)

        say(0, (end - start) // base)
        try:
            y = self.encoder.span(
                fetch, start, end, reverse=reverse, ends=ends, progress=say, fine=fine
            )
        except torch.cuda.OutOfMemoryError as error:
            raise DeviceError(
                f"the memory of {self.encoder.device} does not hold one chunk of sequence being "
                f"encoded; use cpu"
            ) from error
        return y.flip(-1) if reverse else y

    def is_N(self, chrom: str, k: int) -> bool:
        """True if a block and all that it depends on is N (gaps of the assembly, and beyond its
        ends).
        """
        a, b = k * self.spec.block - self.spec.flank, (k + 1) * self.spec.block + self.spec.flank
        if a >= self.source.chromsizes[chrom] or b <= 0:
            return True
        middle = (a + b) // 2  # nearly every block is told apart by these few bases
        few = self.source.fetch(chrom, middle - 50, middle + 50)
        return bool((few == GAP).all()) and bool((self.source.fetch(chrom, a, b) == GAP).all())

    def all_N(self, reverse: bool) -> Tensor:
        """The block of which every base is N: all such blocks are one and the same."""
        if reverse not in self._all_N:
            self._all_N[reverse] = self.span(
                "N", 0, self.spec.block, reverse, lambda i, j: np.full(j - i, GAP, dtype=np.uint8)
            )
        return self._all_N[reverse]


def block_encoder(
    encoder: Encoder,
    source: SequenceSource,
    device: torch.device | str = "cpu",
    dtype: str = "float32",
) -> Callable[[str, int, int, bool], Iterator[tuple[int, np.ndarray]]]:
    """What :func:`orca_cool.encodings.store.build` fills a store with: (chrom, first, last, reverse) -> (k,
    (bins of a block, width) float32).
    """
    blocks = BlockEncoder(FastEncoder(encoder, device, dtype), source).blocks

    def encode(
        chrom: str, first: int, last: int, reverse: bool
    ) -> Iterator[tuple[int, np.ndarray]]:
        for k, y in blocks(chrom, first, last, reverse):
            yield k, y.T.cpu().numpy()

    return encode


class EncodingCache:
    """Encodings of a source's chromosomes on demand, both strands.

    Parameters
    ----------
    store : read first; what it lacks is encoded and added to it, unless it was opened read-only.
        All encodings are then rounded to its number type, whether they come from it or not, so that
        a run and its repetition see the same numbers.
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
        self._blocks: LRUCache[tuple[str, int, bool], Tensor] = LRUCache(self.max_blocks)

    @property
    def dtype(self) -> str:
        """Number type to which encodings are rounded."""
        return "float32" if self.store is None else self.store.dtype

    @property
    def encoded(self) -> int:
        """Base pairs encoded so far, over both strands."""
        return self.encoder.encoded

    @property
    def margin(self) -> int:
        """Bins on either side of a bin that its encoding depends on."""
        return -(-self.spec.half_receptive_field // self.spec.base_bin)

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
        """Encodings of ``[start, end)``, of any phase, with real flanks; out of phase with the
        chromosome's bins they are encoded anew.
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

        Bins that see one segment only, in the phase of its chromosome's bins, are those of the
        chromosome; the others (around junctions, at the ends, out of phase) are encoded anew.

        Parameters
        ----------
        length : in bp, whole base bins; what the segments do not fill is N.
        inside : bins (first, last) that are wanted, at least ``margin`` from the ends: they are not
            to see the padding.
        origin : coordinate in bp of the first base; it decides the encoder's grid of blocks, hence
            the last bits.

        Returns
        -------
        (width, length / base bin), or (width, last - first); with ``reverse``, of the reverse
        complement, in its orientation.
        """
        base, bins = self.spec.base_bin, length // self.spec.base_bin
        rest = length - sum(len(s) for s in segments)
        layout = EditedGenome(
            self.source, {CONCATENATED: [*segments, *[Segment("", 0, rest)] * (rest > 0)]}
        )
        first, last = inside or (0, bins)
        parts: list[Tensor] = []  # in the forward order of bins
        at = first
        for a, b, known in known_runs(layout.contigs[CONCATENATED], base, self.margin, first, last):
            if at < a:  # up to the next known run
                ends = (at == 0, a == bins) if inside is None else (False, False)
                fine = None
                if (
                    self.fine is not None and not any(ends) and a - at <= 8 * self.margin
                ):  # of a long run, out of phase, none is at hand
                    fine = partial(self.fine.laid, layout, origin, reverse)
                fetch = partial(_shifted, layout, origin)
                y = self.encoder.span(
                    name, origin + at * base, origin + a * base, reverse, fetch, ends, fine
                )
                parts.append(self._rounded(y))
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
            self._blocks[chrom, k, reverse] = found[k]
        return [found[k] for k in range(first, last + 1)]

    def _encode(
        self, chrom: str, first: int, last: int, reverse: bool
    ) -> Iterator[tuple[int, Tensor]]:
        """Blocks that neither memory nor store has, ``first`` to ``last`` (inclusive)."""
        return self.encoder.blocks(chrom, first, last, reverse)

    def _look_up(self, chrom: str, k: int, reverse: bool) -> Tensor | None:
        """A block from memory or from the store, None if neither has it."""
        kept: Tensor | None = self._blocks.get((chrom, k, reverse))
        if kept is not None:
            return kept
        if self.store is not None and 0 <= k < self.store.blocks(chrom):
            values = self.store.read(chrom, k, reverse)
            if values is not None:
                return torch.from_numpy(np.ascontiguousarray(values.T)).to(self.device)
        return None

    def _rounded(self, y: Tensor) -> Tensor:
        if self.dtype == "float32":
            return y
        half = y.to(torch.float16)
        if not bool(torch.isfinite(half).all()):
            raise StoreError(
                "encodings of this model do not fit float16; make a store with --dtype float32"
            )
        return half.to(torch.float32)


class EditedCache(EncodingCache):
    """Encodings of an edited genome: what its edits do not touch is taken from the encodings of its
    source.

    A bin that sees one segment only, in the phase of its chromosome's bins, is the source's; the
    others are encoded. Equal to encoding the edited sequence anew up to float rounding.
    """

    def __init__(self, reference: EncodingCache, genome: EditedGenome):
        super().__init__(reference.encoder.encoder, genome, max_bytes=2**28)
        self.reference, self.genome = reference, genome
        self.encoder = reference.encoder  # what is encoded is counted, and said, there

    @property
    def dtype(self) -> str:
        return self.reference.dtype

    def span(self, chrom: str, start: int, end: int, *, reverse: bool = False) -> Tensor:
        """Encodings of ``[start, end)``, of any phase, with real flanks; segments that it puts in
        phase are not encoded anew.
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
        """As of the source: the segments, which are of the edited genome, are told as segments of
        the source.
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


def _shifted(layout: EditedGenome, origin: int, start: int, end: int) -> np.ndarray:
    return layout.fetch(CONCATENATED, start - origin, end - origin)
