"""A file that is to be opened as a tileset, and the genome on which it is to be shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from higlass_plugin.compute.cache import Cache
from higlass_plugin.files.chromosomes import FileError, difference
from higlass_plugin.files.tileset import FileTileset, Finder, Reader
from higlass_plugin.tiles import JsonObject


@dataclass(frozen=True)
class OpenRequest:
    """What :func:`higlass_plugin.files.open.open_file` was asked for; its arguments are described
    there.
    """

    path: Path
    uid: str
    name: str
    chromsizes: Mapping[str, int] | None
    assembly: str
    any_genome: bool
    folder: Path | None
    cache: Cache | None
    clr_weight_name: str

    def check(self, theirs: Iterable[Sequence[str | int]], in_place: bool = True) -> None:
        """FileError if the chromosomes of the file are not those of the genome.

        Parameters
        ----------
        theirs : (chromosome, bp) of the file; empty if it does not know them.
        in_place : see :func:`~higlass_plugin.files.chromosomes.difference`.
        """
        sizes = {str(chrom): int(size) for chrom, size in theirs}
        if self.chromsizes is None or self.any_genome or not sizes:
            return
        problem = difference(sizes, self.chromsizes, in_place)
        if problem:
            raise FileError(
                f"file {str(self.path)!r} is not of genome {self.assembly!r}: {problem}; use "
                f"--any-genome to show it all the same"
            )

    def tileset(
        self,
        datatype: str,
        filetype: str,
        info: JsonObject,
        read: Reader,
        dimensions: tuple[int, ...] = (1,),
        find: Finder | None = None,
    ) -> FileTileset:
        """The tileset of the file; the arguments are those of FileTileset."""
        return FileTileset(
            self.uid,
            self.name,
            datatype,
            filetype,
            self.assembly,
            self.path.name,
            info,
            read,
            self.cache,
            dimensions,
            find,
        )
