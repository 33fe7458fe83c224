"""Real files as tilesets: measured maps, signals, genes and intervals, read through clodius. What a
file is is told by its content.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sqlite3
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from higlass_plugin.compute.cache import Cache
from higlass_plugin.files.bed import NUMBERS, Intervals
from higlass_plugin.files.chromosomes import FileError, difference
from higlass_plugin.files.tileset import FileTileset
from orca_cool.errors import CoolerError, OrcaCoolError
from orca_cool.files import atomic_path
from orca_cool.genome.textfile import TextFile
from orca_cool.maps.open import open_map
from orca_cool.model.registry import home

logger = logging.getLogger(__name__)

#: A .cool with more pixels is not coarsened on the way: that takes more than a minute or so.
MAX_PIXELS = 20_000_000


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
) -> FileTileset:
    """A file as a tileset. What it is is told by its content.

    Parameters
    ----------
    path : .mcool, .cool (coarsened in ``folder``), bigWig, .beddb, .bed2ddb, .mv5, BED, GTF or GFF3
        (plain or gzip), or a table of chromosome sizes.
    uid : without ".".
    name : shown; default: the file's.
    chromsizes : {chromosome: bp} of the served genome, in its order, which the file is held
        against; a must for BED.
    assembly : name of that genome.
    any_genome : show a file of another genome too.
    folder : where made files are kept; None: ``maps`` in the user's folder of orca-cool.
    cache : of encoded tiles; None: one of its own.

    Raises
    ------
    FileError
        If it is missing, damaged, of another kind, or of other chromosomes than the genome.
    CoolerError, RegionError
        From the readers of .cool and of genes.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise FileError(f"file {str(path)!r} does not exist") from None
    except OSError as error:
        raise FileError(f"file {str(path)!r} cannot be read: {error.strerror}") from error
    if not head:
        raise FileError(f"file {str(path)!r} is empty")
    try:
        return _open(
            path, head, uid, name or path.name, chromsizes, assembly, any_genome, folder, cache
        )
    except OrcaCoolError:
        raise
    except Exception as error:  # clodius and its readers raise whatever they meet
        logger.debug("%s", path, exc_info=True)
        raise FileError(
            f"file {str(path)!r} is damaged, or not what it seems to be: {error!r}"
        ) from error


