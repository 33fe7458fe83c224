"""``orca-cool predict`` of a model of several cell types that is killed between their files."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import processes
import pytest
import runs
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

from orca_cool.cli import main
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import save_bundle

TYPES = ("a", "b")
TRACKS = "--fill-distance", "760", "--tracks", "insulation,profiles"


def killing(when: str, name: str, line: list[str]) -> None:
    """``orca-cool`` that kills itself just before the file whose name is given is put in its place,
    or just after.
    """
    plain = os.replace

    def replace(new, path, **options):
        here = os.path.basename(path) == name
        if here and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        plain(new, path, **options)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace
    main(line)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model ``two`` of cell types a and b, and the genome ``toy.fa``."""
    folder = runs.make_place(tmp_path_factory.mktemp("two"))
    save_two(folder / "two", seed=1)
    return folder


def save_two(folder: Path, seed: int) -> None:
    spec = make_toy_spec(cell_types=TYPES, cell_type="", profiles=("CTCF",))
    tables = {
        name: {
            r: ExpectedModel(r, t.cis ** (1 + k / 5), t.trans)
            for r, t in make_toy_expected(spec).items()
        }
        for k, name in enumerate(TYPES)
    }
    save_bundle(folder, make_toy_model(spec, seed), by_cell_type=tables)


def line(two: Path, folder: Path, *more: str) -> list[str]:
    words = ["predict", "-q", "-m", two / "two", "-g", two / "toy.fa", "--device", "cpu", "b"]
    return [str(word) for word in [*words, "-o", folder / "X.mcool", *more]]


def files(folder: Path) -> dict[str, object]:
    """What lies there: of an .mcool all datasets, of other files their bytes."""
    return {
        path.name: runs.contents(path) if path.suffix == ".mcool" else path.read_bytes()
        for path in folder.iterdir()
    }


@pytest.fixture(scope="module")
def unkilled(two: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple, dict[str, object]]:
    """Of the options: what a run leaves that nobody kills."""
    found = {}
    for more in ((), TRACKS):
        folder = tmp_path_factory.mktemp("unkilled")
        done = CliRunner().invoke(main, line(two, folder, *more))
        assert done.exit_code == 0, done.output
        found[more] = files(folder)
        assert {"X.a.mcool", "X.b.mcool"} < set(found[more])
    return found


def kill(two: Path, folder: Path, when: str, name: str, *more: str) -> None:
    process = processes.start(killing, when, name, line(two, folder, *more))
    assert processes.ended(process) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("more", "when", "name"),
    [
        ((), "after", "X.a.mcool"),
        ((), "before", "X.b.mcool"),
        ((), "after", "X.b.mcool"),
        (TRACKS, "after", "X.a.insulation.bw"),
        (TRACKS, "before", "X.b.insulation.bw"),
    ],
)
def test_repeated_it_ends_as_if_it_had_not_been_killed(two, unkilled, tmp_path, more, when, name):
    kill(two, tmp_path, when, name, *more)
    before = (tmp_path / "X.a.mcool").stat()
    again = CliRunner().invoke(main, line(two, tmp_path, *more))
    assert again.exit_code == 0, again.output
    after = (tmp_path / "X.a.mcool").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert files(tmp_path) == unkilled[more]
    once_more = CliRunner().invoke(main, line(two, tmp_path, *more))
    assert once_more.exit_code == 2
    assert "exists; use --force to replace it" in once_more.stderr


def test_only_the_very_prediction_is_taken_for_finished(two, tmp_path):
    """Files that are there for another reason stay what they were: a reason to stop."""
    kill(two, tmp_path, "before", "X.b.mcool")
    other = CliRunner().invoke(main, line(two, tmp_path, "--levels", "80"))
    assert other.exit_code == 2
    assert "X.a.mcool exists; use --force to replace it" in other.stderr
    model = two / "two"
    kept = two / "kept"
    model.rename(kept)
    try:
        save_two(model, seed=2)
        trained_anew = CliRunner().invoke(main, line(two, tmp_path))
    finally:
        shutil.rmtree(model)
        kept.rename(model)
    assert trained_anew.exit_code == 2
    assert "is another prediction than this; use --force" in trained_anew.stderr


def test_without_a_killed_run_a_file_that_is_there_is_an_error(two, tmp_path):
    (tmp_path / "X.a.mcool").write_text("mine")
    done = CliRunner().invoke(main, line(two, tmp_path))
    assert done.exit_code == 2
    assert "X.a.mcool exists; use --force to replace it" in done.stderr
    (tmp_path / "X.a.mcool").unlink()
    (tmp_path / "X.CTCF.bw").write_text("mine")
    for _ in range(2):  # an attempt that was refused is no unfinished run
        done = CliRunner().invoke(main, line(two, tmp_path, *TRACKS))
        assert done.exit_code == 2
        assert "X.CTCF.bw exists; use --force to replace it" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"X.CTCF.bw"}
