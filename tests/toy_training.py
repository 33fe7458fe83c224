"""A toy genome, maps and configuration for tests of training: seconds on one core, all three stages
of the paper.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cooler
import h5py
import numpy as np
import pandas as pd

SIZES = {"c1": 96_000, "c2": 80_000, "c3": 72_000, "c4": 64_000}


def codes(seed: int = 0) -> dict[str, np.ndarray]:
    """Random sequence of every chromosome."""
    rng = np.random.default_rng(seed)
    return {c: rng.integers(0, 4, n, dtype=np.uint8) for c, n in SIZES.items()}


def write_genome(path: Path) -> None:
    letters = np.array(list("ACGT"))
    path.write_text("".join(f">{c}\n{''.join(letters[v])}\n" for c, v in codes().items()))


def write_map(path: Path, resolution: int = 2000, **columns: Any) -> None:
    """A balanced map, cis and trans, whose contacts fall with distance; for an .mcool also at twice
    the resolution's bin.
    """
    if path.suffix == ".mcool":
        path.unlink(missing_ok=True)
        for r in (resolution, 2 * resolution):
            _write_map(f"{path}::resolutions/{r}", r, columns)
        with h5py.File(path, "r+") as f:
            f.attrs.update({"format": "HDF5::MCOOL", "format-version": 2})
    else:
        _write_map(str(path), resolution, columns)


def _write_map(uri: str, resolution: int, columns: dict[str, Any]) -> None:
    bins = cooler.binnify(pd.Series(SIZES), resolution)
    n = len(bins)
    i, j = np.triu_indices(n)
    chrom = bins["chrom"].to_numpy(str)
    same = chrom[i] == chrom[j]
    rng = np.random.default_rng(1)
    count = rng.poisson(np.where(same, 4000 / (j - i + 1), 30.0))
    bins = bins.assign(
        **{
            "weight": 0.01,
            **(columns if len(bins) == len(next(iter(columns.values()), bins)) else {}),
        }
    )
    cooler.create_cooler(
        uri,
        bins,
        pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": count}),
        dtypes={"count": int},
        mode="a",
    )


def toy_config(folder: Path) -> dict[str, Any]:
    """Files in ``folder``, and the configuration: c4 is the test, c3 the validation chromosome;
    profiles, 1M, 32M, 256M.
    """
    write_genome(folder / "g.fa")
    write_map(folder / "m.mcool")
    middle = {c: n // 2 for c, n in SIZES.items()}
    (folder / "f.bed").write_text(
        "".join(f"{c}\t{m}\t{m + 118}\tCEN\t0\t+\tcentromere\n" for c, m in middle.items())
    )
    (folder / "p.narrowPeak").write_text(
        "".join(
            f"{c}\t{a}\t{a + 300}\tp\t1\t.\t5\t1\t1\t10\n"
            for c, n in SIZES.items()
            for a in range(1000, n - 500, 7100)
        )
    )
    decoder = {
        "channels": 8,
        "width": 8,
        "bottleneck": 4,
        "dilations": [1, 2],
        "head": 3,
        "dropout": 0.1,
    }
    return {
        "name": "toy",
        "assembly": "toy1",
        "genome": "g.fa",
        "maps": {"m": "m.mcool"},
        "test": ["c4"],
        "validation": ["c3"],
        "features": "f.bed",
        "feature_types": ["centromere"],
        "peaks": {"ctcf": "p.narrowPeak"},
        "keep": 16_000,
        "threads": 1,
        "workers": 0,
        "accelerator": "cpu",
        "devices": 1,
        "model": {
            "bins": 16,
            "encoder": {
                "widths": [4, 8, 8],
                "pools": [1, 20, 100],
                "kernel": 3,
                "block": 40_000,
                "flank": 10_000,
            },
            "pyramids": {
                "p": {"steps": 1, "width": 8, "kernel": 3},
                "q": {"steps": 1, "width": 8, "kernel": 3},
            },
            "base_decoder": {**decoder, "one_shot": True},
            "profile_width": 8,
            "modules": [
                {
                    "name": "64k",
                    "resolutions": [4000, 2000],
                    "pyramids": ["p"],
                    "decoder": decoder,
                    "base_decoder": True,
                },
                {
                    "name": "128k",
                    "resolutions": [8000, 4000],
                    "pyramids": ["p", "q"],
                    "decoder": decoder,
                    "multi_chromosome": True,
                },
                {"name": "32k", "resolutions": [2000], "base_decoder": True},
            ],
        },
        "stages": [
            {
                "name": "one",
                "module": "32k",
                "steps": 6,
                "batch": 2,
                "lr": 0.01,
                "shift": 100,
                "validate": 3,
                "validation": 4,
                "norm_samples": 4,
                "average_from": 0.4,
            },
            {
                "name": "two",
                "module": "64k",
                "steps": 6,
                "batch": 2,
                "lr": 0.01,
                "momentum": 0.9,
                "shift": 200,
                "validate": 3,
                "validation": 4,
                "average": "ema",
                "decay": 0.5,
            },
            {
                "name": "three",
                "module": "128k",
                "steps": 4,
                "batch": 2,
                "lr": 0.01,
                "momentum": 0.9,
                "validate": 2,
                "validation": 2,
                "average": "none",
                "schedule": "constant",
            },
        ],
    }
