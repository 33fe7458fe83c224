"""What --dry-run tells, held against what the run then does."""

import dataclasses
import json
import subprocess
import sys

import cooler
import numpy as np
import pytest
import runs
from click.testing import CliRunner

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.prediction.estimate import largest
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.variants.options import EditOptions


@pytest.fixture
def decoded(monkeypatch):
    """Number of windows that the networks have predicted so far, in a list of one."""
    count, windows = [0], OrcaEngine.decode_windows

    def decode_windows(self, requests, *options):
        count[0] += len(requests)
        return windows(self, requests, *options)

    monkeypatch.setattr(OrcaEngine, "decode_windows", decode_windows)
    return count


def pixels(path):
    """Of all resolutions of a file."""
    uris = cooler.fileops.list_coolers(str(path))
    return sum(cooler.Cooler(f"{path}::{uri}").info["nnz"] for uri in uris)


def job(place, **options):
    return {"model": place / "toy", "genome": place / "toy.fa", "device": "cpu", **options}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"modules": "S,G", "trans": True, "strand_difference": True},
        {"regions": ["a:1,000-3,333", "a:3,400-9,010", "c"], "levels": "40,160"},
        {"fill_distance": 3000, "modules": "S"},
        {"edits": EditOptions(edit=("a:2,000-2,900 del",))},
    ],
)
def test_windows_and_pixels_of_a_prediction_are_exact(place, tmp_path, decoded, options):
    out = tmp_path / "x.mcool"
    told = oc.predict_to_mcool(out, **job(place, **options), dry_run=True)
    assert not list(tmp_path.iterdir())
    decoded[0] = 0
    oc.predict_to_mcool(out, **job(place, **options), progress=False)
    assert told.windows == decoded[0]
    assert told.pixels == pixels(out)
    assert [f"/resolutions/{r}" for r in told.levels] == cooler.fileops.list_coolers(str(out))
    assert 0 < told.seconds < 60
    # not the present size: this process holds other tests, and what it has had at most counts
    assert told.memory < 4 * largest()


def test_disk_and_memory_of_the_example(tmp_path):
    """Within the factors that the text names, in a process that does nothing else."""
    script = f"""
import orca_cool as oc
from orca_cool.prediction.estimate import largest

what = dict(model="yeast-metaphase", genome="example", device="cpu")
told = oc.predict_to_mcool({str(tmp_path / "x.mcool")!r}, **what, dry_run=True)
oc.predict_to_mcool({str(tmp_path / "x.mcool")!r}, **what, progress=False)
print(told.pixels, told.disk, told.memory, largest())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=600
    )
    count, disk, memory, peak = map(int, done.stdout.split())
    assert count == pixels(tmp_path / "x.mcool")
    size = sum(p.stat().st_size for p in tmp_path.iterdir())
    assert 0.5 < disk / size < 2
    assert 0.5 < memory / peak < 2


VARIANTS = """a:1,001-1,400 del
a:1,300-1,500 inv
a:5,000 ins ACGTACGTAA
b:2,000-3,000 dup x2
a:4,000(+)::b:3,000(-)
a:999,999-1,000,000 del
c:100-200 inv
"""


@pytest.mark.parametrize("shifts", ["", "-40,80"])
def test_windows_and_rows_of_variants_are_exact(place, tmp_path, decoded, shifts):
    (tmp_path / "v.txt").write_text(VARIANTS)
    what = job(place, variants=tmp_path / "v.txt", shifts=shifts)
    told = oc.score_variants(tmp_path / "v.tsv", **what, dry_run=True)
    assert [p.name for p in tmp_path.iterdir()] == ["v.txt"]
    decoded[0] = 0
    oc.score_variants(tmp_path / "v.tsv", **what, progress=False)
    text = (tmp_path / "v.tsv").read_text()
    assert told.windows == decoded[0]
    assert f"7 variants, {len(text.splitlines()) - 1} rows; 1 cannot be scored" in told.notes[0]
    size = sum((tmp_path / name).stat().st_size for name in ("v.tsv", "v.tsv.json"))
    assert 0.5 < told.disk / size < 2


def test_on_the_command_line(place, tmp_path):
    line = runs.arguments(place, tmp_path / "x.mcool")
    plain = CliRunner().invoke(main, [*line, "--dry-run"])
    assert plain.exit_code == 0, plain.output
    as_json = CliRunner().invoke(main, [*line, "--dry-run", "--json"])
    found = json.loads(as_json.stdout)
    assert f"windows  {found['windows']:,}" in plain.stdout
    assert f"pixels   {found['pixels']:,}" in plain.stdout
    assert not list(tmp_path.iterdir())
    zoom = CliRunner().invoke(main, [*line[:8], "--at", "a:100", "--dry-run", "-o", "x.mcool"])
    assert zoom.exit_code == 2
    assert "--at 'a:100' predicts one window" in zoom.stderr


def test_what_is_wrong_is_told_before(place, tmp_path):
    (tmp_path / "x.mcool").write_text("old")
    with pytest.raises(oc.OrcaCoolError, match="exists"):
        oc.predict_to_mcool(tmp_path / "x.mcool", **job(place), dry_run=True)


def test_in_words():
    from orca_cool.model.estimate import Estimate

    told = Estimate(
        windows=1234,
        levels=(4000, 8000),
        pixels=10**7,
        disk=53_000_000,
        work=999,
        memory=3 * 10**9,
        seconds=7300,
        notes=("rough",),
    )
    assert str(told).splitlines() == [
        "levels   4,000, 8,000 bp",
        "windows  1,234",
        "pixels   10,000,000",
        "disk     about 53 MB; 999 B more while it runs",
        "memory   about 3 GB",
        "time     about 2 h",
        "rough",
    ]
    assert dataclasses.replace(told, seconds=260_000).__str__().count("3 days") == 1
    assert np.isfinite(json.loads(told.to_json())["seconds"])
