"""What an encoding depends on: the key of a store, and the errors when a store is another's."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool import __version__
from orca_cool.encodings.store.layout import FORMAT, RECORD, VERSION, Header
from orca_cool.errors import StoreError
from orca_cool.genome.source import SequenceSource, length_of
from orca_cool.model.encoder import Encoder

#: The number type of encoders that nothing is said of.
EXACT = "float32"

#: bp of a chromosome in memory at a time while its sequence is hashed.
PIECE = 1 << 24

_digests: weakref.WeakKeyDictionary[SequenceSource, dict[str, bytes]] = weakref.WeakKeyDictionary()


def encoder_digest(encoder: Encoder) -> str:
    """SHA-256 (hex) of what decides an encoder's numbers: widths, pools, kernel, and its float32
    tensors by name.

    Not of block, flank or dropout, nor of batch norm's counters: the 32M and 256M modules of a
    model share an encoder, and models may.
    """
    spec = encoder.spec
    sha = hashlib.sha256(json.dumps([list(spec.widths), list(spec.pools), spec.kernel]).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            values = np.ascontiguousarray(tensor.detach().cpu().float().numpy(), dtype="<f4")
            sha.update(json.dumps([name, list(values.shape)]).encode())
            sha.update(values.tobytes())
    return sha.hexdigest()


def sequence_digest(source: SequenceSource, chrom: str) -> bytes:
    """SHA-256 (32 bytes) of a chromosome's codes, 0 to 4, one byte a base; in memory piece by
    piece.
    """
    sha = hashlib.sha256()
    length = length_of(source, chrom)
    for a in range(0, length, PIECE):
        sha.update(
            np.ascontiguousarray(
                source.fetch(chrom, a, min(a + PIECE, length)), dtype=np.uint8
            ).tobytes()
        )
    return sha.digest()


def record(source: SequenceSource, chrom: str) -> bytes:
    """A chromosome's row of ``sequences``; hashed once a process."""
    try:
        known = _digests.setdefault(source, {})
    except TypeError:  # a source that cannot be a key
        known = {}
    if chrom not in known:
        known[chrom] = sequence_digest(source, chrom)
    return known[chrom] + _check(known[chrom])


def record_is_sound(found: bytes) -> bool:
    """Whether a row of ``sequences`` is one that was written, whatever the sequence."""
    return found[32:] == _check(found[:32])


def _check(digest: bytes) -> bytes:
    return hashlib.sha256(b"record" + digest).digest()[: RECORD - 32]


def describe(
    encoder: Encoder, source: SequenceSource, model_name: str, dtype: str, encoder_dtype: str
) -> dict[str, Any]:
    """The attributes of a store.

    Parameters
    ----------
    dtype : on disk. encoder_dtype : of the networks; named only where they approximate.
    """
    spec = encoder.spec
    return {
        "format": FORMAT,
        "version": VERSION,
        "orca_cool": __version__,
        "model": model_name,
        "encoder": encoder_digest(encoder),
        "encoder_spec": json.dumps(dataclasses.asdict(spec)),
        "genome": source.name,
        "dtype": dtype,
        "base_bin": spec.base_bin,
        "block": spec.block,
        "width": spec.widths[-1],
        "edges": "real flanks",
        **({} if encoder_dtype == EXACT else {"encoder_dtype": encoder_dtype}),
    }


def check_same(
    path: Path, header: Header, about: dict[str, Any], source: SequenceSource, dtype: str | None
) -> None:
    """StoreError if a store is not what is asked for."""
    old = header.about
    remedy = "give another file, or let `orca-cool encode --force` make it anew"
    if old["encoder"] != about["encoder"]:
        raise StoreError(
            f"{path} holds encodings of model {old['model']!r} (encoder {old['encoder'][:12]}), "
            f"not of model {about['model']!r} "
            f"(encoder {about['encoder'][:12]}); {remedy}"
        )
    computed = [x.get("encoder_dtype", EXACT) for x in (old, about)]
    if computed[0] != computed[1]:
        raise StoreError(
            f"{path} holds encodings computed in {computed[0]}, not in {computed[1]}; give another "
            f"file, or --encoder-dtype {computed[0]}"
        )
    if old["block"] != about["block"]:
        raise StoreError(
            f"{path} holds blocks of {old['block']:,} bp, the model {about['model']!r} has "
            f"blocks of {about['block']:,}; {remedy}"
        )
    for chrom in {**header.chromsizes, **source.chromsizes}:
        stored, length = header.chromsizes.get(chrom, (None,))[0], source.chromsizes.get(chrom)
        if stored != length:
            told = [f"{n:,} bp" if n is not None else "absent" for n in (stored, length)]
            raise StoreError(
                f"{path} holds encodings of genome {old['genome']!r}, not of {source.name!r}: "
                f"{chrom} is {told[0]} in the store, "
                f"{told[1]} in the genome; {remedy}"
            )
    if dtype is not None and old["dtype"] != dtype:
        raise StoreError(f"{path} holds {old['dtype']} encodings, {dtype} was asked for; {remedy}")
