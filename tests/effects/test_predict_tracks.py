"""``orca-cool predict --tracks``: bigWigs against cooltools on the predicted file, and against the
profiles that Python gives.
"""

from __future__ import annotations

import base64
import os
import signal
import sys

import bioframe
import cooler
import cooltools
import numpy as np
import pandas as pd
import processes
import pytest
import runs
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.effects import companion_outputs
from orca_cool.errors import ModelError, OutputError
from orca_cool.genome.open import open_genome
from orca_cool.maps.bigwig import BigWig
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import save_bundle
from orca_cool.prediction import track_writer
from orca_cool.prediction.tracks import profile_paths

pyBigWig = pytest.importorskip("pyBigWig")

#: A diamond of 10 bins of 40 bp needs 19 of distance, more than the 16 of a window.
FILL = "--fill-distance", "760"


def call(place, *arguments: object):
    line = ["predict", "-q", "-m", place / "toy", "-g", place / "toy.fa", "--device", "cpu"]
    return CliRunner().invoke(main, [str(a) for a in [*line, *arguments]])


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def in_bins(path, chrom, resolution) -> np.ndarray:
    """The track's value of each bin, which is that of all of its bases; NaN where it has none."""
    with pyBigWig.open(str(path)) as file:
        size = file.chroms(chrom)
        by_base = np.array(file.values(chrom, 0, size))
    values = by_base[::resolution]
    np.testing.assert_array_equal(values.repeat(resolution)[:size], by_base)
    return values


def of_tile(tile: dict) -> np.ndarray:
    """The numbers of a tile of HiGlass."""
    kind = {"float16": "<f2", "float32": "<f4"}[tile["dtype"]]
    return np.frombuffer(base64.b64decode(tile["dense"]), kind).astype(float)


def assert_cooltools_insulation(track, mcool, chroms, resolution=40) -> None:
    """Equal but for a constant, wherever both have a value."""
    clr = cooler.Cooler(f"{mcool}::resolutions/{resolution}")
    table = cooltools.insulation(clr, [10 * resolution], ignore_diags=2, min_dist_bad_bin=0)
    for chrom in chroms:
        of_chrom = table[table["chrom"] == chrom]
        theirs = of_chrom[f"log2_insulation_score_{10 * resolution}"].to_numpy()
        mine = in_bins(track, chrom, resolution)
        both = np.isfinite(theirs) & np.isfinite(mine)
        assert both.sum() > 0.75 * np.isfinite(theirs).sum() > 50
        assert both.sum() == np.isfinite(mine).sum()
        assert (mine - theirs)[both].std() < 1e-5
        assert theirs[both].std() > 0.02


def assert_cooltools_e1(track, mcool, genome, levels: dict[str, int]) -> None:
    """cooltools' E1 of the whole chromosome's map; its sign goes with G and C, counted here."""
    for chrom, resolution in levels.items():
        clr = cooler.Cooler(f"{mcool}::resolutions/{resolution}")
        bins = bioframe.binnify(clr.chromsizes, resolution)
        bins = bins[bins["chrom"] == chrom].reset_index(drop=True)
        codes = [genome.fetch(*b) for b in bins.itertuples(index=False)]
        gc = np.array([np.isin(c, (1, 2)).sum() / (c < 4).sum() for c in codes])
        size = int(clr.chromsizes[chrom])
        view = pd.DataFrame({"chrom": [chrom], "start": [0], "end": [size], "name": [chrom]})
        _, found = cooltools.eigs_cis(
            clr, view_df=view, n_eigs=1, ignore_diags=0, clip_percentile=100
        )
        theirs = found[found["chrom"] == chrom]["E1"].to_numpy()
        mine = in_bins(track, chrom, resolution)
        both = np.isfinite(mine) & np.isfinite(theirs)
        assert both.sum() > 8
        assert abs(np.corrcoef(mine[both], theirs[both])[0, 1]) > 0.999
        assert np.corrcoef(mine[both], gc[both])[0, 1] > 0
        np.testing.assert_allclose(np.mean(mine[both] ** 2), 1, rtol=1e-5)


@pytest.fixture(scope="module")
def written(place, tmp_path_factory):
    """A prediction of two of three chromosomes, with all tracks."""
    folder = tmp_path_factory.mktemp("written")
    output = folder / "x.mcool"
    done = call(place, "a", "c", *FILL, "--tracks", "profiles,insulation, e1", "-o", output)
    assert done.exit_code == 0, done.output
    tracks = ["x.insulation.bw", "x.e1.bw", "x.a.bw", "x.b.bw"]
    assert [line.split("/")[-1] for line in done.stdout.splitlines()][-4:] == tracks
    assert {name for name in names(folder) if not name.endswith((".tsv", ".bed"))} == {
        "x.mcool",
        *tracks,
    }
    return output


