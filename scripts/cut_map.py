"""Cut chromosomes out of a contact map, with the balancing weights of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cooler
import numpy as np
import pandas as pd


def cut_map(
    clr: cooler.Cooler,
    chroms: Sequence[str],
    uri: str,
    weights: np.ndarray,
    stats: Mapping[str, Any],
    **about: Any,
) -> None:
    """Write a level of an .mcool that has some chromosomes of a map alone.

    Parameters
    ----------
    chroms : that are kept. uri : ``out.mcool::resolutions/N``; the file is added to.
    weights : (bins,) of the whole map. stats : of its balancing, kept as attributes.
    about : ``assembly`` and ``metadata`` of the new one.
    """
    bins = clr.bins()[:][["chrom", "start", "end"]]
    bins["weight"] = weights
    keep = np.flatnonzero(bins["chrom"].isin(list(chroms)))
    new = pd.Series(np.arange(len(keep)), index=keep)
    pixels = clr.pixels()[:]
    pixels = pixels[pixels["bin1_id"].isin(keep) & pixels["bin2_id"].isin(keep)].copy()
    for key in ("bin1_id", "bin2_id"):
        pixels[key] = new[pixels[key]].values
    cut = bins.iloc[keep].reset_index(drop=True)
    cut["chrom"] = cut["chrom"].astype(str)
    cooler.create_cooler(
        uri,
        cut,
        pixels,
        h5opts={"compression": "gzip", "compression_opts": 6, "shuffle": True},
        mode="a",
        ordered=True,
        **about,
    )
    with cooler.Cooler(uri).open("r+") as group:
        group["bins/weight"].attrs.update({k: v for k, v in stats.items() if k != "scale"})
        if "scale" in stats:
            group["bins/weight"].attrs["scale"] = np.atleast_1d(stats["scale"])[0]
        group.file.attrs.update({"format": "HDF5::MCOOL", "format-version": 2, "bin-type": "fixed"})
