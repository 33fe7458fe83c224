"""Maps as they come from others: weights that divide or are infinite, several coolers in a file, a
chromosome without contacts, .hic. The expected numbers are those of the same map with plain
weights.
"""

from __future__ import annotations

from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from orca_cool.cli import main
from orca_cool.errors import CoolerError
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.maps.expected_files import load_expected
from orca_cool.maps.observed import ObservedMap
from orca_cool.maps.open import open_map
from orca_cool.maps.panels import observed_panel

CASES = Path(__file__).parents[1] / "data" / "cases"
CHR2 = Region("chrII", 0, 813_000)


def expected_of(path: object, folder: Path, *options: str) -> np.ndarray:
    done = CliRunner().invoke(main, ["expected", "-q", str(path), "-o", str(folder), *options])
    assert done.exit_code == 0, done.output
    return load_expected(folder)[4000].cis


def refused(*arguments: object) -> str:
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == 2, done.output
    return done.output.strip().splitlines()[-1]


def test_infinite_weights_are_masked(tmp_path):
    plain = expected_of(CASES / "plain.cool", tmp_path / "plain")
    assert plain[0] == pytest.approx(0.18786, abs=1e-5)
    assert plain[10] == pytest.approx(0.01857, abs=1e-5)
    np.testing.assert_array_equal(
        expected_of(CASES / "infweights.cool", tmp_path / "infinite"), plain
    )


def test_each_cooler_of_a_file_is_what_its_path_opens(tmp_path):
    path = CASES / "two-cells.scool"
    message = refused("expected", path, "-o", tmp_path / "none")
    assert f"{path}::/cells/a, {path}::/cells/b" in message
    plain = expected_of(CASES / "plain.cool", tmp_path / "plain")
    for cell, times in (("cells/a", 1), ("/cells/b", 7)):
        found = expected_of(f"{path}::{cell}", tmp_path / cell.replace("/", ""))
        np.testing.assert_allclose(found, times * plain, rtol=1e-12)
    # tiles of both cells in one cache are not taken for one another
    a, b = (
        ObservedMap(f"{path}::/cells/{c}", 4000, cache=tmp_path / "cache").dense(
            Segment("chrI", 0, 200_000)
        )
        for c in "ab"
    )
    known = np.isfinite(a) & np.isfinite(b)
    assert known.sum() > 1000
    assert np.nanmedian(b[known] / a[known]) == pytest.approx(7, rel=0.05)
    with pytest.raises(CoolerError, match="several maps"):
        observed_panel(path, CHR2)
    assert "two-cells.scool" in observed_panel(f"{path}::/cells/b", CHR2).label


def test_weights_that_divide_are_divided_by():
    found = open_map(CASES / "divisive.mcool")
    clr = cooler.Cooler(found.uri(8000))
    truth = clr.matrix(balance="weight", divisive_weights=True).fetch("chrII")
    np.testing.assert_array_equal(found.balanced(8000).matrix().fetch("chrII"), truth)
    contact = observed_panel(found, CHR2, 8000, contact=True).values
    known = np.isfinite(contact)
    assert known.sum() > 5000
    np.testing.assert_allclose(10 ** contact[known], truth[known], rtol=1e-12)


def test_another_column_of_weights_is_named(tmp_path):
    bins = cooler.Cooler(str(CASES / "plain.cool")).bins()[:]
    bins["KR"] = 1 / bins["weight"] / 3
    path = tmp_path / "kr.cool"
    pixels = cooler.Cooler(str(CASES / "plain.cool")).pixels()[:]
    cooler.create_cooler(str(path), bins.drop(columns="weight"), pixels)
    plain = expected_of(CASES / "plain.cool", tmp_path / "plain")
    found = expected_of(path, tmp_path / "found", "--clr-weight-name", "KR")
    np.testing.assert_allclose(found, 9 * plain, rtol=1e-12)
    assert "it has KR (--clr-weight-name)" in refused("expected", path, "-o", tmp_path / "no")
    np.testing.assert_allclose(
        open_map(path, clr_weight_name="KR").fetch("chrII").values,
        open_map(CASES / "plain.cool").fetch("chrII").values,
        rtol=1e-4,
        atol=1e-6,
    )
    with pytest.raises(CoolerError, match="no column 'VC'"):
        observed_panel(open_map(path, "VC"), CHR2)


def test_a_chromosome_without_contacts_is_an_error(tmp_path):
    path = CASES / "nochrII.cool"
    assert "no contacts within 'chrII'" in refused("expected", path, "-o", tmp_path / "x")
    expected_of(path, tmp_path / "y", "--exclude", "chrII")
    for read in (lambda: observed_panel(path, CHR2), lambda: open_map(path).fetch("chrII")):
        with pytest.raises(CoolerError, match="no contacts within 'chrII'"):
            read()
    assert np.isfinite(open_map(path).fetch("chrI").values).any()


def test_a_hic_file_is_told_how_to_convert(tmp_path):
    path = tmp_path / "a map.hic"
    path.write_bytes(b"HIC\0" + bytes(100))
    line = f"`hictk convert '{path}' '{path.with_suffix('.mcool')}'`"
    for arguments in (
        ("expected", path, "-o", tmp_path / "x"),
        ("evaluate", path, path, "--chrom", "chrII"),
        ("plot", path, "-o", tmp_path / "x.png"),
        ("check", path),
    ):
        message = refused(*arguments)
        assert line in message
        assert "--clr-weight-name" in message


def test_counts_are_never_taken_from_a_difference(tmp_path):
    bins = cooler.binnify(pd.Series({"c": 100_000}), 1000)
    bins["weight"] = 1.0
    pixels = pd.DataFrame({"bin1_id": [0, 1], "bin2_id": [1, 2], "count": [-0.5, 0.5]})
    path = tmp_path / "x.diff.mcool"
    uri = f"{path}::resolutions/1000"
    cooler.create_cooler(
        uri, bins, pixels, dtypes={"count": np.float32}, metadata={"format": "orca-cool.diff"}
    )
    for read in (
        lambda: ObservedMap(path, 1000),
        lambda: observed_panel(path, Region("c", 0, 50_000)),
    ):
        with pytest.raises(CoolerError, match="the difference of two predictions"):
            read()
    assert "the difference of two predictions" in refused("expected", path, "-o", tmp_path / "e")
