"""The Encoder in eval mode, several times faster and equal to float rounding.

What is saved, and why it changes nothing (Zhou 2022 describes the network; the plain one is
``orca_cool.model.encoder``):

* Two tiers. The first stages see a few hundred bp, so they run in short chunks with a short halo,
  each chunk once; only the coarse stages, which see far but cost little, run over whole blocks with
  their long flanks.
* A stage's linear pair has nothing between its convolutions, so they collapse into one, twice as
  wide; over the four channels of the sequence even three do. Where zero padding lies between them
  they do not, so the chunks at true ends of the sequence run them one by one.
* On the CPU, wide convolutions of many channels take 5/9 of the multiplications
  (``orca_cool.model.fast.winograd``).
* On the CPU, every core has chunks of its own (``orca_cool.model.fast.threads``).
* Batch norms are folded, tensors are channels-last and small enough to be re-used by the allocator.
* The other strand is the same sequence read by the mirrored network, so both strands share one grid
  of chunks.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from orca_cool.genome.source import GAP
from orca_cool.model.encoder import Encoder
from orca_cool.model.fast.precision import convolutions
from orca_cool.model.fast.stage import crop
from orca_cool.model.fast.threads import ahead
from orca_cool.model.fast.tiers import Tiers

__all__ = ["FastEncoder", "Fetch", "Fine"]

Fetch = Callable[[int, int], np.ndarray]
#: (start, end) in bp -> outputs of tier 1, (1, channels, 1, bins), see :meth:`FastEncoder.fine`.
Fine = Callable[[int, int], Tensor]
T = TypeVar("T")

#: Chunks per batch on CUDA; on the CPU batches gain nothing.
BATCH = 16

logger = logging.getLogger(__name__)


class FastEncoder(Tiers):
    """An Encoder's encodings of spans of any length; memory does not grow with the span beyond the
    result.

    Parameters
    ----------
    encoder : its weights and running statistics are copied, so later changes to it are not seen.
        Dropout is off.
    device : "cpu", "cuda", "cuda:N" or a torch.device.
    dtype : "float32": equal to the plain network to rounding. On CUDA also "tf32" (convolutions
        round their inputs to 10 bits and add in float32) and "float16" (weights and activations in
        float16, sums in float32); on the CPU also "bfloat16" (likewise, without Winograd).

    Attributes
    ----------
    spec : the encoder's.
    device : torch.device.
    batch : chunks that run at once; halved, with a warning in the log, when the device's memory
        does not suffice.

    Raises
    ------
    DeviceError
        If ``dtype`` is unknown, or not to be had on ``device``.

    Notes
    -----
    Chunks and blocks lie on grids fixed in absolute coordinates and have constant shapes away from
    true ends, so the encodings of a whole block ``[k * spec.block, (k + 1) * spec.block)`` have the
    same bits whichever longer span they were computed in, on one device with one number of threads.
    """

    def __init__(
        self, encoder: Encoder, device: torch.device | str = "cpu", dtype: str = "float32"
    ):
        super().__init__(encoder, device, dtype)
        self.batch = BATCH if self.device.type == "cuda" else 1

    def span(
        self,
        fetch: Fetch,
        start: int,
        end: int,
        *,
        reverse: bool = False,
        ends: tuple[bool, bool] = (False, False),
        progress: Callable[[int, int], None] | None = None,
        fine: Fine | None = None,
    ) -> Tensor:
        """Encode ``[start, end)``, a multiple of the base bin long; bins count from ``start``,
        whatever its phase.

        Parameters
        ----------
        fetch : (start, end) -> uint8 codes, exactly ``end - start``; asked also beyond the
            chromosome, where the source gives N: the receptive field's half and at most one chunk
            beyond the span.
        reverse : encodings of the reverse complement, in its orientation.
        ends : (left, right) in forward coordinates: whether the sequence truly ends with the span.
            Nothing beyond such an end is fetched, and the network's zero padding applies there, as
            in one pass over the whole sequence.
        progress : called with (bins done, bins in all) after each block.
        fine : outputs of tier 1 that are known already, asked for in place of the sequence; not
            where the sequence ends.

        Returns
        -------
        (width, (end - start) // base_bin) float32 on ``device``.

        Raises
        ------
        ValueError
            If the span is no multiple of the base bin, or reversed.
        torch.cuda.OutOfMemoryError
            If not even one chunk fits the device.
        """
        base = self.spec.base_bin
        if end < start or (end - start) % base:
            raise ValueError(
                f"span {start:,}-{end:,} is not a multiple of the base bin of {base:,} bp"
            )
        bins = (end - start) // base
        out = torch.empty(
            self.spec.widths[-1], bins, device=self.device
        )  # outside inference mode: a tensor like any other
        with torch.inference_mode(), convolutions(self.device, self.dtype == "tf32", fixed=True):
            for a, b, y in self._run(self._blocks(fetch, start, end, reverse, ends, fine)):
                i, j = (a - start) // base, (b - start) // base
                if reverse:
                    out[:, bins - j : bins - i] = y.flip(-1)
                else:
                    out[:, i:j] = y
                if progress is not None:
                    progress(j, bins)
        return out

    def _run(self, jobs: Iterator[Callable[[], T]]) -> Iterator[T]:
        """Results of jobs, in order: on the CPU a core each, on a GPU one after the other."""
        return (
            ahead(jobs)
            if self.device.type == "cpu" and self.batch == 1
            else (job() for job in jobs)
        )

    def _blocks(
        self,
        fetch: Fetch,
        start: int,
        end: int,
        reverse: bool,
        ends: tuple[bool, bool],
        fine: Fine | None,
    ) -> Iterator[Callable[[], tuple[int, int, Tensor]]]:
        """Tier 2 as calls, block by block, each with what it needs of tier 1; results are (start,
        end, (width, bins)).
        """
        base, block, anchor = self.spec.base_bin, self.spec.block, start % self.spec.base_bin
        ready: deque[tuple[int, int, Tensor]] = deque()
        pieces = self._tier1(fetch, start, end, anchor, reverse, ends)
        a = start
        while a < end:
            b = min(a + block - (a - anchor) % block, end)
            left, right = ends[0] and a - self._flank < start, ends[1] and b + self._flank > end
            first, last = start if left else a - self._flank, end if right else b + self._flank
            if fine is not None and not left and not right:
                yield partial(
                    self._tier2, (a, b), [fine(first, last)], reverse, left, right, (0, 0)
                )
                a = b
                continue
            while not ready or ready[-1][1] < last:
                ready.append(next(pieces))
            while ready[0][1] <= first:
                ready.popleft()
            parts = [
                crop(x, max(first - i, 0) // self._stride, max(j - last, 0) // self._stride)
                for i, j, x in ready
            ]
            cut = ((a - first) // base if left else 0, (last - b) // base if right else 0)
            yield partial(self._tier2, (a, b), parts, reverse, left, right, cut)
            a = b

    def grid(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Chunks of tier 1 that touch ``[start, end)`` of a sequence whose bins begin at 0."""
        return self._grid(start, end, 0)

    def fine(
        self, fetch: Fetch, start: int, end: int, *, reverse: bool = False
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Outputs of tier 1, of whole chunks that cover ``[start, end)``, in order.

        Yields
        ------
        start, end of the chunk in bp, and (1, channels, 1, bins of ``fine_bin`` bp) in the forward
        order of bins on both strands.
        """
        with torch.inference_mode(), convolutions(self.device, self.dtype == "tf32", fixed=True):
            # what tier 2 adds on both sides is taken off
            yield from self._tier1(
                fetch, start + self._flank, end - self._flank, 0, reverse, (False, False)
            )

    def fine_piece(self, fetch: Fetch, start: int, end: int, *, reverse: bool = False) -> Tensor:
        """As :meth:`fine`, of ``[start, end)`` itself, in any phase; for pieces of a few hundred bp
        up.
        """
        parts = []
        with torch.inference_mode(), convolutions(self.device, self.dtype == "tf32", fixed=True):
            for a in range(start, end, self._chunk // self._stride * self._stride):
                b = min(a + self._chunk // self._stride * self._stride, end)
                parts.append(
                    self._chunks(
                        self._codes(fetch, a - self._halo, b + self._halo)[None],
                        reverse,
                        False,
                        False,
                        (0, 0),
                    )
                )
        return torch.cat(parts, dim=-1)

    def sample(self, bp: int) -> Callable[[], object]:
        """A part of what encoding does, to be timed: tier 1, where most of the work is, of about
        ``bp`` bases.
        """
        codes = np.random.default_rng(0).integers(0, 4, bp + 4 * self._halo, dtype=np.uint8)
        end = max(1, bp // self._stride) * self._stride
        halo = self._halo

        def fetch(start: int, stop: int) -> np.ndarray:
            return np.resize(codes[start + halo :], stop - start)

        return lambda: self.fine_piece(fetch, 0, end)

    def _tier1(
        self,
        fetch: Fetch,
        start: int,
        end: int,
        anchor: int,
        reverse: bool,
        ends: tuple[bool, bool],
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Outputs of tier 1, (start, end, (1, channels, 1, n)), in order, on the grid, as far as
        tier 2 reads them.
        """
        for found in self._run(self._jobs(fetch, start, end, anchor, reverse, ends)):
            yield from found

    def _jobs(
        self,
        fetch: Fetch,
        start: int,
        end: int,
        anchor: int,
        reverse: bool,
        ends: tuple[bool, bool],
    ) -> Iterator[Callable[[], list[tuple[int, int, Tensor]]]]:
        """Tier 1 as calls that do not depend on each other; the sequence is fetched here."""
        lo = start if ends[0] else start - self._flank
        hi = end if ends[1] else end + self._flank
        group: list[tuple[int, int]] = []
        for a, b in self._grid(lo, hi, anchor):
            # Whole chunks of the grid, and nothing beyond a true end.
            a, b = max(a, start) if ends[0] else a, min(b, end) if ends[1] else b
            left, right = ends[0] and a - self._halo < start, ends[1] and b + self._halo > end
            alike = not left and not right and b - a == self._chunk
            if group and (not alike or len(group) == self.batch):
                yield self._together(fetch, group, reverse)
                group = []
            if alike:
                group.append((a, b))
                continue
            first, last = start if left else a - self._halo, end if right else b + self._halo
            yield partial(
                self._alone,
                (a, b),
                self._codes(fetch, first, last),
                reverse,
                left,
                right,
                (a - first, last - b),
            )
        if group:
            yield self._together(fetch, group, reverse)

    def _together(
        self, fetch: Fetch, group: list[tuple[int, int]], reverse: bool
    ) -> Callable[[], list[tuple[int, int, Tensor]]]:
        codes = self._codes(fetch, group[0][0] - self._halo, group[-1][1] + self._halo)
        return partial(self._inside, codes, group, reverse)

    @torch.inference_mode()
    def _alone(
        self,
        place: tuple[int, int],
        codes: Tensor,
        reverse: bool,
        left: bool,
        right: bool,
        cut: tuple[int, int],
    ) -> list[tuple[int, int, Tensor]]:
        """A chunk that is not whole, or that touches a true end."""
        return [(*place, self._chunks(codes[None], reverse, left, right, cut))]

    def _grid(self, lo: int, hi: int, anchor: int) -> Iterator[tuple[int, int]]:
        """Chunks that touch [lo, hi): every block is cut in the same way."""
        block = self.spec.block
        for k in range((lo - anchor) // block, -((anchor - hi) // block)):
            for offset in range(0, block, self._chunk):
                a = anchor + k * block + offset
                b = anchor + k * block + min(offset + self._chunk, block)
                if b > lo and a < hi:
                    yield a, b

    @torch.inference_mode()
    def _inside(
        self, codes: Tensor, group: list[tuple[int, int]], reverse: bool
    ) -> list[tuple[int, int, Tensor]]:
        """Adjacent whole chunks as one batch, of constant shape, or as several if the device's
        memory does not suffice.
        """
        rows = codes.unfold(0, self._chunk + 2 * self._halo, self._chunk)
        done: list[tuple[int, int, Tensor]] = []
        while len(done) < len(group):
            batch = self.batch
            part = rows[len(done) : len(done) + batch]
            if len(part) < batch:
                part = F.pad(part, (0, 0, 0, batch - len(part)), value=GAP)
            try:
                found = self._chunks(part, reverse, False, False, (0, 0))
            except torch.cuda.OutOfMemoryError:
                if batch == 1:
                    raise
                self.batch = batch // 2
                logger.warning(
                    "out of memory on %s: %d chunks of sequence at a time instead of %d",
                    self.device,
                    self.batch,
                    batch,
                )
                continue
            done += [(a, b, y) for (a, b), y in zip(group[len(done) :], found.split(1))]
        return done

    def _codes(self, fetch: Fetch, a: int, b: int) -> Tensor:
        codes = np.ascontiguousarray(fetch(a, b), dtype=np.uint8)
        if len(codes) != b - a:
            raise ValueError(f"fetch({a}, {b}) gave {len(codes)} codes instead of {b - a}")
        found = torch.tensor(codes)
        return (
            found.pin_memory().to(self.device, non_blocking=True)
            if self.device.type == "cuda"
            else found
        )
