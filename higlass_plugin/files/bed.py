"""Genes and intervals of BED, GTF and GFF3 files, tiled in memory as `clodius aggregate bedfile`
tiles them.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from higlass_plugin.files.chromosomes import TOLERANCE, FileError, first_names
from higlass_plugin.files.tileset import MAX_FOUND
from higlass_plugin.tiles import parse_tile_id
from orca_cool.genome.gene_models import Gene, is_bed, rows
from orca_cool.genome.regions import interval_of, suggestion
from orca_cool.genome.textfile import TextFile

logger = logging.getLogger(__name__)

#: Lines of a BED file; more belong in a .beddb.
MAX_LINES = 5_000_000

#: Intervals drawn in a tile at most, as `clodius aggregate bedfile`; the others appear further in.
MAX_DRAWN = 100

#: Bases of a tile of intervals at the finest zoom, as `clodius aggregate bedfile`.
INTERVAL_TILE = 1024

#: Starts or lengths of blocks, as BED and gene annotations write them.
NUMBERS = re.compile(r"\d+(,\d+)*,?")


class Intervals:
    """Genes or intervals of a BED, GTF or GFF3 file, in memory, tiled as `clodius aggregate
    bedfile` does it.

    A tile shows the most important intervals first (by the score column where it says anything,
    else the longest), and all of them at the finest zoom. Lines on chromosomes that the genome
    lacks are left out. Where every line has a name, and most have a strand, they are genes.

    Parameters
    ----------
    path : the file.
    chromsizes : {chromosome: bp} of the genome.
    any_genome : accept intervals that end beyond the genome's chromosomes.

    Raises
    ------
    FileError
        If a line is not understood, lies outside the genome, or all are on other chromosomes.
    """

    def __init__(self, path: Path, chromsizes: Mapping[str, int], any_genome: bool = False):
        self.chromsizes = dict(chromsizes)
        offsets = dict(zip(chromsizes, [0, *accumulate(chromsizes.values())]))
        self.lines: list[str] = []
        starts, ends, self.offsets, scores, columns = [], [], [], [], []
        #: further names in lower case, and the lines that have them
        self.aliases: list[tuple[str, int]] = []
        others: dict[str, int] = {}
        stranded = 0
        self.names: list[str] = []
        for number, fields, aliases in _intervals(path):
            chrom, start, end = fields[0], int(fields[1]), int(fields[2])
            if chrom not in offsets:
                others[chrom] = others.get(chrom, 0) + 1
                continue
            if end > (1 + TOLERANCE) * chromsizes[chrom] and not any_genome:
                raise FileError(
                    f"file {str(path)!r}, line {number}: ends at {end:,} bp of {chrom}, which is "
                    f"{chromsizes[chrom]:,} bp in the genome; "
                    "use --any-genome to show it all the same"
                )
            if len(self.lines) == MAX_LINES:
                raise FileError(
                    f"file {str(path)!r} has more than {MAX_LINES:,} lines; run `clodius "
                    f"aggregate bedfile` and give the .beddb"
                )
            self.lines.append("\t".join(fields))
            self.offsets.append(offsets[chrom])
            starts.append(start + offsets[chrom])
            ends.append(end + offsets[chrom])
            scores.append(_number(fields[4]) if len(fields) > 4 else 0.0)
            self.aliases += [(alias.lower(), len(self.names)) for alias in sorted(aliases)]
            self.names.append(fields[3].lower() if len(fields) > 3 else "")
            columns.append(len(fields))
            stranded += len(fields) > 5 and fields[5] in ("+", "-")
        if not self.lines:
            there = suggestion(next(iter(chromsizes)), others) if others else "it is empty"
            raise FileError(
                f"file {str(path)!r} has nothing on the chromosomes of the genome, "
                f"{first_names(chromsizes)}; {there}"
            )
        if others:
            logger.warning(
                "%s: %d lines on chromosomes that the genome lacks (%s)",
                path.name,
                sum(others.values()),
                first_names(others),
            )
        self.starts, self.ends = np.array(starts), np.array(ends)
        genes = min(columns) > 5 and 2 * stranded >= len(self.lines) and all(self.names)
        self.datatype = "gene-annotation" if genes else "bedlike"
        telling = np.ptp(scores) > 0
        self.importance = np.array(scores) if telling else (self.ends - self.starts).astype(float)
        length = sum(chromsizes.values())
        self.max_zoom = max(0, math.ceil(math.log2(length / INTERVAL_TILE)))
        self.level = self._levels()

    def info(self, assembly: str) -> dict[str, Any]:
        """The tileset_info of a .beddb of the same intervals."""
        length = sum(self.chromsizes.values())
        return {
            "zoom_step": 1,
            "max_length": length,
            "assembly": assembly,
            "tile_size": INTERVAL_TILE,
            "max_zoom": self.max_zoom,
            "max_width": INTERVAL_TILE << self.max_zoom,
            "min_pos": [1],
            "max_pos": [length],
            "header": "",
            "version": 3,
            "chromsizes": [[c, n] for c, n in self.chromsizes.items()],
        }

    def tiles(self, ids: Sequence[str]) -> list[tuple[str, list[dict[str, Any]]]]:
        """The intervals that overlap each tile ``uid.z.x``, as a .beddb gives them."""
        out = []
        for text in ids:
            tile = parse_tile_id(text)
            width = (INTERVAL_TILE << self.max_zoom) >> tile.zoom
            start = tile.position[0] * width
            here = np.flatnonzero(
                (self.starts < start + width) & (self.ends >= start) & (self.level <= tile.zoom)
            )
            out.append((text, [self._entry(int(k)) for k in here]))
        return out

    def find(self, text: str) -> list[tuple[list[str], float]]:
        """Fields and scores of the intervals of which a name begins with ``text``: those of that
        very name first, then those that have it among their further names, then the most important.
        """
        found = {k: 2 for k, name in enumerate(self.names) if name.startswith(text)}
        for alias, k in self.aliases:
            if alias.startswith(text):
                found[k] = min(found.get(k, 2), 1 if alias == text else 2)
        for k in found:
            found[k] = 0 if self.names[k] == text else found[k]
        best = sorted(found, key=lambda k: (found[k], -self.importance[k]))[:MAX_FOUND]
        return [(self.lines[k].split("\t"), float(self.importance[k])) for k in best]

    def _levels(self) -> np.ndarray:
        """The coarsest zoom at which each interval is drawn: where it is one of the MAX_DRAWN most
        important of the tile that holds its middle.
        """
        level = np.full(len(self.lines), self.max_zoom)
        order = np.argsort(-self.importance, kind="stable")
        middles = (self.starts + self.ends)[order] // 2
        # From fine to coarse: one of the first of a tile is one of the first of its half, too.
        for zoom in reversed(range(self.max_zoom)):
            tile = middles // ((INTERVAL_TILE << self.max_zoom) >> zoom)
            by_tile = np.argsort(tile, kind="stable")
            ranks = np.arange(len(tile)) - np.searchsorted(tile[by_tile], tile[by_tile])
            level[order[by_tile[ranks < MAX_DRAWN]]] = zoom
        return level

    def _entry(self, k: int) -> dict[str, Any]:
        fields = self.lines[k].split("\t")
        return {
            "xStart": int(self.starts[k]),
            "xEnd": int(self.ends[k]),
            "chrOffset": self.offsets[k],
            "importance": float(self.importance[k]),
            "uid": str(k),
            "fields": _gene_fields(fields) if self.datatype == "gene-annotation" else fields,
            "name": fields[3] if len(fields) > 3 else "",
        }


def _intervals(path: Path) -> Iterator[tuple[int | None, list[str], set[str]]]:
    """(line's number, fields of BED, further names) of BED, or of the genes of GTF or GFF3."""
    bed = False
    for row in TextFile(path, "file", FileError).rows(until="##FASTA"):
        # every row is asked: a file may say late that it is BEDPE or bedGraph
        bed = is_bed(row) or bed
        if not bed:
            aliases: dict[Gene, set[str]] = {}
            for number, gene in rows(path, set(), aliases):
                chrom, start, end, name, strand = gene
                fields = [chrom, str(start), str(end), name, "0", strand]
                yield number, fields, aliases.get(gene, set())
            return
        interval_of(row, may_be_empty=True)
        yield row.number, [row.fields[0], *(f.strip() for f in row.fields[1:])], set()


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def _gene_fields(bed: Sequence[str]) -> list[str]:
    """The 14 columns of HiGlass's gene annotations, of a line of BED.

    Genes without a strand get the + strand: HiGlass would not draw them at all.
    """
    chrom, start, end, name, score, strand = bed[:6]
    first, last = [start], [end]
    cds: Sequence[str] = [start, end]
    if len(bed) >= 12 and all(NUMBERS.fullmatch(column) for column in bed[10:12]):
        cds = bed[6:8]
        sizes, begins = ([int(n) for n in column.split(",") if n] for column in bed[10:12])
        first = [str(int(start) + b) for b in begins]
        last = [str(int(start) + b + n) for b, n in zip(begins, sizes)]
    strand = strand if strand in ("+", "-") else "+"
    return [
        chrom,
        start,
        end,
        name,
        score,
        strand,
        name,
        name,
        "",
        "",
        *cds,
        ",".join(first),
        ",".join(last),
    ]
