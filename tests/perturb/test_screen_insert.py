"""Scores of insertions against single edits through the public predictor, and what is written."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet
import pyBigWig
import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec, save_model_of_two_cell_types

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.effects.align import Comparison
from orca_cool.effects.scores import Choices
from orca_cool.effects.sites import Site
from orca_cool.errors import EditError
from orca_cool.genome.regions import Region
from orca_cool.maps.contact_map import ContactMap
from orca_cool.model.bundle import save_bundle
from orca_cool.model.orca_spec import orca_spec
from orca_cool.perturb import insert_run
from orca_cool.perturb.insert_job import InsertScreenJob
from orca_cool.perturb.insert_layout import frame_of
from orca_cool.perturb.insert_scores import Columns, scores
from orca_cool.perturb.insert_sources import Backgrounds, Source, read_sources
from orca_cool.perturb.screen_plan import dinucleotide_shuffle
from orca_cool.variants.options import EditOptions

LENGTH, R, BINS = 6010, 40, 16
SITES = (2000, 2611)
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def reverse(text: str) -> str:
    return text.translate(COMPLEMENT)[::-1]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of one and of two cell types, a genome (bases 3000 to 3005 are N), sources, sites."""
    folder = tmp_path_factory.mktemp("insert")
    spec = make_toy_spec()
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    save_model_of_two_cell_types(folder)
    random = np.random.default_rng(5)
    letters = random.choice(list("ACGT"), LENGTH)
    letters[3000:3005] = "N"
    (folder / "g.fa").write_text(f">a\n{''.join(letters)}\n>b\n{''.join(letters[:700])}\n")
    for k in range(2):
        letters = "".join(random.choice(list("ACGT"), 30 + 10 * k))
        with (folder / "s.fa").open("a") as file:
            file.write(f">s{k} words\n{letters[:20]}\n{letters[20:]}\n")
    (folder / "sites.bed").write_text("".join(f"a\t{s}\t{s + 1}\n" for s in SITES))
    return folder


def insert(here: Path, sources="s.fa", sites="sites.bed", model="toy", **options):
    sources = [sources] if isinstance(sources, str) else sources
    texts = [str(here / s) if (here / s).exists() else s for s in sources]
    where = str(here / sites) if (here / sites).exists() else sites
    return oc.screen.insert(
        texts,
        where,
        model=here / model,
        genome=here / "g.fa",
        device="cpu",
        progress=False,
        module="S",
        **options,
    )


@pytest.fixture(scope="module")
def predictor(here):
    return oc.Predictor(here / "toy", here / "g.fa", device="cpu", progress=False)


@pytest.fixture(scope="module")
def letters(here) -> dict[str, str]:
    parts = (here / "s.fa").read_text().split(">")[1:]
    return {p.split()[0]: "".join(p.split("\n")[1:]) for p in parts}


def zooms(predictor, edit: str, site: int):
    """The window of a site before and after an edit, through the public predictor."""
    at = f"a:{(site + 80) // 160 * 160}"
    before = predictor.zoom(at, module="S", edges="real")[R]
    return before, predictor.edit(edit).zoom(at, module="S", edges="real")[R]


def row_by_hand(before, after, bins) -> float:
    change = np.abs(after.values.astype(float) - before.values.astype(float))
    return float(np.mean([change[b].mean() for b in bins]))


