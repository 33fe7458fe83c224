"""Genes and intervals of a file of the reference, at their places in an edited genome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.files.tileset import FileTileset
from higlass_plugin.tiles import Axis, JsonObject, TileError, parse_tile_id
from orca_cool.genome.edited import EditedGenome, LiftedInterval

#: Datatypes of files that can be shown on an edited genome.
LIFTABLE = ("gene-annotation", "bedlike")
#: Pieces of an edited genome that one tile may be made of; a tile of more shows nothing.
MAX_PARTS = 500


class LiftedFileTileset:
    """Intervals of a file at their places in an edited genome. What lies across a breakpoint is cut
    there, what is deleted is not shown, what is copied is shown at every copy, and what is inverted
    is on the other strand.

    Parameters
    ----------
    file : the file's tileset, of datatype "gene-annotation" or "bedlike".
    predicted : the edited genome.
    uid, name : of this tileset.
    """

    filetype = "orca"

    def __init__(self, file: FileTileset, predicted: PredictedGenome, uid: str, name: str):
        assert isinstance(predicted.genome, EditedGenome)
        self.file, self.genome, self.uid, self.name = file, predicted.genome, uid, name
        self.predicted = predicted
        self.datatype, self.coord_system = file.datatype, predicted.assembly
        self.description = ""
        self.axis = Axis(predicted.genome.chromsizes)
        self.reference = Axis(dict(file.info()["chromsizes"]))

    def info(self) -> JsonObject:
        """The file's tileset_info, with the chromosomes of the edited genome."""
        info = self.file.info()
        tile, zoom = info.get("tile_size", 1024), info["max_zoom"]
        while tile << zoom < self.axis.length:  # an edited genome may be longer
            zoom += 1
        return info | {
            "name": self.name,
            "coordSystem": self.coord_system,
            "coordSystem2": self.coord_system,
            "assembly": self.coord_system,
            "chromsizes": self.axis.rows(),
            "max_length": self.axis.length,
            "max_pos": [self.axis.length],
            "max_zoom": zoom,
            "max_width": tile << zoom,
        }

    def tiles(self, ids: Sequence[str]) -> list[tuple[str, Any]]:
        """[(id, list of intervals)] for every id; of an id that is none, an empty list."""
        out: list[tuple[str, Any]] = []
        for text in ids:
            try:
                tile = parse_tile_id(text)
                out.append((text, self._tile(tile.zoom, tile.position[0])))
            except TileError:
                out.append((text, []))
        return out

    def _tile(self, zoom: int, x: int) -> list[JsonObject]:
        info, own = self.file.info(), self.info()
        size = info.get("tile_size", 1024)
        width = (size << own["max_zoom"]) >> zoom
        parts = list(self._parts(x * width, (x + 1) * width))
        if len(parts) > MAX_PARTS or zoom > own["max_zoom"]:
            return []
        # tiles of the file that are as wide
        theirs = max(0, zoom - (own["max_zoom"] - info["max_zoom"]))
        wide = (size << info["max_zoom"]) >> theirs
        out: list[JsonObject] = []
        for chrom, part in parts:
            begin = self.reference.offsets[chrom]
            first, last = (begin + part.ref_start) // wide, (begin + part.ref_end - 1) // wide
            seen: set[str] = set()
            names = [f"{self.file.uid}.{theirs}.{n}" for n in range(first, last + 1)]
            for _, entries in self.file.tiles(names):
                for entry in entries:
                    if entry["uid"] in seen:
                        continue
                    seen.add(entry["uid"])
                    if (moved := self._moved(entry, part, begin)) is not None:
                        out.append(moved)
        return out

    def _parts(self, start: int, end: int) -> Iterator[tuple[str, LiftedInterval]]:
        """(chromosome of the reference, stretch) of all stretches of the edited genome in
        [start, end) of its axis that are of the reference.
        """
        for contig, size in self.axis.chromsizes.items():
            at = self.axis.offsets[contig]
            a, b = max(start - at, 0), min(end - at, size)
            if a >= b:
                continue
            for s in self.genome.segments(contig, a, b):
                if s.chrom in self.reference.offsets:
                    yield s.chrom, LiftedInterval(contig, a, a + len(s), s.start, s.end, s.strand)
                a += len(s)

    def _moved(self, entry: JsonObject, part: LiftedInterval, begin: int) -> JsonObject | None:
        """An interval of a tile at its place in a stretch; None if none of it is there.

        Parameters
        ----------
        begin : where the stretch's chromosome of the reference begins on its axis.
        """
        forward = part.strand == "+"

        def place(a: int, b: int) -> tuple[int, int] | None:
            """[a, b) of the chromosome, cut to the stretch, in bp of the contig."""
            a, b = max(a, part.ref_start), min(b, part.ref_end)
            if a >= b:
                return None
            shift = part.start + (a - part.ref_start if forward else part.ref_end - b)
            return shift, shift + b - a

        found = place(entry["xStart"] - begin, entry["xEnd"] - begin)
        if found is None:
            return None
        fields = list(entry["fields"])
        fields[:3] = [part.contig, str(found[0]), str(found[1])]
        if len(fields) > 5 and not forward:
            fields[5] = {"+": "-", "-": "+"}.get(fields[5], fields[5])
        if self.datatype == "gene-annotation" and len(fields) >= 14:
            cds = place(int(fields[10]), int(fields[11])) or (found[0], found[0])
            fields[10:12] = map(str, cds)
            begins, ends = ([int(n) for n in f.split(",") if n] for f in fields[12:14])
            exons = sorted(filter(None, (place(a, b) for a, b in zip(begins, ends))))
            for column, side in ((12, 0), (13, 1)):
                fields[column] = ",".join(str(exon[side]) for exon in exons or [found])
        offset = self.axis.offsets[part.contig]
        return {
            **entry,
            "uid": f"{entry['uid']}.{part.contig}.{part.start}",
            "xStart": offset + found[0],
            "xEnd": offset + found[1],
            "chrOffset": offset,
            "fields": fields,
        }
