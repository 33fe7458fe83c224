"""Horizontal checkpointing: gradients through the encoder over inputs far longer than their
activations fit into memory.

The sequence is cut into blocks that carry real flanks; the forward pass keeps codes and block
outputs, and the backward pass runs each block a second time, so that one block's activations live
at a time: gradient checkpointing (Chen 2016, arXiv:1604.06174) along the sequence instead of the
layers. Source: Zhou 2022, Methods ("horizontal checkpointing").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from orca_cool.errors import ModelError
from orca_cool.genome.source import one_hot
from orca_cool.model import heap
from orca_cool.model.encoder import Encoder

#: Every so many blocks the heap is trimmed, in either run.
TRIM = 4


def encode_blocks(
    encoder: Encoder, codes: Tensor, *, block: int | None = None, flank: int | None = None
) -> Tensor:
    """Encodings of whole sequences, block by block.

    Where the input truly ends the network pads with zeros, as in one pass over all of it; a rest
    shorter than a base bin is seen by the last bins and gets none of its own. With running
    statistics (``eval``) outputs and gradients are those of one pass, to rounding.

    In training mode they are not: **every block is a batch of its own to batch norm**. Statistics
    are per block, over its flanks and all items of the batch, and running statistics move once a
    block, in the order of the sequence (the second run leaves them alone). The second run repeats
    the first bit by bit, dropout included, even if the encoder has gone from training to ``eval``
    in between; parameters must not change before the backward pass.

    Where no gradient is wanted (grad disabled, or no parameter that requires it) blocks run once
    and nothing is kept.

    Parameters
    ----------
    codes : uint8, (batch, bp) or (bp,), values 0 to 4, on any device. They are kept until the
        backward pass: leave them as they are.
    block, flank : in bp, multiples of the base bin, ``flank`` at least half the receptive field;
        those of the encoder's spec if None. Peak memory is that of one pass over ``block + 2 *
        flank`` bp of the whole batch.

    Returns
    -------
    Tensor, (batch, width, bp // base bin), on the encoder's device; a batch of one for (bp,).

    Raises
    ------
    ModelError
        If ``codes`` is no such tensor or shorter than a base bin, or ``block`` and ``flank`` do not
        fit the encoder.
    """
    base = encoder.spec.base_bin
    block, flank = _checked(encoder, codes, block, flank)
    length = codes.shape[-1]
    device = next(encoder.parameters()).device
    # on the device before the checkpoint, which saves the random state of its arguments' device
    codes = codes.reshape(-1, length).to(device)
    learns = torch.is_grad_enabled() and any(p.requires_grad for p in encoder.parameters())
    end = length // base * base
    outputs = []
    for k, a in enumerate(range(0, end, block)):
        b = min(a + block, end)
        left, right = min(flank, a), min(flank, length - b)
        first, last = left // base, (left + b - a) // base
        trim = learns and k % TRIM == 0 and device.type == "cpu"

        run = partial(_run_block, encoder, first, last, trim)
        piece = codes[:, a - left : b + right]
        outputs.append(_run_twice(run, piece, encoder) if learns else run(piece))
    return torch.cat(outputs, dim=-1)


def _run_twice(run: Callable[[Tensor], Tensor], piece: Tensor, encoder: Encoder) -> Tensor:
    """``run(piece)`` without keeping its activations: the backward pass runs it again."""
    output: Tensor = checkpoint(
        run, piece, use_reentrant=False, context_fn=lambda: (nullcontext(), _Again(encoder))
    )
    return output


def _run_block(encoder: Encoder, first: int, last: int, trim: bool, codes: Tensor) -> Tensor:
    """Bins ``[first, last)`` of the encodings of codes (batch, bp)."""
    if trim:
        # The small things that a block leaves behind (nodes of the graph) lie between the
        # activations of which it was made, and glibc's heap then has no hole that is large enough
        # for those of the next: without this, 32 Mb in blocks of 200 kb through an encoder of 8 to
        # 16 channels take 2.3 GB instead of 1.0.
        heap.trim()
    weight = next(encoder.parameters())
    with _casts_apart():
        return encoder(torch.stack([one_hot(c, weight.device, weight.dtype) for c in codes]))[
            ..., first:last
        ]


def _checked(
    encoder: Encoder, codes: Tensor, block: int | None, flank: int | None
) -> tuple[int, int]:
    """Block and flank in bp, defaults filled in; ModelError if they or the codes do not fit."""
    spec, base = encoder.spec, encoder.spec.base_bin
    block, flank = spec.block if block is None else block, spec.flank if flank is None else flank
    if codes.dtype != torch.uint8 or codes.ndim not in (1, 2):
        raise ModelError(
            f"codes of type {codes.dtype} and shape {tuple(codes.shape)} are not sequences; give "
            f"uint8 (batch, bp) or (bp,)"
        )
    if block <= 0 or block % base or flank % base or flank < spec.half_receptive_field:
        raise ModelError(
            f"block {block} and flank {flank} do not fit the encoder: both must be multiples of "
            f"its base bin {base}, flank at least "
            f"{spec.half_receptive_field}"
        )
    if (length := codes.shape[-1]) < base:
        raise ModelError(f"a sequence of {length} bp is shorter than one base bin of {base} bp")
    return block, flank


class _Again(AbstractContextManager):
    """The encoder as it is when this is made, its running statistics held still by a copy that the
    second run may move.

    A class, because a graph that is retained enters it once for every backward pass. (Batch norm
    without statistics would save other tensors than it did in the first run, which the checkpoint
    refuses.)
    """

    def __init__(self, encoder: nn.Module):
        self._training = [(m, m.training) for m in encoder.modules()]
        self._before: list[tuple[nn.Module, bool]] = []
        self._buffers: list[tuple[nn.Module, str, Tensor]] = []

    def __enter__(self) -> None:
        self._before = [(m, m.training) for m, _ in self._training]
        norms = [m for m, training in self._training if training and isinstance(m, _BatchNorm)]
        self._buffers = [(m, name, t) for m in norms for name, t in m.named_buffers(recurse=False)]
        for m, training in self._training:
            m.training = training
        for m, name, t in self._buffers:
            setattr(m, name, t.clone())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for m, name, t in self._buffers:
            setattr(m, name, t)
        for m, training in self._before:
            m.training = training
        self._before, self._buffers = [], []


@contextmanager
def _casts_apart() -> Iterator[None]:
    """Under autocast, weights are cast anew in each block.

    Autocast's cache would cast them once, and so sum the gradients of all blocks in bfloat16: after
    a few dozen blocks the sum no longer sees what one block adds.
    """
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)
