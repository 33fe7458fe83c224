"""Writes one zoom (``predict --at``) as named arrays (.npz) and as an .mcool of its region."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool import __version__
from orca_cool.errors import OutputError
from orca_cool.files import atomic_path, check_output
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.genome.regions import Region, n_bins
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.coolfile import write_mcool
from orca_cool.maps.expected import table_path, view_path, write_expected
from orca_cool.maps.pixels import Layer, RowBlock
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.levels import Settings, expected_for, known_band
from orca_cool.prediction.mosaic import band_of
from orca_cool.profile import staged


@dataclass(frozen=True)
class _Place:
    """Where the windows of a zoom lie in the .mcool.

    Attributes
    ----------
    chrom : name in the file. origin : start of that sequence on the genome's chromosome, bp.
    chromsizes : of the file.
    """

    chrom: str
    origin: int
    chromsizes: dict[str, int]

    @classmethod
    def of(cls, maps: list[ContactMap], chromsizes: dict[str, int]) -> _Place:
        """On the genome's chromosomes where every window lies on their bins; otherwise the top
        window is a contig of its own, named ``chrom_start_end``, and begins at 0.
        """
        top = maps[0]
        if all(m.start % m.resolution == 0 for m in maps):
            return cls(top.chrom, 0, dict(chromsizes))
        name = f"{top.chrom}_{top.start}_{top.end}"
        return cls(name, top.start, {name: top.end - top.start})


@staged("writing")
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

    Parameters
    ----------
    maps : every level of ``module`` (:meth:`Engine.zoom`); those of ``settings.resolutions`` are
        written.
    provenance : plain values that go into the metadata.

    Returns
    -------
    Paths written: the .mcool, the .npz and the tables.

    Raises
    ------
    OutputError
        If a file exists (without ``force``), or cannot be written.
    """
    output = Path(output)
    arrays_path = output.with_suffix(".npz")
    sizes = engine.source.chromsizes
    maps = [_from_start(m, sizes) for m in maps if m.resolution in settings.resolutions]
    tables = [*(table_path(output, m.resolution) for m in maps), view_path(output)]
    check_output(output, force, also=[arrays_path, *tables])
    place = _Place.of(maps, sizes)
    metadata = _metadata(engine, maps, assembly) | provenance
    arrays = {"metadata": np.array(json.dumps(metadata)), **_arrays(engine, maps)}
    try:
        with atomic_path(arrays_path) as temporary:
            with open(temporary, "wb") as stream:
                np.savez_compressed(stream, **arrays)
            paths = _write_mcool(engine, module, maps, settings, output, assembly, place, metadata)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    return [output, arrays_path, *paths]


def _from_start(m: ContactMap, chromsizes: dict[str, int]) -> ContactMap:
    """A map without its bins before the chromosome, which a window in whose middle a short
    chromosome lies has.
    """
    if m.start >= 0 or m.chrom not in chromsizes:
        return m
    cut = -m.start // m.resolution
    difference = m.strand_difference
    return dataclasses.replace(
        m,
        values=m.values[cut:, cut:],
        expected=m.expected[cut:, cut:],
        strand_difference=None if difference is None else difference[cut:, cut:],
        region=dataclasses.replace(m.region, start=0),
    )


def _write_mcool(
    engine: Engine,
    module: ModuleSpec,
    maps: list[ContactMap],
    settings: Settings,
    output: Path,
    assembly: str,
    place: _Place,
    metadata: dict[str, Any],
) -> list[Path]:
    """Write the expected tables, whose paths are returned, and the .mcool."""
    layers = [_layer(engine, module, m, place) for m in sorted(maps, key=lambda m: m.resolution)]
    view, mode, depth = _view(maps[0], place), settings.mode, settings.pseudo_depth
    paths = write_expected(output, layers, place.chromsizes, view, mode, depth)
    write_mcool(
        output,
        chromsizes=place.chromsizes,
        assembly=assembly,
        layers=layers,
        row_blocks=lambda r: _row_blocks(maps, layers, place, settings.strand_difference, r),
        pseudo_depth=depth,
        mode=mode,
        metadata=metadata,
        strand_difference=settings.strand_difference,
    )
    return paths


def _layer(engine: Engine, module: ModuleSpec, m: ContactMap, place: _Place) -> Layer:
    """What the file needs of a level besides its pixels; all is masked but the window."""
    sizes = place.chromsizes
    masked = {c: np.ones(n_bins(size, m.resolution), dtype=bool) for c, size in sizes.items()}
    first = (m.start - place.origin) // m.resolution
    end = min(m.end, engine.source.chromsizes[m.chrom])
    inside = gap_fraction(engine.source, m.chrom, m.start, end, m.resolution) > MAX_GAP
    stop = min(first + len(inside), len(masked[place.chrom]))
    masked[place.chrom][first:stop] = inside[: stop - first]
    bins = n_bins(max(sizes.values()), m.resolution)
    expected = expected_for(engine, module, m.resolution, bins)
    band = known_band(expected, engine.spec.bins)
    return Layer(m.resolution, expected, m.eps, band, None, masked)


def _row_blocks(
    maps: list[ContactMap],
    layers: list[Layer],
    place: _Place,
    strand_difference: bool,
    resolution: int,
) -> Iterator[RowBlock]:
    """The rows of one level, in one block."""
    m = next(m for m in maps if m.resolution == resolution)
    band = next(layer.band for layer in layers if layer.resolution == resolution)
    first = (m.start - place.origin) // resolution
    # an overhanging window ends with its chromosome
    rows = min(len(m.values), n_bins(place.chromsizes[place.chrom], resolution) - first)
    j = np.arange(rows)[:, None] + np.arange(min(band, rows))[None, :]

    def banded(y: np.ndarray | None) -> np.ndarray:
        assert y is not None  # a prediction has both strands
        return np.where(j < rows, band_of(y)[:rows, : j.shape[1]], np.float32(np.nan))

    yield RowBlock(
        place.chrom,
        first,
        banded(m.values),
        np.full(j.shape, resolution, np.int32),
        banded(m.strand_difference) if strand_difference else None,
    )


def _view(top: ContactMap, place: _Place) -> list[Region]:
    """The top window as a view."""
    start = max(0, top.start - place.origin)
    end = min(top.end - place.origin, place.chromsizes[place.chrom])
    name = f"{top.chrom}:{top.start}-{top.end}"
    return [Region(place.chrom, start, end, name)]


def _metadata(engine: Engine, maps: list[ContactMap], assembly: str) -> dict[str, Any]:
    return {
        "orca_cool": __version__,
        "model": engine.spec.name,
        "model_digest": engine.digest,
        "genome": engine.source.name,
        "assembly": assembly,
        "licence": engine.spec.licence,
        "cell_type": engine.spec.cell_type,
        "dtype": engine.dtype,
        "chromsizes": {c: engine.source.chromsizes[c] for c in {m.chrom for m in maps}},
        "zoom": {str(m.resolution): [m.chrom, m.start, m.end] for m in maps},
    }


def _arrays(engine: Engine, maps: list[ContactMap]) -> dict[str, Any]:
    """The named arrays of every level."""
    arrays: dict[str, Any] = {}
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
    return arrays
