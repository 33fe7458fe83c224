"""Work that several processes share: the ranks of torchrun, the workers of a dask cluster."""

from __future__ import annotations

import os

#: What torchrun tells each rank.
_TOLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def is_rank() -> bool:
    """True in one of several ranks of torchrun."""
    return all(name in os.environ for name in _TOLD) and int(os.environ["WORLD_SIZE"]) > 1


def is_restarted() -> bool:
    """True where torchrun has restarted the ranks: what they have done is not to be thrown away."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def only_helps() -> bool:
    """True in a rank of torchrun but the first: it computes its share, and writes no output."""
    return all(name in os.environ for name in _TOLD) and int(os.environ["RANK"]) > 0