def test_insulation_is_cooltools_less_a_constant(written):
    assert_cooltools_insulation(written.with_name("x.insulation.bw"), written, ["a"])
    ends = in_bins(written.with_name("x.insulation.bw"), "c", 40)  # 23 bins
    assert np.isfinite(ends).tolist() == [9 <= k < 23 - 9 for k in range(23)]


def test_insulation_is_over_the_expected_of_the_file(written):
    """The constant: by hand, from the pixels and the table of expected of one bin."""
    clr = cooler.Cooler(f"{written}::resolutions/40")
    pixels = clr.matrix(balance=True).fetch("a")
    table = pd.read_csv(written.with_name("x.expected.40.tsv"), sep="\t")
    expected = table[table["region1"] == "a"].set_index("dist")["balanced.avg"]
    pairs = [(i, j) for i in range(91, 101) for j in range(100, 110) if j - i >= 2]
    mean = np.mean([pixels[i, j] for i, j in pairs])
    over = np.mean([expected[j - i] for i, j in pairs])
    found = in_bins(written.with_name("x.insulation.bw"), "a", 40)[100]
    np.testing.assert_allclose(found, np.log2(mean / over), atol=1e-5)


def test_e1_is_cooltools_with_the_sign_of_gc(written, place):
    genome = open_genome(place / "toy.fa")
    levels = {"a": 640, "c": 80}  # the finest at which 16 bins hold 9,010 and 900 bp
    assert_cooltools_e1(written.with_name("x.e1.bw"), written, genome, levels)


def test_profiles_are_those_of_python(written, place):
    p = oc.Predictor(str(place / "toy"), str(place / "toy.fa"), device="cpu", progress=False)
    for chrom in ("a", "c"):
        frame = p.profiles(chrom)
        for profile in ("a", "b"):
            found = in_bins(written.with_name(f"x.{profile}.bw"), chrom, 40)
            np.testing.assert_allclose(found, frame[profile], atol=1e-6)
            assert found.std() > 0.001


def test_a_chromosome_that_is_not_predicted_has_no_values(written):
    for track in ("insulation", "e1", "a", "b"):
        with pyBigWig.open(str(written.with_name(f"x.{track}.bw"))) as file:
            assert file.chroms() == runs.SIZES
            assert file.intervals("b") is None
            assert file.intervals("a")


