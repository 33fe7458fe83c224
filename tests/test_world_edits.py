"""Edits of the simulated world: what is drawn does what its kind says, and its truth is that of the
simulation.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lefsim", reason="lefsim is not installed")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "world"))

import edits as edits_script
import rules
from contacts import Physics
from draw import APART, KINDS, Chromosome
from edits import Bench, at_reference, make
from make import World, write_genome

from orca_cool.evaluate.edit_table import read_edits, read_true
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.open import open_genome
from orca_cool.variants import parse_edits

LENGTH, BINS = 1_400_000, 64


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    write_genome(World(folder, 2, LENGTH, 4000, 3, 1000, 1, Physics(snapshots=3)))
    return folder


def strong(codes, cell_type="a"):
    """(how many strong sites stop what comes from the right, from the left); weak ones in "b"."""
    found = rules.features(codes, cell_type)
    return found, sorted(zip(found.stops_from_right.tolist(), np.round(found.strength, 4).tolist()))


def test_edits_are_drawn_far_apart_and_each_does_what_its_kind_says(world):
    source = open_genome(str(world / "world.fa"))
    chromosome = Chromosome(source, "chr2", 1, BINS)
    before = source.fetch("chr2", 0, LENGTH)
    sites = strong(before, "b")[1]
    met = set()
    for types, some in chromosome.sets(25):
        assert len(types) in (1, 2)
        ends = [(e.start, e.end) for e in some]
        assert all(b[0] - a[1] >= APART for a, b in zip(ends, ends[1:]))
        firsts = [e.stretch for e in some]
        assert all(b - a >= BINS for a, b in zip(firsts, firsts[1:]))
        for e in some:
            met.add(e.kind)
            assert 0 <= e.stretch
            assert (e.stretch + BINS) * 4000 <= LENGTH
            genome = apply_edits(source, parse_edits(e.edit, source))
            after = genome.fetch("chr2", 0, genome.chromsizes["chr2"])
            found, new = strong(after, "b")
            change = len(new) - len(sites)
            if e.kind in ("decoy_deleted", "random_deleted", "synonymous"):
                assert new == sites
            elif e.kind == "motif_deleted":
                assert change == -1
                assert not (np.abs(found.position - e.start) < 9).any()
            elif e.kind == "motif_inserted":
                assert change == 1
                assert e.start + 9 in found.position
            elif e.kind == "motif_inverted":
                assert change == 0
                assert sum(right for right, _ in new) - sum(right for right, _ in sites) in (-1, 1)
            elif e.kind == "motif_weakened":
                assert sum(s for _, s in new) < sum(s for _, s in sites) - 0.2
            elif e.kind == "ap1_deleted":
                assert change == -2
                assert strong(after, "a")[1] == strong(before, "a")[1]
            else:
                grown = {"inversion": 0, "duplication": 200_000, "fusion": -200_000}
                assert len(after) - LENGTH == grown.get(e.kind, -20_000)
    assert len(met) >= len(KINDS) - 1


def test_the_same_edits_are_drawn_however_many_are_asked_for(world):
    source = open_genome(str(world / "world.fa"))
    few = list(Chromosome(source, "chr1", 1, BINS).sets(3))
    assert list(Chromosome(source, "chr1", 1, BINS).sets(6))[:3] == few
    assert list(Chromosome(source, "chr1", 2, BINS).sets(3)) != few


@pytest.mark.parametrize(
    ("edit", "origins"),
    [
        ("c:16000-24000 del", [*range(4), *range(6, 20)]),
        ("c:16000-24000 dup", [*range(6), 4, 5, *range(6, 20)]),
        ("c:16000-28000 inv", [0, 1, 2, 3, 6, 5, 4, *range(7, 20)]),
    ],
)
def test_maps_are_put_at_the_reference_bin_by_bin(edit, origins):
    class Source:
        name, chromsizes = "made", {"other": 9_000, "c": 80_000}

        def fetch(self, chrom, start, end):
            return np.zeros(end - start, np.uint8)

    genome = apply_edits(Source(), parse_edits(edit, Source()))
    values = np.random.default_rng(0).random((len(origins), len(origins)))
    found = at_reference(values, genome, "c", 4000)
    for i in range(20):
        for j in range(20):
            places = [
                values[a, b]
                for a, x in enumerate(origins)
                for b, y in enumerate(origins)
                if (x, y) == (i, j)
            ]
            assert found[i, j] == pytest.approx(np.mean(places) if places else np.nan, nan_ok=True)


def test_a_benchmark_is_made_goes_on_and_is_read_by_the_product(world, tmp_path):
    bench = Bench(world, tmp_path, ("chr1",), 2, Physics(snapshots=3, warm=50.0), bins=BINS)
    make(bench)
    rows = read_edits(tmp_path / "edits.tsv")
    assert len(rows) >= 3
    assert len({row.id for row in rows}) == len(rows)
    written = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in tmp_path.rglob("*.npz")}
    for row in rows:
        true = read_true(row)
        assert true.replicate is not None
        assert not np.array_equal(true.change, true.replicate)
        assert row.bins == BINS
    with (tmp_path / "edits.tsv").open() as stream:
        assert next(csv.reader(stream, delimiter="\t")) == list(edits_script.COLUMNS)
    table = (tmp_path / "edits.tsv").read_bytes()
    gone = rows[0].maps
    gone.unlink()
    (tmp_path / "edits.tsv").unlink()
    make(bench)
    assert (tmp_path / "edits.tsv").read_bytes() == table
    for path in tmp_path.rglob("*.npz"):
        time, data = written[path.name]
        with np.load(path) as new:
            (tmp_path / "old").write_bytes(data)
            with np.load(tmp_path / "old") as old:
                assert all(np.array_equal(new[k], old[k], equal_nan=True) for k in old.files)
        if f".{rows[0].id.split('.')[1]}." not in path.name:
            assert path.stat().st_mtime_ns == time, "what is there is not made again"
