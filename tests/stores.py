"""What tests ask of a store of encodings."""

from __future__ import annotations

from orca_cool.encodings.store import EncodingStore


def has(store: EncodingStore, chrom: str, k: int, reverse: bool) -> bool:
    """True if a block is there."""
    return bool(store.present(chrom)[int(reverse), k])


def coverage(store: EncodingStore) -> dict[str, float]:
    """Share of the blocks of each chromosome that are there, over both strands."""
    return {chrom: float(store.present(chrom).mean()) for chrom in store.header.chromsizes}