@pytest.mark.parametrize("track", ["insulation", "e1", "b"])
def test_a_track_opens_beside_the_map_in_higlass(written, track):
    pytest.importorskip("clodius")
    from higlass_plugin.files.open import open_file

    path = written.with_name(f"x.{track}.bw")
    tileset = open_file(path, uid="u", chromsizes=runs.SIZES)
    assert tileset.datatype == "vector"
    zoom = tileset.info()["max_zoom"]
    ids = [f"u.{zoom}.{x}" for x in range(-(-9010 // 1024))]
    tiles = dict(tileset.tiles(ids))
    found = np.concatenate([of_tile(tiles[i]) for i in ids])[:9010]
    resolution = {"e1": 640}.get(track, 40)
    theirs = in_bins(path, "a", resolution).repeat(resolution)[:9010]
    both = np.isfinite(theirs)
    np.testing.assert_allclose(found[both], theirs[both], rtol=2e-3, atol=1e-3)  # float16


def test_in_blocks_of_regions_and_in_contact_mode(place, tmp_path, monkeypatch):
    """Regions are maps of their own; how much is read at once does not matter."""
    monkeypatch.setattr(track_writer, "BLOCK", 37)
    monkeypatch.setattr(track_writer, "CELLS", 50)
    regions = "a:1,000-6,010", "a:6,010-9,010", "b"
    options = "--mode", "contact", "--levels", "40,80,160", "--tracks", "insulation,profiles"
    done = call(place, *regions, *FILL, *options, "-o", tmp_path / "x.mcool")
    assert done.exit_code == 0, done.output
    track = tmp_path / "x.insulation.bw"
    found = in_bins(track, "a", 40)
    known = [*range(25 + 9, 151 - 9), *range(150 + 9, 226 - 9)]  # bins whose diamond is in one
    assert np.flatnonzero(np.isfinite(found)).tolist() == known
    assert_cooltools_insulation(track, tmp_path / "x.mcool", ["b"])
    p = oc.Predictor(str(place / "toy"), str(place / "toy.fa"), device="cpu", progress=False)
    wanted = p.profiles("a:1,000-9,010")["b"]
    np.testing.assert_allclose(in_bins(tmp_path / "x.b.bw", "a", 40)[25:], wanted, atol=1e-6)


def test_tracks_of_an_edited_genome_are_in_its_own_coordinates(place, tmp_path):
    p = oc.Predictor(str(place / "toy"), str(place / "toy.fa"), device="cpu", progress=False)
    edited = p.edit("a:3,000-3,410 del; a:5,000-5,800 inv")
    paths = edited.to_mcool(
        tmp_path / "x.mcool",
        tracks=["insulation", "e1", "profiles"],
        fill_distance=760,
        lift_to_reference=True,
    )
    assert {"x.lifted.mcool", "x.insulation.bw", "x.a.bw"} < {path.name for path in paths}
    assert len(in_bins(tmp_path / "x.insulation.bw", "a", 40)) == -(-(9010 - 410) // 40)
    assert_cooltools_insulation(tmp_path / "x.insulation.bw", tmp_path / "x.mcool", ["a"])
    genome = edited.genome.source
    assert_cooltools_e1(tmp_path / "x.e1.bw", tmp_path / "x.mcool", genome, {"a": 640})
    found = in_bins(tmp_path / "x.b.bw", "a", 40)
    np.testing.assert_allclose(found, edited.profiles("a")["b"], atol=1e-6)
    assert np.abs(found[75:] - p.profiles("a")["b"][75 : len(found)]).max() > 0.005


def test_several_cell_types_have_their_own_tracks_and_the_same_profiles(place, tmp_path):
    spec = make_toy_spec(cell_types=("a", "b"), cell_type="", profiles=("CTCF(+)", "Pol 2"))
    tables = {
        name: {
            r: ExpectedModel(r, t.cis ** (1 + k / 5), t.trans)
            for r, t in make_toy_expected(spec).items()
        }
        for k, name in enumerate(("a", "b"))
    }
    save_bundle(tmp_path / "two", make_toy_model(spec), by_cell_type=tables)
    line = ["predict", "-q", "-m", tmp_path / "two", "-g", place / "toy.fa", "--device", "cpu"]
    line += ["b", *FILL, "--tracks", "insulation,profiles", "-o", tmp_path / "X.mcool"]
    done = CliRunner().invoke(main, [str(word) for word in line])
    assert done.exit_code == 0, done.output
    types = {"X.a.insulation.bw", "X.b.insulation.bw"}
    assert {n for n in names(tmp_path) if n.endswith(".bw")} == types | {
        "X.CTCF_+.bw",
        "X.Pol_2.bw",
    }
    for name in ("a", "b"):
        mcool = tmp_path / f"X.{name}.mcool"
        assert_cooltools_insulation(tmp_path / f"X.{name}.insulation.bw", mcool, ["b"])
    a, b = (in_bins(tmp_path / name, "b", 40) for name in sorted(types))
    assert np.nanmax(np.abs(a - b)) > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tracks", "insulatoin"], "track 'insulatoin' is not known; did you mean 'insulation'?"),
        (["--tracks", "e1,E1,"], "track 'E1' is not known; did you mean 'e1'?"),
        (["--tracks", ""], "track '' is not known; there are insulation, e1, profiles"),
        (
            ["--tracks", "e1", "--at", "a:4000"],
            "--at 'a:4000' predicts one zoom; leave out --tracks",
        ),
        (["--tracks", "e1", "a:0-9,000"], "track 'e1' needs a whole chromosome"),
        (["--tracks", "insulation"], "19 bins of distance at 40 bp, 16 are written; give --fill"),
        (
            ["--tracks", "insulation", "--fill-distance", "760", "a:0-720"],
            "track 'insulation' needs a region of 19 bins of 40 bp; there are a:0-720",
        ),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_computed(
    place, tmp_path, arguments, message
):
    done = call(place, *arguments, "-o", tmp_path / "x.mcool")
    assert done.exit_code == 2
    assert message in done.stderr
    told = [line for line in done.stderr.splitlines() if not line.startswith("warning: genome")]
    assert len(told) == 1
    assert names(tmp_path) == set()


def test_python_takes_the_same_names_and_gives_the_same_errors(place, tmp_path):
    p = oc.Predictor(str(place / "toy"), str(place / "toy.fa"), device="cpu", progress=False)
    with pytest.raises(ModelError, match="did you mean 'profiles'"):
        p.to_mcool(tmp_path / "x.mcool", tracks=["profile"])
    (tmp_path / "x.b.bw").write_text("mine")
    with pytest.raises(OutputError, match=r"x\.b\.bw exists; use --force"):
        p.to_mcool(tmp_path / "x.mcool", ["c"], tracks=["profiles"])
    assert names(tmp_path) == {"x.b.bw"}
    p.to_mcool(tmp_path / "x.mcool", ["c"], tracks=["profiles"], force=True)
    assert len(in_bins(tmp_path / "x.b.bw", "c", 40)) == 23


def test_a_model_without_profiles(place, tmp_path):
    spec = make_toy_spec(profiles=())
    save_bundle(tmp_path / "plain", make_toy_model(spec), make_toy_expected(spec))
    done = call(place, "-m", tmp_path / "plain", "--tracks", "profiles", "-o", tmp_path / "x.mcool")
    assert done.exit_code == 2
    assert "predicts no chromatin profiles; leave 'profiles' out of --tracks" in done.stderr


def test_without_the_library_nothing_is_computed(place, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyBigWig", None)
    done = call(place, "--tracks", "e1", "-o", tmp_path / "x.mcool")
    assert done.exit_code == 2
    assert "pip install 'orca-cool[perturb]', in a clone" in done.stderr
    assert names(tmp_path) == set()


def test_names_of_profiles_become_names_of_files(tmp_path):
    profiles = ["CTCF(+)", "CTCF(-)", "pol/2", "Pol 2", "e1", "../x", "???", "", "a.b"]
    found = [path.name for path in profile_paths(tmp_path / "x.mcool", profiles)]
    assert found == [
        "x.CTCF_+.bw",
        "x.CTCF_-.bw",
        "x.pol_2.bw",
        "x.Pol_2_2.bw",
        "x.e1_2.bw",
        "x.x.bw",
        "x.profile.bw",
        "x.profile_2.bw",
        "x.a_b.bw",
    ]


def test_tracks_of_a_prediction_that_is_there(written, place, tmp_path):
    """They can be asked for later; of another prediction than the file's they are refused."""
    before = written.stat().st_mtime_ns, written.with_name("x.e1.bw").read_bytes()
    written.with_name("x.e1.bw").unlink()
    done = call(place, "a", *FILL, "--tracks", "e1", "-o", written)
    assert done.exit_code == 2
    assert "is another prediction than this; use --force" in done.stderr
    done = call(place, "a", "c", *FILL, "--tracks", "e1", "-o", written)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [str(written.with_name("x.e1.bw"))]
    assert before == (written.stat().st_mtime_ns, written.with_name("x.e1.bw").read_bytes())
    done = call(place, "a", "c", *FILL, "--tracks", "e1", "-o", written)
    assert done.exit_code == 2
    assert "x.e1.bw exists; use --force to replace it" in done.stderr


def killing(doing: str, left: int, line: list[str]) -> None:
    """``orca-cool`` that kills itself when it does something for the ``left``-th time."""

    def counted(function):
        def call(*arguments):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return call

    if doing == "renaming":
        companion_outputs.replace_file = counted(companion_outputs.replace_file)
    else:
        BigWig.add = counted(BigWig.add)
    main(line)


@pytest.mark.parametrize(("doing", "number", "there"), [("writing", 3, 0), ("renaming", 2, 1)])
def test_killed_and_repeated_it_ends_as_if_it_had_not_been(
    written, place, tmp_path, doing, number, there
):
    line = ["predict", "-q", "-m", place / "toy", "-g", place / "toy.fa", "--device", "cpu", "a"]
    line += ["c", *FILL, "--tracks", "insulation,profiles", "-o", tmp_path / "x.mcool"]
    process = processes.start(killing, doing, number, [str(word) for word in line])
    assert processes.ended(process) == -signal.SIGKILL
    assert len(list(tmp_path.glob("*.bw"))) == there
    again = CliRunner().invoke(main, [str(word) for word in line])
    assert again.exit_code == 0, again.output
    for name in ("x.insulation.bw", "x.a.bw", "x.b.bw"):
        assert (tmp_path / name).read_bytes() == written.with_name(name).read_bytes()
    assert not [n for n in names(tmp_path) if "partial" in n]
