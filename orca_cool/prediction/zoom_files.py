"""One zoom (``predict --at``) as named arrays and as an .mcool of its region."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from orca_cool import __version__
from orca_cool.errors import OutputError
from orca_cool.files import check_output
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.genome.regions import n_bins
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.coolfile import write_mcool
from orca_cool.maps.expected import table_path, write_expected
from orca_cool.maps.pixels import Layer, RowBlock
from orca_cool.model.spec import ModuleSpec
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.levels import Settings, expected_for, known_band
from orca_cool.prediction.mosaic import band_of


def zoom_to_files(
    engine: Engine,
    module: ModuleSpec,
    maps: list[ContactMap],
    settings: Settings,
    output: str | Path,
    *,
    assembly: str,
    provenance: dict[str, Any],
    force: bool = False,
) -> list[Path]:
    """Write a zoom: named arrays (.npz) and an .mcool of its region with expected tables.

    The windows' phase is arbitrary. Where every window lies on the chromosome's own bins the .mcool
    has the genome's chromosomes; otherwise the top window is a contig of its own, named
    ``chrom_start_end``, and begins at 0.
    """
    output = Path(output)
    arrays_path = output.with_suffix(".npz")
    maps = [m for m in maps if m.resolution in settings.resolutions]
    tables = [table_path(output, m.resolution) for m in maps]
    check_output(output, force, also=[arrays_path, *tables])
    top = maps[0]
    aligned = all(m.start % m.resolution == 0 for m in maps)
    if aligned:
        chrom, origin, sizes = top.chrom, 0, dict(engine.source.chromsizes)
    else:
        chrom, origin = f"{top.chrom}_{top.start}_{top.end}", top.start
        sizes = {chrom: top.end - top.start}
    layers_ = []
    bins = engine.spec.bins
    for m in sorted(maps, key=lambda m: m.resolution):
        masked = {c: np.ones(n_bins(size, m.resolution), dtype=bool) for c, size in sizes.items()}
        first = (m.start - origin) // m.resolution
        inside = (
            gap_fraction(
                engine.source,
                m.chrom,
                m.start,
                min(m.end, engine.source.chromsizes[m.chrom]),
                m.resolution,
            )
            > MAX_GAP
        )
        stop = min(first + len(inside), len(masked[chrom]))
        masked[chrom][first:stop] = inside[: stop - first]
        expected = expected_for(
            engine, module, m.resolution, n_bins(max(sizes.values()), m.resolution)
        )
        layers_.append(
            Layer(m.resolution, expected, m.eps, known_band(expected, bins), None, masked)
        )
    view_rows = [
        (
            chrom,
            max(0, top.start - origin),
            min(top.end - origin, sizes[chrom]),
            f"{top.chrom}:{top.start}-{top.end}",
        )
    ]
    view = pd.DataFrame(view_rows, columns=["chrom", "start", "end", "name"])
    metadata = {
        "orca_cool": __version__,
        "model": engine.spec.name,
        "model_digest": engine.bundle.digest,
        "genome": engine.source.name,
        "assembly": assembly,
        "licence": engine.spec.licence,
        "cell_type": engine.spec.cell_type,
        "dtype": engine.dtype,
        "zoom": {str(m.resolution): [m.chrom, m.start, m.end] for m in maps},
        **provenance,
    }

    def row_blocks(resolution: int) -> Iterator[RowBlock]:
        m = next(m for m in maps if m.resolution == resolution)
        first = (m.start - origin) // resolution
        rows = min(
            bins, n_bins(sizes[chrom], resolution) - first
        )  # an overhanging window ends with its chromosome
        band = next(layer.band for layer in layers_ if layer.resolution == resolution)
        j = np.arange(rows)[:, None] + np.arange(min(band, rows))[None, :]

        def banded(y: np.ndarray) -> np.ndarray:
            return np.where(j < rows, band_of(y)[:rows, : j.shape[1]], np.float32(np.nan))

        wanted = m.strand_difference if settings.strand_difference else None
        strand_difference = None if wanted is None else banded(wanted)
        yield RowBlock(
            chrom,
            first,
            banded(m.values),
            np.full(j.shape, resolution, np.int32),
            strand_difference,
        )

    arrays: dict[str, Any] = {"metadata": np.array(json.dumps(metadata))}
    for m in maps:
        name = engine.spec.label(m.resolution)
        arrays |= {
            f"prediction_{name}": m.values,
            f"strand_difference_{name}": m.strand_difference,
            f"expected_{name}": m.expected,
            f"eps_{name}": np.array(m.eps),
            f"region_{name}": np.array([m.start, m.end]),
            f"resolution_{name}": np.array(m.resolution),
        }
    temporary = arrays_path.with_name(arrays_path.name + ".tmp")
    try:
        with open(temporary, "wb") as stream:
            np.savez_compressed(stream, **arrays)
        paths = write_expected(output, layers_, sizes, view, settings.mode, settings.pseudo_depth)
        write_mcool(
            output,
            chromsizes=sizes,
            assembly=assembly,
            layers=layers_,
            row_blocks=row_blocks,
            pseudo_depth=settings.pseudo_depth,
            mode=settings.mode,
            metadata=metadata,
            strand_difference=settings.strand_difference,
        )
        os.replace(temporary, arrays_path)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return [output, arrays_path, *paths]
