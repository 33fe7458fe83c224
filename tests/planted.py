"""A synthetic prediction with known structure: compartments, domains, loops, masked bins, two
chromosomes, four resolutions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from orca_cool.genome.regions import n_bins
from orca_cool.maps.coolfile import Layer, RowBlock, TransBlock, write_mcool
from orca_cool.maps.expected import whole_chromosomes, write_expected

CHROMSIZES = {"chrA": 16_000_300, "chrB": 12_000_000}
RESOLUTIONS = (32_000, 64_000, 128_000, 256_000)
BAND = 250
#: anchors (bins of 32 kb) of planted loops on chrA
LOOPS = ((60, 85), (121, 139), (210, 236), (300, 320), (390, 420))


@dataclass
class Planted:
    """``y[(chrom, resolution)]`` (n, n) true log ratios, whole; ``trans[resolution]`` between the
    two chromosomes.
    """

    compartments: dict[str, np.ndarray] = field(default_factory=dict)
    boundaries: dict[str, np.ndarray] = field(default_factory=dict)
    y: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    trans: dict[int, np.ndarray] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)

    def layer(self, resolution: int) -> Layer:
        return next(x for x in self.layers if x.resolution == resolution)

    def row_blocks(self, rows: int = 97) -> object:
        def make(resolution: int) -> Iterator[RowBlock]:
            for chrom in CHROMSIZES:
                banded = band_of(self.y[chrom, resolution], self.layer(resolution).band)
                for a in range(0, len(banded), rows):
                    part = banded[a : a + rows]
                    yield RowBlock(
                        chrom, a, part, np.full(part.shape, resolution, np.int32), np.abs(part) / 10
                    )

        return make

    def blocks(self, resolution: int) -> Iterator[TransBlock]:
        values = self.trans[resolution]
        half = len(values) // 2
        # the later half first: pieces may come in any order
        yield TransBlock("chrA", "chrB", half, 0, values[half:], resolution)
        yield TransBlock("chrA", "chrB", 0, 0, values[:half], resolution)


def band_of(dense: np.ndarray, band: int) -> np.ndarray:
    """(n, n) -> (n, band) by distance, NaN beyond the end."""
    n = len(dense)
    i, j = np.arange(n)[:, None], np.arange(n)[:, None] + np.arange(band)
    return np.where(j < n, dense[i, np.minimum(j, n - 1)], np.nan).astype(np.float32)


def blocks_mean(x: np.ndarray, f: int) -> np.ndarray:
    """Means over f x f blocks, the last ones partial."""
    n, m = (-(-s // f) * f for s in x.shape)
    padded = np.full((n, m), np.nan)
    padded[: x.shape[0], : x.shape[1]] = x
    return np.nanmean(padded.reshape(n // f, f, m // f, f), axis=(1, 3))


def plant() -> Planted:
    """The same map at every call."""
    rng, out = np.random.default_rng(7), Planted()
    base = RESOLUTIONS[0]
    for chrom, length in CHROMSIZES.items():
        n = n_bins(length, base)
        cuts = np.cumsum(rng.integers(18, 34, 60))
        cuts = cuts[cuts < n - 10]
        domain = np.searchsorted(cuts, np.arange(n), side="right")
        state = np.where(np.cumsum(rng.integers(0, 2, domain.max() + 1)) % 2, 1.0, -1.0)[domain]
        y = (
            0.5 * np.outer(state, state)
            + 0.6 * (domain[:, None] == domain)
            + rng.normal(0, 0.02, (n, n))
        )
        if chrom == "chrA":
            for i, j in LOOPS:
                y[i - 1 : i + 2, j - 1 : j + 2] += 1.2
        y = np.triu(y) + np.triu(y, 1).T
        out.compartments[chrom], out.boundaries[chrom] = state, cuts
        for r in RESOLUTIONS:
            out.y[chrom, r] = blocks_mean(y, r // base)
    between = 0.4 * np.outer(out.compartments["chrA"], out.compartments["chrB"])
    for r in RESOLUTIONS:
        out.trans[r] = blocks_mean(between, r // base).astype(np.float32)
        masked = {}
        for chrom, length in CHROMSIZES.items():
            fine = np.zeros(n_bins(length, base), bool)
            fine[40:48] = True
            f = r // base
            whole = np.zeros(-(-len(fine) // f) * f, bool)
            whole[: len(fine)] = fine
            masked[chrom] = whole.reshape(-1, f).all(1)
        d = np.arange(600) * (r / base)
        out.layers.append(Layer(r, 0.1 / (1 + d), 1e-5, BAND, 2e-4, masked))
    return out


def write(
    planted: Planted,
    path: Path,
    mode: str = "regularised",
    trans: bool = True,
    rows: int = 97,
    **more: object,
) -> Path:
    """Write the map and its tables."""
    write_expected(path, planted.layers, CHROMSIZES, whole_chromosomes(CHROMSIZES), mode, 1e5)
    settings: dict = {
        "metadata": {"model": "planted", "regions": [f"{c}:0-{n:,}" for c, n in CHROMSIZES.items()]}
    } | more
    write_mcool(
        path,
        chromsizes=CHROMSIZES,
        assembly="planted1",
        layers=planted.layers,
        row_blocks=planted.row_blocks(rows),  # type: ignore[arg-type]
        trans=planted.blocks if trans else None,
        mode=mode,
        **settings,
    )
    return path