def _open(
    path: Path,
    head: bytes,
    uid: str,
    name: str,
    chromsizes: Mapping[str, int] | None,
    assembly: str,
    any_genome: bool,
    folder: Path | None,
    cache: Cache | None,
) -> FileTileset:
    def check(theirs: Sequence[Sequence[Any]], in_place: bool = True) -> None:
        problem = (
            ""
            if chromsizes is None or any_genome or not theirs
            else difference({c: n for c, n in theirs}, chromsizes, in_place)
        )
        if problem:
            raise FileError(
                f"file {str(path)!r} is not of genome {assembly!r}: {problem}; use --any-genome "
                f"to show it all the same"
            )

    def make(
        datatype: str,
        filetype: str,
        info: Mapping[str, Any],
        read: Callable[[list[str]], Sequence[tuple[str, Any]]],
        *dimensions: int,
        find: Callable[[str], list[tuple[list[str], float]]] | None = None,
    ) -> FileTileset:
        return FileTileset(
            uid, name, datatype, filetype, assembly, path.name, info, read, cache, dimensions, find
        )

    source = str(path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        import cooler
        from clodius.tiles import cooler as maps
        from clodius.tiles import multivec

        groups = cooler.fileops.list_coolers(source)
        check(list((map_chromsizes(source) or {}).items()))  # before anything is coarsened
        if groups == ["/"]:
            source, groups = str(zoomified(path, folder)), ["/resolutions/"]
        if groups and all(group.startswith("/resolutions/") for group in groups):
            info = dict(maps.tileset_info(source))
            info["transforms"] = sorted(
                info.get("transforms", ()), key=lambda transform: str(transform["value"])
            )  # clodius: of a set
            found = make("matrix", "cooler", info, lambda ids: maps.tiles(source, ids), 2)
            found.map = Path(source)
            return found
        if groups:
            raise FileError(
                f"file {source!r} holds coolers that are not resolutions of one map "
                f"({groups[0]}); give an .mcool"
            )
        info = multivec.tileset_info(source)
        info["chromsizes"] = _multivec_chromsizes(source)
        check(info["chromsizes"])
        return make("multivec", "multivec", info, lambda ids: multivec.tiles(source, ids), 1)
    if head.startswith(b"SQLite format 3"):
        from clodius.tiles import bed2ddb, beddb

        if {"fromX", "fromY"} <= {row[1] for row in _query(source, "PRAGMA table_info(intervals)")}:
            info = bed2ddb.tileset_info(source)
            info["chromsizes"] = list(
                zip(info["chrom_names"].split("\t"), map(int, info["chrom_sizes"].split("\t")))
            )
            check(info["chromsizes"])
            return make(
                "2d-rectangle-domains",
                "bed2ddb",
                info,
                lambda ids: bed2ddb.tiles(source, ids),
                2,
                1,
            )
        info = beddb.tileset_info(source)
        check(info["chromsizes"])
        kind = _beddb_datatype(source)
        return make(
            kind,
            "beddb",
            info,
            lambda ids: beddb.tiles(source, ids),
            1,
            find=lambda text: _find_in_beddb(source, text),
        )
    if head[:4] in (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26"):
        import bbi
        from clodius.tiles import bigwig

        _require_whole_bigwig(path)
        # clodius lays a bigWig out by any list of chromosomes: its own order, or lack of some, does
        # not matter
        own = [[str(c), int(n)] for c, n in bbi.chromsizes(source).items()]
        check(own, in_place=False)
        rows = own if chromsizes is None else [[c, n] for c, n in chromsizes.items()]
        return make(
            "vector",
            "bigwig",
            bigwig.tileset_info(source, rows),
            lambda ids: bigwig.tiles(source, ids, chromsizes=rows),
            1,
        )
    if head[:4] in (b"\xeb\xf2\x89\x87", b"\x87\x89\xf2\xeb"):
        raise FileError(f"file {source!r} is bigBed; turn it into BED with `bigBedToBed`")
    first = next((line for _, line in TextFile(path, "file", FileError).lines()), "").split()
    if len(first) == 2 and first[1].isdigit():
        from clodius.tiles import chromsizes as sizes

        info = sizes.tileset_info(source)
        check(info["chromsizes"])
        return make("chromsizes", "chromsizes-tsv", info, lambda ids: [(i, []) for i in ids], 1)
    if chromsizes is None:
        raise FileError(
            f"file {source!r} does not say how long its chromosomes are; give the genome's"
        )
    bed = Intervals(path, chromsizes, any_genome)
    info = bed.info(assembly)
    return make(bed.datatype, "beddb", info, bed.tiles, 1, find=bed.find)


def map_chromsizes(path: str | Path) -> dict[str, int] | None:
    """{chromosome: bp} of a contact map, in its order; None if the file is something else, or
    cannot be read.
    """
    try:
        return open_map(path).chromsizes
    except CoolerError:
        return None


def zoomified(path: Path, folder: Path | None) -> Path:
    """An .mcool of a single-resolution .cool: HiGlass needs coarser levels. Made once, and kept for
    as long as the file stays as it is.

    Raises
    ------
    CoolerError
        If the bins are not of one size, or there are more than MAX_PIXELS pixels.
    """
    import cooler
    from clodius.tiles.cooler import get_zoom_resolutions

    base = cooler.Cooler(str(path))
    if base.binsize is None:
        raise CoolerError(
            f"contact map {str(path)!r} has bins of different sizes, which HiGlass cannot show"
        )
    command = (
        f"`cooler zoomify{' --balance' if 'weight' in base.bins().columns else ''} {path.name}`"
    )
    if base.info["nnz"] > MAX_PIXELS:
        raise CoolerError(
            f"contact map {str(path)!r} has one resolution, and HiGlass needs several: run "
            f"{command} and give the .mcool"
        )
    stat = path.stat()
    facts = hashlib.sha256(
        f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()
    ).hexdigest()[:16]
    folder = home() / "maps" if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{path.stem}.{facts}.mcool"
    if not made.exists():
        logger.warning(
            "%s has one resolution: coarsening it for HiGlass (%s does that once and for all)",
            path.name,
            command,
        )
        with atomic_path(made) as part:
            resolutions = get_zoom_resolutions(base.chromsizes, base.binsize)
            cooler.zoomify_cooler(str(path), str(part), resolutions, chunksize=1_000_000)
            if "weight" in base.bins().columns:
                for resolution in resolutions[1:]:
                    cooler.balance_cooler(
                        cooler.Cooler(f"{part}::resolutions/{resolution}"), store=True
                    )
    return made


def _require_whole_bigwig(path: Path) -> None:
    """FileError for a file that is cut off: the registry below would end the whole process, now or
    at some tile.
    """
    with path.open("rb") as file:
        head = file.read(64)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4))
        end = file.read(4)
    order = "<" if head[:4] == b"\x26\xfc\x8f\x88" else ">"
    version, _, chromosomes, _, index = (
        struct.unpack(f"{order}HHQQQ", head[4:32]) if len(head) == 64 else (0, 0, 0, 0, 0)
    )
    # from version 4 on the first word is also the last one
    if not 64 <= chromosomes < size or not 64 <= index < size or (version >= 4 and end != head[:4]):
        raise FileError(f"file {str(path)!r} is cut off, or no bigWig; fetch or make it again")


def _multivec_chromsizes(path: str) -> list[list[Any]]:
    import h5py

    with h5py.File(path, "r") as file:
        names = [c.decode() if isinstance(c, bytes) else str(c) for c in file["chroms"]["name"][:]]
        return [[c, int(n)] for c, n in zip(names, file["chroms"]["length"][:])]


def _query(path: str, query: str, *values: Any) -> list[Any]:
    database = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
    try:
        return database.execute(query, values).fetchall()
    finally:
        database.close()


def _beddb_datatype(path: str) -> str:
    """Genes have the exons that HiGlass's gene tracks draw, as its own gene annotations have: 14
    columns, or more.
    """
    rows = _query(path, "SELECT fields FROM intervals LIMIT 1")
    fields = rows[0][0].split("\t") if rows else []
    exons = len(fields) >= 14 and all(NUMBERS.fullmatch(part) for part in fields[12:14])
    return "gene-annotation" if exons else "bedlike"


def _find_in_beddb(path: str, text: str) -> list[tuple[list[str], float]]:
    pattern = "%\t" + re.sub(r"([\\%_])", r"\\\1", text) + "%"
    query = (
        "SELECT fields, importance FROM intervals WHERE fields LIKE ? ESCAPE '\\' "
        "ORDER BY importance DESC LIMIT 1000"
    )
    rows = ((fields.split("\t"), float(score)) for fields, score in _query(path, query, pattern))
    found = [
        (f, score)
        for f, score in rows
        if len(f) > 3 and (f[1] + f[2]).isdigit() and f[3].lower().startswith(text)
    ]
    return sorted(found, key=lambda one: one[0][3].lower() != text)
