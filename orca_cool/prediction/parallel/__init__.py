"""Windows computed by several processes: the ranks of torchrun, the workers of a dask cluster."""

from __future__ import annotations

import os


def only_helps() -> bool:
    """True in a rank of torchrun but the first: it computes its share, and writes no output."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    return all(name in os.environ for name in names) and int(os.environ["RANK"]) > 0
