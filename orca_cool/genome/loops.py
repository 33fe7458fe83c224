"""Loops of BEDPE files: pairs of anchors on one chromosome."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from orca_cool.errors import EditError
from orca_cool.genome.regions import closest, few, interval_of, other_names
from orca_cool.genome.textfile import TextFile

logger = logging.getLogger(__name__)

#: What a line must be, for messages.
BEDPE = "BEDPE: chrom1, start1, end1, chrom2, start2, end2 with tabs between them"

#: Names of the second column in header lines (bedtools and cooltools; Juicer).
_HEADERS = ("start1", "x1")


def read_loops(
    path: str | Path, chromsizes: Mapping[str, int] | None = None
) -> tuple[tuple[str, int, int], ...]:
    """Loops of a BEDPE file (chrom1, start1, end1, chrom2, start2, end2, more).

    A header line is skipped. Loops between two chromosomes, or with an unknown end ("."), are left
    out, and so are those on chromosomes that the genome lacks, such as scaffolds; names that are
    the genome's in another style are an error.

    Parameters
    ----------
    chromsizes : {chromosome: bp} of the genome that the loops are of; None: names and lengths are
        not checked.

    Returns
    -------
    (chromosome, bp, bp) of each loop: the middles of its anchors, the left one first.

    Raises
    ------
    EditError
        If the file cannot be read, a line is not BEDPE, an anchor is reversed or outside its
        chromosome, or a chromosome is called "1" that the genome calls "chr1"; if no chromosome is
        the genome's. The message quotes the line.
    """
    file = TextFile(path, "loops", EditError)
    loops: list[tuple[str, int, int]] = []
    names: dict[str, None] = {}
    for count, row in enumerate(file.rows()):
        if count == 0 and len(row.fields) > 1 and row.fields[1].strip() in _HEADERS:
            continue
        anchors = []
        for columns in ((0, 1, 2), (3, 4, 5)):
            chrom = row.fields[columns[0]].strip() if len(row.fields) > columns[0] else ""
            if chrom == ".":
                continue
            known = chromsizes is None or chrom in chromsizes
            other_style = not known and closest(chrom, chromsizes or (), cutoff=1.0) is not None
            anchor = interval_of(
                row,
                chromsizes if known or other_style else None,  # an error for another style
                columns=columns,
                form=BEDPE,
                may_be_empty=True,
                may_overhang=True,
            )
            names[anchor.chrom] = None
            if known:
                anchors.append(anchor)
        if len(anchors) == 2 and anchors[0].chrom == anchors[1].chrom:
            middles = sorted((anchor.start + anchor.end) // 2 for anchor in anchors)
            loops.append((anchors[0].chrom, middles[0], middles[1]))
    if chromsizes is not None:
        _check_names(file, names, chromsizes)
    return tuple(loops)


def _check_names(file: TextFile, names: Mapping[str, None], chromsizes: Mapping[str, int]) -> None:
    """An error if no chromosome of the file is the genome's; a warning if some are not."""
    if problem := other_names(names, chromsizes):
        raise file.error(problem)
    if others := [name for name in names if name not in chromsizes]:
        logger.warning(
            "%s: loops on chromosomes that the genome lacks are left out (%s)",
            file.name,
            few(others),
        )
