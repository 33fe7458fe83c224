"""`orca-cool variants --null`: percentile and z among the scores of matched places."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import runs
from click.testing import CliRunner
from scipy import stats

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.effects import table as table_module
from orca_cool.effects.percentiles import percentile, z_score
from orca_cool.effects.table_columns import NULL_COLUMNS, RANKED
from orca_cool.variants import read_variants
from orca_cool.variants.matched import MatchedPlaces

#: Matched places of each variant.
N = 6
EDITS = (
    "one\ta:4,000-4,040 del",
    "two\ta:5,000-5,200 inv",
    "bad\ta:9,000-9,200 del",
    "three\tb:3,000 ins GATTACA",
    "few\ta:50-9,000 inv",
)


def line(place, output, *more, edits="null.edits"):
    where = ["-q", "-m", str(place / "toy"), "-g", str(place / "toy.fa"), "--device", "cpu"]
    return ["variants", str(place / edits), *where, "-o", str(output), *more]


def null(*more):
    return ["--null", str(N), "--seed", "4", *more]


def read(path):
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["nan", ""])


@pytest.fixture(scope="module")
def whole(place):
    """The table with a null, written in one go."""
    (place / "null.edits").write_text("\n".join(EDITS) + "\n")
    done = CliRunner().invoke(main, line(place, place / "null.tsv", *null()))
    assert done.exit_code == 0, done.output
    assert "4 of 5 variants scored" in done.output
    return place / "null.tsv"


@pytest.mark.parametrize("seed", range(4))
def test_percentile_and_z_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=30), 1)  # with ties
    for value in (*np.round(rng.normal(size=8), 1), values.max() + 1, values.min() - 1):
        assert percentile(value, values) == pytest.approx(
            stats.percentileofscore(values, value, kind="mean")
        )
        assert z_score(value, values) == pytest.approx(stats.zmap([value], values, ddof=1)[0])
    with_gaps = np.append(values, np.nan)
    assert percentile(0.1, with_gaps) == percentile(0.1, values)
    assert z_score(0.1, with_gaps) == z_score(0.1, values)
    assert math.isnan(percentile(float("nan"), values))
    assert math.isnan(percentile(1.0, []))
    assert math.isnan(z_score(1.0, [2.0, 2.0]))
    assert math.isnan(z_score(1.0, [2.0]))


def test_the_columns_against_matched_places_scored_by_themselves(place, engine, whole, tmp_path):
    """Each variant's places as a file of edits, scored by a run that knows of no null."""
    table, module = read(whole), engine.spec.module("S")
    assert tuple(table.columns[-len(NULL_COLUMNS) - 1 :]) == (*NULL_COLUMNS, "status")
    margin = engine.spec.window(module.resolutions[0]) // 2
    places = MatchedPlaces(engine.source, N, seed=4, margin=margin)
    checked = 0
    for variant in read_variants(place / "null.edits", engine.source):
        found = places.of(variant)
        rows = table[table["name"] == variant.name]
        if variant.problem:
            assert rows["null_places"].tolist() == [0]
            assert rows[list(NULL_COLUMNS[1:])].isna().all(axis=None)
            continue
        assert set(rows["null_places"]) == {len(found)}
        note = f"ok; only {len(found)} of {N} matched places"
        assert set(rows["status"]) == {"ok" if len(found) == N else note}
        texts = [f"p{k}\t{'; '.join(_text(c) for c in one.changes)}" for k, one in enumerate(found)]
        if not texts:
            continue
        (place / "places.edits").write_text("\n".join(texts) + "\n")
        out = tmp_path / f"{variant.name}.tsv"
        assert CliRunner().invoke(main, line(place, out, edits="places.edits")).exit_code == 0
        theirs = read(out)
        sites = [list(dict.fromkeys(some["site"])) for _, some in theirs.groupby("name")]
        own_sites = list(dict.fromkeys(rows["site"]))
        for _, row in rows.iterrows():
            k = own_sites.index(row["site"])
            there = theirs[theirs["resolution"] == row["resolution"]]
            there = there[there["site"].isin([some[k] for some in sites])]
            assert len(there) == len(found)
            for name in RANKED:
                known = there[name].dropna()
                if not len(known) or math.isnan(row[name]):
                    assert math.isnan(row[f"{name}_percentile"])
                    continue
                # scores of other batches differ by rounding, which may swap neighbours
                apart = np.abs(known - row[name]).min() > 1e-5 * abs(row[name])
                if apart:
                    assert row[f"{name}_percentile"] == pytest.approx(
                        stats.percentileofscore(known, row[name], kind="mean"), rel=1e-6
                    )
                if known.std() > 1e-4 * known.abs().max():
                    z = (row[name] - known.mean()) / known.std(ddof=1)
                    assert row[f"{name}_z"] == pytest.approx(z, rel=2e-2, abs=2e-2)
                    checked += 1
    assert checked > 60


def _text(change):
    if change.kind == "ins":
        return f"{change.chrom}:{change.start} ins {change.sequence[0].literal.decode()}"
    return f"{change.chrom}:{change.start}-{change.end} {change.kind}"


