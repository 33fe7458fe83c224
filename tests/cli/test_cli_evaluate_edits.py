"""``orca-cool evaluate --edits`` on the command line, with the shipped model and example genome."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from orca_cool.cli import main

N = 16


@pytest.fixture
def bench(tmp_path):
    """Two edits with made-up truths, and predictions that are the truth of the one replicate."""
    (tmp_path / "mine").mkdir()
    rng = np.random.default_rng(1)
    lines = ["id\tkind\tchrom\tstart\tend\tresolution\tedit\tchanges\tedges\tmaps"]
    for k, edit in enumerate(("chrII:240,000-242,000 del", "chrII:236,000-238,500 inv")):
        one = rng.normal(size=(N, N))
        one += one.T
        np.savez(tmp_path / f"{k}.npz", change1=one, change2=one, reference=np.ones((N, N)))
        np.savez(tmp_path / "mine" / f"{k}.npz", change=2 * one)
        place = f"chrII\t208000\t{208000 + 4000 * N}\t4000"
        lines.append(f"{k}\tk{k}\t{place}\t{edit}\t{k}\t8\t{k}.npz")
    (tmp_path / "edits.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(*arguments: object):
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def test_a_shipped_model_and_the_predictions_of_others(bench):
    model = ("-m", "yeast-metaphase", "-g", "example")
    done = run("--edits", bench / "edits.tsv", *model, "-o", bench / "out", "-q")
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["kind", "all", "k0", "k1"]
    written = json.loads((bench / "out" / "scores.json").read_text())
    assert written["provenance"]["model"] == "yeast-metaphase"
    assert written["scores"][0]["edits"] == 2
    assert -1 <= written["scores"][0]["r"] <= 1
    rows = [x.split("\t") for x in (bench / "out" / "edits.tsv").read_text().splitlines()]
    sizes = [float(row[rows[0].index("size")]) for row in rows[1:]]
    assert all(size > 0 for size in sizes)
    theirs = run("--edits", bench / "edits.tsv", "--predicted", bench / "mine", "--json", "-q")
    scores = json.loads(theirs.stdout)["scores"]
    assert scores[0]["r"] == pytest.approx(1)
    assert scores[0]["r_replicates"] == pytest.approx(1)


def test_what_is_wrong_is_said_in_one_line(bench):
    table, model = ("--edits", bench / "edits.tsv"), ("-m", "yeast-metaphase", "-g", "example")
    (bench / "cut.tsv").write_text((bench / "edits.tsv").read_text().replace(" inv", " cut"))
    finer = (bench / "edits.tsv").read_text().replace("272000\t4000", "272000\t1000")
    (bench / "finer.tsv").write_text(finer)
    for arguments, message in (
        (table, "needs --model and --genome, or --predicted"),
        ((*table, *model, "--chrom", "chrII"), "--chrom 'chrII': not with --edits"),
        ((*table, *model, "a.mcool"), "a.mcool': not with --edits"),
        ((*table, *model, "--predicted", bench / "mine"), "not with --predicted"),
        ((*table, "--predicted", bench / "none"), "none' is no folder"),
        (("--predicted", bench / "mine", "x"), "needs --edits"),
        (("--edits", bench / "cut.tsv", *model), "edit '1': edit 'chrII:236,000-238,500 cut'"),
        (("--edits", bench / "finer.tsv", *model), "edit '0' has bins of 1000 bp; model"),
        (("--edits", bench / "nothing.tsv", *model), "nothing.tsv' cannot be read"),
        ((), "Missing argument"),
        (("x.mcool",), "Missing option '--chrom'"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, (arguments, done.output)
        assert message in done.stderr, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
