"""Signals in bigWig files."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from higlass_plugin.files.chromosomes import FileError
from higlass_plugin.files.request import OpenRequest
from higlass_plugin.files.tileset import FileTileset

#: The first bytes of a bigWig file, in little and in big endian.
MAGIC = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")


def open_bigwig(request: OpenRequest) -> FileTileset:
    """The tileset of a bigWig; FileError if it is cut off, or its chromosomes are not the
    genome's.
    """
    import bbi
    from clodius.tiles import bigwig

    _require_whole(request.path)
    source = str(request.path)
    # clodius lays a bigWig out by any list of chromosomes, so that the file's own order, or a lack
    # of some chromosomes, does not matter
    own: list[list[str | int]] = [[str(c), int(n)] for c, n in bbi.chromsizes(source).items()]
    request.check(own, in_place=False)
    rows = own if request.chromsizes is None else [[c, n] for c, n in request.chromsizes.items()]
    info = bigwig.tileset_info(source, rows)
    return request.tileset(
        "vector", "bigwig", info, lambda ids: bigwig.tiles(source, ids, chromsizes=rows)
    )


def _require_whole(path: Path) -> None:
    """FileError if a file is cut off. The library that reads bigWigs would end the whole process,
    now or at some tile.
    """
    with path.open("rb") as file:
        head = file.read(64)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4))
        end = file.read(4)
    order = "<" if head[:4] == MAGIC[0] else ">"
    version, _, chromosomes, _, index = (
        struct.unpack(f"{order}HHQQQ", head[4:32]) if len(head) == 64 else (0, 0, 0, 0, 0)
    )
    # from version 4 on the first word is also the last one
    if not 64 <= chromosomes < size or not 64 <= index < size or (version >= 4 and end != head[:4]):
        raise FileError(f"file {str(path)!r} is cut off, or no bigWig; fetch or make it again")
