"""Where edited genomes depart from their reference, as HiGlass's views are told."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Drawn
from hypothesis import given, settings
from hypothesis import strategies as st

from higlass_plugin.registry.breakpoints import breakpoints, places
from orca_cool.errors import EditError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.variants import parse_edits

SOURCE = Drawn({"a": 9_000, "b": 6_000}, ("b", 1_000, 1_415))


def edited(text: str):
    return apply_edits(SOURCE, parse_edits(text, SOURCE))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ("a:1000-2000 del", [("a", 1000, "a", 1000), ("a", 1000, "a", 2000)]),
        ("a:1000-2000 inv", [("a", 1000, "a", 1000), ("a", 2000, "a", 2000)]),
        ("a:1000-2000 dup", [("a", 2000, "a", 2000), ("a", 2000, "a", 1000)]),
        ("a:1000 ins ACGT", [("a", 1000, "a", 1000), ("a", 1004, "a", 1000)]),
        # where a copy came from, the reference is as it was
        ("a:1000 ins a:5000-5400", [("a", 1000, "a", 1000), ("a", 1400, "a", 1000)]),
        ("a:5000 ins a:1000-1400", [("a", 5000, "a", 5000), ("a", 5400, "a", 5000)]),
        ("a:5000 ins b:1000-1400", [("a", 5000, "a", 5000), ("a", 5400, "a", 5000)]),
        # between two pieces of a copy, too, the reference is looked at where they were put
        (
            "a:5000 ins b:1000-1400, b:3000-3100",
            [("a", 5000, "a", 5000), ("a", 5400, "a", 5000), ("a", 5500, "a", 5000)],
        ),
        ("a:1000-1100 sub b:1000-1400", [("a", 1000, "a", 1000), ("a", 1400, "a", 1100)]),
        # moved: gone from one place, and in another
        (
            "a:3000-4000 del; a:1000 ins a:3000-4000",
            [
                ("a", 1000, "a", 1000),
                ("a", 2000, "a", 1000),
                ("a", 4000, "a", 3000),
                ("a", 4000, "a", 4000),
            ],
        ),
        ("b = b:1000-6000", [("b", 0, "b", 1000)]),
        (
            "a:1000-2000 del; b:3000-3100 inv",
            [
                ("a", 1000, "a", 1000),
                ("a", 1000, "a", 2000),
                ("b", 3000, "b", 3000),
                ("b", 3100, "b", 3100),
            ],
        ),
    ],
)
def test_each_breakpoint_in_both_genomes(edit, expected):
    found = breakpoints(edited(edit))
    assert [(b.contig, b.position, b.chrom, b.reference) for b in found] == expected


def test_a_translocation_has_a_breakpoint_on_each_chromosome():
    found = breakpoints(edited("a:4000(+)::b:3000(-)"))
    assert {(b.chrom, b.reference) for b in found} == {("a", 4000), ("b", 3000)}
    assert len(found) == 4, "both derivative chromosomes have both"


def test_chromosomes_joined_end_to_end_are_broken_nowhere_but_have_a_place():
    genome = edited("a::b")
    assert {(b.position, b.chrom, b.reference) for b in breakpoints(genome)} == {
        (9000, "a", 9000),
        (9000, "b", 0),
    }
    assert places(breakpoints(genome), genome) == {"a": [9000], "b": [0]}


OPERATIONS = st.one_of(
    st.builds("{0}:{1}-{2} {3}".format, st.just("a"), st.integers(1, 4400), st.integers(4401, 8999),
              st.sampled_from(["del", "inv", "dup", "dup x3", "sub ACGTA", "sub b:40-90(-)"])),
    st.builds("b:{0} ins {1}".format, st.integers(1, 5999),
              st.sampled_from(["ACGT", "a:100-900", "b:2000-2100", "b:10-5000(-)"])),
    st.just("a:4000(+)::b:3000(-)"),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(OPERATIONS, min_size=1, max_size=3))
def test_the_bases_beside_a_breakpoint_are_those_of_the_reference_there(operations):
    try:
        genome = edited("; ".join(operations))
    except EditError:
        return  # they overlap
    found, names = breakpoints(genome), list(SOURCE.chromsizes)
    for contig in genome.edited:
        own = {b.position for b in found if b.contig == contig}
        assert set(genome.junctions(contig)) <= own, "every junction is a stop"
    for before, b in zip([None, *found], found):
        if before and (before.chrom, before.reference) == (b.chrom, b.reference):
            continue  # between two pieces of new sequence, or at its end
        beside = [x for x in (b.position - 1, b.position) if 0 <= x < genome.chromsizes[b.contig]]
        chroms, at, _ = genome.to_reference(b.contig, np.array(beside))
        assert any(
            c >= 0 and names[c] == b.chrom and x in (b.reference - 1, b.reference)
            for c, x in zip(chroms, at)
        )
