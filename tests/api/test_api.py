"""The public API: what it gives equals files, tables and the command line; and it costs nothing
until it is used.
"""

from __future__ import annotations

import subprocess
import sys

import cooler
import numpy as np
import pandas as pd
import pytest
import runs
from click.testing import CliRunner

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.errors import EditError, GenomeError, ModelError, RegionError
from orca_cool.maps.contact_map import ContactMap

EDIT = "a:4,000-4,600 del"


@pytest.fixture(scope="module")
def p(place):
    return oc.Predictor(place / "toy", place / "toy.fa", device="cpu", progress=False)


@pytest.fixture(scope="module")
def whole(place, tmp_path_factory):
    """The file of chromosome a, on the command line."""
    out = tmp_path_factory.mktemp("whole") / "a.mcool"
    line = ["predict", "-q", "-m", f"{place}/toy", "-g", f"{place}/toy.fa", "-o", str(out), "a"]
    result = CliRunner().invoke(main, [*line, "--device", "cpu", "--strand-difference"])
    assert result.exit_code == 0, result.output
    return out


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import orca_cool", ("torch", "cooler", "numpy", "click")),
        ("import orca_cool as oc; oc.open_genome", ("torch", "cooler")),
        ("import orca_cool.cli.predict, orca_cool.cli.models", ("torch", "cooler", "pandas")),
    ],
)
def test_what_is_not_used_is_not_imported(code, absent):
    check = f"{code}; import sys; print([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, env=runs.environment()
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_every_public_name_is_there():
    for name in oc.__all__:
        assert getattr(oc, name).__doc__, name
    assert set(oc.__all__) <= set(dir(oc))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        oc.nothing  # noqa: B018


@pytest.mark.parametrize("region", ["a", "a:1,000-3,000", "a:1,013-2,999", "a:8,000-9,010"])
@pytest.mark.parametrize("resolution", [40, 80, 160, 320])
def test_a_region_is_the_slice_of_the_file(p, whole, region, resolution):
    """Values and strand differences: the same windows and the same blend."""
    m = p.predict(region, resolution)
    read = oc.open_map(whole).fetch(region, resolution)
    assert m.region == read.region
    assert np.array_equal(np.isfinite(m.values), np.isfinite(read.values))
    np.testing.assert_allclose(m.values, read.values, atol=2e-5)
    there = np.isfinite(read.expected)  # a file holds what its band reaches
    np.testing.assert_allclose(m.expected[there], read.expected[there], rtol=1e-12)
    pixels = cooler.Cooler(f"{whole}::resolutions/{resolution}").matrix(
        field="strand_difference", balance=False
    )
    theirs = pixels.fetch((m.chrom, m.start, m.end))
    known = np.isfinite(m.values)
    np.testing.assert_array_equal(m.strand_difference[known], theirs[known])


def test_the_finest_level_that_holds_the_region(p):
    assert p.predict("a:1,000-1,600").resolution == 40
    assert p.predict("a:1,000-3,000").resolution > 40
    filled, plain = (p.predict("a:1,000-5,000", 40, fill=f) for f in (True, False))
    assert np.isfinite(filled.values).sum() > np.isfinite(plain.values).sum()
    known = np.isfinite(plain.values)
    np.testing.assert_array_equal(filled.values[known], plain.values[known])


def test_zoom_is_that_of_the_command_line(p, place, tmp_path):
    out = tmp_path / "at.mcool"
    line = ["predict", "-q", "-m", f"{place}/toy", "-g", f"{place}/toy.fa", "-o", str(out)]
    result = CliRunner().invoke(main, [*line, "--device", "cpu", "--at", "a:4k", "--module", "S"])
    assert result.exit_code == 0, result.output
    zoom = p.zoom("a:4,000", module="S")
    assert list(zoom) == [160, 80, 40]
    with np.load(out.with_suffix(".npz")) as arrays:
        for resolution, m in zoom.items():
            assert isinstance(m, ContactMap)
            label = p.model.spec.label(resolution)
            np.testing.assert_array_equal(m.values, arrays[f"prediction_{label}"])
            assert arrays[f"region_{label}"].tolist() == [m.start, m.end]


