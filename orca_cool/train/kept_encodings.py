"""Encodings that a stage with a frozen encoder needs again and again: made once, then kept.

A stage whose encoder is frozen, and whose sequence is the genome's as it is, sees the same
encodings in every window that lies over them. They are those of prediction
(:mod:`orca_cool.encodings.cache`), of whole chromosomes on both strands. Of chromosomes laid end to
end, the bins near a junction or an end depend on what is beside them: they are encoded for each
window, as in prediction, and all others once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from orca_cool.encodings.cache import EncodingCache
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.model.encoder import Encoder
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.model.spec import ModelSpec
from orca_cool.train.settings import TEACHER, Stage

#: Bytes of the encoder's first tier that are kept for what is encoded for each window.
FINE_BYTES = 2**29


def keeps_encodings(
    stage: Stage, spec: ModelSpec, parts: Sequence[str], multi_chromosome: bool, unit: int
) -> bool:
    """Whether a stage's windows have the encodings of the genome as it is.

    Parameters
    ----------
    parts : what the stage trains. unit : bp; windows, and the pieces of concatenated chromosomes,
        start on multiples of it.
    """
    return (
        "encoder" not in parts
        and not stage.shift
        and not stage.substitute
        and not stage.mix.get(TEACHER)
        and (not stage.flank if multi_chromosome else stage.flank >= spec.encoder.context)
        and unit % spec.base_bin == 0
    )


class KeptEncodings:
    """Encodings of windows by a frozen encoder. Copies of a network share them.

    Parameters
    ----------
    concatenated : bp of the window that chromosomes laid end to end fill, N behind them; 0:
        windows are of one chromosome, with its sequence on both sides.
    """

    def __init__(self, encoder: Encoder, source: SequenceSource, concatenated: int = 0):
        self._encoder, self._source, self._concatenated = encoder, source, concatenated

    @cached_property
    def _cache(self) -> EncodingCache:
        """Made when a window is first asked for: a run that goes on reads its weights only after
        its networks were put together.
        """
        encoder = FastEncoder(self._encoder, next(self._encoder.parameters()).device)
        spec, sizes = encoder.spec, self._source.chromsizes
        bp = 2 * sum(sizes.values()) + 4 * len(sizes) * spec.block
        bytes_of_all = 4 * spec.widths[-1] * (bp // spec.base_bin)
        fine = FINE_BYTES if self._concatenated else 0
        return EncodingCache(encoder, self._source, max_bytes=2 * bytes_of_all, fine_bytes=fine)

    def window(self, pieces: Sequence[Segment]) -> Tensor:
        """(width, bins) of a stretch of a chromosome, in the orientation of its strand, or of
        stretches laid end to end.
        """
        if self._concatenated:
            with torch.no_grad():
                return self._cache.sequence(pieces, self._concatenated).clone()
        (piece,) = pieces
        base = self._cache.spec.base_bin
        reverse = piece.strand == "-"
        with torch.no_grad():
            y = self._cache.window(
                piece.chrom, piece.start // base, len(piece) // base, reverse=reverse
            )
        return y.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> KeptEncodings:
        return self
