"""What an insertion screen inserts, and where: sequences of a genome or of a FASTA, shuffled ones,
random ones, the sites, and random chromosomes to insert into.

All that is drawn depends on (seed, source, site, copy) alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from orca_cool.errors import EditError, RegionError
from orca_cool.genome.regions import Region, interval_of, interval_problem
from orca_cool.genome.source import (
    GAP,
    SequenceSource,
    length_of,
    letters_to_codes,
    reverse_complement,
)
from orca_cool.genome.textfile import TextFile
from orca_cool.perturb.screen_plan import dinucleotide_shuffle, rng_of

#: Words before a colon: the bases of what the file holds in another order, of which
#: "dinucleotide" keeps the neighbours; and random bases.
SHUFFLES, BACKGROUND = ("shuffle", "dinucleotide"), "background"

#: What a drawing is for.
_SHUFFLED, _RANDOM, _CHROMOSOME = 3, 4, 5


@dataclass(frozen=True)
class Source:
    """A sequence that is inserted.

    Attributes
    ----------
    name : in tables and figures, each once.
    region : where it lies in the genome; None: nowhere.
    strand : "-": it is read from the region's other strand.
    codes : uint8 (n,), of a sequence of a FASTA; None otherwise.
    gc : share of G and C of random bases; None otherwise.
    shuffle : one of :data:`SHUFFLES`; "": its bases stay where they are.
    """

    name: str
    region: Region | None = None
    strand: str = "+"
    codes: np.ndarray | None = field(default=None, compare=False)
    gc: float | None = None
    shuffle: str = ""

    def own_length(self) -> int | None:
        """Its length in bp; None of random bases."""
        if self.region is not None:
            return len(self.region)
        return None if self.codes is None else len(self.codes)

    def check(self, genome: SequenceSource, length: int | None) -> int:
        """Its length in bp if ``length`` (None: its own) is asked for.

        Raises
        ------
        EditError, RegionError
            If it has no such length.
        """
        own = self.own_length()
        if length is None:
            if own is None:
                raise EditError(f"source {self.name!r} has no length of its own; give --lengths")
            return own
        if self.codes is not None and length > len(self.codes):
            raise EditError(
                f"source {self.name!r} has {len(self.codes):,} bp, fewer than --lengths {length:,}"
            )
        if self.region is not None:
            where = self._resized(length)
            if problem := interval_problem(where.chrom, where.start, where.end, genome.chromsizes):
                raise RegionError(
                    f"source {self.name!r} with --lengths {length:,}: {where}{problem}"
                )
        return length

    def _resized(self, length: int | None) -> Region:
        assert self.region is not None
        if length is None:
            return self.region
        start = (self.region.start + self.region.end) // 2 - length // 2
        return Region(self.region.chrom, start, start + length)

    def sequence(
        self, genome: SequenceSource, length: int | None, seed: int, site: Region, copy: int
    ) -> np.ndarray:
        """The bases that are inserted.

        Parameters
        ----------
        length : in bp; of an interval as many around its middle, of a sequence of a FASTA those in
            its middle; None: its own.
        seed, site, copy : with the source, they decide what is drawn.

        Returns
        -------
        uint8 (length,), codes on the forward strand.
        """
        key = f"{self.name} {site}"
        if self.gc is not None:
            assert length is not None
            return random_bases(length, self.gc, rng_of(seed, key, _RANDOM, length, copy))
        if self.region is not None:
            where = self._resized(length)
            codes = genome.fetch(where.chrom, where.start, where.end)
            codes = reverse_complement(codes) if self.strand == "-" else codes
        else:
            assert self.codes is not None
            codes = self.codes
            if length is not None:
                first = (len(codes) - length) // 2
                codes = codes[first : first + length]
        if not self.shuffle:
            return codes
        rng = rng_of(seed, key, _SHUFFLED, len(codes), copy)
        return (
            rng.permutation(codes)
            if self.shuffle == "shuffle"
            else dinucleotide_shuffle(codes, rng)
        )


def random_bases(length: int, gc: float, rng: np.random.Generator) -> np.ndarray:
    """Random codes A, C, G and T, uint8 (length,), each drawn by itself.

    Examples
    --------
    >>> set(random_bases(50, 1.0, np.random.default_rng(1)).tolist()) == {1, 2}
    True
    """
    edges = np.array([(1 - gc) / 2, 0.5, (1 + gc) / 2])
    return np.searchsorted(edges, rng.random(length), side="right").astype(np.uint8)


def read_sources(texts: Sequence[str], genome: SequenceSource) -> list[Source]:
    """The sources of texts: ``FILE``, ``shuffle:FILE``, ``dinucleotide:FILE`` (BED or FASTA) or
    ``background:GC`` (``background:GC:N``: N of them).

    Raises
    ------
    EditError, RegionError
        If a text or file is not understood, an interval is not in the genome, a file holds nothing,
        or two sources are the same.
    """
    found: list[Source] = []
    for text in texts:
        word, colon, rest = text.partition(":")
        if colon and word == BACKGROUND:
            gc, number = parse_background(text, "--sources")
            found += [Source(f"{BACKGROUND}:{gc:g}:{k + 1}", gc=gc) for k in range(number)]
        elif colon and word in SHUFFLES:
            found += _read_file(rest, genome, word)
        else:
            found += _read_file(text, genome, "")
    twice = [name for name, count in Counter(s.name for s in found).items() if count > 1]
    if twice:
        raise EditError(f"source {twice[0]!r} is there twice; give each a name of its own")
    return found


def parse_background(text: str, option: str) -> tuple[float, int]:
    """Share of G and C, and the number, of ``background:GC`` or ``background:GC:N``.

    Raises
    ------
    EditError
        If it is neither; the message quotes it.

    Examples
    --------
    >>> parse_background("background:0.41:3", "--sites")
    (0.41, 3)
    """
    parts = text.split(":")[1:]
    try:
        gc, number = float(parts[0]), int(parts[1]) if len(parts) > 1 else 1
        if len(parts) > 2 or not 0 <= gc <= 1 or number < 1:
            raise ValueError
    except ValueError:
        raise EditError(
            f"{option} {text!r} is not understood; write background:0.41 (the share of G and C, "
            f"from 0 to 1) or background:0.41:10 (ten of them)"
        ) from None
    return gc, number


def _read_file(path: str, genome: SequenceSource, shuffle: str) -> list[Source]:
    file = TextFile(path, "sources", EditError)
    first = next((line for _, line in file.again().lines()), "")
    found = _fasta(file) if first.startswith(">") else _bed(file, genome)
    if not found:
        raise file.error("holds no sequence")
    prefix = f"{shuffle}:" if shuffle else ""
    return [
        Source(f"{prefix}{s.name}", s.region, s.strand, s.codes, shuffle=shuffle) for s in found
    ]


def _bed(file: TextFile, genome: SequenceSource) -> list[Source]:
    rows = list(file.rows())
    regions = [interval_of(row, genome.chromsizes) for row in rows]
    names = labels(
        [
            Region(r.chrom, r.start, r.end, row.fields[3].strip() if len(row.fields) > 3 else "")
            for r, row in zip(regions, rows)
        ]
    )
    strands = ["-" if row.fields[5:6] == ["-"] else "+" for row in rows]
    return [Source(n, r, s) for n, r, s in zip(names, regions, strands)]


def labels(regions: Sequence[Region]) -> list[str]:
    """What regions are called: by their names, where all have one of their own, else by where they
    lie.

    Examples
    --------
    >>> labels([Region("a", 0, 9, "x"), Region("a", 5, 9, "x")])
    ['a:0-9', 'a:5-9']
    """
    names = [r.name for r in regions]
    own = all(n and n != "." for n in names) and len(set(names)) == len(names)
    return names if own else [str(r) for r in regions]


def _fasta(file: TextFile) -> list[Source]:
    records: list[tuple[str, list[str]]] = []
    for _, line in file.lines():
        if line.startswith(">"):
            words = line[1:].split()
            if not words:
                raise file.error("has a sequence without a name")
            records.append((words[0], []))
        else:
            records[-1][1].append(line.strip())
    out = []
    for name, lines in records:
        codes = letters_to_codes("".join(lines))
        if not len(codes):
            raise file.error(f"has no bases under the name {name!r}")
        out.append(Source(name, codes=codes))
    return out


def read_sites(path: str, genome: SequenceSource) -> list[Region]:
    """The places of a BED, in the file's order, with what they are called.

    Raises
    ------
    RegionError
        If the file cannot be read or holds none, or a place is not in the genome or there twice.
    """
    file = TextFile(path, "sites", RegionError)
    found = []
    for row in file.rows():
        region = interval_of(row, genome.chromsizes)
        name = row.fields[3].strip() if len(row.fields) > 3 else ""
        found.append(Region(region.chrom, region.start, region.end, name))
    if not found:
        raise file.error("holds no site")
    first, count = Counter(found).most_common(1)[0]
    if count > 1:
        raise file.error(f"holds {first} twice")
    return [Region(r.chrom, r.start, r.end, n) for r, n in zip(found, labels(found))]


class Backgrounds:
    """A genome of random chromosomes (:class:`orca_cool.genome.source.SequenceSource`): what
    is inserted there meets nothing else. Their bases are drawn when they are looked at, and those
    of a few are kept: a chromosome is as long as a window, which may be 32 Mb.

    Parameters
    ----------
    gc : share of G and C. number : of chromosomes. length : of each, in bp.
    seed : with the number of a chromosome, it decides its bases.
    """

    def __init__(self, gc: float, number: int, length: int, seed: int):
        self.name = f"{BACKGROUND}:{gc:g}:{number}"
        self.chromsizes = {f"background{k + 1}": length for k in range(number)}

        @lru_cache(maxsize=4)
        def codes(chrom: str) -> np.ndarray:
            k = list(self.chromsizes).index(chrom)
            return random_bases(length, gc, rng_of(seed, "", _CHROMOSOME, k))

        self._codes = codes

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """See :meth:`orca_cool.genome.source.SequenceSource.fetch`."""
        size = length_of(self, chrom)
        out = np.full(end - start, GAP, dtype=np.uint8)
        a, b = min(max(start, 0), size), min(max(end, 0), size)
        if b > a:
            out[a - start : b - start] = self._codes(chrom)[a:b]
        return out

    def sites(self) -> list[Region]:
        """The middle of each chromosome."""
        return [Region(c, n // 2, n // 2 + 1, c) for c, n in self.chromsizes.items()]
