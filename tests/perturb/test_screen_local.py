"""Scores of a local screen against single edits through the public predictor, and its files."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import bbi
import numpy as np
import pandas as pd
import pyBigWig
import pytest
from conftest import make_toy_expected, make_toy_model, make_toy_spec, save_model_of_two_cell_types

import orca_cool as oc
from orca_cool.errors import OutputError
from orca_cool.genome.regions import Region
from orca_cool.journal import Journal
from orca_cool.model.bundle import save_bundle
from orca_cool.perturb import screen_run
from orca_cool.perturb.changed import changed
from orca_cool.perturb.screen_local import Level, predict
from orca_cool.perturb.screen_plan import frames, replacement, sequences, tiled
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.windows import Window
from orca_cool.variants.options import EditOptions

LENGTH = 6010
REGION, START, UNITS = "a:2,000-2,120", 2000, 12


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a model of two cell types, and a genome; bases 3000 to 3005 are N."""
    folder = tmp_path_factory.mktemp("screen")
    spec = make_toy_spec()
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    save_model_of_two_cell_types(folder)
    letters = np.random.default_rng(5).choice(list("ACGT"), LENGTH)
    letters[3000:3005] = "N"
    (folder / "g.fa").write_text(f">a\n{''.join(letters)}\n>b\n{''.join(letters[:700])}\n")
    return folder


def screen(here: Path, regions=REGION, model="toy", **options):
    return oc.screen.local(
        regions, model=here / model, genome=here / "g.fa", device="cpu", progress=False, **options
    )


@pytest.fixture(scope="module")
def predictor(here):
    return oc.Predictor(here / "toy", here / "g.fa", device="cpu", progress=False)


def plan(predictor, module="S", resolution=40, start=START, units=UNITS, unit=10):
    """The one window of the region, its units, and the bases of the window."""
    found = tiled([Region("a", start, start + units * unit)], unit, unit)
    spec, genome = predictor.model.spec, predictor.genome.source
    (frame,) = frames(spec, spec.module(module), resolution, genome, found)
    a = frame.start(resolution)
    window = genome.fetch("a", a, a + 16 * resolution)
    return frame, found, window[window < 4]


def zoomed(predictor, frame, edits, module="S", resolution=40):
    """The window with some bases replaced, through the public predictor."""
    genome = predictor.genome.source
    texts = [
        f"a:{u.start}-{u.end} sub {''.join('ACGTN'[c] for c in codes)}"
        for u, codes in edits
        if not np.array_equal(codes, genome.fetch("a", u.start, u.end))
    ]
    one = predictor.edit("; ".join(texts)) if texts else predictor
    return one.zoom(f"a:{frame.position}", module=module, edges="real")[resolution]


def by_hand(
    predictor, together=1, runs=1, how="sample", seed=0, masked=(), strands="both", **options
):
    """(runs, units) scores by the definition, from maps of whole edited genomes."""
    frame, units, window = plan(predictor, **options)
    known = {k: options[k] for k in ("module", "resolution") if k in options}
    before = zoomed(predictor, frame, [], **known)
    n, r = len(before.values), before.resolution
    columns = [c for c in range(n) if 0 <= before.start + c * r < LENGTH and c not in masked]
    out = np.full((runs, len(units)), np.nan)
    for run in range(runs):
        for numbers in sequences(frame.units, together, seed, frame, run):
            edits = []
            for k in numbers:
                codes = predictor.genome.source.fetch("a", units[k].start, units[k].end)
                new = replacement(codes, how, window, seed, frame, run, units[k].start)
                edits.append((units[k], new))
            after = zoomed(predictor, frame, edits, **known)
            for k in numbers:
                b = (units[k].start + 5 - before.start) // r
                out[run, k] = np.abs(after.values[b] - before.values[b])[columns].mean()
    return out


def test_one_site_a_sequence_is_the_plain_screen(here, predictor):
    found = screen(here, module="S", per_sequence=1, runs=1)
    expected = by_hand(predictor)[0]
    assert expected.min() > 1e-3
    assert list(found.table.columns) == ["chrom", "start", "end", "score"]
    assert found.table["start"].tolist() == list(range(START, START + 10 * UNITS, 10))
    np.testing.assert_allclose(found.table["score"], expected, atol=2e-5)


