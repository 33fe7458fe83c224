"""Writing speed: pixels per CPU second of ``write_mcool`` and of stock
``cooler.create_cooler(ordered=True)`` on the same synthetic map.

    python scripts/bench/write.py [--megabases 40] [--band 250] [--resolution 4000]

Every writer runs in a process of its own, so that the peak memory is its own (whole process,
imports included, and above its state before the big write). The synthetic map costs one slice per
row_block. Stock and ours write the columns bin1_id, bin2_id, count and level; "3 columns" is stock
without the level column, the least that a cooler can have.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from common import Figures, parser, peak

from orca_cool.genome.regions import n_bins
from orca_cool.maps.coolfile import Layer, RowBlock, frequency, write_mcool

ROWS = 512


def row_blocks(nbins: int, band: int, levels: bool) -> Iterator[RowBlock]:
    """The same smooth-plus-noise block again and again, shifted, so that making it costs nothing
    beside writing it.
    """
    rng = np.random.default_rng(0)
    block = rng.normal(0, 0.5, (4 * ROWS, band)).astype(np.float32)
    level = np.full((ROWS, band), 4000, np.int32)
    if levels:
        level[:, band // 2 :] = 8000
    strand_difference = np.abs(block[:ROWS]) / 10
    for start in range(0, nbins, ROWS):
        rows, shift = min(ROWS, nbins - start), start % (3 * ROWS)
        yield RowBlock(
            "chr1", start, block[shift : shift + rows], level[:rows], strand_difference[:rows]
        )


def ours(
    path: str, length: int, resolution: int, band: int, strand_difference: bool, bits: int | None
) -> None:
    n = n_bins(length, resolution)
    layer = Layer(
        resolution,
        0.1 / (1.0 + np.arange(band)),
        1e-5,
        band,
        None,
        {"chr1": np.arange(n) % 100 == 0},
    )
    write_mcool(
        path,
        chromsizes={"chr1": length},
        assembly="synthetic",
        layers=[layer],
        row_blocks=lambda _: row_blocks(n, band, True),
        metadata={},
        strand_difference=strand_difference,
        precision_bits=bits,
    )


def stock(
    path: str,
    length: int,
    resolution: int,
    band: int,
    strand_difference: bool,
    bits: int | None,
    columns: tuple[str, ...] = ("count", "level"),
) -> None:
    import cooler

    n = n_bins(length, resolution)
    mask = np.arange(n) % 100 == 0
    bins = cooler.util.binnify(pd.Series({"chr1": length}), resolution)
    bins["weight"] = np.where(mask, np.nan, 1 / np.sqrt(1e5))
    norm = 0.1 / (1.0 + np.arange(band))

    def chunks() -> Iterator[pd.DataFrame]:
        for s in row_blocks(n, band, True):
            i = np.add.outer(np.arange(s.start, s.start + len(s.values)), np.zeros(band, int))
            j = i + np.arange(band)
            keep = (j < n) & ~mask[i] & ~mask[np.minimum(j, n - 1)]
            count = frequency(s.values, norm, 1e-5, "regularised", 1e5)
            both = {"count": count, "level": s.level}
            yield pd.DataFrame(
                {"bin1_id": i[keep], "bin2_id": j[keep]} | {c: both[c][keep] for c in columns}
            )

    types = {"count": "float32", "level": "int32"}
    cooler.create_cooler(
        path,
        bins,
        chunks(),
        columns=list(columns),
        dtypes={c: types[c] for c in columns},
        ordered=True,
    )


def stock3(*arguments: Any) -> None:
    stock(*arguments, columns=("count",))


def measured(task: tuple) -> tuple[float, float, float, int]:
    """(CPU seconds, peak MB, peak MB above the start, bytes of the file) of one writer."""
    writer, *rest = task
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/out.{'mcool' if writer is ours else 'cool'}"
        writer(f"{folder}/warm.mcool", 200_000, *rest[1:])
        before, start = peak(), time.process_time()
        writer(path, *rest)
        cpu = time.process_time() - start
        return cpu, 1000 * peak(), 1000 * (peak() - before), Path(path).stat().st_size


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--megabases", type=float, default=40)
    options.add_argument("--band", type=int, default=250)
    options.add_argument("--resolution", type=int, default=4000)
    arguments, figures = options.parse_args(), Figures(__file__)
    length, resolution, band = int(arguments.megabases * 1e6), arguments.resolution, arguments.band
    kept = np.arange(n_bins(length, resolution)) % 100 != 0
    pixels = sum(int((kept[: len(kept) - d] & kept[d:]).sum()) for d in range(min(band, len(kept))))
    runs = {
        "stock create_cooler": (stock, False, None),
        "stock, 3 columns": (stock3, False, None),
        "ours": (ours, False, None),
        "ours, strand_difference": (ours, True, None),
    }
    runs |= {"ours, 12 bits": (ours, False, 12)}
    print(f"{pixels:,} pixels: {arguments.megabases:g} Mb at {resolution} bp, band {band}")
    print(
        f"{'writer':<22}{'CPU s':>8}{'Mpx/CPU s':>11}{'ratio':>8}"
        f"{'peak MB':>9}{'above':>7}{'bytes/px':>10}"
    )
    reference = 0.0
    for name, (writer, strand_difference, bits) in runs.items():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            cpu, most, extra, size = pool.apply(
                measured, ((writer, length, resolution, band, strand_difference, bits),)
            )
        reference = reference or cpu
        print(
            f"{name:<22}{cpu:>8.2f}{pixels / cpu / 1e6:>11.2f}{reference / cpu:>8.2f}"
            f"{most:>9.0f}{extra:>7.0f}{size / pixels:>10.2f}"
        )
        told = {"M pixels/CPU s": pixels / cpu / 1e6, "ratio": reference / cpu}
        figures.add(name, told | {"peak MB": most, "bytes/pixel": size / pixels})
    figures.keep(arguments.json)


if __name__ == "__main__":
    main()