def test_scores_are_those_of_a_table_without_a_null(place, whole, tmp_path):
    """To the last digit: matched places are predicted in batches of their own."""
    out = tmp_path / "plain.tsv"
    assert CliRunner().invoke(main, line(place, out)).exit_code == 0
    plain, ours = read(out), read(whole)
    columns = [c for c in plain.columns if c != "status"]
    pd.testing.assert_frame_equal(plain[columns], ours[columns])
    about = json.loads((place / "null.tsv.json").read_text())
    assert (about["null"], about["seed"], about["scored"]) == (N, 4, 4)


def test_standard_output_and_python_have_the_same_table(place, whole):
    done = CliRunner().invoke(main, line(place, "-", *null()))
    assert done.stdout == whole.read_text()
    predictor = oc.Predictor(
        str(place / "toy"), str(place / "toy.fa"), device="cpu", progress=False
    )
    found = predictor.score_variants(place / "null.edits", null=N, seed=4)
    table = read(whole)
    assert list(found.columns) == list(table.columns)
    for name in ("name", "status", "null_places"):
        assert list(found[name]) == list(table[name])
    for name in RANKED:
        np.testing.assert_allclose(found[name], table[name], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found["mse_percentile"], table["mse_percentile"], atol=1e-6)


def test_the_order_of_variants_changes_nothing_else(place, whole, tmp_path):
    (place / "turned.edits").write_text("\n".join(reversed(EDITS)) + "\n")
    out = tmp_path / "turned.tsv"
    assert CliRunner().invoke(main, line(place, out, *null(), edits="turned.edits")).exit_code == 0
    keys = ["name", "resolution", "site"]
    tables = (read(p).fillna({"site": "", "resolution": 0}) for p in (whole, out))
    ours, theirs = (table.set_index(keys).sort_index() for table in tables)
    assert list(ours.index) == list(theirs.index)
    assert list(ours["null_places"]) == list(theirs["null_places"])
    for name in ("mse", "log_fold_change"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3)
        np.testing.assert_allclose(ours[f"{name}_percentile"], theirs[f"{name}_percentile"])
        np.testing.assert_allclose(ours[f"{name}_z"], theirs[f"{name}_z"], rtol=2e-2, atol=2e-2)


def test_a_run_that_is_stopped_anywhere_goes_on_to_the_same_table(
    place, whole, tmp_path, monkeypatch
):
    real, calls = table_module.batch_rows, []

    def failing(*arguments):
        calls.append(len(arguments[1]))
        if len(calls) % 3 == 0:
            raise RuntimeError("no more")
        return real(*arguments)

    monkeypatch.setattr(table_module, "batch_size", lambda engine: 4)
    done = CliRunner().invoke(main, line(place, tmp_path / "once.tsv", *null()))
    assert done.exit_code == 0, done.output
    monkeypatch.setattr(table_module, "batch_rows", failing)
    out = tmp_path / "scores.tsv"
    for _ in range(20):
        done = CliRunner().invoke(main, line(place, out, *null()))
        if done.exit_code == 0:
            break
        assert not out.exists()
    assert out.read_bytes() == (tmp_path / "once.tsv").read_bytes()
    assert len(calls) < 2 * (2 + -(-5 * N // 4))
    assert sorted(p.name for p in tmp_path.glob("scores*")) == ["scores.tsv", "scores.tsv.json"]


@pytest.mark.long
def test_two_processes_write_the_same_bytes(place, whole, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", runs.environment()["PYTHONPATH"])
    out = tmp_path / "two.tsv"
    done = CliRunner().invoke(main, line(place, out, *null("-p", "2")))
    assert done.exit_code == 0, done.output
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--null", "3", "--strict"], "null.edits line 3"),
        (["--null", "3", "--stop-below", "0.1"], "leave one out"),
        (["--genes", "x.gtf"], "it needs --null N"),
        (["--seed", "3"], "it needs --null N"),
        (["--null", "3", "--genes", "none.gtf"], "none.gtf"),
    ],
)
def test_what_cannot_be(place, whole, tmp_path, options, words):
    done = CliRunner().invoke(main, line(place, tmp_path / "x.tsv", *options))
    assert done.exit_code == 2, done.output
    assert words in done.output
    assert not (tmp_path / "x.tsv").exists()


def test_too_few_places_are_an_error_where_strict(place, whole, tmp_path):
    (place / "few.edits").write_text(EDITS[-1] + "\n")
    options = [*null(), "--strict"]
    done = CliRunner().invoke(main, line(place, tmp_path / "x.tsv", *options, edits="few.edits"))
    assert done.exit_code == 2
    assert f"of {N} matched places are found; ask for fewer (--null)" in done.output
    assert not (tmp_path / "x.tsv").exists()


def test_what_it_takes_counts_the_places(place, whole):
    def estimate(*options):
        done = CliRunner().invoke(main, line(place, "x.tsv", "--dry-run", "--json", *options))
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    plain, more = estimate(), estimate(*null())
    assert more["windows"] > 3 * plain["windows"]
    assert any("matched places, which have no rows" in note for note in more["notes"])
