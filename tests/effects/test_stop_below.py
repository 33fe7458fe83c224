"""`orca-cool variants --stop-below`: finer levels are left out where the coarsest does not change, and
what is predicted is what is predicted without it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import runs
from click.testing import CliRunner

from orca_cool.cli import main
from orca_cool.effects.align import Reference, compare
from orca_cool.effects.scores import SCORES
from orca_cool.effects.variant_rows import Scoring, iter_rows
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.variants import read_variants


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The model and genome of :mod:`runs`, and edits from one base to half a window."""
    folder = runs.make_place(tmp_path_factory.mktemp("stop"))
    edits = [f"snv{k}\ta:{at}-{at + 1} sub N" for k, at in enumerate(range(900, 8_000, 700))]
    edits += [f"del{n}\ta:4000-{4000 + n} del" for n in (3, 40, 400)]
    edits += ["inv\tb:2000-2900 inv", "far\ta:3000(+)::b:3000(-)"]
    (folder / "in.edits").write_text("\n".join(edits) + "\n")
    return folder


def changes(engine, module, variant):
    """The largest change of each level of a variant, at each of its sites, coarsest first."""
    genome = apply_edits(engine.source, variant.changes)
    footprint = variant.chrom, variant.start, max(variant.end, variant.start + 1)
    (found,) = compare(Reference(engine, module), [genome], footprints=[footprint])
    by_site: dict[str, list[float]] = {}
    for c in found:
        known = np.isfinite(c.reference.values)
        diff = np.abs(c.alternate.values[known].astype(float) - c.reference.values[known])
        by_site.setdefault(str(c.site), []).append(float(diff.max()))
    return by_site


def scored(engine, module, path, below):
    variants = list(read_variants(path, engine.source))
    scoring = Scoring(module.resolutions, stop_below=below)
    found = iter_rows(Reference(engine, module), variants, scoring)
    return pd.DataFrame([row for one in found for row in one.rows])


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 1.0])
def test_levels_are_left_out_below_those_that_hardly_change(here, share):
    engine = runs.engine(here)
    module = engine.spec.module("S")
    whole = scored(engine, module, here / "in.edits", None)
    variants = read_variants(here / "in.edits", engine.source)
    found = {variant.name: changes(engine, module, variant) for variant in variants}
    tops = sorted(levels[0] for by_site in found.values() for levels in by_site.values())
    at = round(share * len(tops))
    below = 2 * tops[-1] if share == 1 else (tops[at - 1] + tops[at]) / 2
    ours = scored(engine, module, here / "in.edits", below)
    key = ["name", "site", "resolution"]
    assert ours[key].equals(whole[key])
    left_out = 0
    for (_, row), (_, full) in zip(ours.iterrows(), whole.iterrows()):
        top = found[row["name"]][row["site"]][0]
        if row["resolution"] != module.resolutions[0] and top < below:
            left_out += 1
            assert row[list(SCORES)].isna().all()
            assert row["status"] == (
                f"not predicted: at the levels above no pixel changes by more than "
                f"{top:.3g}, less than --stop-below {below:g}"
            )
        else:
            assert row["status"] == full["status"]
            a, b = (r[list(SCORES)].to_numpy(float) for r in (row, full))
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)
    assert left_out > 0
    assert left_out < len(whole) or share == 1
    if share == 1:
        assert ours["status"].str.startswith("ok").sum() == len(tops)  # the top levels alone


def test_fewer_windows_are_decoded(here, monkeypatch):
    """Of reference and alternate alike; a reference that is at hand in part is completed."""
    engine = runs.engine(here)
    module, plain, counts = engine.spec.module("S"), engine.decoder.decode, []

    def counting(module, resolution, windows):
        counts.append((resolution, len(windows)))
        return plain(module, resolution, windows)

    monkeypatch.setattr(engine.decoder, "decode", counting)

    def decoded(below):
        counts.clear()
        scored(engine, module, here / "in.edits", below)
        return {r: sum(n for at, n in counts if at == r) for r in module.resolutions}

    every, none = decoded(1e-9), decoded(1e9)
    top, *finer = module.resolutions
    assert none[top] == every[top] > 0
    assert all(none[r] < every[r] / 4 and every[r] > 0.8 * every[top] for r in finer), (every, none)
    reference = Reference(engine, module)
    variants = [v for v in read_variants(here / "in.edits", engine.source) if v.name == "del40"]
    for below in (1e9, 1e-9):  # first the top alone, then all of it
        scoring = Scoring(module.resolutions, stop_below=below)
        rows = [row for one in iter_rows(reference, variants, scoring) for row in one.rows]
    fresh = scored(engine, module, here / "in.edits", None)
    wanted = fresh.loc[fresh["name"] == "del40", "mse"].tolist()
    assert [row["mse"] for row in rows] == pytest.approx(wanted, rel=1e-4)


def line(here, output, *more):
    where = ["-m", str(here / "toy"), "-g", str(here / "toy.fa"), "--device", "cpu", "-q"]
    return ["variants", str(here / "in.edits"), *where, "-o", str(output), *more]


def test_on_the_command_line(here, tmp_path):
    """The table says which rows are left out; a variant of which some are is scored."""
    done = CliRunner().invoke(main, line(here, tmp_path / "t.tsv", "--stop-below", "1e6"))
    assert done.exit_code == 0, done.output
    rows = pd.read_csv(tmp_path / "t.tsv", sep="\t")
    assert set(rows.loc[rows["status"].str.startswith("ok"), "resolution"]) == {160}
    assert rows.loc[rows["resolution"] < 160, "status"].str.startswith("not predicted: ").all()
    assert '"stop_below": 1000000.0' in (tmp_path / "t.tsv.json").read_text()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--stop-below", "0"], "--stop-below 0 is not a number above 0"),
        (["--stop-below", "nan"], "--stop-below nan is not a number above 0"),
        (["--stop-below", "0.1", "--shifts", "40"], "--stop-below 0.1 and --shifts '40'"),
    ],
)
def test_bad_input(here, tmp_path, more, words):
    done = CliRunner().invoke(main, line(here, tmp_path / "t.tsv", *more))
    assert done.exit_code == 2
    assert words in done.output
    assert not list(tmp_path.iterdir())
