"""Motifs of transcription factors as matrices: files of JASPAR and MEME, and where they hit.

A hit is a place whose score has a p-value of at most a threshold: the probability that a place of
independent bases of the background's composition scores as high. It is exact, by dynamic
programming over scores in thousandths of a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import EditError
from orca_cool.genome.source import GAP
from orca_cool.genome.textfile import Row, TextFile

#: Scores are whole numbers of so many parts of a bit.
PARTS = 1000

#: Sites that a matrix of MEME is taken to be made from where it does not say.
SITES = 20

#: What a place with an N scores, in parts of a bit: less than anything.
_NOTHING = -(2**28)


@dataclass(frozen=True, eq=False)
class Motif:
    """A motif.

    Attributes
    ----------
    name : as its file has it, "MA0139.1 CTCF".
    counts : (width, 4) float64, of A, C, G and T at each position.
    """

    name: str
    counts: np.ndarray

    def table(self, background: np.ndarray) -> np.ndarray:
        """(width, 4) int64, log2 of frequencies over the background's, in thousandths; a
        pseudocount of one base, divided as the background, is added at every position.
        """
        total = self.counts.sum(axis=1, keepdims=True) + 1
        odds = (self.counts + background) / total / background
        return np.rint(PARTS * np.log2(odds)).astype(np.int64)


@dataclass(frozen=True)
class Tail:
    """The distribution of a matrix's scores at places of independent bases.

    Attributes
    ----------
    lowest : score. p : p[k] is the probability of a score of ``lowest`` + k or more.
    """

    lowest: int
    p: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray, background: np.ndarray) -> Tail:
        """By dynamic programming over the positions of ``table`` (width, 4)."""
        low = table.min(axis=1)
        mass = np.ones(1)
        for row, least in zip(table, low):
            wider = np.zeros(len(mass) + int((row - least).max()))
            for shift, share in zip(row - least, background):
                wider[shift : shift + len(mass)] += share * mass
            mass = wider
        return cls(int(low.sum()), np.cumsum(mass[::-1])[::-1])

    def cutoff(self, threshold: float) -> int:
        """The least score with a p-value of at most ``threshold``; where there is none, one more
        than the best score.
        """
        return self.lowest + int(np.count_nonzero(self.p > threshold))

    def p_value(self, scores: np.ndarray) -> np.ndarray:
        """Of scores that the matrix can have."""
        found: np.ndarray = self.p[np.asarray(scores) - self.lowest]
        return found


def scan(table: np.ndarray, codes: np.ndarray, cutoff: int) -> list[tuple[int, str, int]]:
    """The places of a sequence that score at least ``cutoff`` on one of the strands.

    Parameters
    ----------
    table : (width, 4) whole numbers. codes : uint8 (n,); a place with an N is none.

    Returns
    -------
    (start, strand, score), by start; of a place that both strands hit, the better one ("+" where
    they are equal).
    """
    n = len(codes) - len(table) + 1
    if n < 1:
        return []
    best = np.full(n, _NOTHING, np.int32)
    minus = np.zeros(n, bool)
    for reverse in (False, True):
        oriented = table[::-1, ::-1] if reverse else table
        with_N = np.hstack([oriented, np.full((len(table), 1), _NOTHING // len(table))])
        score = np.zeros(n, np.int32)
        for k, row in enumerate(with_N.astype(np.int32)):
            score += row[codes[k : k + n]]
        better = score > best
        best, minus = np.where(better, score, best), np.where(better, reverse, minus)
    gap = np.cumsum(np.concatenate([[0], codes == GAP]))
    whole = gap[len(table) :] == gap[:n]
    return [
        (int(k), "-" if minus[k] else "+", int(best[k]))
        for k in np.flatnonzero((best >= cutoff) & whole)
    ]


def composition(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """(4,) shares of A, C, G and T on both strands together; a quarter each of no bases."""
    counts = sum((np.bincount(codes, minlength=5)[:4] for codes in sequences), np.zeros(4))
    both = counts + counts[::-1]
    # of a base that is nowhere, so that no share is zero
    shares: np.ndarray = (both + 1) / (both.sum() + 4)
    return shares


# ---- files


def read_matrices(path: str) -> list[Motif] | None:
    """The motifs of a file of JASPAR or MEME; None if the file is neither.

    Raises
    ------
    EditError
        If it cannot be read, or contradicts its format; the message quotes the line.
    """
    file = TextFile(path, "motifs file", EditError)
    rows = list(file.rows())
    if not rows:
        raise file.error("holds no motif")
    first = rows[0].text.lstrip()
    if first.startswith(">"):
        found = _jaspar(file, rows)
    elif first.startswith("MEME version"):
        found = _meme(file, rows)
    else:
        return None
    names = [motif.name for motif in found]
    for name in names:
        if names.count(name) > 1:
            raise file.error(f"holds the motif {name!r} twice")
    return found


def _jaspar(file: TextFile, rows: Sequence[Row]) -> list[Motif]:
    """ ">MA0139.1 CTCF", and four lines: "A [ 87 167 ... ]", or numbers alone."""
    out = []
    for at in range(0, len(rows), 5):
        header, *lines = rows[at : at + 5]
        name = " ".join(header.text.lstrip().removeprefix(">").split())
        if not header.text.lstrip().startswith(">") or not name:
            raise header.error('is not JASPAR: a motif begins with a line ">ID NAME"')
        if len(lines) < 4:
            raise header.error("is not JASPAR: four lines of counts follow, of A, C, G and T")
        counts = [_jaspar_line(row, base) for row, base in zip(lines, "ACGT")]
        for row, values in zip(lines, counts):
            if len(values) != len(counts[0]):
                raise row.error(f"has {len(values)} counts, the line of A has {len(counts[0])}")
        out.append(_motif(header, name, np.array(counts).T))
    return out


def _jaspar_line(row: Row, base: str) -> list[float]:
    words = row.text.replace("[", " ").replace("]", " ").split()
    if words and words[0].upper() in ("A", "C", "G", "T"):
        if words[0].upper() != base:
            raise row.error(f"is not JASPAR: the counts of {base} belong here")
        words = words[1:]
    return _numbers(row, words, "is not JASPAR: counts of one base, such as `A [ 87 167 ]`")


def _meme(file: TextFile, rows: Sequence[Row]) -> list[Motif]:
    """Minimal MEME format: "MOTIF ID NAME", "letter-probability matrix: ...", a line a position."""
    out: list[Motif] = []
    name: str | None = None
    at = 1
    while at < len(rows):
        row, text = rows[at], rows[at].text.strip()
        at += 1
        if text.startswith("ALPHABET") and "ACGT" not in text.replace(" ", ""):
            raise row.error("is of another alphabet; motifs of DNA (ACGT) are needed")
        if text.startswith("MOTIF"):
            name = " ".join(text.split()[1:])
            if not name:
                raise row.error("is not MEME: a motif has a name, `MOTIF MA0139.1 CTCF`")
        elif text.startswith("letter-probability matrix"):
            if name is None:
                raise row.error("is not MEME: a line `MOTIF NAME` comes before a matrix")
            width, sites = _meme_header(row)
            lines = rows[at : at + width]
            if len(lines) < width:
                raise row.error(f"says w= {width}, but {len(lines)} lines follow")
            what = "is not MEME: probabilities of A, C, G and T"
            shares = [_numbers(line, line.text.split(), what) for line in lines]
            for line, values in zip(lines, shares):
                if len(values) != 4 or abs(sum(values) - 1) > 0.02:
                    raise line.error(f"{what}, which sum to 1")
            out.append(_motif(row, name, sites * np.array(shares)))
            name, at = None, at + width
    if not out:
        raise file.error("holds no motif: no line `letter-probability matrix: ...`")
    return out


def _meme_header(row: Row) -> tuple[int, float]:
    """Width and number of sites of "letter-probability matrix: alength= 4 w= 19 nsites= 913"."""
    words = row.text.split(":", 1)[-1].replace("=", " ").split()
    given = dict(zip(words[::2], words[1::2]))
    try:
        width, sites = int(given["w"]), float(given.get("nsites", SITES)) or SITES
        letters = int(given.get("alength", 4))
    except (KeyError, ValueError):
        width = sites = letters = 0
    if width < 1 or sites < 0 or letters != 4:
        raise row.error("is not MEME: `letter-probability matrix: alength= 4 w= WIDTH nsites= N`")
    return width, sites


def _numbers(row: Row, words: Sequence[str], problem: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise row.error(problem) from None
    if not values or not all(0 <= v < float("inf") for v in values):
        raise row.error(f"{problem}, none of them negative")
    return values


def _motif(row: Row, name: str, counts: np.ndarray) -> Motif:
    if not (counts.sum(axis=1) > 0).all():
        raise row.error("has a position without any count")
    return Motif(name, counts.astype(float))
