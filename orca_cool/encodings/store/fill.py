"""Filling an encoding store, by as many processes as like to, and going through it for damage."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.genome.regions import Region

if TYPE_CHECKING:
    from orca_cool.encodings.store.encodings import EncodingStore

#: (chromosome, first block, last block (inclusive), reverse) -> every block's number with its
#: encodings, (block_bins, width) float32 in forward order of bins; blocks in any order.
EncodeBlocks = Callable[[str, int, int, bool], Iterator[tuple[int, np.ndarray]]]

#: Called with bp done and bp in all; a block counts half for each strand.
Progress = Callable[[int, int], None]

#: Blocks that are claimed and encoded at a time: a kill loses at most so many of both strands.
RUN = 16

_PAUSE = 0.05, 2.0  # seconds between looks at what others do: at first, at most

_log = logging.getLogger(__name__)


def wanted_blocks(
    store: EncodingStore, regions: Sequence[Region | str] | None = None
) -> dict[str, list[int]]:
    """Blocks that hold regions, ascending, by chromosome.

    Parameters
    ----------
    regions : a chromosome's name, or a region that reaches its end, takes the blocks beyond the end
        too; None: everything.
    """
    chosen: dict[str, set[int]] = {}
    for region in list(store.header.chromsizes) if regions is None else regions:
        chrom = region if isinstance(region, str) else region.chrom
        first, last = 0, store.blocks(chrom)
        if isinstance(region, Region):
            first = region.start // store.block
            if region.end < store.header.chromsizes[chrom][0]:
                last = -(-region.end // store.block)
        chosen.setdefault(chrom, set()).update(range(first, last))
    return {chrom: sorted(blocks) for chrom, blocks in chosen.items()}


def build(
    store: EncodingStore,
    encode_blocks: EncodeBlocks,
    regions: Sequence[Region | str] | None = None,
    progress: Progress | None = None,
) -> int:
    """Encode and store what is missing.

    Several processes may build one store: each claims runs of blocks, leaves alone what others have
    claimed, and at the end waits for them, taking over what a process that died had claimed.

    Parameters
    ----------
    regions : as of :func:`wanted_blocks`.

    Returns
    -------
    Blocks encoded by this call, counted on each strand.

    Raises
    ------
    StoreError
        If the disk is full, or the store was made from another sequence. What was stored stays
        good.
    """
    wanted = wanted_blocks(store, regions)
    total = sum(map(len, wanted.values())) * store.block
    missing = {chrom: _missing(store, chrom, blocks) for chrom, blocks in wanted.items()}
    store.check_space(sum(map(len, missing.values())))

    def show() -> None:
        if progress is not None:
            progress(total - sum(map(len, missing.values())) * store.block // 2, total)

    show()
    encoded, pause, told = 0, _PAUSE[0], False
    while True:
        before = encoded
        for chrom, blocks in wanted.items():
            store.prepare(chrom)
            for a, b in list(runs(sorted({k for k, _ in missing[chrom]}))):
                encoded += _encode_run(store, encode_blocks, chrom, a, b)
                missing[chrom] = _missing(store, chrom, blocks)
                show()
            missing[chrom] = _missing(store, chrom, blocks)
        if not any(missing.values()):
            show()
            return encoded
        if encoded == before:
            if not told:
                told = True
                _log.info(
                    "%s: waiting for other processes that encode %d blocks",
                    store.path,
                    sum(map(len, missing.values())),
                )
            time.sleep(pause)
            pause = min(2 * pause, _PAUSE[1])


def _encode_run(
    store: EncodingStore, encode_blocks: EncodeBlocks, chrom: str, first: int, end: int
) -> int:
    """Encode what is missing of a run of blocks, as far as it can be claimed; the number of blocks
    encoded.
    """
    encoded = 0
    with contextlib.ExitStack() as claims:
        mine = [k for k in range(first, end) if claims.enter_context(store.claim(chrom, k))]
        missing = _missing(
            store, chrom, mine
        )  # looked at under the claim: the one before may just have written them
        for reverse in (False, True):
            for a, b in runs([k for k, strand in missing if strand is reverse]):
                left = set(range(a, b))
                for k, values in encode_blocks(chrom, a, b - 1, reverse):
                    store.write(chrom, k, reverse, values)
                    left.discard(k)
                    encoded += 1
                if left:
                    raise ValueError(
                        f"blocks {sorted(left)} of {chrom} were asked for and not given"
                    )
    return encoded


def verify(
    store: EncodingStore,
    regions: Sequence[Region | str] | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Read every block that is there and mark the damaged ones as absent, so that :func:`build`
    encodes them anew.

    Returns
    -------
    The damaged blocks, described ("chr9:0-800,000, reverse strand").
    """
    wanted = wanted_blocks(store, regions)
    total = sum(map(len, wanted.values())) * store.block
    done, damaged = 0, []
    for chrom, blocks in wanted.items():
        recorded = store.checksums(chrom)
        for k in blocks:
            for reverse in (False, True):
                if recorded[int(reverse), k] and store.read(chrom, k, reverse) is None:
                    damaged.append(store.describe(chrom, k, reverse))
                    store.forget(chrom, k, reverse)
            done += store.block
            if progress is not None:
                progress(done, total)
    return damaged


def _missing(store: EncodingStore, chrom: str, blocks: Sequence[int]) -> list[tuple[int, bool]]:
    """Which of ``blocks`` are absent: (number, reverse strand)."""
    present = store.present(chrom)
    return [
        (k, reverse) for k in blocks for reverse in (False, True) if not present[int(reverse), k]
    ]


def runs(blocks: Sequence[int], longest: int = RUN) -> Iterator[tuple[int, int]]:
    """Ascending numbers to (first, end) of consecutive ones, at most ``longest`` each."""
    start = 0
    for i in range(1, len(blocks) + 1):
        if i == len(blocks) or blocks[i] != blocks[i - 1] + 1 or i - start == longest:
            yield blocks[start], blocks[i - 1] + 1
            start = i
