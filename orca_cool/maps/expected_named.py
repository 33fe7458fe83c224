"""An expected table by what somebody names: a folder of ``orca-cool expected``, a table of
cooltools, or a plain law.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orca_cool.errors import ModelError
from orca_cool.maps.expected_model import ExpectedModel

#: The name of the law 1 / (1 + distance in bins), for whoever has no measured map.
INVERSE = "inverse-distance"

#: Columns of cooltools' tables that hold the frequency, the first that is there.
FREQUENCY = ("balanced.avg.smoothed.agg", "balanced.avg.smoothed", "balanced.avg")


def named_expected(text: str, resolution: int, bins: int) -> ExpectedModel:
    """The expected contact frequency by distance for bins of some size.

    Parameters
    ----------
    text : folder of ``orca-cool expected``; a table of ``cooltools expected-cis`` (.tsv) at the
        resolution, or a finer one of which it is a multiple; or :data:`INVERSE`.
    resolution : in bp. bins : distances that must be known.

    Raises
    ------
    ModelError
        If it cannot be read, has no such resolution, or does not reach so far.
    """
    if text == INVERSE:
        law = 1 / (1.0 + np.arange(bins))
        return ExpectedModel(resolution, law / (2 * law.sum() - law[0]))
    path = Path(text)
    if path.is_dir():
        from orca_cool.maps.expected_files import load_expected

        tables = list(load_expected(path).values())
    elif path.is_file():
        tables = [_of_cooltools(path)]
    else:
        raise ModelError(
            f"expected {text!r} is no folder of `orca-cool expected`, no table of cooltools, and "
            f"not {INVERSE!r}"
        )
    fits = [t for t in tables if resolution % t.resolution == 0]
    if not fits:
        have = ", ".join(f"{t.resolution:,}" for t in tables)
        raise ModelError(
            f"expected {text!r} is of bins of {have} bp, which do not make bins of "
            f"{resolution:,} bp"
        )
    best = max(fits, key=lambda t: t.resolution)
    known = best.by_distance(resolution, bins)
    reach = bins if np.isfinite(known).all() else int(np.argmin(np.isfinite(known)))
    if reach < bins or not (known > 0).all():
        raise ModelError(
            f"expected {text!r} is known and above 0 to {reach:,} bins of {resolution:,} bp; "
            f"windows of {bins:,} bins are to be divided by it"
        )
    return best


def _of_cooltools(path: Path) -> ExpectedModel:
    """The table of ``cooltools expected-cis``, all regions together; the distances that balancing
    leaves out have the value of the first that is there.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, sep="\t")
    except (OSError, ValueError) as error:
        raise ModelError(f"expected {str(path)!r} cannot be read as a table: {error}") from error
    column = next((name for name in FREQUENCY if name in table), None)
    if column is None or not {"dist", "dist_bp", "n_valid"} <= set(table):
        raise ModelError(
            f"expected {str(path)!r} has the columns {', '.join(map(str, table.columns[:12]))}; a "
            f"table of cooltools expected-cis has dist, dist_bp, n_valid and balanced.avg"
        )
    apart = table[table["dist"] > 0]
    sizes = (apart["dist_bp"] / apart["dist"]).unique()
    if len(sizes) != 1 or sizes[0] != int(sizes[0]) or sizes[0] < 1:
        raise ModelError(f"expected {str(path)!r}: dist_bp is no multiple of dist")
    known = table[np.isfinite(table[column]) & (table["n_valid"] > 0)]
    if known.empty:
        raise ModelError(f"expected {str(path)!r}: {column} is known at no distance")
    weighted = (known[column] * known["n_valid"]).groupby(known["dist"]).sum()
    mean = weighted / known["n_valid"].groupby(known["dist"]).sum()
    cis = mean.reindex(np.arange(int(mean.index.max()) + 1)).to_numpy(float)
    first = int(np.argmax(np.isfinite(cis)))
    cis[:first] = cis[first]
    if gap := np.flatnonzero(~np.isfinite(cis)).tolist():
        cis = cis[: gap[0]]
    return ExpectedModel(int(sizes[0]), cis)
