"""``orca-cool evaluate --mark``: strong contacts between regions of a kind, against plain numpy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from given_windows import RESOLUTION, SIZES, genome, known_map, write_all
from test_evaluate_predictions import target, write_cooler

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.genome.regions import n_bins
from orca_cool.maps.coolfile import read_log_ratio

pyBigWig = pytest.importorskip("pyBigWig")

CHROMS = ("a", "c")


def signal(name: str, chrom: str) -> np.ndarray:
    """(bins,) values of a mark: a few bins are high."""
    rng = np.random.default_rng([len(name), SIZES[chrom]])
    return rng.exponential(size=n_bins(SIZES[chrom], RESOLUTION)).astype(np.float32)


def write_bigwig(path, name: str, sizes=SIZES):
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(sizes.items()))
        for chrom in sizes:
            values = signal(name, chrom)
            start = np.arange(len(values)) * RESOLUTION
            end = np.minimum(start + RESOLUTION, SIZES[chrom])
            file.addEntries([chrom] * len(values), start.tolist(), end.tolist(), values.tolist())
    return path


def predicted_map(chrom: str) -> np.ndarray:
    """High between bins that have the same mark, so that there are positives enough."""
    y = 0.5 * known_map(chrom, 1)
    for name in ("CTCF", "H3K27ac"):
        high = signal(name, chrom) > np.log(20) - 1.2
        y = y + 1.5 * np.outer(high, high)
    return y.astype(np.float32)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("marks")
    genome(folder / "g.fa")
    write_all(folder / "w", 1)
    oc.stitch_windows(
        folder / "w",
        folder / "ours.mcool",
        genome=folder / "g.fa",
        expected="inverse-distance",
        progress=False,
    )
    write_cooler(
        folder / "measured.cool",
        lambda c: 0.3 * predicted_map(c) + 0.3 * known_map(c, 4) + 0.3 * known_map(c, 1),
        1.0,
        {"a": [3]},
    )
    for name in ("CTCF", "H3K27ac"):
        write_bigwig(folder / f"{name}.bw", name)
    return folder


def run(*arguments: object):
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments), "-q"])


def plain(place, monkey_high: float):
    """By mark: positives, negatives and predictions of both, by the rules as the paper has them."""
    y, x, marked, free = [], [], {"CTCF": [], "H3K27ac": []}, []
    limits = {n: np.concatenate([signal(n, c) for c in CHROMS]) for n in marked}
    for chrom in CHROMS:
        p = read_log_ratio(f"{place}/ours.mcool::resolutions/{RESOLUTION}", chrom)
        t = target(place, chrom, 9)
        i, j = np.nonzero(np.triu(np.isfinite(p) & np.isfinite(t), 2))
        y.append(t[i, j])
        x.append(p[i, j])
        for name in marked:
            high = signal(name, chrom) > np.percentile(limits[name], monkey_high)
            marked[name].append(high[i] & high[j])
        low = signal("CTCF", chrom) < np.percentile(limits["CTCF"], 90)
        free.append(low[i] & low[j])
    y, x, free = (np.concatenate(v) for v in (y, x, free))
    strong = y > np.percentile(y, 90)
    both = {name: np.concatenate(v) for name, v in marked.items()}
    return {
        "CTCF": (x[strong & both["CTCF"]], x[~strong & ~both["CTCF"]]),
        "H3K27ac": (x[strong & both["H3K27ac"] & free], x[~strong]),
    }


@pytest.mark.parametrize("high", [95, 20])
def test_scores_are_the_rules_written_out(place, tmp_path, monkeypatch, high):
    """At the 95th percentile so small a genome has too few positives: no score, but their number."""
    monkeypatch.setattr("orca_cool.evaluate.region_types.HIGH", high)
    marks = [w for n in ("CTCF", "H3K27ac") for w in ("--mark", f"{n}={place}/{n}.bw")]
    words = ("--chrom", "a", "--chrom", "c", "--cutoff", 0, "--no-ceiling", *marks)
    maps = (place / "ours.mcool", place / "measured.cool")
    done = run(*maps, *words, "--json", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    found = {m["mark"]: m for m in json.loads(done.stdout)["marks"]}
    for name, (up, down) in plain(place, high).items():
        score = found[name]
        assert (score["positives"], score["negatives"]) == (len(up), len(down))
        assert score["baseline"] == pytest.approx(len(up) / (len(up) + len(down)))
        if high == 95:
            assert score["auroc"] is None
            assert score["auprc"] is None
            continue
        assert len(up) > 20
        wins = np.mean(up[:, None] > down) + np.mean(up[:, None] == down) / 2
        assert score["auroc"] == pytest.approx(wins, abs=1e-6)
        order = np.argsort(-np.r_[up, down], kind="stable")
        right = (np.arange(len(order)) < len(up))[order]
        precision = np.cumsum(right) / (1 + np.arange(len(right)))
        assert score["auprc"] == pytest.approx(precision[right].mean(), abs=1e-3)
    header = (tmp_path / "out" / "marks.tsv").read_text().splitlines()[0].split("\t")
    assert header[:4] == ["mark", "resolution", "prediction", "auroc"]
    table = run(*maps, *words).stdout.splitlines()
    head = ["mark", "bin", "prediction", "AUROC", "AUPRC", "chance", "positives"]
    assert head in [line.split() for line in table]


def test_what_is_wrong_with_a_mark_is_named(place, tmp_path):
    maps = (place / "ours.mcool", place / "measured.cool", "--chrom", "a", "--no-ceiling")
    write_bigwig(tmp_path / "b.bw", "CTCF", {"b": SIZES["b"]})
    with pyBigWig.open(str(tmp_path / "other.bw"), "w") as file:
        file.addHeader([("a", 6_000)])
        file.addEntries(["a"], [0], ends=[100], values=[1.0])
    (tmp_path / "text.bw").write_text("chr1\n")
    for marks, message in (
        (["CTCF"], "mark 'CTCF' is not NAME=FILE"),
        (["CTCF=none.bw"], "there is no file 'none.bw'"),
        ([f"CTCF={tmp_path}/text.bw"], "is no bigWig"),
        ([f"CTCF={tmp_path}/b.bw"], "has no chromosome 'a'"),
        ([f"CTCF={tmp_path}/other.bw"], "a is 6,000 bp in"),
        ([f"x={tmp_path}/b.bw", "x=y"], "mark 'x' is given twice"),
    ):
        done = run(*maps, *(w for m in marks for w in ("--mark", m)))
        assert done.exit_code == 2, (marks, done.output)
        assert message in done.stderr, done.stderr