def test_scores_are_those_of_the_table(p, place, tmp_path):
    """By `compare`, `score_variants`, `iter_scores`, and `orca-cool variants` with standard
    output.
    """
    (tmp_path / "v.edits").write_text(f"x\t{EDIT}\ny\tb:1,000-2,000 inv\n")
    table = p.score_variants(tmp_path / "v.edits", module="S")
    assert table["status"].str.startswith("ok").all()
    assert next(p.iter_scores(tmp_path / "v.edits", module="S"))["name"] == "x"
    one = table[(table["name"] == "x") & (table["resolution"] == 80)].iloc[0]
    scores = p.compare(EDIT, 80, module="S").scores()
    for name, value in scores.items():
        np.testing.assert_equal(one[name], value, err_msg=name)
    line = ["variants", "-", "-m", f"{place}/toy", "-g", f"{place}/toy.fa", "--module", "S"]
    result = CliRunner().invoke(
        main, [*line, "--device", "cpu", "-q", "-o", "-"], input=(tmp_path / "v.edits").read_text()
    )
    assert result.exit_code == 0, result.output
    (tmp_path / "t.tsv").write_text(result.stdout)
    printed = pd.read_csv(tmp_path / "t.tsv", sep="\t")
    assert list(printed.columns) == list(table.columns)
    for name in scores:
        np.testing.assert_allclose(
            printed[name].astype(float), table[name].astype(float), rtol=1e-7, err_msg=name
        )


def test_comparison_of_an_edit(p):
    found = p.comparisons(EDIT, module="S")
    assert [c.resolution for c in found] == [160, 80, 40]
    c = found[-1]
    known = np.isfinite(c.reference.values)
    np.testing.assert_allclose(
        c.difference.values[known], c.alternate.values[known] - c.reference.values[known]
    )
    with pytest.raises(EditError, match="2 places"):
        p.compare("a:500-600 del; a:8,000-8,100 del", 40, module="S")
    second = p.compare("a:500-600 del; a:8,000-8,100 del", 40, module="S", site=1)
    assert second.site.position > 7000


def test_an_edited_genome_is_a_genome(p, place, tmp_path):
    """Its file is that of the command line, and its sequence that of the edit."""
    alt = p.edit(EDIT)
    assert alt.genome.chromsizes["a"] == 9010 - 600
    whole = p.genome.fetch("a", 0, 9010)
    assert alt.genome.fetch("a", 0, 8410) == whole[:4000] + whole[4600:]
    paths = alt.to_mcool(tmp_path / "one.mcool", modules="S", levels="40,80,160")
    line = ["-q", "predict", "-m", f"{place}/toy", "-g", f"{place}/toy.fa", "--device", "cpu"]
    line += ["-o", str(tmp_path / "two.mcool"), "--edit", EDIT, "--module", "S"]
    result = CliRunner().invoke(main, [*line, "--levels", "40,80,160"])
    assert result.exit_code == 0, result.output
    assert paths[0] == tmp_path / "one.mcool"
    one, two = (runs.contents(tmp_path / f"{name}.mcool") for name in ("one", "two"))
    assert [name for name in {*one, *two} if one.get(name) != two.get(name)] == []
    m = alt.predict("a:3,000-5,000", 160)
    written = cooler.Cooler(f"{tmp_path / 'two.mcool'}::resolutions/160")
    assert m.values.shape == written.matrix(balance=True).fetch("a:3000-5000").shape == (14, 14)


def test_what_cannot_be(p, place):
    with pytest.raises(RegionError, match="chromosome 'z'"):
        p.predict("z")
    with pytest.raises(ModelError, match="no level 50 bp; it has: 40, 80"):
        p.predict("a", 50)
    with pytest.raises(ModelError, match="no cell type 'liver'; it has: toy"):
        oc.Predictor(place / "toy", place / "toy.fa", cell_type="liver", device="cpu")
    with pytest.raises(
        ModelError, match="no module has all of the levels 50; there are S: 160, 80, 40"
    ):
        p.compare(EDIT, 50)
    with pytest.raises(EditError, match="changes nothing"):
        p.comparisons("a:1,000-1,001 sub " + p.genome.fetch("a", 1000, 1001))
    with pytest.raises(GenomeError, match="no chromosome 'q'"):
        p.genome.fetch("q", 0, 1)


def test_model_and_genome():
    model = oc.load_model("yeast-metaphase")
    assert model.levels == (2000, 4000, 8000)
    genome = oc.open_genome("example")
    assert genome.chromsizes == {"chrI": 230208, "chrII": 813178}
    assert repr(genome) == "<Genome 'example': 2 sequences, 1,043,386 bp>"
    (edit,) = oc.parse_edits("chrI:5,000 ins ACGT", genome)
    assert str(edit) == "chrI:5,000 ins ACGT"