def test_several_sites_a_sequence_and_what_becomes_of_several_runs(here, predictor):
    runs = by_hand(predictor, together=4, runs=3, seed=7)
    for aggregate, combine in (("min", np.min), ("mean", np.mean), ("median", np.median)):
        found = screen(here, module="S", per_sequence=4, runs=3, seed=7, aggregate=aggregate)
        np.testing.assert_allclose(found.table["score"], combine(runs, axis=0), atol=2e-5)
    assert np.ptp(runs, axis=0).min() > 1e-3  # other bases, other company


@pytest.mark.parametrize("how", ["shuffle", "dinucleotide", "N"])
def test_other_replacements(here, predictor, how):
    found = screen(
        here, module="S", per_sequence=3, runs=1, replace=how, unit=20, regions="a:2,000-2,120"
    )
    expected = by_hand(predictor, together=3, how=how, units=6, unit=20)[0]
    # a unit of 20 bp: its bin is that of its middle
    _, units, _ = plan(predictor, units=6, unit=20)
    same = [(u.start + 10) // 40 == (u.start + 5) // 40 for u in units]
    np.testing.assert_allclose(found.table["score"][same], expected[same], atol=2e-5)
    assert sum(same) >= 3


def test_coarse_levels(here, predictor):
    found = screen(here, module="S", resolution=160, per_sequence=2, runs=1)
    expected = by_hand(predictor, together=2, resolution=160)[0]
    np.testing.assert_allclose(found.table["score"], expected, atol=2e-5)


def test_sites_score_as_the_same_units_of_a_region(here, tmp_path):
    plain = screen(here, module="S", per_sequence=1, runs=2).table
    bed = tmp_path / "sites.bed"
    bed.write_text("".join(f"a\t{START + 10 * k}\t{START + 10 * k + 10}\n" for k in (7, 2, 11)))
    found = screen(here, (), module="S", per_sequence=1, runs=2, sites=bed).table
    expected = plain.iloc[[2, 7, 11]].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected)
    inside = screen(here, "a:2,060-2,090", module="S", per_sequence=1, runs=2, sites=bed).table
    assert inside["start"].tolist() == [START + 70]


def test_masked_bins_do_not_count_and_mostly_masked_windows_have_no_score(
    here, predictor, tmp_path
):
    frame, _, _ = plan(predictor)
    start, masked = frame.start(40), (0, 3, 4)
    bed = tmp_path / "mask.bed"
    bed.write_text(f"a\t{start}\t{start + 1}\na\t{start + 150}\t{start + 170}\n")
    found = screen(here, module="S", per_sequence=1, runs=1, mask=bed).table
    np.testing.assert_allclose(found["score"], by_hand(predictor, masked=masked)[0], atol=2e-5)

    bed.write_text(f"a\t{start}\t{start + 9 * 40}\n")
    both = screen(here, ["a:2,000-2,020", "a:5,000-5,020"], module="S", runs=1, mask=bed)
    assert both.table["score"].isna().tolist() == [True, True, False, False]


def test_units_with_an_N_score_0(here):
    told: list[str] = []
    found = screen(here, "a:2,980-3,020", module="S", runs=1, per_sequence=2, say=told.append)
    zero = (found.table["score"] == 0).tolist()
    assert zero == [False, False, True, False]
    assert told[-1] == "1 units hold an N and score 0"


def test_deletions_are_compared_bin_by_bin(here, predictor):
    found = screen(here, module="S", per_sequence=1, runs=1, replace="delete").table
    assert len(found) == UNITS
    for k in (0, 5, 11):
        a = START + 10 * k
        c = predictor.compare(f"a:{a}-{a + 10} del", 40, module="S")
        change = np.abs(c.difference.values[c.touched].astype(float))
        assert found["score"][k] == pytest.approx(np.nanmean(change), abs=2e-5)
        assert found["score"][k] > 1e-3


