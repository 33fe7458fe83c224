"""A track that gives E1 its sign: means over bins against plain loops, and what is refused."""

from __future__ import annotations

import gzip

import numpy as np
import pyBigWig
import pytest
from conftest import Drawn

from orca_cool.errors import RegionError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Edit
from orca_cool.genome.composition import gc_of_bins
from orca_cool.genome.segments import Segment
from orca_cool.maps.phasing import PhasingTrack, phasing_of

SIZES = {"a": 1_030, "b": 400}
#: Intervals of chromosome a with a value; 130 to 290 has none.
ROWS = [(0, 17, 1.5), (17, 130, -2.0), (290, 291, 8.0), (291, 700, 0.25), (700, 1_030, 3.0)]


@pytest.fixture(scope="module")
def source():
    return Drawn(SIZES, ("b", 100, 150))


@pytest.fixture(params=["t.bw", "t.bedgraph", "t.tsv.gz"])
def path(request, tmp_path):
    path = tmp_path / request.param
    text = "".join(f"a\t{s}\t{e}\t{v}\n" for s, e, v in ROWS)
    if path.suffix == ".bw":
        with pyBigWig.open(str(path), "w") as out:
            out.addHeader(sorted(SIZES.items()))
            rows = sorted([*ROWS, (140, 200, np.nan)])  # NaN says as little as no value
            starts, ends, values = zip(*rows, strict=True)
            out.addEntries(["a"] * len(rows), list(starts), ends=list(ends), values=list(values))
    elif path.suffix == ".gz":
        header = "chrom\tstart\tend\tvalue\n"
        path.write_bytes(gzip.compress((header + text + "a\t130\t290\tnan\n").encode()))
    else:
        path.write_text("track type=bedGraph\n" + text)
    return path


def by_base() -> np.ndarray:
    values = np.full(SIZES["a"], np.nan)
    for start, end, value in ROWS:
        values[start:end] = value
    return values


def means(values: np.ndarray, start: int, resolution: int, n: int) -> list[float]:
    out = []
    for k in range(n):
        first = start + k * resolution
        part = values[max(first, 0) : max(first + resolution, 0)]
        part = part[np.isfinite(part)]
        out.append(float(part.mean()) if len(part) else np.nan)
    return out


@pytest.mark.parametrize(("start", "resolution", "n"), [(0, 50, 21), (-150, 70, 20), (3, 10, 100)])
def test_bins_have_the_mean_of_their_bases(source, path, start, resolution, n):
    found = PhasingTrack(path)(source, "a", start, resolution, n)
    np.testing.assert_allclose(found, means(by_base(), start, resolution, n), rtol=1e-6)
    assert np.isnan(found).any()


def test_values_go_with_the_sequence(source, path):
    """Deleted, inverted, inserted: base by base."""
    letters = (Segment.letters(b"ACGT" * 20),)
    genome = apply_edits(
        source,
        [
            Edit("del", "a", 40, 75),
            Edit("ins", "a", 300, 300, sequence=letters),
            Edit("inv", "a", 500, 800),
        ],
    )
    v = by_base()
    new = np.concatenate([v[:40], v[75:300], np.full(80, np.nan), v[300:500], v[500:800][::-1]])
    new = np.concatenate([new, v[800:]])
    track = PhasingTrack(path)
    np.testing.assert_allclose(track(genome, "a", 0, 60, 18), means(new, 0, 60, 18), rtol=1e-6)
    # an edited genome of an edited genome
    again = apply_edits(genome, [Edit("del", "a", 0, 100)])
    np.testing.assert_allclose(track(again, "a", 0, 60, 16), means(new[100:], 0, 60, 16), rtol=1e-6)


def test_without_a_track_it_is_the_share_of_g_and_c(source):
    np.testing.assert_array_equal(
        phasing_of(None)(source, "a", 0, 100, 11), gc_of_bins(source, "a", 0, 100, 11)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\t0\t10\tname\n", "'name' is no number"),
        ("a\t0\t10\n", "is not bedGraph"),
        ("a\t0\t10\tx\t0\t+\n", "is not bedGraph"),
        ("a\tx\t10\t1.0\n", "is not bedGraph"),
        ("# nothing\n", "has no value"),
        ("a\t0\t10\tnan\n", "has no value"),
        ("a\t0\t10\t1\na\t9\t20\t2\n", "a:0-10 and a:9-20 overlap"),
    ],
)
def test_files_of_another_format(tmp_path, text, words):
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(RegionError, match=r"phasing track .*t\.txt") as error:
        PhasingTrack(tmp_path / "t.txt")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bigwig_that_is_none(tmp_path):
    (tmp_path / "t.bw").write_bytes(b"\x26\xfc\x8f\x88" + b"\0" * 40)
    with pytest.raises(RegionError, match=r"'.*t.bw' is a bigWig that cannot be read"):
        PhasingTrack(tmp_path / "t.bw")
    with pytest.raises(RegionError, match=r"missing.bw' cannot be read"):
        PhasingTrack(tmp_path / "missing.bw")


def test_what_gives_no_direction(source, path, tmp_path):
    track = PhasingTrack(path)
    with pytest.raises(RegionError, match=r"has no values in a:140-280"):
        track(source, "a", 140, 70, 2)
    with pytest.raises(RegionError, match=r"has the value 3 all over a:710-910"):
        track(source, "a", 710, 100, 2)
    (tmp_path / "other.bedgraph").write_text("chra\t0\t10\t1.5\n")
    other = PhasingTrack(tmp_path / "other.bedgraph")
    with pytest.raises(RegionError, match="has no chromosome 'a'; did you mean 'chra'"):
        other(source, "a", 0, 100, 3)
