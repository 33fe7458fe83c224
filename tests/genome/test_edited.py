"""Edited genomes against lists of labelled bases, translocations against sequences put together by
hand, numbers of hg38 worked out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pytest
from hg38 import SIZES, LazyGenome
from hypothesis import given, settings
from hypothesis import strategies as st

from orca_cool.errors import EditError, GenomeError, OrcaCoolError, RegionError
from orca_cool.genome.apply_edits import apply_edits, inverse
from orca_cool.genome.changes import Adjacency, Breakend, Contig, Edit, as_edit
from orca_cool.genome.edited import EditedGenome, LiftedInterval, fingerprint
from orca_cool.genome.segments import Segment, merged
from orca_cool.genome.source import SequenceSource, length_of

COMPLEMENT = dict(zip("ACGTN", "TGCAN"))

# The oracle: a base is (letter, chromosome, position, strand) of the reference; literal letters and
# N come from ("", -1, 0).
Base = tuple[str, str, int, int]
Model = dict[str, list[Base]]


class Text:
    """A genome of plain strings."""

    def __init__(self, sequences: Mapping[str, str], name: str = "text"):
        self.name = name
        self.sequences = dict(sequences)
        self.chromsizes = {c: len(s) for c, s in sequences.items()}

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        length_of(self, chrom)
        text = self.sequences[chrom]
        return np.array(
            ["ACGTN".index(text[i]) if 0 <= i < len(text) else 4 for i in range(start, end)],
            dtype=np.uint8,
        )

    def model(self) -> Model:
        return {
            c: [(letter, c, i, 1) for i, letter in enumerate(s)] for c, s in self.sequences.items()
        }


def letters_of(codes: np.ndarray) -> str:
    return "".join("ACGTN"[k] for k in codes)


def text_of(bases: Iterable[Base]) -> str:
    return "".join(b[0] for b in bases)


def rc(text: str) -> str:
    return "".join(COMPLEMENT[c] for c in reversed(text))


def turned(bases: Sequence[Base]) -> list[Base]:
    return [
        (COMPLEMENT[letter], chrom, place, -strand)
        for letter, chrom, place, strand in reversed(bases)
    ]


def bases_of(model: Model, segments: Iterable[Segment]) -> list[Base]:
    out: list[Base] = []
    for s in segments:
        if s.chrom:
            piece = model[s.chrom][s.start : s.end]
        else:
            text = "N" * len(s) if s.literal is None else s.literal.decode()[s.start : s.end]
            piece = [(letter, "", -1, 0) for letter in text]
        out += piece if s.strand == "+" else turned(piece)
    return out


def applied(model: Model, edits: Sequence[Edit]) -> Model:
    """The edits made one by one from the right, so that places to the left stay as they are."""
    out = {c: list(b) for c, b in model.items()}
    for e in reversed(sorted(edits, key=lambda e: (e.start, e.end))):
        old = model[e.chrom][e.start : e.end]
        new = bases_of(model, e.sequence)
        if e.kind == "inv":
            new = turned(old)
        elif e.kind == "dup":
            new = old + (turned(old) if e.inverted else old) * (e.copies - 1)
        elif e.kind == "sub" and len(e.sequence) == 1 and e.sequence[0].literal is not None:
            head = tail = 0
            while head < min(len(old), len(new)) and old[head][0] == new[head][0]:
                head += 1
            while tail < min(len(old), len(new)) - head and old[-1 - tail][0] == new[-1 - tail][0]:
                tail += 1
            new = old[:head] + new[head : len(new) - tail] + old[len(old) - tail :]
        out[e.chrom][e.start : e.end] = new
    return out


def bases(genome: EditedGenome, chrom: str) -> list[Base]:
    """A contig as the genome tells it: letters by ``fetch``, origins by ``to_reference``."""
    n = genome.chromsizes[chrom]
    names = [*genome.source.chromsizes, ""]
    return [
        (letter, names[c], int(place), int(strand))
        for letter, c, place, strand in zip(
            letters_of(genome.fetch(chrom, 0, n)), *genome.to_reference(chrom, np.arange(n))
        )
    ]


def model_of(genome: EditedGenome) -> Model:
    return {c: bases(genome, c) for c in genome.contigs}


def either_way(contigs: Iterable[Sequence[Base]]) -> list[list[Base]]:
    """Contigs in an order and on strands of their own, without empty ones."""
    return sorted(min(list(c), turned(c)) for c in contigs if c)


def reference(source: SequenceSource) -> dict[str, tuple[Segment, ...]]:
    return {c: (Segment(c, 0, n),) for c, n in source.chromsizes.items()}


def letters(text: str) -> tuple[Segment]:
    return (Segment.letters(text),)


# Strategies
# --------------------------------------------------------------------------------------------------

genomes = st.lists(st.text("ACGTN", min_size=4, max_size=20), min_size=2, max_size=4).map(
    lambda texts: Text(dict(zip("abcd", texts)))
)


@st.composite
def sequences(draw: st.DrawFn, sizes: Mapping[str, int]) -> tuple[Segment, ...]:
    parts = []
    for kind in draw(
        st.lists(st.sampled_from(["letters", "letters", "N", "region"]), min_size=1, max_size=3)
    ):
        if kind == "letters":
            part = Segment.letters(draw(st.text("ACGTN", min_size=1, max_size=6)))
        elif kind == "N":
            part = Segment("", 0, draw(st.integers(1, 4)))
        else:
            chrom = draw(st.sampled_from(sorted(sizes)))
            start = draw(st.integers(0, sizes[chrom] - 1))
            part = Segment(chrom, start, draw(st.integers(start + 1, sizes[chrom])))
        parts.append(part.reverse_complement() if draw(st.booleans()) else part)
    return tuple(parts)


@st.composite
def edits(draw: st.DrawFn, sizes: Mapping[str, int]) -> list[Edit]:
    """Edits of every kind that do not overlap; they may touch, and several insertions may be at one
    place.
    """
    out = []
    for chrom, n in sizes.items():
        places = sorted(draw(st.lists(st.integers(0, n), max_size=6)))
        for p, q in zip(places[::2], places[1::2]):
            kind = "ins" if p == q else draw(st.sampled_from(["del", "dup", "inv", "sub"]))
            sequence = draw(sequences(sizes)) if kind in ("ins", "sub") else ()
            out.append(
                Edit(kind, chrom, p, q, draw(st.integers(2, 3)), draw(st.booleans()), sequence)
            )
    return draw(st.permutations(out))


@st.composite
def edited(draw: st.DrawFn) -> tuple[Text, list[Edit]]:
    source = draw(genomes)
    return source, draw(edits(source.chromsizes))


many = settings(max_examples=250, deadline=None)


# One genome, one set of edits
# ------------------------------------------------------------------------------------------------


def made(
    source: SequenceSource, model: Model, changes: Sequence[Edit]
) -> tuple[EditedGenome, Model] | None:
    """The edited genome and the oracle's; None where nothing is left of a chromosome, which is an
    error.
    """
    wanted = applied(model, changes)
    if gone := [c for c, b in wanted.items() if not b]:
        with pytest.raises(EditError, match=f"nothing is left of '{gone[0]}': .* del"):
            apply_edits(source, changes)
        return None
    return apply_edits(source, changes), wanted


@many
@given(edited(), st.data())
def test_edits_are_those_of_the_strings(drawn, data):
    source, changes = drawn
    if (both := made(source, source.model(), changes)) is None:
        return
    genome, wanted = both
    assert isinstance(genome, SequenceSource)
    assert genome.source is source
    assert list(genome.contigs) == list(source.chromsizes)
    assert model_of(genome) == wanted
    assert genome.edited == [c for c, b in wanted.items() if b != source.model()[c]]
    for chrom, contig in genome.contigs.items():
        n = len(wanted[chrom])
        assert genome.chromsizes[chrom] == n == sum(map(len, contig))
        assert genome.junctions(chrom) == list(np.cumsum([len(s) for s in contig]))[:-1]
        start, end = sorted(data.draw(st.tuples(st.integers(-6, n + 6), st.integers(-6, n + 6))))
        text = "NNNNNN" + text_of(wanted[chrom]) + "NNNNNN"
        assert letters_of(genome.fetch(chrom, start, end)) == text[start + 6 : end + 6]
        inside = genome.segments(chrom, start, end)
        assert (
            "".join(letters_of(s.fetch(source)) for s in inside)
            == text[6:-6][max(start, 0) : max(end, 0)]
        )
        assert sum(map(len, inside)) == max(min(end, n) - max(start, 0), 0)
        over = genome.overhanging(chrom, start, end)
        assert all(len(s) > 0 for s in [*inside, *over])
        assert sum(map(len, over)) == end - start
        assert "".join(letters_of(s.fetch(source)) for s in over) == text[start + 6 : end + 6]
        # Laid out again, what overhangs is N that comes from nowhere.
        again = EditedGenome(source, {"layout": over}) if over else None
        outside = [("N", "", -1, 0)] * 6
        assert (bases(again, "layout") if again else []) == (outside + wanted[chrom] + outside)[
            start + 6 : end + 6
        ]
        for s in (Segment(chrom, start, end), Segment(chrom, start, end, "-")):
            expected = text[start + 6 : end + 6]
            assert "".join(letters_of(x.fetch(source)) for x in genome.flat([s])) == (
                expected if s.strand == "+" else rc(expected)
            )


@many
@given(edited(), st.data())
def test_maps_between_edited_and_reference(drawn, data):
    source, changes = drawn
    if (both := made(source, source.model(), changes)) is None:
        return
    genome, wanted = both
    names = list(source.chromsizes)
    back: dict[
        tuple[str, int], set[tuple[str, int, str]]
    ] = {}  # from the reference, as to_reference has it
    for chrom, n in genome.chromsizes.items():
        chroms, places, strands = genome.to_reference(chrom, np.arange(-3, n + 3))
        assert {a.shape for a in (chroms, places, strands)} == {(n + 6,)}
        for i, (c, place, strand) in enumerate(zip(chroms, places, strands), -3):
            if c < 0:
                assert (c, place, strand) == (-1, -1, 0)
                assert not 0 <= i < n or wanted[chrom][i][1] == ""
                continue
            letter = source.sequences[names[c]][place]
            assert wanted[chrom][i][0] == (letter if strand == 1 else COMPLEMENT[letter])
            back.setdefault((names[c], int(place)), set()).add(
                (chrom, i, "+" if strand == 1 else "-")
            )
    for chrom, n in source.chromsizes.items():
        for i in range(n):
            lifted = genome.from_reference(chrom, i, i + 1)
            assert all((m.end - m.start, m.ref_start, m.ref_end) == (1, i, i + 1) for m in lifted)
            assert len({(m.contig, m.start) for m in lifted}) == len(lifted)
            assert {(m.contig, m.start, m.strand) for m in lifted} == back.get((chrom, i), set())
        start, end = sorted(data.draw(st.tuples(st.integers(-3, n + 3), st.integers(-3, n + 3))))
        found = []
        for m in genome.from_reference(chrom, start, end):
            assert start <= m.ref_start < m.ref_end <= end
            assert m.end - m.start == m.ref_end - m.ref_start
            along = range(m.ref_start, m.ref_end)
            places = along if m.strand == "+" else reversed(along)
            found += [
                (chrom, place, m.contig, m.start + k, m.strand) for k, place in enumerate(places)
            ]
        assert sorted(found) == sorted(
            (c, p, *rest)
            for (c, p), s in back.items()
            if c == chrom and start <= p < end
            for rest in s
        )


def test_maps_to_no_place_one_and_many():
    source = Text({"a": "ACGTACGTAC", "b": "GGGG"})
    changes = [
        Edit("del", "a", 2, 4),
        Edit("dup", "a", 6, 8, inverted=True),
        Edit("ins", "b", 1, 1, sequence=(Segment("a", 0, 3),)),
    ]
    genome = apply_edits(source, changes)  # a: 01 45 67 -7-6 89; b: 0 a0-2 123
    assert genome.from_reference("a", 3, 4) == []
    assert genome.from_reference("a", 5, 7) == [
        LiftedInterval("a", 3, 5, 5, 7, "+"),
        LiftedInterval("a", 7, 8, 6, 7, "-"),
    ]
    assert genome.from_reference("a", 0, 4) == [
        LiftedInterval("a", 0, 2, 0, 2, "+"),
        LiftedInterval("b", 1, 4, 0, 3, "+"),
    ]
    assert [x.tolist() for x in genome.to_reference("a", np.array([9, 7, 6, 100, -1]))] == [
        [0, 0, 0, -1, -1],
        [9, 6, 7, -1, -1],
        [1, -1, -1, 0, 0],
    ]
    nothing = genome.to_reference("b", np.array([]))
    assert [(x.shape, x.dtype.kind) for x in nothing] == [((0,), "i")] * 3


@many
@given(edited(), st.data())
def test_edits_of_an_edited_genome(drawn, data):
    source, changes = drawn
    if (both := made(source, source.model(), changes)) is None:
        return
    once, model = both
    more = data.draw(edits(once.chromsizes))
    if (both := made(once, model, more)) is None:
        return
    twice, wanted = both
    assert twice.source is source
    assert model_of(twice) == wanted
    # And one change of the edited genome given as segments of it is the same as those of the
    # source.
    assert apply_edits(once).contigs == once.contigs


@many
@given(edited(), st.data())
def test_the_inverse_gives_the_genome_back(drawn, data):
    source, changes = drawn
    if (both := made(source, source.model(), changes)) is None:
        return
    genome = both[0]
    back = apply_edits(genome, inverse(apply_edits(source), changes))
    assert back.contigs == reference(source)
    assert back.edited == []
    # Of a genome that is edited already, with letters and N of its own: its segments, not only its
    # sequence.
    more = data.draw(edits(genome.chromsizes))
    if (both := made(genome, model_of(genome), more)) is not None:
        assert apply_edits(both[0], inverse(genome, more)).contigs == genome.contigs


def test_the_inverse_leaves_letters_whole():
    """Letters put back are those that were there, though the sequence in their place begins and
    ends like them.
    """
    source = Text({"a": "AAAAAAAA", "b": "ACCA"})
    genome = apply_edits(source, [Edit("ins", "a", 4, 4, sequence=letters("CGTC"))])
    change = [Edit("sub", "a", 4, 8, sequence=(Segment("b", 1, 3),))]  # CGTC by CC
    assert (
        apply_edits(apply_edits(genome, change), inverse(genome, change)).contigs == genome.contigs
    )


def test_the_inverse_of_a_join_within_a_chromosome():
    source = Text({"a": "ACGTTTGACA", "b": "G"})
    join = Adjacency(Breakend("a", 2, "+"), Breakend("a", 7, "+"))
    plain = apply_edits(source)
    assert inverse(plain, [join]) == [
        Edit("sub", "a", 2, 7, sequence=(Segment("a", 2, 7),), of_source=True)
    ]
    assert apply_edits(apply_edits(source, [join]), inverse(plain, [join])).edited == []


@many
@given(genomes, st.data())
def test_an_inversion_twice_is_the_identity(source, data):
    chrom = data.draw(st.sampled_from(sorted(source.chromsizes)))
    n = source.chromsizes[chrom]
    start = data.draw(st.integers(0, n - 1))
    inversion = [Edit("inv", chrom, start, data.draw(st.integers(start + 1, n)))]
    before = apply_edits(
        source,
        data.draw(
            edits({c: k for c, k in source.chromsizes.items() if c != chrom}).filter(
                lambda changes: all(applied(source.model(), changes).values())
            )
        ),
    )
    once = apply_edits(before, inversion)
    assert chrom in once.edited
    assert (
        text_of(bases(once, chrom)) != text_of(source.model()[chrom])
        or rc(source.sequences[chrom][start : inversion[0].end])
        == (source.sequences[chrom][start : inversion[0].end])
    )
    twice = apply_edits(once, inversion)
    assert twice.contigs == before.contigs
    assert twice.fetch(chrom, 0, n).tolist() == source.fetch(chrom, 0, n).tolist()


@many
@given(genomes, st.data())
def test_merged_keeps_the_sequence_in_fewer_segments(source, data):
    given_letters = Segment.letters("ACGTNACG")
    segments = []
    for whole in data.draw(
        st.lists(
            st.sampled_from(
                [given_letters, Segment("", 0, 7), *(s for (s,) in reference(source).values())]
            ),
            max_size=5,
        )
    ):
        places = [
            0,
            *sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4))),
            len(whole),
        ]
        whole = whole.reverse_complement() if data.draw(st.booleans()) else whole
        segments += [whole.part(p, q) for p, q in zip(places, places[1:])]
    out = merged(segments)
    assert bases_of(source.model(), out) == bases_of(source.model(), segments)
    assert all(len(s) for s in out)
    assert not any(a.is_followed_by(b) for a, b in zip(out, out[1:]))
    for a, b in zip(
        out, out[1:]
    ):  # what goes on, said by its bases: the next base of the same sequence on the same strand
        (_, chrom, last, strand), (_, other, first, other_strand) = (
            bases_of(source.model(), [a])[-1],
            bases_of(source.model(), [b])[0],
        )
        assert (chrom, strand, last + strand) != (other, other_strand, first) or chrom == ""
    assert merged(out) == out


def test_merged_by_hand():
    text = Segment.letters("ACGTAC")
    assert merged([Segment("a", 0, 5), Segment("a", 5, 5), Segment("a", 5, 9)]) == (
        Segment("a", 0, 9),
    )
    assert merged([Segment("a", 5, 9, "-"), Segment("a", 0, 5, "-")]) == (Segment("a", 0, 9, "-"),)
    assert merged([Segment("a", 0, 5, "-"), Segment("a", 5, 9, "-")]) == (
        Segment("a", 0, 5, "-"),
        Segment("a", 5, 9, "-"),
    )
    assert merged([Segment("a", 0, 5), Segment("b", 5, 9)]) == (
        Segment("a", 0, 5),
        Segment("b", 5, 9),
    )
    assert merged([text.part(0, 2), text.part(2, 6)]) == (text,)
    assert merged([text.reverse_complement().part(0, 2), text.reverse_complement().part(2, 6)]) == (
        text.reverse_complement(),
    )
    assert merged([text, text]) == (text, text)
    # N is N: it has no place and no strand
    assert merged([Segment("", 3, 5, "-"), Segment("", 7, 10)]) == (Segment("", 0, 5),)
    assert merged([Segment("", 3, 5, "-")]) == (Segment("", 0, 2),)
    assert merged([]) == ()


TEN = Text({"a": "AACCGGTTNN", "b": "ACGT"})


@pytest.mark.parametrize(
    ("start", "end", "given", "expected"),
    [
        (2, 8, "CCGGTT", [Segment("a", 0, 10)]),  # REF = ALT
        (8, 9, "N", [Segment("a", 0, 10)]),
        (2, 8, "CCAGTT", [Segment("a", 0, 4), "A", Segment("a", 5, 10)]),  # an SNV written long
        (
            2,
            5,
            "CC",
            [Segment("a", 0, 4), Segment("a", 5, 10)],
        ),  # a deletion written with its base before
        (2, 6, "CC", [Segment("a", 0, 4), Segment("a", 6, 10)]),
        (
            2,
            4,
            "CGTC",
            [Segment("a", 0, 3), "GT", Segment("a", 3, 10)],
        ),  # an insertion between two equal letters
        (2, 3, "CCC", [Segment("a", 0, 3), "CC", Segment("a", 3, 10)]),
        (2, 4, "C", [Segment("a", 0, 3), Segment("a", 4, 10)]),
        (2, 4, "GT", [Segment("a", 0, 2), "GT", Segment("a", 4, 10)]),  # nothing in common
        (0, 10, "TACCGGTTNA", ["T", Segment("a", 1, 9), "A"]),  # the middle is one literal sequence
    ],
)
def test_substitutions_are_trimmed(start, end, given, expected):
    genome = apply_edits(TEN, [Edit("sub", "a", start, end, sequence=letters(given))])
    text = TEN.sequences["a"]
    assert (
        letters_of(genome.fetch("a", 0, genome.chromsizes["a"]))
        == text[:start] + given + text[end:]
    )
    if (start, end) == (
        0,
        10,
    ):  # both ends differ: nothing can be trimmed, what is alike within is not looked for
        assert genome.contigs["a"] == letters(given)
        return
    ours = [letters_of(s.fetch(TEN)) if s.literal is not None else s for s in genome.contigs["a"]]
    assert ours == expected
    assert genome.edited == ([] if expected == [Segment("a", 0, 10)] else ["a"])


def test_a_substitution_by_reversed_letters_is_trimmed_too():
    (text,) = letters("AACCAG")  # reversed CTGGTT
    genome = apply_edits(
        TEN, [Edit("sub", "a", 3, 8, sequence=(text.reverse_complement(),))]
    )  # CGGTT
    assert [letters_of(s.fetch(TEN)) for s in genome.contigs["a"]] == ["AACC", "T", "GGTTNN"]


def test_several_insertions_at_one_place_keep_their_order():
    changes = [
        Edit("ins", "b", 2, 2, sequence=letters("A")),
        Edit("del", "b", 2, 3),
        Edit("ins", "b", 2, 2, sequence=letters("T")),
    ]
    assert letters_of(apply_edits(TEN, changes).fetch("b", 0, 5)) == "ACATT"


# Segments, names and words
# --------------------------------------------------------------------------------------------------


def test_segments():
    s = Segment("a", 2, 7)
    assert (len(s), str(s), str(s.reverse_complement())) == (5, "a:2-7(+)", "a:2-7(-)")
    assert s.reverse_complement().reverse_complement() == s
    assert s.part(1, 3) == Segment("a", 3, 5)
    assert s.reverse_complement().part(1, 3) == Segment(
        "a", 4, 6, "-"
    )  # bases 6 5 4 3 2: the second and third
    assert letters_of(s.reverse_complement().fetch(TEN)) == rc("CCGGT")
    assert letters_of(Segment("b", -2, 6, "-").fetch(TEN)) == "NN" + rc("ACGT") + "NN"
    assert letters_of(Segment.letters("acgn").reverse_complement().part(0, 3).fetch(TEN)) == "NCG"
    assert Segment.letters("acgt") == Segment.letters(b"ACGT") == Segment("", 0, 4, "+", b"ACGT")
    assert letters_of(Segment("", 4, 7, "-").fetch(TEN)) == "NNN"


def test_changes_as_text():
    long = "ACGT" * 10
    assert str(Edit("del", "chr2", 220_295_000, 222_000_000)) == "chr2:220,295,000-222,000,000 del"
    assert str(Edit("dup", "a", 1, 2)) == "a:1-2 dup"
    assert str(Edit("dup", "a", 1, 2, 3, True)) == "a:1-2 dup x3 inv"
    assert str(Edit("inv", "a", 1, 2)) == "a:1-2 inv"
    assert str(Edit("ins", "a", 1_000, 1_000, sequence=letters("acg"))) == "a:1,000 ins ACG"
    parts = (
        Segment("", 0, 5),
        Segment("b", 1, 3, "-"),
        *letters("A"),
        Segment.letters("AC").reverse_complement(),
    )
    assert str(Edit("sub", "a", 1, 2, sequence=parts)) == "a:1-2 sub 5N,b:1-3(-),A,AC(-)"
    assert (
        str(Edit("sub", "a", 1, 2, sequence=letters(long))) == f"a:1-2 sub {long[:20]}... (40 bp)"
    )
    assert str(Adjacency(Breakend("a", 5_000, "+"), Breakend("b", 0, "-"))) == "a:5,000(+)::b:0(-)"
    assert (
        str(Adjacency(Breakend("a", 5, "+"), Breakend("b", 0, "-"), letters("AC")))
        == "a:5(+)::AC::b:0(-)"
    )
    assert str(Contig("new", (Segment("a", 0, 5), *letters("AC")))) == "new = a:0-5(+),AC"
    assert str(Segment.letters("ACG")) == "3 bp of literal sequence"
    assert str(Segment("", 0, 1_500)) == "1,500 bp of N"


def test_names():
    one, same, other = (apply_edits(TEN, [Edit("del", "a", 0, k)]) for k in (2, 2, 3))
    assert one.name == same.name != other.name
    assert re.fullmatch(r"text\.[0-9a-f]{8}", one.name)
    assert apply_edits(TEN, [], name="mine").name == "mine"
    assert (
        apply_edits(one, [Edit("del", "a", 0, 1)]).name == other.name
    )  # the same segments, however they came about
    assert EditedGenome(TEN, {"x": (Segment("a", 0, 3),)}).name == "text"
    assert repr(one) == f"EditedGenome({one.name!r}, 2 sequences, edited: a)"
    assert repr(apply_edits(TEN, name="none")) == "EditedGenome('none', 2 sequences, edited: none)"


def test_fingerprints_tell_segments_apart():
    lists: list[dict[str, tuple[Segment, ...]]] = [
        {"a": (Segment("a", 0, 10),)},
        {"b": (Segment("a", 0, 10),)},
        {"a": (Segment("a", 0, 10, "-"),)},
        {"a": (Segment("a", 0, 9),)},
        {"a": (Segment("", 0, 10),)},
        {"a": letters("ACGTACGTAC")},
        {"a": letters("ACGTACGTAA")},
        {"a": (*letters("ACGT"), Segment("A", 0, 3))},
        {
            "a": (Segment("", 0, 4, "+", b"ACGTA"), Segment("", 0, 3))
        },  # the same bytes but for what ends a segment
        {"a": (Segment("a", 0, 5),), "b": (Segment("a", 5, 10),)},
        {"a": (Segment("a", 0, 5), Segment("b", 5, 10))},
    ]
    assert len({fingerprint(x) for x in lists}) == len(lists)
    assert fingerprint({"a": (Segment("a", 0, 4), Segment("a", 4, 10))}) == fingerprint(lists[0])
    assert fingerprint({"a": (Segment("", 5, 8, "-"), Segment("", 0, 7))}) == fingerprint(lists[4])


# Joins of two chromosomes
# --------------------------------------------------------------------------------------------------

A, B, C = "AACCGGTTAC", "TTTAGAGCCATA", "GGGACACTTTCATTCA"
AB = Text({"A": A, "B": B})
ABC = Text({"A": A, "B": B, "C": C})


def text_contigs(genome: EditedGenome) -> dict[str, str]:
    return {c: letters_of(genome.fetch(c, 0, n)) for c, n in genome.chromsizes.items()}


def join(first: str, second: str, between: str = "") -> Adjacency:
    """``join("A4+", "B5-")``."""

    def end(text: str) -> Breakend:
        return Breakend(text[:-1].rstrip("0123456789"), int(re.sub(r"\D", "", text)), text[-1])

    return Adjacency(end(first), end(second), letters(between) if between else ())


A1, A2, B1, B2 = A[:4], A[4:], B[:5], B[5:]
S = "GATTTC"


@pytest.mark.parametrize(
    ("first", "second", "der_a", "der_b", "other_a", "other_b"),
    [
        # without and with S between; only the join that is given has it
        ("A4+", "B5-", A1 + B2, B1 + A2, A1 + S + B2, B1 + A2),
        ("A4-", "B5+", A1 + B2, B1 + A2, A1 + B2, B1 + rc(S) + A2),
        ("A4+", "B5+", A1 + rc(B1), rc(A2) + B2, A1 + S + rc(B1), rc(A2) + B2),
        ("A4-", "B5-", A1 + rc(B1), rc(A2) + B2, A1 + rc(B1), rc(A2) + S + B2),
        # read the other way round
        ("B5-", "A4+", A1 + B2, B1 + A2, A1 + rc(S) + B2, B1 + A2),
        ("B5+", "A4-", A1 + B2, B1 + A2, A1 + B2, B1 + S + A2),
        ("B5+", "A4+", A1 + rc(B1), rc(A2) + B2, A1 + rc(S) + rc(B1), rc(A2) + B2),
        ("B5-", "A4-", A1 + rc(B1), rc(A2) + B2, A1 + rc(B1), rc(A2) + rc(S) + B2),
    ],
)
def test_translocations(first, second, der_a, der_b, other_a, other_b):
    genome = apply_edits(AB, [join(first, second)])
    assert text_contigs(genome) == {"der_A": der_a, "der_B": der_b}
    assert sum(genome.chromsizes.values()) == len(A) + len(B)
    assert genome.edited == ["der_A", "der_B"]
    assert genome.junctions("der_A") == [4]
    assert genome.contigs["der_A"][0] == Segment("A", 0, 4)  # the left end stays as it is
    assert text_contigs(apply_edits(AB, [join(first, second, S)])) == {
        "der_A": other_a,
        "der_B": other_b,
    }


def test_segments_of_a_translocation():
    genome = apply_edits(AB, [join("A4+", "B5+")])
    assert genome.contigs == {
        "der_A": (Segment("A", 0, 4), Segment("B", 0, 5, "-")),
        "der_B": (Segment("A", 4, 10, "-"), Segment("B", 5, 12)),
    }
    assert genome.from_reference("B", 4, 6) == [
        LiftedInterval("der_A", 4, 5, 4, 5, "-"),
        LiftedInterval("der_B", 6, 7, 5, 6, "+"),
    ]
    assert [x.tolist() for x in genome.to_reference("der_B", np.array([0, 5, 6]))] == [
        [0, 0, 1],
        [9, 4, 5],
        [-1, -1, 1],
    ]


@many
@given(genomes, st.data())
def test_a_translocation_with_edits_on_both_sides(source, data):
    sizes = source.chromsizes
    ends = [
        Breakend(c, data.draw(st.integers(0, sizes[c])), data.draw(st.sampled_from("+-")))
        for c in data.draw(st.permutations("ab"))
    ]
    between = data.draw(st.one_of(st.just(()), sequences(sizes)))
    cut = {e.chrom: e.position for e in ends}
    local = [
        e
        for e in data.draw(edits(sizes))
        if not (e.chrom in cut and e.start < cut[e.chrom] < e.end)
    ]
    # A mark at the cut tells the sides of the edited chromosome: before insertions at the cut, but
    # after those at the very end.
    mark = ("|", "", -1, 0)
    model = source.model() | {"mark": [mark]}
    marks = [Edit("ins", c, p, p, sequence=(Segment("mark", 0, 1),)) for c, p in cut.items()]
    first = [m for m in marks if m.start < sizes[m.chrom]]
    wanted = applied(model, [*first, *local, *(m for m in marks if m not in first)])
    del wanted["mark"]
    sides: dict[Breakend, list[Base]] = {}  # every side, read away from the cut
    for c in cut:
        at = wanted[c].index(mark)
        sides[Breakend(c, cut[c], "+")], sides[Breakend(c, cut[c], "-")] = (
            turned(wanted[c][:at]),
            wanted[c][at + 1 :],
        )
    rest = {c: b for c, b in wanted.items() if c not in cut}
    joined = [
        turned(sides[ends[0]]) + bases_of(source.model(), between) + sides[ends[1]],
        turned(sides[ends[0].other]) + sides[ends[1].other],
    ]
    if not all(rest.values()):
        with pytest.raises(EditError, match="nothing is left"):
            apply_edits(source, [*local, Adjacency(*ends, between)])
        return
    genome = apply_edits(source, [*local, Adjacency(*ends, between)])
    ours = model_of(genome)
    assert {c: ours.pop(c) for c in rest} == rest
    assert either_way(ours.values()) == either_way(joined)
    assert [c for c in genome.contigs if c not in rest] == list(ours)
    # A left end keeps its strand, unless it is joined to another left end.
    for c in cut:
        if (b := wanted[c])[0][1] and b[0] != mark and ends[0].side != ends[1].side:
            assert any(contig[0] == b[0] for contig in ours.values())


def test_insertions_at_a_cut_go_with_what_follows():
    insertions = [
        Edit("ins", "A", 4, 4, sequence=letters("CC")),
        Edit("ins", "B", 12, 12, sequence=letters("GGG")),
    ]
    assert text_contigs(apply_edits(AB, [join("A4+", "B5-"), *insertions])) == {
        "der_A": A1 + B2 + "GGG",
        "der_B": B1 + "CC" + A2,
    }


def test_other_chromosomes_keep_their_order():
    source = Text({"x": "AC", "A": A, "y": "GT", "B": B, "z": "CA"})
    assert list(apply_edits(source, [join("A4+", "B5-")]).contigs) == [
        "x",
        "der_A",
        "y",
        "der_B",
        "z",
    ]


THREE = [("A4+", "B5-"), ("B5+", "C7-"), ("C7+", "A4-")]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_three_way_translocation(order):
    genome = apply_edits(ABC, [join(*THREE[k]) for k in order])
    assert text_contigs(genome) == {"der_A": A1 + B2, "der_B": B1 + C[7:], "der_C": C[:7] + A2}


def test_three_way_translocation_with_unequal_cuts():
    """A loses 2 bp at its cut, 2 bp of B are there twice."""
    genome = apply_edits(ABC, [join("A4+", "B5-"), join("B7+", "C7-"), join("C7+", "A6-")])
    assert text_contigs(genome) == {
        "der_A": A1 + B2,
        "der_B": B[:7] + C[7:],
        "der_C": C[:7] + A[6:],
    }


def test_three_way_translocation_with_inversions():
    """Left ends of A and B in one, right ends of A and C in another: each derivative is called by a
    chromosome of its own.
    """
    genome = apply_edits(ABC, [join("A4+", "B5+"), join("B5-", "C7+"), join("C7-", "A4-")])
    assert text_contigs(genome) == {
        "der_A": A1 + rc(B1),
        "der_B": C[:7] + B2,
        "der_C": rc(A2) + C[7:],
    }


def test_two_translocations_of_the_same_chromosomes():
    """Both read the same way: each is reciprocal, which gives pieces back beyond the second cut."""
    genome = apply_edits(AB, [join("A2+", "B3-"), join("A6+", "B8-")])
    assert text_contigs(genome) == {
        "der_A": A[:2] + B[3:8] + A[6:],
        "der_B": B[:3] + A[2:6] + B[8:],
    }


def test_insertional_translocation():
    """A[2:6) leaves A, and is in B before base 5, forward or turned."""
    out = join("A2+", "A6-")
    assert text_contigs(apply_edits(AB, [out, join("B5+", "A2-"), join("A6+", "B5-")])) == {
        "der_A": A[:2] + A[6:],
        "der_B": B[:5] + A[2:6] + B[5:],
    }
    assert text_contigs(apply_edits(AB, [out, join("B5+", "A6+"), join("A2-", "B5-")])) == {
        "der_A": A[:2] + A[6:],
        "der_B": B[:5] + rc(A[2:6]) + B[5:],
    }


@many
@given(genomes, st.data())
def test_any_joins_given_whole(source, data):
    """All sides of all cuts joined at random: the oracle puts pieces together two at a time."""
    sizes = source.chromsizes
    cuts = {c: sorted(data.draw(st.sets(st.integers(0, n), max_size=3))) for c, n in sizes.items()}
    ends = data.draw(
        st.permutations([Breakend(c, p, side) for c in cuts for p in cuts[c] for side in "+-"])
    )
    joins = [
        Adjacency(a, b, data.draw(st.one_of(st.just(()), sequences(sizes))))
        for a, b in zip(ends[::2], ends[1::2])
    ]
    apart = {e.chrom for j in joins if j.first.chrom != j.second.chrom for e in (j.first, j.second)}
    joins = [j for j in joins if j.first.chrom in apart]  # the others are edits
    cuts = {c: p if c in apart else [] for c, p in cuts.items()}
    model = source.model()
    pieces: list[tuple[object, list[Base], object]] = []
    for c, n in sizes.items():
        lefts = [("left end", c), *(Breakend(c, p, "-") for p in cuts[c])]
        rights = [*(Breakend(c, p, "+") for p in cuts[c]), ("right end", c)]
        pieces += [
            (left, model[c][p:q], right)
            for left, p, q, right in zip(lefts, [0, *cuts[c]], [*cuts[c], n], rights)
        ]
    for j in joins:
        one, two = (next(x for x in pieces if end in (x[0], x[2])) for end in (j.first, j.second))
        if one is two:
            with pytest.raises(
                EditError, match="run in a circle; circular chromosomes are not predicted"
            ):
                apply_edits(source, joins)
            return
        pieces.remove(one)
        pieces.remove(two)
        left = one if one[2] == j.first else (one[2], turned(one[1]), one[0])
        right = two if two[0] == j.second else (two[2], turned(two[1]), two[0])
        pieces.append((left[0], left[1] + bases_of(model, j.sequence) + right[1], right[2]))
    genome = apply_edits(source, joins)
    ours = model_of(genome)
    assert either_way(ours.values()) == either_way(x[1] for x in pieces)
    assert {c: b for c, b in ours.items() if c in sizes and c not in apart} == {
        c: b for c, b in model.items() if c not in apart
    }
    assert all(c.removeprefix("der_") in sizes for c in ours)
    for c, b in ours.items():
        assert c.startswith("der_") == (b not in model.values())
        if c.startswith("der_") and not {0, sizes[c[4:]]} & set(cuts[c[4:]]):
            ends_here = {b[0][1:3], b[-1][1:3]}
            assert {
                (c[4:], 0),
                (c[4:], sizes[c[4:]] - 1),
            } & ends_here  # one of the chromosome's ends is one of its own


@pytest.mark.parametrize("between", ["", S])
@pytest.mark.parametrize("order", [1, -1])
def test_fusion_end_to_end(order, between):
    ends = ["A10+", "B0-"][::order]
    middle = between if order == 1 else rc(between)
    genome = apply_edits(AB, [join(*ends, between)])
    assert text_contigs(genome) == {"der_A": A + middle + B}
    assert genome.junctions("der_A") == ([10, 16] if between else [10])


def test_fusion_of_two_right_ends():
    assert text_contigs(apply_edits(AB, [join("A10+", "B12+")])) == {"der_A": A + rc(B)}
    assert text_contigs(apply_edits(AB, [join("A0-", "B0-")])) == {"der_A": rc(A) + B}
    # an insertion at the end of a chromosome is once there, between the two
    genome = apply_edits(
        AB, [join("A10+", "B0-"), Edit("ins", "A", 10, 10, sequence=letters("CCC"))]
    )
    assert text_contigs(genome) == {"der_A": A + "CCC" + B}


@pytest.mark.parametrize(
    ("first", "second"), [("A4+", "B5-"), ("A4-", "B5+"), ("A4+", "B5+"), ("A4-", "B5-")]
)
def test_derivatives_joined_back_are_the_chromosomes(first, second):
    genome = apply_edits(AB, [join(first, second)])
    # in der_A the cut lies behind 4 bp of A; in der_B behind 5 bp of B, or before it lie 6 bp of A
    # turned
    same = first[-1] != second[-1]
    back = join("der_A4+", "der_B5-") if same else join("der_A4+", "der_B6+")
    again = apply_edits(genome, [back])
    assert again.contigs == reference(AB)
    assert again.source is AB
    assert again.edited == []


def test_a_chromosome_that_is_whole_again_is_turned_back():
    genome = EditedGenome(AB, {"p": (Segment("A", 4, 10, "-"),), "q": (Segment("A", 0, 4, "-"),)})
    assert apply_edits(genome, [join("p6+", "q0-")]).contigs == {"A": (Segment("A", 0, 10),)}


def test_a_derivative_cut_elsewhere_is_no_whole_chromosome():
    genome = apply_edits(apply_edits(AB, [join("A4+", "B5-")]), [join("der_A3+", "der_B5-")])
    assert text_contigs(genome) == {"der_der_A": A[:3] + A2, "der_der_B": B1 + A[3] + B2}


@pytest.mark.parametrize(("da", "db"), list(product((-2, 0, 2), repeat=2)))
@pytest.mark.parametrize("order", [1, -1])
def test_translocations_with_unequal_cuts(da, db, order):
    """Both joins given, as four BND records do: what lies between the cuts is lost (> 0 on A) or
    there twice.
    """
    a, b = 5, 6
    x, y = a + da, b + db
    for joins, der_a, der_b in [
        ([join(f"A{a}+", f"B{b}-"), join(f"B{y}+", f"A{x}-")], A[:a] + B[b:], B[:y] + A[x:]),
        (
            [join(f"B{b}-", f"A{a}+", S), join(f"A{x}-", f"B{y}+")],
            A[:a] + rc(S) + B[b:],
            B[:y] + A[x:],
        ),
        (
            [join(f"A{a}+", f"B{b}+"), join(f"A{x}-", f"B{y}-")],
            A[:a] + rc(B[:b]),
            rc(A[x:]) + B[y:],
        ),
    ]:
        genome = apply_edits(AB, joins[::order])
        assert text_contigs(genome) == {"der_A": der_a, "der_B": der_b}


def test_edits_where_cuts_are_unequal():
    joins = [join("A3+", "B5-"), join("B8+", "A6-")]  # A[3:6) is lost, B[5:8) is there twice
    genome = apply_edits(AB, [*joins, Edit("sub", "B", 6, 7, sequence=letters("N"))])
    assert text_contigs(genome) == {
        "der_A": A[:3] + B[5] + "N" + B[7:],
        "der_B": B[:6] + "N" + B[7] + A[6:],
    }
    with pytest.raises(
        EditError, match=r"edit 'A:4-5 del' changes what the adjacencies leave out of A"
    ):
        apply_edits(AB, [*joins, Edit("del", "A", 4, 5)])


# Joins within a chromosome
# --------------------------------------------------------------------------------------------------


def rearranged(text: str, p: int, q: int, sides: str, between: str) -> str:
    """What a join of cuts p <= q of one chromosome stands for, read from p."""
    return {
        "+-": text[:p] + between + text[q:],
        "-+": text[:q]
        + rc(between)
        + text[p:],  # from q's left side over to p's right side: read from p it is turned
        "++": text[:p] + between + rc(text[p:q]) + text[q:],
        "--": text[:p] + rc(text[p:q]) + between + text[q:],
    }[sides]


@many
@given(st.text("ACGT", min_size=4, max_size=15), st.data())
def test_joins_within_a_chromosome(text, data):
    source = Text({"a": text, "b": "GATC"})
    p, q = sorted(data.draw(st.sets(st.integers(0, len(text)), min_size=2, max_size=2)))
    between = data.draw(st.text("ACGT", max_size=4))
    for sides in ("+-", "-+", "++", "--"):
        wanted = rearranged(text, p, q, sides, between)
        first, second = Breakend("a", p, sides[0]), Breakend("a", q, sides[1])
        one = Adjacency(first, second, letters(between) if between else ())
        other = Adjacency(second, first, letters(rc(between)) if between else ())
        for change in (one, other, as_edit(one), as_edit(other)):
            if not wanted:
                with pytest.raises(EditError, match="nothing is left of 'a'"):
                    apply_edits(source, [change])
                continue
            genome = apply_edits(source, [change])
            assert text_contigs(genome) == {"a": wanted, "b": "GATC"}
        if wanted:  # and of an edited genome, whose coordinates it is in
            before = apply_edits(source, [Edit("inv", "a", 0, len(text))])
            assert text_contigs(apply_edits(before, [one]))["a"] == rearranged(
                rc(text), p, q, sides, between
            )


def test_joins_within_a_chromosome_are_these_edits():
    assert as_edit(join("A2+", "A7-")) == as_edit(join("A7-", "A2+")) == Edit("del", "A", 2, 7)
    assert as_edit(join("A7+", "A2-")) == as_edit(join("A2-", "A7+")) == Edit("dup", "A", 2, 7)
    assert as_edit(join("A2+", "A7+")) == as_edit(join("A7-", "A2-")) == Edit("inv", "A", 2, 7)
    assert as_edit(join("A5+", "A5-", "ACC")) == Edit("ins", "A", 5, 5, sequence=letters("ACC"))
    # the same breakends read the other way round
    turned_letters = (Segment.letters("ACC").reverse_complement(),)
    assert as_edit(join("A5-", "A5+", "ACC")) == Edit("ins", "A", 5, 5, sequence=turned_letters)


@pytest.mark.parametrize("sides", ["+-", "-+", "++", "--"])
@pytest.mark.parametrize("between", ["", S])
@pytest.mark.parametrize("ends", [1, -1])
def test_joins_within_a_chromosome_that_a_translocation_cuts_too(sides, between, ends):
    """They are then joins like the others; away from the translocation's cut they do what they do
    alone.
    """
    cut = join("C3+", "B5-")
    one, other = [Breakend("C", 6, sides[0]), Breakend("C", 12, sides[1])][::ends]
    change = Adjacency(one, other, letters(between) if between else ())
    middle = between if ends == 1 else rc(between)
    wanted = rearranged(C, 6, 12, sides, middle)
    assert text_contigs(apply_edits(ABC, [change, cut])) == {
        "A": A,
        "der_B": B1 + wanted[3:],
        "der_C": C[:3] + B2,
    }
    assert text_contigs(apply_edits(ABC, [cut, as_edit(change)])) == {
        "A": A,
        "der_B": B1 + wanted[3:],
        "der_C": C[:3] + B2,
    }


def test_both_junctions_of_an_inversion_beside_a_translocation():
    joins = [join("C3+", "B5-"), join("C6+", "C12+"), join("C6-", "C12-")]
    assert text_contigs(apply_edits(ABC, joins))["der_B"] == B1 + C[3:6] + rc(C[6:12]) + C[12:]
    unequal = [join("C3+", "B5-"), join("C6+", "C12+"), join("C7-", "C11-")]
    assert text_contigs(apply_edits(ABC, unequal))["der_B"] == B1 + C[3:6] + rc(C[7:12]) + C[11:]


def test_a_translocation_and_an_inversion_of_each_chromosome():
    """Each told by one junction, and by such ones as would lead in a circle if one could be gone
    over twice.
    """
    genome = apply_edits(AB, [join("A3+", "B3-"), join("B6+", "B9+"), join("A5-", "A8-")])
    assert text_contigs(genome) == {
        "der_A": A[:3] + B[3:6] + rc(B[6:9]) + B[9:],
        "der_B": B[:3] + A[3:5] + rc(A[5:8]) + A[8:],
    }


# Chromosomes given whole
# --------------------------------------------------------------------------------------------------


def test_custom_chromosomes():
    pieces = (
        Segment("B", 2, 6, "-"),
        *letters("gatn"),
        Segment("A", 1, 3),
        Segment("", 0, 2),
        Segment("A", 3, 5),
    )
    text = rc(B[2:6]) + "GATN" + A[1:3] + "NN" + A[3:5]
    genome = apply_edits(ABC, [Contig("new", pieces)])
    assert text_contigs(genome) == {"A": A, "B": B, "C": C, "new": text}
    assert genome.edited == ["new"]
    assert genome.contigs["new"] == pieces
    # in the place of one of the same name; the others may still be edited
    genome = apply_edits(ABC, [Contig("B", pieces), Edit("del", "A", 0, 4)])
    assert list(text_contigs(genome).items()) == [("A", A2), ("B", text), ("C", C)]
    # of an edited genome: in its coordinates
    inverted = apply_edits(ABC, [Edit("inv", "A", 2, 8)])
    genome = apply_edits(inverted, [Contig("new", (Segment("A", 1, 9, "-"),))])
    assert genome.contigs["new"] == (
        Segment("A", 8, 9, "-"),
        Segment("A", 2, 8),
        Segment("A", 1, 2, "-"),
    )
    assert genome.source is ABC
    # the same segments as the chromosome has: no edit
    assert apply_edits(ABC, [Contig("A", (Segment("A", 0, 4), Segment("A", 4, 10)))]).edited == []


@many
@given(edited(), st.data())
def test_custom_chromosomes_are_those_of_the_strings(drawn, data):
    source, changes = drawn
    if (both := made(source, source.model(), changes)) is None:
        return
    once, model = both
    sequence = data.draw(sequences(once.chromsizes))
    name = data.draw(st.sampled_from(["a", "new"]))
    genome = apply_edits(once, [Contig(name, sequence)])
    assert model_of(genome) == model | {name: bases_of(model, sequence)}


def test_a_copy_of_a_chromosome_is_joined_under_its_own_name():
    """Whole again, but another chromosome has the name."""
    two = apply_edits(AB, [Contig("copy", (Segment("A", 0, 10),))])
    genome = apply_edits(
        two, [join("copy10+", "B12-")]
    )  # cut at their ends: both right ends are empty, nothing moves
    assert text_contigs(genome) == {"A": A, "B": B, "der_copy": A}


# Errors
# --------------------------------------------------------------------------------------------------

DEL = Edit("del", "A", 2, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [DEL, Edit("inv", "A", 5, 8)],
            "edits overlap: 'A:2-6 del' and 'A:5-8 inv'; write one edit of the interval that "
            "holds both",
        ),
        (
            [Edit("ins", "A", 4, 4, sequence=letters("AC")), DEL],
            "edits overlap: 'A:2-6 del' and 'A:4 ins AC'",
        ),
        ([DEL, DEL], "edits overlap: 'A:2-6 del' and 'A:2-6 del'"),
        (
            [DEL, join("A5+", "B5-")],
            "edits overlap: the cut of 'A:5(+)::B:5(-)' lies inside 'A:2-6 del'",
        ),
        ([Edit("cut", "A", 2, 6)], "edit kind 'cut' is not one of del, dup, inv, ins, sub"),
        (
            [Edit("del", "A", 6, 2)],
            "edit 'A:6-2 del' is reversed: its end 2 lies before its start 6",
        ),
        ([Edit("del", "A", 5, 1_011)], "edit 'A:5-1,011 del' lies outside A, which is 10 bp long"),
        ([Edit("del", "A", -1, 5)], "edit 'A:-1-5 del' lies outside A, which is 10 bp long"),
        (
            [Edit("ins", "A", 11, 11, sequence=letters("A"))],
            "edit 'A:11 ins A' lies outside A, which is 10 bp long",
        ),
        (
            [Edit("del", "A", 5, 5)],
            "edit 'A:5-5 del' is empty; only an insertion is at a place between bases",
        ),
        (
            [Edit("ins", "A", 5, 6, sequence=letters("G"))],
            "edit 'A:5 ins G': an insertion is at a place, not at an interval; to replace",
        ),
        ([Edit("sub", "A", 5, 6)], "edit 'A:5-6 sub ' has no sequence"),
        ([Edit("ins", "A", 5, 5)], "edit 'A:5 ins ' has no sequence"),
        (
            [Edit("dup", "A", 5, 6, 1)],
            "edit 'A:5-6 dup x1': a duplication has at least 2 copies in all, not 1",
        ),
        (
            [Edit("del", "a", 5, 6)],
            "'a:5-6 del': genome 'text' has no chromosome 'a'; did you mean 'A'?",
        ),
        ([Edit("del", "A", 0, 10)], "nothing is left of 'A': A:0-10 del"),
        (
            [Edit("del", "A", 0, 5), Edit("del", "A", 5, 10)],
            "nothing is left of 'A': A:0-5 del; A:5-10 del",
        ),
        # sequence of the changes
        (
            [Edit("ins", "A", 5, 5, sequence=(Segment("B", 7, 13),))],
            "B:7-13(+) of 'A:5 ins B:7-13(+)' is empty, reversed, has no strand, or ",
        ),
        (
            [Edit("ins", "A", 5, 5, sequence=(Segment("B", 7, 13),))],
            "lies outside B, which is 12 bp long",
        ),
        (
            [Edit("ins", "A", 5, 5, sequence=(Segment("B", 7, 3),))],
            "B:7-3(+) of 'A:5 ins B:7-3(+)' is empty, reversed",
        ),
        (
            [Edit("ins", "A", 5, 5, sequence=(Segment("B", 7, 7),))],
            "B:7-7(+) of 'A:5 ins B:7-7(+)' is empty",
        ),
        (
            [Edit("ins", "A", 5, 5, sequence=(Segment("B", -1, 7),))],
            "B:-1-7(+) of 'A:5 ins B:-1-7(+)' is empty, reversed",
        ),
        (
            [Edit("ins", "A", 5, 5, sequence=(Segment("B", 1, 7, "."),))],
            "B:1-7(.) of 'A:5 ins B:1-7(.)' is empty, reversed, has no strand",
        ),
        (
            [Edit("ins", "A", 5, 5, sequence=(Segment("", 4, 2),))],
            "-2 bp of N of 'A:5 ins -2N' is empty, reversed",
        ),
        (
            [Edit("sub", "A", 5, 6, sequence=(Segment("", 2, 5, "+", b"ACGT"),))],
            "3 bp of literal sequence of 'A:5-6 sub GT' is empty, reversed",
        ),
        (
            [Edit("sub", "A", 5, 6, sequence=(Segment("", 2, 5, "+", b"ACGT"),))],
            "lies outside its letters",
        ),
        (
            [Edit("sub", "A", 5, 6, sequence=(Segment("D", 2, 5),))],
            "'A:5-6 sub D:2-5(+)': genome 'text' has no chromosome 'D'; it has: A, B",
        ),
        ([Contig("new", (Segment("B", 7, 13),))], "B:7-13(+) of 'new = B:7-13(+)' is empty"),
        (
            [Adjacency(Breakend("A", 1, "+"), Breakend("B", 1, "-"), (Segment("B", 7, 13),))],
            "B:7-13(+) of 'A:1(+)::B:7-13(+)::B:1(-)' is empty",
        ),
        # chromosomes given whole
        (
            [Contig("new", letters("A")), Contig("new", letters("C"))],
            "chromosome 'new' is given twice",
        ),
        ([Contig("new", ())], "chromosome 'new' is given without a sequence"),
        ([Contig("A", ())], "chromosome 'A' is given without a sequence"),
        ([Contig("A", letters("A")), DEL], "'A' is both edited ('A:2-6 del') and given whole"),
        (
            [Contig("A", letters("A")), join("A5+", "B5-")],
            "'A' is both joined ('A:5(+)::B:5(-)') and given whole",
        ),
        (
            [Contig("der_A", letters("A")), join("A5+", "B5-")],
            "two chromosomes would be called 'der_A'; give the custom one another name",
        ),
        # joins
        (
            [join("A11+", "B5-")],
            "breakend A:11(+) of 'A:11(+)::B:5(-)' lies outside A, which is 10 bp long",
        ),
        (
            [join("A5+", "B13-")],
            "breakend B:13(-) of 'A:5(+)::B:13(-)' lies outside B, which is 12 bp long",
        ),
        (
            [join("A5+", "D13-")],
            "'A:5(+)::D:13(-)': genome 'text' has no chromosome 'D'; it has: A, B",
        ),
        ([join("A5+", "A11-")], "edit 'A:5-11 del' lies outside A, which is 10 bp long"),
        ([join("A5+", "A5+")], "the adjacency 'A:5(+)::A:5(+)' has both ends at one place"),
        ([join("A5+", "A5-")], "edit 'A:5 ins ' has no sequence"),
        (
            [join("A5+", "A5+"), join("A2+", "B5-")],
            "the adjacency 'A:5(+)::A:5(+)' has both ends at one place",
        ),
        (
            [join("A5+", "B5-"), join("A5+", "B7-")],
            "breakend A:5(+) is joined twice: to B:5(-) and to B:7(-)",
        ),
        ([join("A5+", "B5-"), join("A5+", "B5-")], "breakend A:5(+) is joined twice"),
        (
            [join("A2+", "B3-"), join("B5+", "A2-"), join("B3+", "A6-")],
            "a side of a cut of A is joined to nothing (A:6(+)); join it too",
        ),
        (
            [join("A2+", "A6-"), join("A4+", "B5-")],
            "the adjacencies that leave A:2(-), A:6(+) over contradict each other, or what "
            "others make "
            "of A",
        ),
        # a piece of A with a piece of B, beside the two chromosomes that close up again
        (
            [join("A7+", "B3-"), join("B8+", "A3-"), join("A3+", "A7-"), join("B3+", "B8-")],
            "circular chromosomes are not predicted",
        ),
        ([join("A6+", "A2-"), join("A4+", "B5-")], "the adjacencies run in a circle"),
    ],
)
def test_changes_that_cannot_be(changes, message):
    with pytest.raises(EditError, match=re.escape(message)):
        apply_edits(AB, changes)


def test_two_records_of_a_three_way_translocation_are_too_few():
    with pytest.raises(
        EditError,
        match=re.escape("a side of a cut of A is joined to nothing (A:4(-)); join it too"),
    ):
        apply_edits(ABC, [join(*THREE[0]), join(*THREE[1])])


def test_breakends_have_a_side():
    with pytest.raises(
        EditError,
        match=re.escape(
            "breakend 'A:5(left)' has the side 'left'; it is + (left of the cut) or - (right of it)"
        ),
    ):
        Breakend("A", 5, "left")
    assert Breakend("A", 5, "+").other == Breakend("A", 5, "-")


def test_what_has_no_inverse():
    plain = apply_edits(AB)
    for change in (join("A5+", "B5-"), Contig("new", letters("A"))):
        with pytest.raises(EditError, match="only edits within chromosomes have an inverse"):
            inverse(plain, [change])
    with pytest.raises(EditError, match="edits overlap: 'A:2-6 del' and 'A:2-6 del'"):
        inverse(plain, [DEL, DEL])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a literal sequence is empty"),
        (
            "ACGX",
            "the literal sequence ACGX holds 'X' at letter 4; only A, C, G, T and N are sequence",
        ),
        ("ACGU", "holds 'U' at letter 4"),
        ("A-C", "holds '-' at letter 2"),
        ("AC\n", "holds '\\n' at letter 3"),
        ("A" * 40 + "R", f"the literal sequence {'A' * 20}... (41 bp) holds 'R' at letter 41"),
    ],
)
def test_letters_that_are_none(text, message):
    with pytest.raises(EditError, match=re.escape(message)):
        Segment.letters(text)
    if text:
        with pytest.raises(EditError, match=re.escape(message)):
            Segment.letters(text.encode())


@pytest.mark.parametrize(
    ("segments", "error", "message"),
    [
        (
            [Segment("A", 5, 5)],
            GenomeError,
            "segment A:5-5(+) of 'x' is empty, reversed or has no strand",
        ),
        (
            [Segment("A", 0, 5), Segment("A", 5, 2)],
            GenomeError,
            "segment A:5-2(+) of 'x' is empty, reversed or has no strand",
        ),
        (
            [Segment("A", 2, 5, "*")],
            GenomeError,
            "segment A:2-5(*) of 'x' is empty, reversed or has no strand",
        ),
        (
            [Segment("", 5, 2)],
            GenomeError,
            "segment -3 bp of N of 'x' is empty, reversed or has no strand",
        ),
        (
            [Segment("", 0, 5, "+", b"ACGT")],
            GenomeError,
            "segment 5 bp of literal sequence of 'x' lies outside its 4 letters",
        ),
        ([Segment("", -1, 3, "+", b"ACGT")], GenomeError, "lies outside its 4 letters"),
        ([Segment("D", 2, 5)], GenomeError, "genome 'text' has no chromosome 'D'; it has: A, B"),
        ([], EditError, "nothing is left of 'x': a chromosome cannot be empty"),
    ],
)
def test_contigs_that_cannot_be(segments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        EditedGenome(AB, {"x": segments})


def test_questions_that_cannot_be():
    genome = apply_edits(AB, [join("A5+", "B5-")], name="mine")
    message = "genome 'mine' has no chromosome 'A'; it has: der_A, der_B"
    for ask in (
        lambda: genome.fetch("A", 0, 5),
        lambda: genome.segments("A", 0, 5),
        lambda: genome.overhanging("A", 0, 5),
        lambda: genome.flat([Segment("A", 0, 5)]),
        lambda: genome.junctions("A"),
        lambda: genome.to_reference("A", np.array([1])),
    ):
        with pytest.raises(GenomeError, match=message):
            ask()
    with pytest.raises(GenomeError, match="genome 'text' has no chromosome 'der_A'; it has: A, B"):
        genome.from_reference("der_A", 0, 5)
    with pytest.raises(
        RegionError, match=re.escape("der_A:1,000-5 is reversed: its end lies before its start")
    ):
        genome.fetch("der_A", 1_000, 5)
    assert issubclass(EditError, OrcaCoolError)


# The size of the human genome
# ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hg38() -> LazyGenome:
    return LazyGenome()


def test_the_lazy_genome_is_one_genome(hg38):
    whole = hg38.fetch("chr1", 1_000, 2_000)
    assert np.array_equal(hg38.fetch("chr1", 1_500, 1_600), whole[500:600])
    assert np.bincount(whole).min() > 200  # of 250 expected each
    assert np.mean(whole == hg38.fetch("chr2", 1_000, 2_000)) < 0.35
    assert hg38.fetch("chrM", -2, 1).tolist()[:2] == [4, 4]
    assert hg38.fetch("chrM", 16_568, 16_571).tolist()[1:] == [4, 4]
    assert len(SIZES) == 25
    assert sum(SIZES.values()) == 3_088_286_401  # what UCSC gives for chr1-22, X, Y and M


def reference_of(genome: EditedGenome, chrom: str, *positions: int) -> list[tuple[str, int, int]]:
    names = [*genome.source.chromsizes, ""]
    return [
        (names[c], int(p), int(s))
        for c, p, s in zip(*genome.to_reference(chrom, np.array(positions)))
    ]


def test_duplication_of_17q24(hg38):
    """A duplication of the SOX9 - KCNJ2 locus: 71,884,859 - 70,845,859 = 1,039,000 bp."""
    genome = apply_edits(hg38, [Edit("dup", "chr17", 70_845_859, 71_884_859)])
    # the first copy goes on from what precedes it, the second into what follows it
    assert genome.contigs["chr17"] == (
        Segment("chr17", 0, 71_884_859),
        Segment("chr17", 70_845_859, 83_257_441),
    )
    assert genome.chromsizes["chr17"] == 84_296_441  # 83,257,441 + 1,039,000
    assert genome.junctions("chr17") == [71_884_859]
    assert genome.edited == ["chr17"]
    assert reference_of(genome, "chr17", 71_884_858, 71_884_859, 72_000_000, 84_296_440) == [
        ("chr17", 71_884_858, 1),
        ("chr17", 70_845_859, 1),
        ("chr17", 70_961_000, 1),  # 72,000,000 - 1,039,000
        ("chr17", 83_257_440, 1),
    ]
    assert genome.from_reference("chr17", 71_000_000, 71_000_100) == [
        LiftedInterval("chr17", 71_000_000, 71_000_100, 71_000_000, 71_000_100, "+"),
        LiftedInterval(
            "chr17", 72_039_000, 72_039_100, 71_000_000, 71_000_100, "+"
        ),  # 1,039,000 further
    ]
    assert genome.from_reference("chr17", 80_000_000, 80_000_001) == [
        LiftedInterval("chr17", 81_039_000, 81_039_001, 80_000_000, 80_000_001, "+")
    ]
    around = genome.fetch("chr17", 71_884_849, 71_884_869)
    assert np.array_equal(
        around,
        np.r_[
            hg38.fetch("chr17", 71_884_849, 71_884_859), hg38.fetch("chr17", 70_845_859, 70_845_869)
        ],
    )


def test_deletion_and_inversion_at_the_epha4_locus(hg38):
    """Both at once: 222,000,000 - 220,295,000 = 1,705,000 bp fewer; the inversion of 1,280,000 bp
    lies before the deletion.
    """
    genome = apply_edits(
        hg38,
        [
            Edit("del", "chr2", 220_295_000, 222_000_000),
            Edit("inv", "chr2", 218_875_000, 220_155_000),
        ],
    )
    assert genome.contigs["chr2"] == (
        Segment("chr2", 0, 218_875_000),
        Segment("chr2", 218_875_000, 220_155_000, "-"),
        Segment("chr2", 220_155_000, 220_295_000),
        Segment("chr2", 222_000_000, 242_193_529),
    )
    assert genome.chromsizes["chr2"] == 240_488_529  # 242,193,529 - 1,705,000
    assert genome.junctions("chr2") == [218_875_000, 220_155_000, 220_295_000]
    assert reference_of(
        genome,
        "chr2",
        218_874_999,
        218_875_000,
        219_000_000,
        220_154_999,
        220_155_000,
        220_295_000,
        240_488_528,
    ) == [
        ("chr2", 218_874_999, 1),
        ("chr2", 220_154_999, -1),
        ("chr2", 220_029_999, -1),  # 218,875,000 + 220,155,000 - 1 - 219,000,000
        ("chr2", 218_875_000, -1),
        ("chr2", 220_155_000, 1),
        ("chr2", 222_000_000, 1),
        ("chr2", 242_193_528, 1),
    ]
    assert genome.from_reference("chr2", 221_000_000, 221_500_000) == []
    # half in the inversion: its last 1,000 bp are its first
    assert genome.from_reference("chr2", 220_154_000, 220_156_000) == [
        LiftedInterval("chr2", 218_875_000, 218_876_000, 220_154_000, 220_155_000, "-"),
        LiftedInterval("chr2", 220_155_000, 220_156_000, 220_155_000, 220_156_000, "+"),
    ]
    assert np.array_equal(
        genome.fetch("chr2", 218_875_000, 218_875_010),
        3 - hg38.fetch("chr2", 220_154_990, 220_155_000)[::-1],
    )
    back = apply_edits(
        genome, inverse(apply_edits(hg38), [Edit("inv", "chr2", 218_875_000, 220_155_000)])
    )
    assert back.junctions("chr2") == [220_295_000]


def test_translocation_of_chr5_and_chr7(hg38):
    genome = apply_edits(
        hg38, [Adjacency(Breakend("chr5", 89_411_065, "+"), Breakend("chr7", 94_378_248, "-"))]
    )
    assert list(genome.contigs)[3:8] == ["chr4", "der_chr5", "chr6", "der_chr7", "chr8"]
    assert genome.contigs["der_chr5"] == (
        Segment("chr5", 0, 89_411_065),
        Segment("chr7", 94_378_248, 159_345_973),
    )
    assert genome.contigs["der_chr7"] == (
        Segment("chr7", 0, 94_378_248),
        Segment("chr5", 89_411_065, 181_538_259),
    )
    # chr7's right side has 159,345,973 - 94,378,248 = 64,967,725 bp, chr5's 181,538,259 -
    # 89,411,065 = 92,127,194 bp
    assert genome.chromsizes["der_chr5"] == 154_378_790  # 89,411,065 + 64,967,725
    assert genome.chromsizes["der_chr7"] == 186_505_442  # 94,378,248 + 92,127,194
    assert sum(genome.chromsizes.values()) == sum(SIZES.values())
    assert genome.edited == ["der_chr5", "der_chr7"]
    assert reference_of(genome, "der_chr5", 89_411_064, 89_411_065, 100_000_000) == [
        ("chr5", 89_411_064, 1),
        ("chr7", 94_378_248, 1),
        ("chr7", 104_967_183, 1),  # 94,378,248 + 100,000,000 - 89,411,065
    ]
    assert genome.from_reference("chr5", 100_000_000, 100_000_010) == [
        # 94,378,248 + 100,000,000 - 89,411,065
        LiftedInterval("der_chr7", 104_967_183, 104_967_193, 100_000_000, 100_000_010, "+")
    ]
    joined = genome.fetch("der_chr5", 89_411_060, 89_411_070)
    assert np.array_equal(
        joined,
        np.r_[
            hg38.fetch("chr5", 89_411_060, 89_411_065), hg38.fetch("chr7", 94_378_248, 94_378_253)
        ],
    )


def test_deletions_of_90_megabases_and_at_the_ends(hg38):
    genome = apply_edits(
        hg38,
        [
            Edit("del", "chr1", 30_000_000, 120_000_000),
            Edit("del", "chr4", 0, 1_000_000),
            Edit("del", "chrX", 155_000_000, 156_040_895),
        ],
    )
    assert genome.contigs["chr1"] == (
        Segment("chr1", 0, 30_000_000),
        Segment("chr1", 120_000_000, 248_956_422),
    )
    assert genome.chromsizes["chr1"] == 158_956_422
    assert reference_of(genome, "chr1", 29_999_999, 30_000_000, 158_956_421, 158_956_422) == [
        ("chr1", 29_999_999, 1),
        ("chr1", 120_000_000, 1),
        ("chr1", 248_956_421, 1),
        ("", -1, 0),
    ]
    assert genome.contigs["chr4"] == (Segment("chr4", 1_000_000, 190_214_555),)
    assert genome.chromsizes["chr4"] == 189_214_555
    assert genome.junctions("chr4") == []
    assert reference_of(genome, "chr4", -1, 0) == [("", -1, 0), ("chr4", 1_000_000, 1)]
    assert genome.from_reference("chr4", 999_999, 1_000_001) == [
        LiftedInterval("chr4", 0, 1, 1_000_000, 1_000_001, "+")
    ]
    assert genome.contigs["chrX"] == (Segment("chrX", 0, 155_000_000),)
    assert genome.chromsizes["chrX"] == 155_000_000
    assert genome.from_reference("chrX", 154_999_999, 156_040_895) == [
        LiftedInterval("chrX", 154_999_999, 155_000_000, 154_999_999, 155_000_000, "+")
    ]
    assert np.array_equal(
        genome.fetch("chrX", 154_999_995, 155_000_005),
        np.r_[hg38.fetch("chrX", 154_999_995, 155_000_000), [4] * 5],
    )
    assert np.array_equal(
        genome.fetch("chr4", -5, 5), np.r_[[4] * 5, hg38.fetch("chr4", 1_000_000, 1_000_005)]
    )
    assert genome.edited == ["chr1", "chr4", "chrX"]


def test_little_is_read_to_edit(hg38):
    """A 90 Mb deletion with a few letters in its place does not read 90 Mb."""
    genome = LazyGenome()
    apply_edits(
        genome,
        [
            Edit("sub", "chr1", 30_000_000, 120_000_000, sequence=letters("ACGTACGT")),
            Edit("inv", "chr2", 0, 10**8),
        ],
    )
    assert genome.read <= 16
