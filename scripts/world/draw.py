"""Edits of the simulated world whose truth is worth asking: drawn at random, each with one effect
that is known from the rules, and checked in the edited sequence.

Edits that share a chromosome lie far from each other: one simulation serves them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from rules import AP1, CELL_TYPES, ETS, LEAST, LOG_ODDS, ctcf_scores, features, occurrences
from sequence import site

from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.source import SequenceSource, reverse_complement
from orca_cool.variants import parse_edits

#: Kinds of edits, and how many of each are drawn for each of the least frequent.
KINDS = {
    "motif_deleted": 5,
    "motif_inverted": 4,
    "motif_inserted": 4,
    "motif_weakened": 4,
    "boundary_deleted": 4,
    "inversion": 2,
    "duplication": 2,
    "fusion": 2,
    "ap1_deleted": 3,
    "decoy_deleted": 2,
    "random_deleted": 2,
    "synonymous": 2,
}
#: Of each so many sets of edits of a chromosome the last is simulated in all cell types.
BOTH_EVERY = 5
#: Bits of a strong site; of a decoy, which resembles a site and binds nothing.
STRONG, DECOY = 16.0, (9.0, 11.5)
#: bp of a boundary that is deleted, and between its two strong sites; of a large edit; bp between
#: two edits of a chromosome, and around an inserted site in which there is none.
BOUNDARY, PAIR, LARGE, APART, BARE = 20_000, 15_000, 200_000, 500_000, 5_000
#: Bins between the anchors of a dot, least and most.
NEAR, FAR = 6, 75
#: bp on either side of an edit in which its sequence is checked.
AROUND = 300
SITE = len(LOG_ODDS)


@dataclass(frozen=True)
class Drawn:
    """An edit.

    Attributes
    ----------
    kind : one of :data:`KINDS`. edit : in the grammar of edits.
    start, end : bp that it changes, in the reference. stretch : bin that its stretch begins with.
    edges : bp beside its breakpoints.
    gained : (bp, whether it stops what comes from its right) of strong sites that it makes.
    """

    kind: str
    edit: str
    start: int
    end: int
    stretch: int
    edges: tuple[int, ...]
    gained: tuple[tuple[int, bool], ...] = ()


@dataclass
class Chromosome:
    """A chromosome from which edits are drawn; the same ones for the same seed.

    Attributes
    ----------
    source, name : the genome, and which of its chromosomes. bins, resolution : of a stretch.
    """

    source: SequenceSource
    name: str
    seed: int
    bins: int = 128
    resolution: int = 4000
    used: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.length = self.source.chromsizes[self.name]
        self.codes = self.source.fetch(self.name, 0, self.length)
        self.scores = ctcf_scores(self.codes)
        number = list(self.source.chromsizes).index(self.name)
        self.rng = np.random.default_rng([self.seed, number])
        self.deck: list[str] = []
        best = self.scores.max(0)
        strong = np.flatnonzero(best >= STRONG)
        pair = np.flatnonzero(np.diff(strong) < PAIR)
        middle = (strong[pair] + strong[pair + 1] + SITE) // 2
        binds = np.flatnonzero(best >= LEAST)
        anywhere = self.rng.permutation(self.length // 997) * 997
        gap = np.abs(binds[:, None] - anywhere).min(0, initial=self.length)
        empty = anywhere[gap > BARE]
        self.places = {
            **dict.fromkeys(("motif_deleted", "motif_inverted", "motif_weakened"), strong),
            "motif_inserted": np.sort(empty),
            "boundary_deleted": middle - BOUNDARY // 2,
            **dict.fromkeys(("inversion", "duplication", "fusion"), np.sort(anywhere)),
            "ap1_deleted": occurrences(self.codes, AP1),
            "decoy_deleted": np.flatnonzero((best >= DECOY[0]) & (best < DECOY[1])),
            **dict.fromkeys(("random_deleted", "synonymous"), np.sort(anywhere)),
        }

    def sets(self, number: int) -> Iterator[tuple[tuple[str, ...], list[Drawn]]]:
        """(cell types, edits) of each edited chromosome; the first ones do not depend on how many
        are asked for.
        """
        for k in range(number):
            both = k % BOTH_EVERY == BOTH_EVERY - 1
            types = CELL_TYPES if both else (CELL_TYPES[k % len(CELL_TYPES)],)
            yield types, self.one_set("ap1_deleted" if both else None)

    def one_set(self, every_other: str | None) -> list[Drawn]:
        """Edits from the chromosome's left to its right, as many as there is room for.

        Parameters
        ----------
        every_other : kind of each second edit; None: all are drawn from the deck.
        """
        half = self.bins * self.resolution // 2
        found: list[Drawn] = []
        at = half + int(self.rng.integers(0, max(1, half // 4)))
        misses = 0
        while at < self.length - half and misses < 3 * len(KINDS):
            turn = every_other is not None and len(found) % 2 == 0
            kind = every_other if turn and every_other else self.next_kind()
            left = found[-1].stretch + self.bins if found else 0
            edit = self.draw(kind, at, left)
            if edit is None:
                misses += 1
                every_other = None if turn else every_other
                continue
            found.append(edit)
            at = max(edit.end + APART, (edit.stretch + self.bins) * self.resolution + half)
        return found

    def next_kind(self) -> str:
        """The next of a shuffled deck of all kinds."""
        if not self.deck:
            cards = [kind for kind, number in KINDS.items() for _ in range(number)]
            self.deck = [str(kind) for kind in self.rng.permutation(cards)]
        return self.deck.pop()

    def draw(self, kind: str, at: int, left: int) -> Drawn | None:
        """An edit of a kind at the first suitable place right of ``at`` bp, not much further than
        need be; None if there is none.

        Parameters
        ----------
        left : bin that the stretch may begin with at the earliest.
        """
        half = self.bins * self.resolution // 2
        size = {"inversion": LARGE, "duplication": LARGE, "fusion": LARGE}.get(kind, 0)
        here = self.places[kind]
        for place in here[(here >= at) & (here < at + APART // 2)]:
            if (kind, int(place)) in self.used or place + size // 2 + half > self.length:
                continue
            made = _MAKERS[kind](self, int(place))
            if made is None:
                continue
            text, start, end, gained = made
            middle = (start + end) // 2 // self.resolution
            stretch = max(left, middle - self.bins // 2)
            if (stretch + self.bins) * self.resolution > self.length:
                continue
            edges = (start - 1, start) if start == end else (start - 1, end)
            if kind == "inversion":
                edges = (start - 1, start, end - 1, end)
            elif kind == "duplication":
                edges = (start, end - 1)
            drawn = Drawn(kind, text, start, end, stretch, edges, gained)
            if self.is_right(drawn):
                self.used.add((kind, int(place)))
                return drawn
        return None

    def is_right(self, drawn: Drawn) -> bool:
        """Whether the edited sequence has the sites that the edit's kind says, and no others."""
        genome = apply_edits(self.source, parse_edits(drawn.edit, self.source))
        grown = genome.chromsizes[self.name] - self.length
        if drawn.kind in ("boundary_deleted", "inversion", "duplication", "fusion"):
            wanted = {"inversion": 0, "duplication": LARGE}.get(drawn.kind, drawn.start - drawn.end)
            return grown == wanted
        a, b = max(0, drawn.start - AROUND), min(self.length, drawn.end + AROUND)
        before = _sites(self.codes[a:b])
        after = _sites(genome.fetch(self.name, a, b + grown))
        own = _sites(self.codes[drawn.start : drawn.end])
        lost, gained = _without(before, after), _without(after, before)
        return bool(
            {
                "motif_deleted": lost == own and len(own) == 1 and not gained,
                "motif_inverted": lost == own
                and len(own) == 1
                and gained == [(not own[0][0], own[0][1], own[0][2])],
                "motif_inserted": not lost and len(gained) == 1,
                "motif_weakened": len(lost) == 1
                and (not gained or (len(gained) == 1 and gained[0][1] < 0.6 * lost[0][1])),
                "ap1_deleted": lost == own and len(own) == 2 and not gained,
            }.get(drawn.kind, not lost and not gained)
        )

    def dots(self, drawn: Drawn) -> list[tuple[int, int]]:
        """Pairs of bins of the stretch with a convergent pair of strong sites of which the edit
        changes one: pairs of the reference, and those that an inserted or inverted site makes.
        """
        strand, start = np.nonzero(self.scores >= STRONG)
        others = [(int(s) + SITE // 2, k == 0) for k, s in zip(strand, start)]
        reach = SITE if drawn.end - drawn.start < SITE else 0
        own = [x for x in others if drawn.start - reach <= x[0] < drawn.end + reach]
        found = set()
        for one in (*own, *drawn.gained):
            for other in others:
                left, right = (one, other) if one[1] else (other, one)
                i, j = (x[0] // self.resolution - drawn.stretch for x in (left, right))
                if left[1] and not right[1] and 0 <= i and j < self.bins and NEAR <= j - i <= FAR:
                    found.add((i, j))
        return sorted(found)


#: What a maker gives: the edit, start, end, and the strong sites that it makes.
Made = tuple[str, int, int, tuple[tuple[int, bool], ...]]


def _sites(codes: np.ndarray) -> list[tuple[bool, float, str]]:
    """What a piece of sequence holds, wherever in it: sites that stop extrusion, ETS motifs."""
    found = features(codes, "b")
    stops = [
        (bool(right), round(float(strength), 5), "stop")
        for right, strength in zip(found.stops_from_right, found.strength)
    ]
    return sorted(stops + [(False, 0.0, "ETS")] * len(occurrences(codes, ETS)))


def _without(these: list, those: list) -> list:
    """Entries of a list that another does not have, as often as it has them less."""
    return list((Counter(these) - Counter(those)).elements())


def _interval(verb: str, size: int) -> Callable[[Chromosome, int], Made | None]:
    def make(chromosome: Chromosome, at: int) -> Made | None:
        return f"{chromosome.name}:{at}-{at + size} {verb}", at, at + size, ()

    return make


def _inverted(chromosome: Chromosome, at: int) -> Made | None:
    forward = bool(chromosome.scores[0, at] >= STRONG)
    made = f"{chromosome.name}:{at}-{at + SITE} inv"
    return made, at, at + SITE, ((at + SITE // 2, not forward),)


def _inserted(chromosome: Chromosome, at: int) -> Made | None:
    rng = chromosome.rng
    while ctcf_scores(new := site(rng, 0.9))[0].max() < STRONG + 1:
        pass
    forward = bool(rng.random() < 0.5)
    letters = "".join("ACGT"[k] for k in (new if forward else reverse_complement(new)))
    return f"{chromosome.name}:{at} ins {letters}", at, at, ((at, forward),)


def _weakened(chromosome: Chromosome, at: int) -> Made | None:
    """One to three of the eight bases that say most become others, seldom or never seen there."""
    forward = bool(chromosome.scores[0, at] >= STRONG)
    core = np.argsort(LOG_ODDS.max(1))[-8:]
    some = np.sort(chromosome.rng.choice(core, int(chromosome.rng.integers(1, 4)), replace=False))
    changes = []
    for k in some:
        base = int(LOG_ODDS[k].argsort()[chromosome.rng.integers(0, 2)])
        place, base = (at + int(k), base) if forward else (at + SITE - 1 - int(k), 3 - base)
        changes.append((place, base))
    return _substituted(chromosome, changes)


def _synonymous(chromosome: Chromosome, at: int) -> Made | None:
    shift = chromosome.rng.integers(1, 4, 3)
    places = [at, at + 6, at + 14]
    return _substituted(
        chromosome, [(p, int(chromosome.codes[p] + s) % 4) for p, s in zip(places, shift)]
    )


def _substituted(chromosome: Chromosome, changes: list[tuple[int, int]]) -> Made | None:
    texts = [
        f"{chromosome.name}:{place + 1} {'ACGTN'[chromosome.codes[place]]}>{'ACGT'[base]}"
        for place, base in sorted(changes)
        if chromosome.codes[place] != base
    ]
    if not texts:
        return None
    places = [place for place, _ in changes]
    return "; ".join(texts), min(places), max(places) + 1, ()


_MAKERS: dict[str, Callable[[Chromosome, int], Made | None]] = {
    "motif_deleted": _interval("del", SITE),
    "motif_inverted": _inverted,
    "motif_inserted": _inserted,
    "motif_weakened": _weakened,
    "boundary_deleted": _interval("del", BOUNDARY),
    "inversion": _interval("inv", LARGE),
    "duplication": _interval("dup", LARGE),
    "fusion": _interval("del", LARGE),
    "ap1_deleted": _interval("del", len(AP1)),
    "decoy_deleted": _interval("del", SITE),
    "random_deleted": _interval("del", SITE),
    "synonymous": _synonymous,
}
