"""Encodings of a genome on disk: :class:`EncodingStore`, and what fills and verifies one."""

from orca_cool.encodings.store.encodings import DTYPES, EncodingStore
from orca_cool.encodings.store.fill import build, runs, verify, wanted_blocks
from orca_cool.encodings.store.key import encoder_digest, sequence_digest

__all__ = [
    "DTYPES",
    "EncodingStore",
    "build",
    "encoder_digest",
    "runs",
    "sequence_digest",
    "verify",
    "wanted_blocks",
]
