"""Training sequence and its augmentations: random placement, transplanted centromeres, assembled chromosomes."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orca_cool.errors import TrainingError
from orca_cool.genome import GAP, SequenceSource, reverse_complement
from orca_cool.train.config import Transplants

#: Length in bp of CDEI at the left end and CDEIII at the right end of an annotated centromere (Hegemann & Fleig 1993).
CDE1, CDE3 = 8, 26


@dataclass(frozen=True)
class Interval:
    """One line of a BED file; ``kind`` is the factor (peaks) or the feature type."""

    chrom: str
    start: int
    end: int
    kind: str
    strand: str = "."


def read_bed(path: Path, column: int | None, kind: str, chroms: Iterable[str]) -> list[Interval]:
    """Intervals on ``chroms`` alone: no other line is kept.

    Parameters
    ----------
    column : index of the column that names the kind; None if all lines are of ``kind``.
    """
    allowed = set(chroms)
    found, number = [], 0
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
            for number, line in enumerate(file, start=1):  # noqa: B007
                fields = line.rstrip("\n").split("\t")
                if fields[0] not in allowed:
                    continue
                strand = fields[5] if len(fields) > 5 else "."
                found.append(Interval(fields[0], int(fields[1]), int(fields[2]), kind if column is None else fields[column], strand))
    except OSError as error:
        raise TrainingError(f"intervals {str(path)!r} cannot be read: {error}") from error
    except (ValueError, IndexError) as error:
        raise TrainingError(f"intervals {str(path)!r}, line {number}: not a BED line ({error})") from error
    return found


class TrainingGenome:
    """Sequence of the training chromosomes, held in memory, with what the augmentations need.

    Parameters
    ----------
    chroms : the training chromosomes; nothing of any other chromosome can be drawn.
    centromeres : annotated centromeres; those elsewhere are ignored.
    """

    def __init__(self, source: SequenceSource, chroms: Iterable[str], centromeres: Iterable[Interval], transplants: Transplants):
        self.codes = {c: source.fetch(c, 0, source.chromsizes[c]) for c in chroms}
        self.chroms = tuple(self.codes)
        lengths = np.array([len(v) for v in self.codes.values()], dtype=float)
        self.share = lengths / lengths.sum()
        self.transplants = transplants
        self.centromeres = {i.chrom: i for i in centromeres if i.chrom in self.codes}
        self._pieces = [self._piece(i) for i in self.centromeres.values()]

    def _piece(self, i: Interval) -> tuple[np.ndarray, int, int]:
        """Centromere with flanks, CDEI to CDEIII left to right; then the bounds of the annotated part within."""
        flank = self.transplants.flank
        codes = self.codes[i.chrom]
        start, end = max(0, i.start - flank), min(len(codes), i.end + flank)
        piece = codes[start:end].copy()
        if i.strand == "-":
            return reverse_complement(piece), end - i.end, end - i.start
        return piece, i.start - start, i.end - start

    def random_piece(self, rng: np.random.Generator, length: int) -> np.ndarray:
        """Random training sequence of ``length`` bp, on a random strand, without an annotated centromere."""
        while True:
            chrom = self.chroms[rng.choice(len(self.chroms), p=self.share)]
            codes = self.codes[chrom]
            start = int(rng.integers(0, max(1, len(codes) - length)))
            cen = self.centromeres.get(chrom)
            if cen is None or start >= cen.end or start + length <= cen.start:
                piece = codes[start : start + length]
                return reverse_complement(piece) if rng.random() < 0.5 else piece.copy()

    def centromere(self, rng: np.random.Generator, decoy: bool = False) -> np.ndarray:
        """A centromere made of the parts of up to four training centromeres, on a random strand.

        CDEI, CDEII, CDEIII and flanks come from training centromeres drawn independently; some bases of CDEII are
        redrawn from A and T and its length moves by a few bp, which centromeres tolerate. ``decoy`` scrambles CDEIII
        (whose CCG is indispensable; Saunders 1988), so that an AT-rich stretch beside CDEI alone is no centromere.
        """
        if not self._pieces:
            raise TrainingError("transplants need a feature of type 'centromere' on a training chromosome; the features have none")
        (outer, ia, ib), (one, a1, _), (two, a2, b2), (three, _, b3) = (self._pieces[k] for k in rng.integers(0, len(self._pieces), 4))
        cde2 = two[a2 + CDE1 : b2 - CDE3].copy()
        redraw = rng.random(len(cde2)) < self.transplants.mutate
        cde2[redraw] = rng.choice(np.array([0, 3], dtype=np.uint8), int(redraw.sum()))
        cut, change = int(rng.integers(5, len(cde2) - 5)), int(rng.integers(-3, 4))
        cde2 = np.concatenate([cde2[: cut + max(change, 0)], cde2[cut - min(change, 0) :]]) if change else cde2
        cde3 = three[b3 - CDE3 : b3].copy()
        if decoy:
            cde3 = rng.permutation(cde3)
        flank = int(rng.integers(0, self.transplants.flank + 1))
        left, right = outer[max(0, ia - flank) : ia], outer[ib : ib + flank]
        piece = np.concatenate([left, one[a1 : a1 + CDE1], cde2, cde3, right])
        return reverse_complement(piece) if rng.random() < 0.5 else piece

    def paste(self, rng: np.random.Generator, codes: np.ndarray, centre: int, decoy: bool = False) -> None:
        """Overwrite ``codes`` around ``centre`` with a centromere, in place."""
        piece = self.centromere(rng, decoy)
        start = max(0, centre - len(piece) // 2)
        end = min(len(codes), start + len(piece))
        codes[start:end] = piece[: end - start]

    def erase(self, rng: np.random.Generator, codes: np.ndarray, start: int, end: int) -> None:
        """Overwrite ``codes[start:end]`` and a little more by random training sequence, in place."""
        margin = int(rng.integers(10, 200))
        start, end = max(0, start - margin), min(len(codes), end + margin)
        codes[start:end] = self.random_piece(rng, end - start)


def substitute(rng: np.random.Generator, codes: np.ndarray, share: float) -> None:
    """Redraw a share of the known bases at random, in place."""
    if share > 0:
        where = np.flatnonzero(rng.random(len(codes)) < share)
        where = where[codes[where] != GAP]
        codes[where] = rng.integers(0, 4, len(where), dtype=np.uint8)


@dataclass(frozen=True)
class Sample:
    """Sequence of a window and its profile labels.

    codes : (flank + window + flank,). labels : (profiles, window / bin) 0 or 1.
    """

    codes: np.ndarray
    labels: np.ndarray


class ProfileSampler:
    """Random windows of the training chromosomes with profile labels per base bin.

    A bin is 1 in a profile if the centre of an interval lies in it. Intervals are symmetric marks, so the reverse
    complement flips the labels and nothing else; "convergent" marks the middle between a gene on + and the next on -.
    """

    def __init__(self, genome: TrainingGenome, intervals: Iterable[Interval], profiles: Iterable[str], bin_size: int):
        self.genome, self.bin_size = genome, bin_size
        self.profiles = tuple(profiles)
        index = {p: k for k, p in enumerate(self.profiles)}
        marks: dict[str, list[tuple[int, int]]] = {c: [] for c in genome.chroms}
        genes: dict[str, list[Interval]] = {c: [] for c in genome.chroms}
        for i in intervals:
            if i.chrom not in marks:
                raise TrainingError(f"interval of {i.kind!r} on {i.chrom!r}, which is not a training chromosome")
            if i.kind in index:
                marks[i.chrom].append(((i.start + i.end) // 2, index[i.kind]))
            if i.kind == "gene":
                genes[i.chrom].append(i)
        if "convergent" in index:
            for chrom, found in genes.items():
                found.sort(key=lambda i: i.start)
                for a, b in zip(found, found[1:]):
                    if a.strand == "+" and b.strand == "-":
                        marks[chrom].append(((a.end + b.start) // 2, index["convergent"]))
        self.marks = {c: np.array(sorted(m), dtype=np.int64).reshape(-1, 2) for c, m in marks.items()}
        self.centromere = index.get("centromere")

    def frequency(self) -> np.ndarray:
        """(profiles,) share of bins that carry each mark."""
        bins = sum(len(c) // self.bin_size for c in self.genome.codes.values())
        out = np.zeros(len(self.profiles))
        for chrom, m in self.marks.items():
            pairs = {(int(p) // self.bin_size, int(k)) for p, k in m}
            for _, k in pairs:
                out[k] += 1
            assert chrom in self.genome.codes
        return out / bins

    def draw(self, rng: np.random.Generator, window: int, flank: int, share: float = 0.0) -> Sample:
        """One window; it may overhang either end of the chromosome, where the sequence is unknown."""
        g, t = self.genome, self.genome.transplants
        chrom = g.chroms[rng.choice(len(g.chroms), p=g.share)]
        length = len(g.codes[chrom])
        start = int(rng.integers(-window // 4, max(1, length - 3 * window // 4)))
        codes = np.full(window + 2 * flank, GAP, dtype=np.uint8)
        first = start - flank
        a, b = max(0, first), min(length, first + len(codes))
        codes[a - first : b - first] = g.codes[chrom][a:b]
        substitute(rng, codes, share)
        labels = np.zeros((len(self.profiles), window // self.bin_size), dtype=np.float32)
        m = self.marks[chrom]
        inside = m[(m[:, 0] >= start) & (m[:, 0] < start + window)]
        labels[inside[:, 1], (inside[:, 0] - start) // self.bin_size] = 1
        if self.centromere is not None and g.centromeres:
            cen = g.centromeres.get(chrom)
            taken: list[int] = []
            if cen is not None and first < cen.start and cen.end < first + len(codes):
                at = (cen.start + cen.end) // 2
                if rng.random() < t.replace:
                    g.erase(rng, codes, cen.start - first, cen.end - first)
                    if start <= at < start + window:
                        labels[self.centromere, (at - start) // self.bin_size] = 0
                else:
                    taken.append(at - first)
            for decoy, mean in ((False, t.per_window), (True, t.decoys)):
                for _ in range(rng.poisson(mean)):
                    at = int(rng.integers(400, len(codes) - 400))
                    if codes[at] == GAP or any(abs(at - other) < 800 for other in taken):
                        continue
                    taken.append(at)
                    g.paste(rng, codes, at, decoy)
                    if not decoy and flank <= at < flank + window:
                        labels[self.centromere, (at - flank) // self.bin_size] = 1
        if rng.random() < 0.5:
            return Sample(reverse_complement(codes), labels[:, ::-1].copy())
        return Sample(codes, labels)
