"""A genome whose domain boundaries follow from its sequence by a known rule, and the contact counts
that it gives.

The rule: every exact occurrence of :data:`MOTIF`, on either strand, is a boundary; one mismatch
undoes it (decoys have four). The expected number of contacts falls with distance as a power law,
and by ``exp(-depletion)`` for each boundary between the two bins, up to ``most`` of them. Counts
are Poisson, with a bias of its own for each bin that balancing has to take out.

The truth is read off the sequence (:func:`occurrences`), never off a list of what was planted, so
an edited genome has its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cooler
import numpy as np
import pandas as pd

from orca_cool.genome.source import letters_to_codes, reverse_complement

#: Exact occurrences are boundaries. No palindrome: the reverse strand has to be learnt too.
MOTIF = letters_to_codes("TGACCAGTAGGCGCATTCAC")

#: Bases of a decoy that differ.
WRONG = 4

BIN = 200

#: bins between a boundary and the nearest other site: more than the diamond with which boundaries
#: are scored reaches.
APART = 5


def occurrences(codes: np.ndarray, word: np.ndarray = MOTIF, mismatches: int = 0) -> np.ndarray:
    """First bases of all places, on either strand, that differ from ``word`` in exactly
    ``mismatches`` bases; sorted.
    """
    windows = np.lib.stride_tricks.sliding_window_view(codes, len(word))
    wrong = [
        sum((windows[:, k] != base).astype(np.int8) for k, base in enumerate(w))
        for w in (word, reverse_complement(word))
    ]
    return np.flatnonzero(np.minimum(*wrong) == mismatches)


def bins_of(starts: np.ndarray) -> np.ndarray:
    """The bin in which the middle of each occurrence lies."""
    return (np.asarray(starts, dtype=np.int64) + len(MOTIF) // 2) // BIN


@dataclass(frozen=True)
class Genome:
    """Sequence by chromosome, uint8 codes; lengths are multiples of :data:`BIN`."""

    codes: Mapping[str, np.ndarray]

    @property
    def chromsizes(self) -> dict[str, int]:
        return {c: len(v) for c, v in self.codes.items()}

    def boundaries(self, chrom: str) -> np.ndarray:
        """Bins with a boundary, sorted."""
        return bins_of(occurrences(self.codes[chrom]))

    def decoys(self, chrom: str) -> np.ndarray:
        """Bins with a decoy."""
        return bins_of(occurrences(self.codes[chrom], mismatches=WRONG))

    def write_fasta(self, path: Path) -> Path:
        letters = np.frombuffer(b"ACGTN", dtype=np.uint8)
        with open(path, "wb") as out:
            for chrom, codes in self.codes.items():
                out.write(b">" + chrom.encode() + b"\n")
                for a in range(0, len(codes), 80):
                    out.write(letters[codes[a : a + 80]].tobytes() + b"\n")
        return path


def plant(
    seed: int, bins: Mapping[str, int], motifs: float = 1 / 20, decoys: float = 1 / 20
) -> Genome:
    """Random sequence with motifs and decoys at random places, on random strands.

    Parameters
    ----------
    bins : length of every chromosome in bins.
    motifs, decoys : of each so many a bin; motifs are at least :data:`APART` bins from each other,
        decoys from motifs.
    """
    rng = np.random.default_rng(seed)
    codes = {}
    for chrom, n in bins.items():
        sequence = rng.integers(0, 4, n * BIN, dtype=np.uint8)
        at = free_bins(rng, n, round(n * motifs), [], apart=True)
        for b in at:
            put(rng, sequence, b, MOTIF)
        for b in free_bins(rng, n, round(n * decoys), at, apart=False):
            put(rng, sequence, b, decoy(rng))
        codes[chrom] = sequence
    return Genome(codes)


def decoy(rng: np.random.Generator) -> np.ndarray:
    """The motif with some bases changed."""
    word = MOTIF.copy()
    k = rng.permutation(len(word))[:WRONG]
    word[k] = (word[k] + rng.integers(1, 4, WRONG)) % 4
    return word


def free_bins(
    rng: np.random.Generator, n: int, count: int, taken: list[int] | np.ndarray, *, apart: bool
) -> list[int]:
    """``count`` random bins of ``n``, none within :data:`APART` bins of ``taken`` or of the ends;
    ``apart``: nor of each other.
    """
    near = np.zeros(n, dtype=bool)
    near[:APART] = near[n - APART :] = True
    for b in taken:
        near[max(0, b - APART) : b + APART + 1] = True
    found: list[int] = []
    for b in rng.permutation(n).tolist():
        if len(found) < count and not near[b]:
            found.append(b)
            near[max(0, b - APART) : b + APART + 1] |= apart
    if len(found) < count:
        raise ValueError(f"{count} sites do not fit {n} bins, only {len(found)}")
    return found


def put(rng: np.random.Generator, codes: np.ndarray, b: int, word: np.ndarray) -> None:
    """Write ``word`` at a random place of bin ``b``, on a random strand, in place."""
    start = b * BIN + int(rng.integers(BIN - len(word) + 1))
    codes[start : start + len(word)] = word if rng.random() < 0.5 else reverse_complement(word)


@dataclass(frozen=True)
class Edited:
    """A genome with boundaries moved, and the bins of a chromosome where something changed or
    stayed, by chromosome.

    Attributes
    ----------
    kept, deleted, new : motifs that stayed, were scrambled, were written at a new place.
    decoys, empty : decoys; places with neither. All of them are more than :data:`APART` bins from
        motifs that are there now.
    """

    genome: Genome
    kept: dict[str, np.ndarray]
    deleted: dict[str, np.ndarray]
    new: dict[str, np.ndarray]
    decoys: dict[str, np.ndarray]
    empty: dict[str, np.ndarray]


def move_boundaries(
    genome: Genome, chroms: tuple[str, ...], seed: int, share: float = 0.5
) -> Edited:
    """Scramble a share of the motifs of ``chroms`` and write as many at random new places."""
    rng = np.random.default_rng(seed)
    out = Edited(replace(genome, codes=dict(genome.codes)), {}, {}, {}, {}, {})
    for chrom in chroms:
        codes = genome.codes[chrom].copy()
        n = len(codes) // BIN
        starts = rng.permutation(occurrences(codes))
        count = round(len(starts) * share)
        for a in starts[:count]:
            scramble(rng, codes, int(a))
        decoys = bins_of(occurrences(codes, mismatches=WRONG))
        before = bins_of(starts)
        new = free_bins(rng, n, count, [*before, *decoys], apart=True)
        for b in new:
            put(rng, codes, b, MOTIF)
        out.genome.codes[chrom] = codes  # type: ignore[index]
        out.kept[chrom], out.deleted[chrom], out.new[chrom] = (
            before[count:],
            before[:count],
            np.array(new),
        )
        out.decoys[chrom] = decoys
        out.empty[chrom] = np.array(free_bins(rng, n, count, [*before, *new], apart=False))
    return out


def scramble(rng: np.random.Generator, codes: np.ndarray, start: int) -> None:
    """Replace the motif at ``start`` by random bases, in place, of which less than half agree with
    either strand of it.
    """
    at = slice(start, start + len(MOTIF))
    while True:
        codes[at] = rng.integers(0, 4, len(MOTIF))
        if (
            max((codes[at] == w).sum() for w in (MOTIF, reverse_complement(MOTIF)))
            < len(MOTIF) // 2
        ):
            return


def erase_boundaries(genome: Genome, chroms: tuple[str, ...], seed: int) -> Genome:
    """The genome without any motif on ``chroms``; decoys stay."""
    rng = np.random.default_rng(seed)
    codes = dict(genome.codes)
    for chrom in chroms:
        codes[chrom] = codes[chrom].copy()
        for a in occurrences(codes[chrom]):
            scramble(rng, codes[chrom], int(a))
    return Genome(codes)


@dataclass(frozen=True)
class Physics:
    """What a sequence does to contacts.

    Attributes
    ----------
    depth : expected contacts of two neighbouring bins. exponent : of the power law. depletion :
        natural log, of one boundary.
    most : boundaries beyond so many do not count. bias : standard deviation of the log of the bins'
        biases.
    """

    depth: float = 200.0
    exponent: float = 0.9
    depletion: float = 0.9
    most: float = 2.0
    bias: float = 0.2

    def log_depletion(self, boundaries: np.ndarray, n: int) -> np.ndarray:
        """(n, n) log of what boundaries leave of contacts; a boundary lies in the middle of its
        bin, so it counts half there.
        """
        marks = np.bincount(boundaries, minlength=n)
        before = np.cumsum(marks) - marks / 2
        return -self.depletion * np.minimum(np.abs(np.subtract.outer(before, before)), self.most)

    def expected(self, boundaries: np.ndarray, n: int) -> np.ndarray:
        """(n, n) expected contacts, without biases."""
        d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        return (
            self.depth
            * np.maximum(d, 0.5) ** -self.exponent
            * np.exp(self.log_depletion(boundaries, n))
        )


def simulate(
    genome: Genome,
    folder: Path,
    resolutions: tuple[int, ...],
    seed: int,
    physics: Physics = Physics(),
) -> Path:
    """Contacts within chromosomes as a balanced .mcool; ``resolutions`` are multiples of
    :data:`BIN`, which is among them.
    """
    rng = np.random.default_rng(seed)
    bins = cooler.binnify(pd.Series(genome.chromsizes), BIN)
    parts, offset = [], 0
    for chrom, length in genome.chromsizes.items():
        n = length // BIN
        bias = np.exp(rng.normal(0, physics.bias, n))
        i, j = np.triu_indices(n)
        mean = physics.expected(genome.boundaries(chrom), n)[i, j] * bias[i] * bias[j]
        count = rng.poisson(mean)
        seen = count > 0
        parts.append(
            pd.DataFrame(
                {"bin1_id": offset + i[seen], "bin2_id": offset + j[seen], "count": count[seen]}
            )
        )
        offset += n
    base, path = folder / "contacts.cool", folder / "contacts.mcool"
    cooler.create_cooler(
        str(base), bins, pd.concat(parts), dtypes={"count": np.int32}, ordered=True
    )
    cooler.zoomify_cooler(str(base), str(path), list(resolutions), chunksize=10_000_000)
    for r in resolutions:
        cooler.balance_cooler(
            cooler.Cooler(f"{path}::/resolutions/{r}"), cis_only=True, tol=1.0, store=True
        )
    base.unlink()
    return path
