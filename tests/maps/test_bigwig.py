"""bigWigs, read by pyBigWig and by UCSC's own code (pybbi)."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest

from orca_cool.errors import OutputError
from orca_cool.maps.bigwig import import_pybigwig, require_room, writing_bigwig

pyBigWig = pytest.importorskip("pyBigWig")


def test_each_bin_has_its_value_and_the_others_none(tmp_path):
    rng = np.random.default_rng(1)
    values = np.where(rng.random(251) < 0.3, np.nan, rng.normal(size=251)).astype(np.float32)
    values[[0, 1, 249, 250]] = 1.5, np.inf, np.nan, -2.5
    with writing_bigwig(tmp_path / "x.bw", {"b": 10_013, "a": 700}) as track:
        track.add("b", 0, 40, values[:100])
        track.add("b", 100, 40, values[100:])
    by_base = np.where(np.isfinite(values), values, np.nan).repeat(40)[:10_013]
    with pyBigWig.open(str(tmp_path / "x.bw")) as file:
        assert file.chroms() == {"b": 10_013, "a": 700}
        np.testing.assert_array_equal(file.values("b", 0, 10_013), by_base)
        assert file.intervals("a") is None


def test_chromosomes_are_found_however_many_there_are(tmp_path):
    """Unsorted trees of names confuse readers that search them."""
    bbi = pytest.importorskip("bbi")
    sizes = {f"c{k}": 100 + k for k in np.random.default_rng(2).permutation(700).tolist()}
    with writing_bigwig(tmp_path / "x.bw", sizes) as track:
        for chrom in sorted(sizes):
            track.add(chrom, 1, 50, np.array([sizes[chrom] / 2, sizes[chrom]]))
    assert dict(bbi.chromsizes(str(tmp_path / "x.bw"))) == sizes
    for chrom in ("c0", "c99", "c256", "c699"):
        size = sizes[chrom]
        found = bbi.fetch(str(tmp_path / "x.bw"), chrom, 0, size, missing=-1)
        wanted = [-1] * 50 + [size / 2] * 50 + [size] * min(50, size - 100)
        np.testing.assert_array_equal(found, wanted + [-1] * (size - len(wanted)))


def test_a_file_without_values_is_an_error(tmp_path):
    """UCSC's code takes it for a damaged one, and ends the process."""
    with (
        pytest.raises(OutputError, match=r"x\.bw would have no value"),
        writing_bigwig(tmp_path / "x.bw", {"a": 700}) as track,
    ):
        track.add("a", 0, 40, np.full(18, np.nan))


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyBigWig", None)
    with pytest.raises(OutputError, match=r"pip install 'orca-cool\[perturb\]'"):
        import_pybigwig()


def test_room_is_asked_for_before_the_library_meets_a_full_disk(tmp_path, monkeypatch):
    """Which it does not survive. What is asked for is enough for numbers that do not compress."""
    values = np.random.default_rng(3).normal(size=200_000)
    with writing_bigwig(tmp_path / "x.bw", {"a": 8_000_000}) as track:
        track.add("a", 0, 40, values)
    size = (tmp_path / "x.bw").stat().st_size
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=2 * size))
    with pytest.raises(OutputError, match=r"need about 8\.1 MB; \d\.\d MB are free \(No"):
        require_room(tmp_path, len(values), files=2)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=10 * size))
    require_room(tmp_path, len(values), files=2)