def test_overwriting_is_the_edited_genome(here, predictor, letters):
    table = insert(here, orientations="+,-,><", spacing=(0, 25)).table
    assert len(table) == 2 * 4 * 2  # "+" and "-" of one copy, "><" at two distances
    assert table["source"].tolist() == ["s0"] * 8 + ["s1"] * 8
    for row in table.itertuples():
        text = letters[row.source]
        copies = [text if c in "+>" else reverse(text) for c in row.orientation]
        starts = [row.start + k * (len(text) + row.spacing) for k in range(row.number)]
        edit = "; ".join(f"a:{s}-{s + len(t)} sub {t}" for s, t in zip(starts, copies, strict=True))
        before, after = zooms(predictor, edit, row.start)
        bins = sorted({(s + len(text) // 2 - before.start) // R for s in starts})
        expected = row_by_hand(before, after, bins)
        assert row.row == pytest.approx(expected, abs=2e-5)
        assert expected > 1e-3
        assert row.length == len(text)
    plus, minus = (table[table["orientation"] == o]["row"].to_numpy() for o in "+-")
    assert np.abs(plus - minus).min() > 1e-4


def test_inserting_is_what_variants_compares(here, predictor, letters):
    table = insert(
        here, overwrite=False, orientations="+,-", scores="row,insulation_at,log_fold_change"
    ).table
    assert len(table) == 8
    for row in table.itertuples():
        text = letters[row.source] if row.orientation == "+" else reverse(letters[row.source])
        c = predictor.compare(f"a:{row.start} ins {text}", R, module="S")
        # the rows from the base before the insertion to the one behind it
        first, last = ((b - c.alternate.start) // R for b in (row.start - 1, row.start + len(text)))
        change = np.abs(c.difference.values[first : last + 1].astype(float))
        assert row.row == pytest.approx(float(np.nanmean(change)), abs=2e-5)
        assert row.row > 1e-3
        for name in ("insulation_at", "log_fold_change"):
            np.testing.assert_allclose(getattr(row, name), c.scores()[name], atol=2e-5)


def test_signed_dot_and_the_scores_of_variants(here, predictor, letters, tmp_path):
    (tmp_path / "one.bed").write_text("a\t1910\t1911\tp\n")
    result = insert(
        here,
        sites=str(tmp_path / "one.bed"),
        scores="signed,dot,mse",
        orientations="><",
        spacing=220,
        lengths=30,
    )
    row = result.table.iloc[0]
    text = letters["s0"]
    starts = [1910, 1910 + 250]
    edit = f"a:1910-1940 sub {text}; a:2160-2190 sub {reverse(text)}"
    before, after = zooms(predictor, edit, 1910)
    change = after.values.astype(float) - before.values.astype(float)
    genome = (here / "g.fa").read_text().split("\n")[1]
    parts = [genome[before.start + R * k : before.start + R * (k + 1)] for k in range(BINS)]
    gc = np.array([(p.count("G") + p.count("C")) / len(p) for p in parts])
    # E1 as cooltools has it: each distance divided by its mean, less 1
    ratio, d = (
        np.exp(before.values.astype(float)),
        np.abs(np.subtract.outer(*[np.arange(BINS)] * 2)),
    )
    by_distance = np.array([ratio[d == k].mean() for k in range(BINS)])
    values, vectors = np.linalg.eigh(ratio / by_distance[d] - 1)
    e1 = vectors[:, np.argmax(np.abs(values))]
    e1 = e1 if e1 @ (gc - gc.mean()) > 0 else -e1
    bins = [(s + 15 - before.start) // R for s in starts]
    expected = change[bins][:, e1 > 0].mean() - change[bins][:, e1 < 0].mean()
    assert row["signed"] == pytest.approx(expected, abs=2e-5)
    assert bins[1] - bins[0] >= 6
    assert np.isnan(row["dot"])  # a map of 16 bins is too small for the ring of such a dot
    upper = np.triu_indices(BINS)
    assert row["mse"] == pytest.approx(float((change[upper] ** 2).mean()), rel=1e-3)


def test_cell_types_and_means(here, tmp_path):
    result = insert(here, model="two", orientations="+,-")
    assert result.columns == ("row.x", "row.y")
    one = insert(here, model="two", orientations="+,-", cell_type="y")
    np.testing.assert_allclose(result.table["row.y"], one.table["row"], atol=1e-6)
    assert np.abs(result.table["row.x"] - result.table["row.y"]).min() > 0
    means = result.means
    assert len(means) == 4
    assert (means["n"] == 2).all()
    part = result.table[(result.table["source"] == "s1") & (result.table["orientation"] == "-")]
    its = means[(means["source"] == "s1") & (means["orientation"] == "-")]
    assert its["row.x"].item() == pytest.approx(part["row.x"].mean())
    assert result.matrix("row.x").shape == (4, 2)


def test_files_hold_the_table(here, tmp_path):
    bed = tmp_path / "from.bed"
    bed.write_text("a\t500\t540\tp\t0\t-\nb\t100\t130\tq\na\t2990\t3020\tgap\n")
    told: list[str] = []
    result = insert(here, str(bed), output=tmp_path / "o", say=told.append)
    assert told[-1:] == ["1 sources hold an N and have no score: gap"]
    table = pyarrow.parquet.read_table(tmp_path / "o.parquet").to_pandas()
    assert table["source"].tolist() == ["p", "p", "q", "q", "gap", "gap"]
    np.testing.assert_array_equal(table["row"], result.table["row"])
    assert table["row"].isna().tolist() == [False] * 4 + [True] * 2
    means = pd.read_csv(tmp_path / "o.tsv", sep="\t")
    np.testing.assert_allclose(means["row"][:2], table["row"][:4].to_numpy().reshape(2, 2).mean(1))
    with pyBigWig.open(str(tmp_path / "o.row.bw")) as file:
        ((start, end, value),) = file.intervals("a")
        assert (start, end) == (500, 540)
        assert value == pytest.approx(means["row"][0], rel=1e-6)
        assert file.intervals("b")[0][:2] == (100, 130)
    about = json.loads((tmp_path / "o.json").read_text())
    assert (about["format"], about["n_sources"], about["sources_with_N"]) == (
        "orca-cool.insertion-screen",
        3,
        1,
    )
    assert (tmp_path / "o.png").read_bytes()[:4] == b"\x89PNG"
    assert {p.name for p in tmp_path.iterdir()} == {"from.bed"} | {
        f"o.{e}" for e in ("json", "parquet", "tsv", "png", "row.bw")
    }
    # the strand of a BED is the one that is inserted: "-" of it is the forward strand
    (tmp_path / "plus.bed").write_text("a\t500\t540\tp\n")
    other = insert(here, str(tmp_path / "plus.bed"), orientations="-").table
    np.testing.assert_allclose(other["row"], table["row"][:2], atol=1e-6)


def test_killed_and_resumed_is_the_same(here, tmp_path, monkeypatch):
    options = {"orientations": "+,-", "lengths": (12, 20), "seed": 3}
    sources = [f"shuffle:{here / 's.fa'}", "background:0.4"]
    whole = insert(here, sources, **options).table
    plain = insert_run.InsertScreen.score
    calls: list[int] = []

    def stopping(self, site, numbers):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(numbers))
        return plain(self, site, numbers)

    monkeypatch.setattr(insert_run.InsertScreen, "score", stopping)
    monkeypatch.setattr("orca_cool.prediction.orca_engine.OrcaEngine.windows_per_batch", 4)
    with pytest.raises(KeyboardInterrupt):
        insert(here, sources, output=tmp_path / "o", **options)
    assert (tmp_path / "o.partial").is_dir()
    done = sum(calls)
    assert done == 8
    again: list[int] = []

    def counting(self, site, numbers):
        again.append(len(numbers))
        return plain(self, site, numbers)

    monkeypatch.setattr(insert_run.InsertScreen, "score", counting)
    found = insert(here, sources, output=tmp_path / "o", **options).table
    assert sum(again) == len(whole) - done
    assert not (tmp_path / "o.partial").exists()
    np.testing.assert_allclose(found["row"], whole["row"], atol=1e-6)


def test_backgrounds_are_genomes(here, tmp_path):
    """Random chromosomes score as a genome of the same bases."""
    found = insert(here, sites="background:0.3:2", seed=7).table
    assert found["site"].tolist() == ["background1", "background2"] * 2
    drawn = Backgrounds(0.3, 2, 2560, 7)
    texts = {c: "".join("ACGT"[k] for k in drawn.fetch(c, 0, 2560)) for c in drawn.chromsizes}
    share = np.mean([c in "GC" for c in texts["background1"]])
    assert share == pytest.approx(0.3, abs=0.03)
    assert texts["background1"] != texts["background2"]
    (tmp_path / "b.fa").write_text("".join(f">{c}\n{t}\n" for c, t in texts.items()))
    (tmp_path / "b.bed").write_text("".join(f"{c}\t1280\t1281\n" for c in texts))
    same = oc.screen.insert(
        here / "s.fa",
        tmp_path / "b.bed",
        model=here / "toy",
        genome=tmp_path / "b.fa",
        device="cpu",
        progress=False,
        module="S",
    ).table
    np.testing.assert_allclose(found["row"], same["row"], atol=1e-6)
    assert found["row"].min() > 1e-3


def test_what_is_drawn_depends_on_source_site_and_copy(here, predictor):
    genome = predictor.genome.source
    (one, two) = read_sources([f"dinucleotide:{here / 's.fa'}"], genome)
    a, b = Region("a", 10, 11), Region("a", 20, 21)
    drawn = [
        one.sequence(genome, None, 0, a, 0),
        one.sequence(genome, None, 0, a, 0),
        one.sequence(genome, None, 0, a, 1),
        one.sequence(genome, None, 0, b, 0),
        one.sequence(genome, None, 1, a, 0),
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert len({d.tobytes() for d in drawn[1:]}) == 4

    def pairs(codes):
        return sorted(zip(codes[:-1].tolist(), codes[1:].tolist()))

    assert one.codes is not None
    assert pairs(drawn[0]) == pairs(one.codes)
    assert not np.array_equal(drawn[0], one.codes)
    assert len(two.sequence(genome, 12, 0, a, 0)) == 12
    random = Source("x", gc=0.7).sequence(genome, 5000, 0, a, 0)
    assert np.isin(random, (1, 2)).mean() == pytest.approx(0.7, abs=0.03)
    assert dinucleotide_shuffle(one.codes, np.random.default_rng(0)).shape == one.codes.shape


def planted(change: np.ndarray, resolution: int = 1000) -> Comparison:
    """Maps that differ by ``change``, in the same bins."""
    n = len(change)
    region = Region("a", 0, n * resolution)
    before = np.random.default_rng(2).normal(size=(n, n))
    maps = [
        ContactMap(v, np.ones((n, n)), 0.0, region, resolution) for v in (before + change, before)
    ]
    none, at = np.zeros(n, dtype=bool), Site("a", (12_000,), 12_000, (("a", 12_000),))
    return Comparison(at, *maps, (maps[1],), (np.arange(n),), none, (none, none))


def test_planted_changes_have_known_scores():
    n, i, j = 40, 12, 25
    dot, row = np.zeros((n, n)), np.zeros((n, n))
    dot[i - 1 : i + 2, j - 1 : j + 2] = 1.0
    rows, keep = np.arange(n) == i, np.ones(n, dtype=bool)
    names, columns = ("row", "signed", "dot"), Columns(keep, np.where(np.arange(n) % 4, 1.0, -2.0))
    found = scores(planted(dot), rows, columns, names, (i, j), Choices())
    # of the row's 40 bins 24, 25 and 26 change; 24 is one of 10 in B, the others of 30 in A
    np.testing.assert_allclose(found, [3 / 40, 2 / 30 - 1 / 10, 1.0], atol=1e-12)
    row[i] = np.where(np.arange(n) % 4, 0.5, -0.25)
    found = scores(planted(row), rows, columns, names[:2], (i, j), Choices())
    np.testing.assert_allclose(found, [(30 * 0.5 + 10 * 0.25) / 40, 0.75], atol=1e-12)
    masked = Columns(np.arange(n) % 4 > 0, columns.e1)
    assert scores(planted(row), rows, masked, ("row",), (i, j), Choices()) == pytest.approx([0.5])
    nothing = Columns(keep & False, columns.e1)
    assert np.isnan(scores(planted(row), rows, nothing, names, (i, j), Choices())).all()


@pytest.mark.parametrize("target", [0, 12_800_000, 16_000_000, 64_000_000, 100_096_000])
def test_the_papers_window(target):
    """32 Mb, from 16 Mb before the target on, as far as the chromosome's ends allow."""
    spec = orca_spec("hctnoc", modules=("32M",))
    length = 128_000 * 900  # so that windows at the end are whole, too
    source = SimpleNamespace(name="g", chromsizes={"chr8": length})
    site = Region("chr8", target, target + 12_800)
    frame = frame_of(spec, spec.module("32M"), 128_000, source, site)
    assert frame.start(128_000) == min(max(target - 16_000_000, 0), length - 32_000_000)


def test_only_what_is_touched_is_encoded_anew(here):
    """The window is 2,560 bp; an insertion costs its own bp and what the encoder sees around."""
    encoded = []
    for sources in (["s.fa"], ["s.fa", f"shuffle:{here / 's.fa'}"]):
        job = InsertScreenJob(
            model=str(here / "toy"),
            genome=str(here / "g.fa"),
            device="cpu",
            module="S",
            sources=tuple(str(here / s) if s == "s.fa" else s for s in sources),
            sites=str(here / "sites.bed"),
        )
        screen = insert_run.InsertScreen(job, [job.open()])
        screen.run()
        encoded.append(screen.engine.encoded_bp)
    a_sequence = (encoded[1] - encoded[0]) / 4  # two more sources at two sites
    # both strands: what a change of 40 bp reaches (400 bp on either side), and what that sees
    assert 0 < a_sequence <= 2 * (40 + 2 * 400 + 2 * 400) < 2 * 2560


def test_masked_bins_do_not_count_and_mostly_masked_sites_have_no_score(
    here, predictor, letters, tmp_path
):
    before, after = zooms(predictor, f"a:2000-2030 sub {letters['s0']}", 2000)
    start, bed = before.start, tmp_path / "mask.bed"
    # a quarter of bin 0, more than a quarter of bin 1 (in two that overlap), all of bin 5
    parts = [(0, 10), (40, 48), (44, 51), (200, 240)]
    bed.write_text("".join(f"a\t{start + x}\t{start + y}\n" for x, y in parts))
    found = insert(here, mask=bed).table
    b = (2015 - start) // R
    columns = [c for c in range(BINS) if c not in (1, 5)]
    expected = np.abs(after.values[b].astype(float) - before.values[b].astype(float))[columns]
    assert found["row"][0] == pytest.approx(expected.mean(), abs=2e-5)
    bed.write_text(f"a\t{start}\t{start + 9 * R}\n")
    told: list[str] = []
    found = insert(here, mask=bed, say=told.append).table
    assert found["row"].isna().tolist() == [True, False] * 2
    assert "1 sites lie in windows that are mostly masked" in told[-1]
    bed.write_text("a\t1500\t2300\n")
    lines = []
    for overwrite in (True, False):
        told.clear()
        out = tmp_path / f"o{overwrite}"
        found = insert(
            here, mask=bed, overwrite=overwrite, scores="row,mse", output=out, say=told.append
        ).table
        lines.append(told[-1])
        assert json.loads(Path(f"{out}.json").read_text())["sites_masked"] == 1
    assert lines[0] == lines[1]
    assert (
        "1 sites lie in windows that are mostly masked or N; they have no score: a:2,000"
        in lines[0]
    )
    assert found["row"].isna().tolist() == [True, False] * 2
    assert found["mse"].isna().tolist() == [True, False] * 2
    bed.write_text(f"a\t0\t{LENGTH}\n")
    for overwrite in (True, False):
        with pytest.raises(EditError, match=r"none of the sites .* can be scored"):
            insert(here, mask=bed, overwrite=overwrite)


def test_an_edited_genome_is_inserted_into(here, tmp_path):
    """With an insertion far away, sites are those of the edited genome."""
    (tmp_path / "moved.bed").write_text("".join(f"a\t{s + 160}\t{s + 161}\n" for s in SITES))
    edits = EditOptions(("a:10 ins " + "ACGT" * 40,))
    found = insert(here, sites=str(tmp_path / "moved.bed"), edits=edits).table
    np.testing.assert_allclose(found["row"], insert(here).table["row"], atol=2e-5)


FILES = {
    "s.fa": ">one\nACGTACGTAC\n>two\nACGTTTACGTAACC\n",
    "twice.fa": ">one\nACGT\n>one\nACGT\n",
    "empty.bed": "# nothing\n",
    "long.bed": "a\t0\t1500\n",
    "q.bed": "q\t5\t9\n",
    "gap.bed": "a\t2998\t2999\n",
    "end.bed": "a\t6005\t6006\n",
    "ok.bed": "a\t2000\t2001\n",
    "same.bed": "a\t2000\t2001\na\t2000\t2001\n",
}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--sources missing.fa --sites ok.bed", "'missing.fa' cannot be read"),
        ("--sources empty.bed --sites ok.bed", "'empty.bed' holds no sequence"),
        ("--sources twice.fa --sites ok.bed", "source 'one' is there twice"),
        ("--sources q.bed --sites ok.bed", "there is no chromosome 'q'"),
        ("--sources s.fa --sites q.bed", "there is no chromosome 'q'"),
        ("--sources s.fa --sites gap.bed", "the site 'a:2,998-2,999' lies in N"),
        ("--sources s.fa --sites gap.bed --insert --spacing 5 -n 2", "lies in N"),
        ("--sources s.fa --sites end.bed", "too near to the end of a"),
        ("--sources s.fa --sites same.bed", "holds a:2,000-2,001 twice"),
        ("--sources long.bed --sites ok.bed", "is 1,500 bp long, more than the"),
        ("--sources s.fa --sites ok.bed --insert -n 40", "half of the finest window"),
        ("--sources s.fa --sites ok.bed --lengths 12", "'one' has 10 bp, fewer than --lengths 12"),
        ("--sources long.bed --sites ok.bed --lengths 2000", "'a:0-1,500' with --lengths 2,000"),
        ("--sources s.fa --sites ok.bed --orientations +,x", "'+,x' is not understood at 'x'"),
        ("--sources s.fa --sites ok.bed --orientations >< -n 3", "--number 3 means nothing"),
        ("--sources s.fa --sites ok.bed --spacing 5", "--spacing 5 means nothing"),
        ("--sources s.fa --sites ok.bed -n 2 --spacing -5", "copies would overlap"),
        ("--sources background:41 --sites ok.bed", "'background:41' is not understood"),
        ("--sources background:0.4 --sites ok.bed", "give --lengths"),
        ("--sources s.fa --sites background:0.4:x", "'background:0.4:x' is not understood"),
        ("--sources s.fa --sites ok.bed --scores rows", "did you mean 'row'?"),
        ("--sources s.fa --sites ok.bed --scores dot", "give --number and --spacing"),
        ("--sources s.fa --sites ok.bed --scores loop_change", "do not fit"),
        ("--sources s.fa --sites ok.bed --preset orca", "'32M'"),
        ("--sources s.fa --sites ok.bed --module G", "'G' reads several chromosomes"),
        ("--sources s.fa --sites ok.bed --insert --strands forward", "leave out --strands"),
        ("--sources - --sites ok.bed", "not standard input"),
    ],
)
def test_one_line_that_quotes_it(here, tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    module = [] if "--module" in line or "--preset" in line else ["--module", "S"]
    options = ["-m", str(here / "toy"), "-g", str(here / "g.fa"), "--device", "cpu", "-o", "o"]
    done = CliRunner().invoke(main, ["-q", "screen", "insert", *line.split(), *module, *options])
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.stderr.split())
    assert done.stderr.rstrip().splitlines()[-1].startswith("Error: ")
    assert {p.name for p in tmp_path.iterdir()} == set(FILES)
