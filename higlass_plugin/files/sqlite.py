"""Tiles that clodius has aggregated into SQLite files: intervals (.beddb) and rectangles
(.bed2ddb).
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

from higlass_plugin.files.bed import NUMBERS
from higlass_plugin.files.request import OpenRequest
from higlass_plugin.files.tileset import FileTileset


def open_sqlite(request: OpenRequest) -> FileTileset:
    """The tileset of a .beddb or .bed2ddb; FileError if its chromosomes are not the genome's."""
    from clodius.tiles import bed2ddb, beddb

    source = str(request.path)
    if {"fromX", "fromY"} <= {row[1] for row in _query(source, "PRAGMA table_info(intervals)")}:
        info = bed2ddb.tileset_info(source)
        names, sizes = info["chrom_names"].split("\t"), info["chrom_sizes"].split("\t")
        info["chromsizes"] = list(zip(names, map(int, sizes)))
        request.check(info["chromsizes"])
        return request.tileset(
            "2d-rectangle-domains", "bed2ddb", info, lambda ids: bed2ddb.tiles(source, ids), (2, 1)
        )
    info = beddb.tileset_info(source)
    request.check(info["chromsizes"])
    return request.tileset(
        _beddb_datatype(source),
        "beddb",
        info,
        lambda ids: beddb.tiles(source, ids),
        find=lambda text: _find_in_beddb(source, text),
    )


def _query(path: str, query: str, *values: Any) -> list[Any]:
    database = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
    try:
        return database.execute(query, values).fetchall()
    finally:
        database.close()


def _beddb_datatype(path: str) -> str:
    """ "gene-annotation" if the intervals have what HiGlass's gene tracks draw: 14 columns or more,
    with the starts and ends of exons; else "bedlike".
    """
    rows = _query(path, "SELECT fields FROM intervals LIMIT 1")
    fields = rows[0][0].split("\t") if rows else []
    exons = len(fields) >= 14 and all(NUMBERS.fullmatch(part) for part in fields[12:14])
    return "gene-annotation" if exons else "bedlike"


def _find_in_beddb(path: str, text: str) -> list[tuple[list[str], float]]:
    """Fields and scores of the intervals whose name begins with a text in lower case, those of the
    name itself first.
    """
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
