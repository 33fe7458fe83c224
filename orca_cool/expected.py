"""Expected tables of a predicted map in the format of cooltools, from the model's own background.

Only that background makes log(observed / expected) the prediction itself; a table computed from the predicted map differs from it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import fftconvolve

from orca_cool.coolfile import Layer, count_bins
from orca_cool.errors import OutputError

CIS_COLUMNS = ["region1", "region2", "dist", "dist_bp", "contact_frequency", "n_total", "n_valid", "count.sum", "balanced.sum"] + [
    "count.avg",
    "balanced.avg",
    "balanced.avg.smoothed",
    "balanced.avg.smoothed.agg",
]
TRANS_COLUMNS = ["region1", "region2", "n_valid", "count.sum", "balanced.sum", "count.avg", "balanced.avg"]


def whole_chromosomes(chromsizes: dict[str, int]) -> pd.DataFrame:
    """The view (chrom, start, end, name) of whole chromosomes."""
    names = list(chromsizes)
    return pd.DataFrame({"chrom": names, "start": 0, "end": list(chromsizes.values()), "name": names})


def _usable(layer: Layer, chromsizes: dict[str, int], view_df: pd.DataFrame) -> list[tuple[str, str, np.ndarray]]:
    """(name, chromosome, (bins,) bool not masked) of every region; partly covered bins belong to it, as cooler has it."""
    out = []
    for chrom, start, end, name in view_df[["chrom", "start", "end", "name"]].itertuples(index=False):
        if chrom not in chromsizes or not 0 <= start < end <= chromsizes[chrom]:
            raise OutputError(f"view region {name} = {chrom}:{start}-{end} does not lie in the file's chromosomes")
        mask = layer.mask(chrom, count_bins(chromsizes[chrom], layer.resolution))
        out.append((name, chrom, ~mask[start // layer.resolution : count_bins(end, layer.resolution)]))
    return out


def expected_cis(layer: Layer, chromsizes: dict[str, int], view_df: pd.DataFrame, mode: str, pseudo_depth: float) -> pd.DataFrame:
    """Expected by distance in every region of a view, one row per diagonal, NaN from the band on.

    Parameters
    ----------
    view_df : columns chrom, start, end, name (a bioframe view).
    mode : "regularised": expected + eps; "contact": expected.
    pseudo_depth : N; ``count.*`` is N times ``balanced.*``.

    Returns
    -------
    DataFrame with CIS_COLUMNS; ``n_valid`` counts pairs of which neither bin is masked, sums are averages times ``n_valid``.
    """
    offset = layer.eps if mode == "regularised" else 0.0
    frames = []
    for name, _, usable in _usable(layer, chromsizes, view_df):
        n = len(usable)
        dist = np.arange(n)
        # autocorrelation of the mask = pairs at each distance; the FFT's error is far below a half
        valid = np.rint(fftconvolve(usable.astype(float), usable[::-1].astype(float))[n - 1 :]).astype(np.int64)
        average = layer.norm(n) + offset
        columns: dict[str, object] = {"region1": name, "region2": name, "dist": dist, "dist_bp": dist * layer.resolution}
        columns |= {"contact_frequency": average, "n_total": n - dist, "n_valid": valid}
        columns |= {"count.sum": average * valid * pseudo_depth, "balanced.sum": average * valid}
        columns |= {"count.avg": average * pseudo_depth, "balanced.avg": average}
        columns |= {"balanced.avg.smoothed": average, "balanced.avg.smoothed.agg": average}
        frames.append(pd.DataFrame(columns)[CIS_COLUMNS])
    return pd.concat(frames, ignore_index=True)


def expected_trans(layer: Layer, chromsizes: dict[str, int], view_df: pd.DataFrame, mode: str, pseudo_depth: float) -> pd.DataFrame:
    """Expected between every two regions on different chromosomes: TRANS_COLUMNS; OutputError without a trans background."""
    if layer.trans is None:
        raise OutputError(f"the layer of {layer.resolution} bp has no expected between chromosomes")
    average = layer.trans + (layer.eps if mode == "regularised" else 0.0)
    rows: list[tuple] = []
    for (name1, chrom1, usable1), (name2, chrom2, usable2) in itertools.combinations(_usable(layer, chromsizes, view_df), 2):
        if chrom1 != chrom2:
            valid = int(usable1.sum()) * int(usable2.sum())
            rows.append((name1, name2, valid, average * valid * pseudo_depth, average * valid, average * pseudo_depth, average))
    return pd.DataFrame(rows, columns=TRANS_COLUMNS)


def table_path(out_path: str | os.PathLike[str], resolution: int, kind: str = "expected") -> Path:
    """``out.mcool`` -> ``out.expected.4000.tsv`` beside it (``kind`` "expected" or "expected-trans")."""
    out = Path(out_path)
    return out.with_name(f"{out.name.removesuffix('.mcool')}.{kind}.{resolution}.tsv")


def write_expected(
    out_path: str | os.PathLike[str],
    layers: Sequence[Layer],
    chromsizes: dict[str, int],
    view_df: pd.DataFrame,
    mode: str,
    pseudo_depth: float,
) -> list[Path]:
    """Write the tables of every resolution beside the .mcool ``out_path``; each is renamed from a temporary name when whole.

    Returns
    -------
    The paths, cis before trans. OutputError when one cannot be written.
    """
    written = []
    for layer in layers:
        tables = {"expected": expected_cis(layer, chromsizes, view_df, mode, pseudo_depth)}
        if layer.trans is not None and view_df["chrom"].nunique() > 1:
            tables["expected-trans"] = expected_trans(layer, chromsizes, view_df, mode, pseudo_depth)
        for kind, table in tables.items():
            final = table_path(out_path, layer.resolution, kind)
            temporary = final.with_name(f".{final.name}.part")
            try:
                # 17 digits: a float64 comes back as it was
                table.to_csv(temporary, sep="\t", index=False, na_rep="nan", float_format="%.17g")
                os.replace(temporary, final)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise OutputError(f"cannot write {str(final)!r}: {error}") from error
            written.append(final)
    return written