def test_each_cell_type_has_a_track(here, tmp_path):
    both = screen(here, "a:2,000-2,040", "two", module="S", per_sequence=2, runs=1)
    assert both.names == ["x", "y"]
    for name in both.names:
        one = screen(
            here, "a:2,000-2,040", "two", module="S", per_sequence=2, runs=1, cell_type=name
        )
        np.testing.assert_array_equal(both.table[name], one.table["score"])
    assert np.abs(both.table["x"] - both.table["y"]).min() > 0
    out = tmp_path / "o"
    screen(here, "a:2,000-2,040", "two", module="S", per_sequence=2, runs=1, output=out)
    assert {p.name for p in tmp_path.iterdir()} == {
        *(f"o.{n}.{e}" for n in "xy" for e in ("bw", "bedgraph.gz")),
        "o.json",
        "o.top.tsv",
        "o.top.fa",
    }
    with pyBigWig.open(f"{out}.y.bw") as file:
        values = [value for _, _, value in file.intervals("a")]
    np.testing.assert_allclose(values, both.table["y"], rtol=1e-6)


def test_forward_strand_alone_is_the_forward_half_of_both(here, predictor):
    """Bit for bit, and the other strand is not even encoded."""
    model, genome = predictor.model, predictor.genome.source
    frame, units, window = plan(predictor, units=4)
    level = Level(predictor.model.spec.module("S"), 40, strands="forward")
    engine, alone = (OrcaEngine(model, genome, "cpu") for _ in range(2))
    codes = genome.fetch("a", units[0].start, units[0].end)
    new = replacement(codes, "sample", window, 0, frame, 0, units[0].start)
    wanted = []
    for one in (engine, engine.for_genome(changed(genome, [(units[0], new)]))):
        root, above, before = one.root(level.module, "a", frame.origin), None, None
        for r in level.resolutions:
            start = frame.origin // r + frame.starts[r]
            at = Window(r, start, before, frame.origin // level.resolutions[0])
            (above,) = one.decode_windows([(root, at, above)])
            before = start
        wanted.append(above[0][0, 0].numpy())
    for expected, source in zip(wanted, (genome, changed(genome, [(units[0], new)]))):
        of = alone if source is genome else alone.for_genome(source)
        (found,) = predict([of], frame, level)
        np.testing.assert_array_equal(found[0], expected)
    assert 2 * alone.encoded_bp == engine.encoded_bp > 0

    found = screen(here, "a:2,000-2,040", module="S", per_sequence=1, runs=1, strands="forward")
    start = frame.start(40)
    b = (units[0].start + 5 - start) // 40
    counted = (start + 40 * np.arange(16) < LENGTH) & (start + 40 * np.arange(16) >= 0)
    change = np.abs(wanted[1][b].astype(float) - wanted[0][b])[counted]
    assert found.table["score"][0] == change.mean() > 1e-3


def test_an_edited_genome_is_screened(here):
    """Screening a genome with an insertion far away is screening the sequence that it has."""
    plain = screen(here, module="S", per_sequence=2, runs=1).table
    found = screen(
        here,
        "a:2,160-2,280",
        module="S",
        per_sequence=2,
        runs=1,
        edits=EditOptions(("a:10 ins " + "ACGT" * 40,)),
    ).table
    assert found["start"].tolist() == [s + 160 for s in plain["start"]]
    # a window of another place draws other bases; but of the same order
    assert found["score"].min() > 1e-3


def test_files_hold_the_table(here, tmp_path):
    out = tmp_path / "o"
    result = screen(here, module="S", per_sequence=4, runs=2, output=out, top=5, flank=7)
    table = result.table
    with pyBigWig.open(f"{out}.bw") as file:
        assert file.chroms() == {"a": LENGTH, "b": 700}
        found = pd.DataFrame(file.intervals("a"), columns=["start", "end", "score"])
    pd.testing.assert_frame_equal(found, table[["start", "end", "score"]], rtol=1e-6)
    with bbi.open(f"{out}.bw") as other:  # UCSC's reader
        values = other.fetch("a", START, START + 10 * UNITS)
    np.testing.assert_allclose(values, np.repeat(table["score"], 10), rtol=1e-6)
    text = gzip.decompress(Path(f"{out}.bedgraph.gz").read_bytes())
    rows = pd.read_csv(io.BytesIO(text), sep="\t", names=table.columns)
    pd.testing.assert_frame_equal(rows, table, rtol=1e-6)

    top = pd.read_csv(f"{out}.top.tsv", sep="\t")
    order = np.argsort(-table["score"].to_numpy(), kind="stable")[:5]
    assert top["start"].tolist() == table["start"][order].tolist()
    genome = "".join((here / "g.fa").read_text().split("\n")[1])
    lines = Path(f"{out}.top.fa").read_text().splitlines()
    a, b = int(top["start"][0]) - 7, int(top["end"][0]) + 7
    assert lines[0].split()[0] == f">a:{a}-{b}"
    assert lines[1] == genome[a:b]
    about = json.loads(Path(f"{out}.json").read_text())
    digest = oc.load_model(here / "toy").digest
    wanted = {"seed": 0, "runs": 2, "units": 12, "sequences": 6, "model_digest": digest}
    assert wanted.items() <= about.items()
    figure = result.plot()
    assert "a (bp)" in figure.axes[0].get_xlabel()
    assert not (tmp_path / "o.partial").exists()


def test_tiles_that_overlap_are_drawn_side_by_side(here, tmp_path):
    result = screen(here, "a:2,000-2,100", module="S", width=40, step=20, per_sequence=1, runs=1)
    assert result.table["end"].tolist() == [2040, 2060, 2080, 2100]
    with pyBigWig.open(str(result.to_bigwig(tmp_path / "t.bw"))) as file:
        assert [i[:2] for i in file.intervals("a")] == [
            (2010, 2030),
            (2030, 2050),
            (2050, 2070),
            (2070, 2090),
        ]


class Stop(BaseException):
    """As a kill: nothing catches it."""


@pytest.mark.parametrize("regions", [(REGION, "b:100-140"), (REGION,)])
def test_killed_and_gone_on_is_as_not_killed(here, tmp_path, monkeypatch, regions):
    options = {"module": "S", "per_sequence": 3, "runs": 2}
    whole = screen(here, regions, output=tmp_path / "whole", **options)
    add, done = Journal.add, []

    def stopping(self, entry):
        add(self, entry)
        done.append(entry)
        if len(done) == 5:
            raise Stop

    monkeypatch.setattr(Journal, "add", stopping)
    with pytest.raises(Stop):
        screen(here, regions, output=tmp_path / "cut", **options)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("cut.")] == ["cut.partial"]
    # the last line is torn, as by a machine that lost its power
    journal = tmp_path / "cut.partial" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    with pytest.raises(OutputError, match=r"other settings .*seed"):
        screen(here, regions, output=tmp_path / "cut", seed=1, **options)
    found = screen(here, regions, output=tmp_path / "cut", **options)
    total = json.loads((tmp_path / "whole.json").read_text())["sequences"]
    assert len(done) == 5 + total - 4
    pd.testing.assert_frame_equal(found.table, whole.table, check_exact=True)
    for end in ("bw", "bedgraph.gz", "json", "top.tsv", "top.fa"):
        assert (tmp_path / f"cut.{end}").read_bytes() == (tmp_path / f"whole.{end}").read_bytes()


def test_how_many_are_predicted_at_once_and_in_which_order_changes_nothing(here, monkeypatch):
    options = {"module": "S", "per_sequence": 3, "runs": 2}
    plain = screen(here, **options).table
    monkeypatch.setattr(OrcaEngine, "windows_per_batch", 3)
    several = screen(here, **options).table
    pd.testing.assert_frame_equal(several, plain, check_exact=True)
    drawn = screen_run.Drawn.sequences
    monkeypatch.setattr(
        screen_run.Drawn, "sequences", lambda self, run: reversed(list(drawn(self, run)))
    )
    pd.testing.assert_frame_equal(screen(here, **options).table, plain, check_exact=True)
