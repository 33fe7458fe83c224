"""What is said to work with other people's models (docs/python.md): companion files of an edited
genome, tracks, and screens of motifs and insertions, from a model in a Python file. Every number is
worked out again from the model's own windows, which are cut and put together here by plain numpy.
"""

from __future__ import annotations

import importlib.util
import json

import cooler
import numpy as np
import pandas as pd
import pyBigWig
import pytest
from click.testing import CliRunner

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.maps.coolfile import read_layer, read_log_ratio

BINS, R, CONTEXT = 32, 40, 80
WINDOW = BINS * R

MODEL = f'''
import numpy as np
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription

BINS, R, CONTEXT = {BINS}, {R}, {CONTEXT}


class Model:
    """Bins are alike by their letters and those around them; the strands differ."""

    spec = ModelDescription("letters", BINS, (ModuleSpec("letters", (R,)),), licence="free")
    digest, context, capabilities = "0" * 64, CONTEXT, frozenset()

    def expected(self, module):
        return ExpectedModel(R, 0.1 / (1.0 + np.arange(400)) ** 0.9)

    def predict(self, codes):
        x = np.array([0.7, -0.2, 0.5, -0.9, 0.0])[codes]
        whole = np.cumsum(np.pad(x, ((0, 0), (1, 0))), axis=1)
        first = np.arange(BINS) * R
        x = (whole[:, first + R + 2 * CONTEXT] - whole[:, first]) / 12
        y = np.tanh(x[:, :, None] + x[:, None]) - np.abs(x[:, :, None] - x[:, None]) / 2
        return y.astype(np.float32)
'''


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A model in a file, and a genome: "a" is longer than a window, "b" is not."""
    folder = tmp_path_factory.mktemp("letters")
    (folder / "m.py").write_text(MODEL)
    rng = np.random.default_rng(7)
    text = {c: "".join(rng.choice(list("ACGT"), n)) for c, n in (("a", 3_010), ("b", 1_230))}
    (folder / "g.fa").write_text("".join(f">{c}\n{t}\n" for c, t in text.items()))
    return folder


@pytest.fixture(scope="module")
def letters(here):
    return dict(part.split("\n")[:2] for part in (here / "g.fa").read_text().split(">")[1:])


@pytest.fixture(scope="module")
def model(here):
    spec = importlib.util.spec_from_file_location("letters_model", here / "m.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Model()


def run(here, *arguments):
    words = ("-m", f"{here}/m.py:Model", "-g", here / "g.fa", "--any-genome", "-q")
    done = CliRunner().invoke(main, [str(a) for a in (*arguments, *words)])
    assert done.exit_code == 0, done.output
    return done


def window(model, text: str, start: int) -> np.ndarray:
    """The map of a window, mean of both strands; what lies beyond the chromosome is N."""
    first, last = start - CONTEXT, start + WINDOW + CONTEXT
    part = "N" * max(0, -first) + text[max(0, first) : last]
    codes = np.array(["ACGTN".index(c) for c in part.ljust(last - first, "N")], np.uint8)
    reverse = np.where(codes[::-1] < 4, 3 - codes[::-1], 4).astype(np.uint8)
    one, two = model.predict(np.stack([codes, reverse])).astype(float)
    return (one + two[::-1, ::-1]) / 2


def joined(model, text: str) -> np.ndarray:
    """The chromosome's map: windows a quarter apart, whose weights rise over four bins."""
    n = -(-len(text) // R)
    over = max(0, n - BINS + (n - BINS) % 2)
    starts = sorted({*range(0, over, BINS // 4), over})
    total, weights = np.zeros((2, n + BINS, n + BINS))
    k = np.arange(BINS)
    for s in starts:
        left = np.full(BINS, 4.0) if s == 0 else k + 1.0
        right = np.full(BINS, 4.0) if s + BINS >= n else BINS - k + 0.0
        edge = np.minimum(np.minimum.outer(left, left), np.minimum.outer(right, right))
        w = np.minimum(edge / 4, 1)
        total[s : s + BINS, s : s + BINS] += w * window(model, text, s * R)
        weights[s : s + BINS, s : s + BINS] += w
    with np.errstate(invalid="ignore"):
        y = (total / weights)[:n, :n]
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.where(apart < (BINS if len(starts) == 1 else 21), y, np.nan)


def expected(model, y: np.ndarray) -> np.ndarray:
    """What is expected of each pixel, with eps."""
    table = model.expected(None).cis
    apart = np.abs(np.subtract.outer(np.arange(len(y)), np.arange(len(y))))
    return table[apart] + table[:BINS].min()


CUT = slice(1_200, 1_320)  # three whole bins: those behind it are the same, three bins further on


def test_an_edited_genome_with_its_companion_files(here, letters, model, tmp_path):
    out = tmp_path / "e.mcool"
    edit = ("--edit", f"a:{CUT.start}-{CUT.stop} del")
    more = ("--lift-to-reference", "--diff", "--tracks", "insulation")
    run(here, "predict", "a", *edit, *more, "-o", out)
    files = ("e", "e.lifted", "e.diff", "e.reference")
    for name in files:
        report = oc.check_mcool(tmp_path / f"{name}.mcool")
        assert report.valid, (name, [r for r in report.results if r.passed is False])
    uris = {name: f"{tmp_path}/{name}.mcool::resolutions/{R}" for name in files}
    before = joined(model, letters["a"])
    after = joined(model, letters["a"][: CUT.start] + letters["a"][CUT.stop :])
    np.testing.assert_allclose(read_log_ratio(uris["e"], "a"), after, atol=2e-6)
    np.testing.assert_allclose(read_log_ratio(uris["e.reference"], "a"), before, atol=2e-6)

    gone = np.arange(CUT.start // R, CUT.stop // R)
    stays = np.delete(np.arange(len(before)), gone)
    frequency = np.full(before.shape, np.nan)
    frequency[np.ix_(stays, stays)] = np.exp(after) * expected(model, after)
    lifted = np.log(frequency / expected(model, before))
    band = read_layer(uris["e.lifted"])[0].band
    far = np.abs(np.subtract.outer(*2 * [np.arange(len(before))])) >= band
    assert band == 21
    found = read_log_ratio(uris["e.lifted"], "a")
    np.testing.assert_allclose(found, np.where(far, np.nan, lifted), atol=3e-6)

    change = np.where(far, np.nan, np.log(frequency / (np.exp(before) * expected(model, before))))
    clr = cooler.Cooler(uris["e.diff"])
    pixels = clr.matrix(balance=True, as_pixels=True).fetch("a")
    shown = np.full(before.shape, np.nan)
    shown[pixels["bin1_id"], pixels["bin2_id"]] = pixels["balanced"]
    np.testing.assert_allclose(shown, np.triu(change) + np.tril(np.full(change.shape, np.nan), -1),
                               atol=4e-6)  # fmt: skip
    assert np.nanmax(np.abs(change)) > 0.5

    f = np.exp(after) * expected(model, after)
    wanted = insulation(f, model.expected(None).cis + model.expected(None).cis[:BINS].min())
    with pyBigWig.open(f"{tmp_path}/e.insulation.bw") as track:
        values = np.array(track.values("a", 0, track.chroms()["a"]))[R // 2 :: R]
    np.testing.assert_allclose(values, wanted[: len(values)], atol=1e-5)
    assert np.isfinite(values).sum() == len(after) - 18


def insulation(f: np.ndarray, table: np.ndarray) -> np.ndarray:
    """log2 of mean contacts between ten bins and ten, less the two nearest distances, over the mean
    that is expected there.
    """
    out = np.full(len(f), np.nan)
    for i in range(9, len(f) - 9):
        pairs = [(a, b) for a in range(10) for b in range(10) if a + b >= 2]
        mean = np.mean([f[i - a, i + b] for a, b in pairs])
        out[i] = np.log2(mean / np.mean([table[a + b] for a, b in pairs]))
    return out


def test_compartments_of_a_chromosome_in_one_window(here, letters, model, tmp_path):
    run(here, "predict", "b", "--tracks", "e1", "-o", tmp_path / "b.mcool")
    y = joined(model, letters["b"])
    n = len(y)
    ratio = np.exp(y)
    for k in range(n):
        mean = np.diagonal(ratio, k).mean()
        i = np.arange(n - k)
        ratio[i, i + k] /= mean
        if k:
            ratio[i + k, i] /= mean
    values, vectors = np.linalg.eigh(ratio - 1)
    e1 = vectors[:, np.abs(values).argmax()] * np.sqrt(n)
    parts = [letters["b"][k * R : (k + 1) * R] for k in range(n)]
    gc = np.array([(p.count("G") + p.count("C")) / len(p) for p in parts])
    e1 *= np.sign(e1 @ (gc - gc.mean()))
    with pyBigWig.open(f"{tmp_path}/b.e1.bw") as track:
        found = np.array(track.values("b", 0, track.chroms()["b"]))[10::R]
    np.testing.assert_allclose(found, e1, atol=1e-4)


def change_of(model, text: str, start: int, end: int, new: str, at: int) -> np.ndarray:
    """How the map of the window from ``at`` on changes with other letters at start to end."""
    return window(model, text[:start] + new + text[end:], at) - window(model, text, at)


def test_motifs(here, letters, model, tmp_path):
    """Hits and their backgrounds become N; each is seen in the window whose middle is nearest:
    middles lie 0.8 of a window apart, to a whole bin.
    """
    hits = [("one", 905), ("one", 1_310), ("two", 1_777), ("two", 2_100), ("two", 2_330)]
    rows = [f"a\t{s}\t{s + 15}\t{m}\t1\t+\n" for m, s in hits]
    (tmp_path / "hits.bed").write_text("".join(rows))
    given = ("a:500-2,600", "--motifs", tmp_path / "hits.bed", "--replace", "N", "--runs", 1)
    run(here, "screen", "motifs", *given, "-o", tmp_path / "o")
    found = pd.read_csv(tmp_path / "o.hits.tsv", sep="\t")
    assert sorted(zip(found["motif"], found["start"])) == sorted(hits)
    step, last = round(0.8 * BINS) * R, -(-(3_010 - WINDOW) // R) * R
    scores = {}
    for row in found.itertuples():
        background = ("background", row.background_start, row.background_end)
        for kind, s, e in (("hit", row.start, row.end), background):
            k = max(0, round(((s + e) // 2 - WINDOW / 2) / step))
            at = min(k * step, last)
            change = change_of(model, letters["a"], s, e, "N" * (e - s), at)
            inside = min(BINS, (3_010 - at + R // 2) // R)  # the last bin is mostly N
            score = np.abs(change[((s + e) // 2 - at) // R, :inside]).mean()
            scores[row.Index, kind] = score
            column = "score" if kind == "hit" else "score.background"
            assert found.loc[row.Index, column] == pytest.approx(score, rel=1e-4)
    assert min(scores.values()) > 1e-4
    table = pd.read_csv(tmp_path / "o.motifs.tsv", sep="\t").set_index("motif")
    for motif, some in found.groupby("motif"):
        means = [np.mean([scores[k, kind] for k in some.index]) for kind in ("hit", "background")]
        assert table.loc[motif, ["mean_A", "mean_B"]].to_list() == pytest.approx(means, rel=1e-4)


SOURCES = {"s": "ACGGGATTTACCATTGCAATTTTGACGTAA", "t": "GGGGCGCGCTTTTGGGGCGCGCAAAAGCGC"}
SITES = (1_000, 1_613)
TURN = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def insertions(here):
    (here / "s.fa").write_text("".join(f">{name}\n{text}\n" for name, text in SOURCES.items()))
    (here / "sites.bed").write_text("".join(f"a\t{s}\t{s + 1}\n" for s in SITES))
    return ("--sources", here / "s.fa", "--sites", here / "sites.bed", "--orientations", "+,-")


def on_strand(row) -> str:
    text = SOURCES[row.source]
    return text if row.orientation == "+" else text.translate(TURN)[::-1]


def test_what_is_overwritten(here, letters, model, insertions, tmp_path):
    """The window is centred on the site, to a bin."""
    run(here, "screen", "insert", *insertions, "-o", tmp_path / "o")
    table = pd.read_parquet(tmp_path / "o.parquet")
    assert len(table) == 2 * 2 * 2
    for row in table.itertuples():
        at = (row.start + R // 2) // R * R - WINDOW // 2
        change = change_of(model, letters["a"], row.start, row.start + 30, on_strand(row), at)
        score = np.abs(change[(row.start + 15 - at) // R]).mean()
        assert row.row == pytest.approx(score, rel=1e-4)
        assert score > 1e-3
    means = pd.read_csv(tmp_path / "o.tsv", sep="\t")
    wanted = table.groupby(["source", "orientation"])["row"].mean()
    for row in means.itertuples():
        assert row.row == pytest.approx(wanted[row.source, row.orientation], rel=1e-4)
    assert len(means) == 4


def test_what_is_inserted(here, letters, model, insertions, tmp_path):
    """What lies behind moves: bins are compared by the base in their middle, in the windows that
    `variants` takes.
    """
    run(here, "screen", "insert", *insertions, "--insert", "-o", tmp_path / "o")
    p = oc.Predictor(f"{here}/m.py:Model", here / "g.fa", any_genome=True, progress=False)
    table = pd.read_parquet(tmp_path / "o.parquet")
    for row in table.itertuples():
        new, site = on_strand(row), row.start
        c = p.compare(f"a:{site} ins {new}", R)
        at, own = c.alternate.start, c.references[0].start
        after = window(model, letters["a"][:site] + new + letters["a"][site:], at)
        np.testing.assert_allclose(c.alternate.values, after, atol=1e-6)
        before = window(model, letters["a"], own)
        middle = at + np.arange(BINS) * R + R // 2
        near = np.where(middle - (site - 1) <= site + 30 - middle, site - 1, site)
        base = np.where(middle < site, middle, np.where(middle < site + 30, near, middle - 30))
        index = (base - own) // R
        there = (index >= 0) & (index < BINS)
        rows = slice((site - 1 - at) // R, (site + 30 - at) // R + 1)
        index = np.clip(index, 0, BINS - 1)
        change = np.abs(after - before[np.ix_(index, index)])[rows][:, there]
        assert row.row == pytest.approx(change.mean(), rel=1e-4)
        assert change.mean() > 1e-3
    about = json.loads((tmp_path / "o.json").read_text())
    assert about["model"] == "letters"


def test_maps_of_a_single_level_can_be_zoomed_out(here, tmp_path):
    """Of an edited genome and all its companions: what is coarser is the mean of what is finer."""
    text = "".join(np.random.default_rng(8).choice(list("ACGT"), 12_010))
    (tmp_path / "g.fa").write_text(f">a\n{text}\n")
    given = ("--edit", "a:1200-1280 del", "--lift-to-reference", "--diff", "--strand-difference")
    words = ("-m", f"{here}/m.py:Model", "-g", tmp_path / "g.fa", "--any-genome", "-q")
    line = ["predict", "a", *given, *words, "-o", tmp_path / "e.mcool"]
    done = CliRunner().invoke(main, [str(a) for a in line])
    assert done.exit_code == 0, done.output
    maps = {}
    for name in ("e", "e.lifted", "e.diff", "e.reference"):
        report = oc.check_mcool(tmp_path / f"{name}.mcool")
        assert report.valid, (name, [r for r in report.results if r.passed is False])
        for r in (R, 2 * R):
            clr = cooler.Cooler(f"{tmp_path}/{name}.mcool::resolutions/{r}")
            y = clr.matrix(balance=True).fetch("a")
            far = np.abs(np.subtract.outer(*2 * [np.arange(len(y))])) >= (21 if r == R else 10)
            maps[name, r] = np.where(far, np.nan, y)
    for name in ("e", "e.reference"):
        fine, coarse = maps[name, R], maps[name, 2 * R]
        n = len(fine) // 2 * 2
        means = fine[:n, :n].reshape(n // 2, 2, n // 2, 2).mean(axis=(1, 3))
        found = coarse[: n // 2, : n // 2]
        known = np.isfinite(means) & np.isfinite(found)
        assert known.sum() == np.isfinite(found).sum() > 2_000
        np.testing.assert_allclose(found[known], means[known], rtol=1e-5)
    # two bins, one of the coarser ones, are gone: those behind it have moved by one
    before, after = maps["e.reference", 2 * R], maps["e", 2 * R]
    stays = np.delete(np.arange(len(before)), 15)
    change = np.full(before.shape, np.nan)
    change[np.ix_(stays, stays)] = np.log(after / before[np.ix_(stays, stays)])
    known = np.isfinite(change) & np.isfinite(maps["e.diff", 2 * R])
    assert known.sum() > 2_000
    np.testing.assert_allclose(maps["e.diff", 2 * R][known], change[known], atol=1e-5)
