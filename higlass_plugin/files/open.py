"""Open a file as a tileset: measured maps, signals, genes and intervals, read through clodius. What
a file is, is recognised by its content.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from higlass_plugin.compute.cache import Cache
from higlass_plugin.files import bigwig
from higlass_plugin.files.bed import Intervals
from higlass_plugin.files.bigwig import open_bigwig
from higlass_plugin.files.chromosomes import FileError
from higlass_plugin.files.contact_maps import open_hdf5
from higlass_plugin.files.request import OpenRequest
from higlass_plugin.files.sqlite import open_sqlite
from higlass_plugin.files.tileset import FileTileset
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.textfile import TextFile
from orca_cool.maps.open import hic_advice
from orca_cool.maps.weights import WEIGHT

logger = logging.getLogger(__name__)

#: The first bytes of a bigBed file, in little and in big endian.
BIGBED = (b"\xeb\xf2\x89\x87", b"\x87\x89\xf2\xeb")

#: What files of other suffixes than those of tables lack here.
BINARY = {
    ".mcool": "it is no HDF5",
    ".cool": "it is no HDF5",
    ".mv5": "it is no HDF5",
    ".bw": "it is no bigWig",
    ".bigwig": "it is no bigWig",
    ".beddb": "it is no SQLite",
}


def open_file(
    path: str | Path,
    *,
    uid: str,
    name: str | None = None,
    chromsizes: Mapping[str, int] | None = None,
    assembly: str = "",
    any_genome: bool = False,
    folder: Path | None = None,
    cache: Cache | None = None,
    clr_weight_name: str = WEIGHT,
) -> FileTileset:
    """Open a file as a tileset.

    Parameters
    ----------
    path : .mcool, .cool (coarsened in ``folder``), bigWig, .beddb, .bed2ddb, .mv5, BED, GTF or GFF3
        (plain or gzip), or a table of chromosome sizes.
    uid : of the tileset, without ".".
    name : shown over the track; default: the file's.
    chromsizes : {chromosome: bp} of the served genome, in its order, with which the file's are
        compared; needed for BED.
    assembly : name of that genome.
    any_genome : show a file of another genome too.
    folder : where coarsened maps are kept; None: ``maps`` in the user's folder of orca-cool.
    cache : of encoded tiles; None: one of its own.
    clr_weight_name : column of balancing weights of a contact map; see
        :func:`orca_cool.maps.open.open_map`.

    Raises
    ------
    FileError
        If it is missing, damaged, of another kind, or of other chromosomes than the genome.
    CoolerError, RegionError
        From the readers of .cool and of genes.
    """
    path = Path(path)
    head = _first_bytes(path)
    request = OpenRequest(
        path,
        uid,
        name or path.name,
        chromsizes,
        assembly,
        any_genome,
        folder,
        cache,
        clr_weight_name,
    )
    try:
        return _open(request, head)
    except OrcaCoolError:
        raise
    except Exception as error:  # clodius and its readers raise exceptions of any type
        logger.debug("%s", path, exc_info=True)
        raise FileError(
            f"file {str(path)!r} is damaged, or not what it seems to be: {error!r}"
        ) from error


def _first_bytes(path: Path) -> bytes:
    """The first 16 bytes of a file; FileError if it cannot be read or is empty."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise FileError(f"file {str(path)!r} does not exist") from None
    except OSError as error:
        raise FileError(f"file {str(path)!r} cannot be read: {error.strerror}") from error
    if not head:
        raise FileError(f"file {str(path)!r} is empty")
    return head


def _open(request: OpenRequest, head: bytes) -> FileTileset:
    """Open a file by the kind that its first bytes tell."""
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return open_hdf5(request)
    if head.startswith(b"SQLite format 3"):
        return open_sqlite(request)
    if head[:4] in bigwig.MAGIC:
        return open_bigwig(request)
    if advice := hic_advice(request.path):
        raise FileError(f"file {advice}")
    if head[:4] in BIGBED:
        raise FileError(
            f"file {str(request.path)!r} is bigBed; turn it into BED with `bigBedToBed`"
        )
    if request.path.suffix in BINARY:
        raise FileError(
            f"file {str(request.path)!r} is not what its suffix says: {BINARY[request.path.suffix]}"
        )
    return _open_text(request)


def _open_text(request: OpenRequest) -> FileTileset:
    """The tileset of a table of chromosome sizes, or of BED, GTF or GFF3."""
    text = TextFile(request.path, "file", FileError)
    first = next((line for _, line in text.lines()), "").split()
    if len(first) == 2 and first[1].isdigit():
        from clodius.tiles import chromsizes

        info = chromsizes.tileset_info(str(request.path))
        request.check(info["chromsizes"])
        return request.tileset(
            "chromsizes", "chromsizes-tsv", info, lambda ids: [(i, []) for i in ids]
        )
    if request.chromsizes is None:
        raise FileError(
            f"file {str(request.path)!r} does not say how long its chromosomes are; give the "
            f"genome's"
        )
    bed = Intervals(request.path, request.chromsizes, request.any_genome)
    return request.tileset(
        bed.datatype, "beddb", bed.info(request.assembly), bed.tiles, find=bed.find
    )
