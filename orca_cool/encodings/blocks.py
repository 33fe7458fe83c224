"""Encoding a genome block by block, with the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from orca_cool.encodings.reuse import FineCache
from orca_cool.encodings.store import runs
from orca_cool.errors import DeviceError
from orca_cool.genome.source import GAP, SequenceSource
from orca_cool.model.fast.encoder import FastEncoder, Fine
from orca_cool.profile import staged

#: Called with (chromosome or other name, start, end, reverse strand) when a stretch of sequence is
#: begun to be encoded, and after each block of it; start and end, in bp, are what is left of it.
Notice = Callable[[str, int, int, bool], None]


class BlockEncoder:
    """Encodes blocks of a genome's chromosomes. Nothing is kept but the block that is all N.

    Parameters
    ----------
    notice : told what is encoded.
    fine : where outputs of the encoder's first tier are kept, if they are.

    Attributes
    ----------
    size : bins of a block.
    encoded : base pairs encoded so far, over both strands; for benchmarks and tests.
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
        self.encoded = 0
        self._all_N: dict[bool, Tensor] = {}

    def blocks(
        self, chrom: str, first: int, last: int, reverse: bool
    ) -> Iterator[tuple[int, Tensor]]:
        """Encode blocks ``first`` to ``last`` (inclusive) of one strand.

        Yields
        ------
        Number of the block, and its encodings (width, bins of a block) in the forward order of
        bins; blocks that are all N come first.
        """
        unknown = {k for k in range(first, last + 1) if self.is_N(chrom, k)}
        for k in sorted(unknown):
            yield k, self.all_N(reverse)
        block = self.spec.block
        # in runs: flanks are encoded once a run, and a kill loses no more than one run
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

    @staged("encoding")
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
        """Encodings of any stretch of sequence.

        Parameters
        ----------
        name : of the sequence, for the notice.
        fetch, ends, fine : see :meth:`FastEncoder.span`.

        Returns
        -------
        (width, bins) in the forward order of bins, with ``reverse`` too.
        """
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
        """True if a block, and all sequence that it depends on, is N: in a gap of the assembly, or
        beyond the chromosome's ends.
        """
        a, b = k * self.spec.block - self.spec.flank, (k + 1) * self.spec.block + self.spec.flank
        if a >= self.source.chromsizes[chrom] or b <= 0:
            return True
        middle = (a + b) // 2  # nearly every block is told apart by these few bases
        few = self.source.fetch(chrom, middle - 50, middle + 50)
        return bool((few == GAP).all()) and bool((self.source.fetch(chrom, a, b) == GAP).all())

    def all_N(self, reverse: bool) -> Tensor:
        """Encodings (width, bins of a block) of a block that is all N; they are the same
        everywhere.
        """
        if reverse not in self._all_N:
            self._all_N[reverse] = self.span(
                "N", 0, self.spec.block, reverse, lambda i, j: np.full(j - i, GAP, dtype=np.uint8)
            )
        return self._all_N[reverse]
