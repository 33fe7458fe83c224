"""Base encodings of a genome, block by block: each stretch of sequence is encoded once and re-used by every window.

Blocks lie on a grid fixed by the chromosome and carry real flanks, so an encoding does not depend on the window that
reads it (Zhou 2022, "horizontal checkpointing"; the encoder is exactly equivariant on the base-bin grid).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from orca_cool.genome import SequenceSource, one_hot, reverse_complement
from orca_cool.model.encoder import Encoder

Fetch = Callable[[int, int], np.ndarray]


@torch.no_grad()
def encode_span(
    encoder: Encoder,
    fetch: Fetch,
    start: int,
    end: int,
    *,
    reverse: bool = False,
    ends: bool = False,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Encode ``[start, end)`` in blocks with real flanks; memory does not grow with the span beyond the result.

    Parameters
    ----------
    fetch : (start, end) -> uint8 codes, exactly as many as asked for.
    reverse : encode the reverse complement; the result is in its orientation.
    ends : the sequence truly ends with the span, as Orca's windows do: nothing outside it is fetched, and the network's own
        zero padding applies there, as in one pass.

    Returns
    -------
    (width, bins) on ``device``.
    """
    spec = encoder.spec
    parts = []
    for a in range(start, end, spec.block):
        b = min(a + spec.block, end)
        left = min(spec.flank, a - start) if ends else spec.flank
        right = min(spec.flank, end - b) if ends else spec.flank
        parts.append(_encode(encoder, fetch(a - left, b + right), left, right, reverse, device))
    return torch.cat(parts[::-1] if reverse else parts, dim=-1)


def _encode(encoder: Encoder, codes: np.ndarray, left: int, right: int, reverse: bool, device: torch.device | str) -> Tensor:
    base = encoder.spec.base_bin
    if reverse:
        codes, left, right = reverse_complement(codes), right, left
    y = encoder(one_hot(codes, device)[None])[0]
    return y[:, left // base : y.shape[-1] - right // base].clone()


class EncodingCache:
    """Encodings of a source's chromosomes on demand, both strands, the least recently used blocks dropped.

    Parameters
    ----------
    max_blocks : blocks kept in memory, over both strands; one is ``width * block / base_bin`` floats.
    """

    def __init__(self, encoder: Encoder, source: SequenceSource, device: torch.device | str = "cpu", max_blocks: int = 256):
        self.encoder = encoder
        self.source = source
        self.device = device
        self.max_blocks = max_blocks
        self.encoded = 0  # blocks encoded so far, for benchmarks and tests
        self._blocks: OrderedDict[tuple[str | None, int, bool], Tensor] = OrderedDict()

    def window(self, chrom: str, start: int, bins: int, *, reverse: bool = False) -> Tensor:
        """(width, bins) encodings from base bin ``start``; with ``reverse``, of the reverse complement, in its orientation.

        Beyond the chromosome's ends the sequence is N.
        """
        size = self.encoder.spec.block // self.encoder.spec.base_bin
        first, last = start // size, (start + bins - 1) // size
        parts = [self._block(chrom, k, reverse) for k in range(first, last + 1)]
        y = torch.cat(parts, dim=-1)[:, start - first * size : start - first * size + bins]
        return y.flip(-1) if reverse else y

    def _block(self, chrom: str, k: int, reverse: bool) -> Tensor:
        spec = self.encoder.spec
        a, b = k * spec.block, (k + 1) * spec.block
        beyond = a - spec.flank >= self.source.chromsizes[chrom] or b + spec.flank <= 0
        key = (None, 0, reverse) if beyond else (chrom, k, reverse)  # all-N blocks are one and the same
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key]
        y = encode_span(self.encoder, lambda i, j: self.source.fetch(chrom, i, j), a, b, reverse=reverse, device=self.device)
        self._blocks[key] = y = y.flip(-1) if reverse else y  # kept in the forward order of bins
        self.encoded += 1
        while len(self._blocks) > self.max_blocks:
            self._blocks.popitem(last=False)
        return y
