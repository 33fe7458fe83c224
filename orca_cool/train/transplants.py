"""Sequence augmentations: substitutions, and centromeres that are moved, exchanged and erased
(budding yeasts).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from orca_cool.errors import TrainingError
from orca_cool.genome.intervals import Interval
from orca_cool.genome.source import GAP, SequenceSource, reverse_complement
from orca_cool.train.settings import Transplants

#: Length in bp of CDEI at the left end and CDEIII at the right end of an annotated centromere
#: (Hegemann & Fleig 1993).
CDE1, CDE3 = 8, 26


class TrainingGenome:
    """Sequence of the training chromosomes, held in memory, with what the augmentations need.

    Parameters
    ----------
    chroms : the training chromosomes; nothing of any other chromosome can be drawn.
    centromeres : annotated centromeres; those elsewhere are ignored.
    negatives : places that look like a centromere and are none, on the training chromosomes.
    """

    def __init__(
        self,
        source: SequenceSource,
        chroms: Iterable[str],
        centromeres: Iterable[Interval],
        transplants: Transplants,
        negatives: Iterable[Interval] = (),
    ):
        self.codes = {c: source.fetch(c, 0, source.chromsizes[c]) for c in chroms}
        self.chroms = tuple(self.codes)
        lengths = np.array([len(v) for v in self.codes.values()], dtype=float)
        self.share = lengths / lengths.sum()
        self.transplants = transplants
        self.centromeres = {i.chrom: i for i in centromeres if i.chrom in self.codes}
        self.negatives = [i for i in negatives if i.chrom in self.codes]
        self._pieces = [self._piece(i) for i in self.centromeres.values()]

    def _piece(self, i: Interval) -> tuple[np.ndarray, int, int]:
        """Centromere with flanks, CDEI to CDEIII left to right; then the bounds of the annotated
        part within.
        """
        flank = self.transplants.flank
        codes = self.codes[i.chrom]
        start, end = max(0, i.start - flank), min(len(codes), i.end + flank)
        piece = codes[start:end].copy()
        if i.strand == "-":
            return reverse_complement(piece), end - i.end, end - i.start
        return piece, i.start - start, i.end - start

    def drawn_negative(self, rng: np.random.Generator) -> Interval | None:
        """One of the negatives, in the share of the samples that are to hold one; else None."""
        if not self.negatives or rng.random() >= self.transplants.negatives:
            return None
        return self.negatives[int(rng.integers(len(self.negatives)))]

    def random_piece(self, rng: np.random.Generator, length: int) -> np.ndarray:
        """Random training sequence of ``length`` bp, on a random strand, without an annotated
        centromere.
        """
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

        CDEI, CDEII, CDEIII and flanks come from training centromeres drawn independently; some
        bases of CDEII are redrawn from A and T and its length moves by a few bp, which centromeres
        tolerate. ``decoy`` scrambles CDEIII (whose CCG is indispensable; Saunders 1988), so that an
        AT-rich stretch beside CDEI alone is no centromere.
        """
        if not self._pieces:
            raise TrainingError(
                "transplants need a feature of type 'centromere' on a training chromosome; the "
                "features have none"
            )
        (outer, ia, ib), (one, a1, _), (two, a2, b2), (three, _, b3) = (
            self._pieces[k] for k in rng.integers(0, len(self._pieces), 4)
        )
        cde2 = two[a2 + CDE1 : b2 - CDE3].copy()
        redraw = rng.random(len(cde2)) < self.transplants.mutate
        cde2[redraw] = rng.choice(np.array([0, 3], dtype=np.uint8), int(redraw.sum()))
        cut, change = int(rng.integers(5, len(cde2) - 5)), int(rng.integers(-3, 4))
        cde2 = (
            np.concatenate([cde2[: cut + max(change, 0)], cde2[cut - min(change, 0) :]])
            if change
            else cde2
        )
        cde3 = three[b3 - CDE3 : b3].copy()
        if decoy:
            cde3 = rng.permutation(cde3)
        flank = int(rng.integers(0, self.transplants.flank + 1))
        left, right = outer[max(0, ia - flank) : ia], outer[ib : ib + flank]
        piece = np.concatenate([left, one[a1 : a1 + CDE1], cde2, cde3, right])
        return reverse_complement(piece) if rng.random() < 0.5 else piece

    def paste(
        self, rng: np.random.Generator, codes: np.ndarray, centre: int, decoy: bool = False
    ) -> None:
        """Overwrite ``codes`` around ``centre`` with a centromere, in place."""
        piece = self.centromere(rng, decoy)
        start = max(0, centre - len(piece) // 2)
        end = min(len(codes), start + len(piece))
        codes[start:end] = piece[: end - start]

    def erase(self, rng: np.random.Generator, codes: np.ndarray, start: int, end: int) -> None:
        """Overwrite ``codes[start:end]`` and a little more by random training sequence, in
        place.
        """
        margin = int(rng.integers(10, 200))
        start, end = max(0, start - margin), min(len(codes), end + margin)
        codes[start:end] = self.random_piece(rng, end - start)

    def move_centromeres(
        self,
        rng: np.random.Generator,
        codes: np.ndarray,
        labels: np.ndarray,
        chrom: str,
        first: int,
        flank: int,
        bin_size: int,
    ) -> None:
        """Erase or keep the native centromere of a window, paste others and decoys, and set
        ``labels`` (bins,) to match; in place.

        Parameters
        ----------
        codes : of the window with ``flank`` bp on both sides, from ``first`` of ``chrom`` on.
        """
        t = self.transplants
        if not self._pieces:
            return
        end = len(codes) - flank
        cen = self.centromeres.get(chrom)
        taken: list[int] = []
        if cen is not None and first < cen.start and cen.end < first + len(codes):
            if rng.random() < t.replace:
                self.erase(rng, codes, cen.start - first, cen.end - first)
                labels[:] = 0
            else:
                taken.append((cen.start + cen.end) // 2 - first)
        for decoy, mean in ((False, t.per_window), (True, t.decoys)):
            for _ in range(rng.poisson(mean)):
                at = int(rng.integers(400, len(codes) - 400))
                if codes[at] == GAP or any(abs(at - other) < 800 for other in taken):
                    continue
                taken.append(at)
                self.paste(rng, codes, at, decoy)
                if not decoy and flank <= at < end:
                    labels[(at - flank) // bin_size] = 1


def substitute(rng: np.random.Generator, codes: np.ndarray, share: float) -> None:
    """Redraw a share of the known bases at random, in place."""
    if share > 0:
        where = np.flatnonzero(rng.random(len(codes)) < share)
        where = where[codes[where] != GAP]
        codes[where] = rng.integers(0, 4, len(where), dtype=np.uint8)
