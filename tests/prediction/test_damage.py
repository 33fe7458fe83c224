"""What a power cut or a failing disk leaves of an unfinished prediction: what is damaged is told
and computed again, and the file is the one of an undisturbed run.
"""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest
import runs
from damage import KINDS, damage

from orca_cool.errors import OutputError
from orca_cool.journal import Journal
from orca_cool.prediction.checkpoint import FORMAT, JOURNAL, VERSION, WorkFolder
from orca_cool.prediction.plan import Plan
from orca_cool.prediction.to_file import prepare, work_folder


class Interrupted(BaseException):
    """As KeyboardInterrupt, which pytest would take for its own."""


@pytest.fixture(scope="module")
def whole(place, engine):
    """Written in one go."""
    runs.write(place, place / "whole.mcool", engine_=engine)
    return place / "whole.mcool"


@pytest.fixture(scope="module")
def plan(engine) -> Plan:
    return prepare(
        engine, runs.regions(), runs.settings(), assembly="toy", provenance={"model_name": "toy"}
    )


@pytest.fixture(scope="module")
def unfinished(place, engine, plan, tmp_path_factory):
    """Work folders of runs that were interrupted in their first region, in a later one, and among
    the contacts between chromosomes, by the number of steps done.
    """
    later = next(s.number for s in plan.steps if s.region and s.region.chrom == "b" and not s.first)
    trans = next(s.number for s in plan.steps if s.pair)
    found = {}
    for stop in (3, later + 1, trans + 2):
        output = tmp_path_factory.mktemp("unfinished") / "x.mcool"
        real = WorkFolder.checkpoint

        def until(self, step, parts, state, stop=stop, real=real):
            if step == stop:
                raise Interrupted
            real(self, step, parts, state)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(WorkFolder, "checkpoint", until)
            with pytest.raises(Interrupted):
                runs.write(place, output, engine_=engine)
        found[stop] = work_folder(output)
    return found


def go_on(place, engine, tmp_path, caplog):
    """Go on with the run; its output, and the warnings."""
    caplog.clear()
    output = tmp_path / "x.mcool"
    with caplog.at_level(logging.WARNING):
        runs.write(place, output, engine_=engine)
    return output, [r.getMessage() for r in caplog.records if r.name.startswith("orca_cool")]


def copied(folder, tmp_path):
    shutil.rmtree(tmp_path / "x.mcool.partial", ignore_errors=True)
    return shutil.copytree(folder, tmp_path / "x.mcool.partial")


def test_a_part_is_computed_again(place, engine, whole, unfinished, tmp_path, caplog):
    """Empty, cut, or with zeros at its end: told in one line."""
    rng = np.random.default_rng(1)
    for kind, (stop, folder) in zip(("empty", "cut", "zero tail"), unfinished.items()):
        here = copied(folder, tmp_path)
        part = sorted(here.glob("[0-9]*.npz"))[int(rng.integers(3))]
        damage(part, kind, rng)
        output, (warning,) = go_on(place, engine, tmp_path, caplog)
        assert part.name in warning, (kind, stop)
        assert "these pieces are computed again" in warning
        runs.assert_same(output, whole)
        for path in tmp_path.glob("x.*"):
            path.unlink()


def test_only_what_is_needed_is_computed_again(engine, plan, unfinished, tmp_path):
    """A damaged part of a finished region: that region's steps up to it, and what was to come."""
    stop = max(unfinished)
    here = copied(unfinished[stop], tmp_path)
    step = next(s for s in plan.steps if s.region and s.region.chrom == "b" and not s.first)
    (part, *_) = sorted(here.glob(f"[0-9]*.{step.number}.npz"))
    part.write_bytes(b"")
    todo = [s.number for s in WorkFolder(here, plan.identity).todo(plan.steps)]
    first = max(s.number for s in plan.steps[: step.number] if s.first)
    rest = list(range(stop, len(plan.steps)))
    assert todo == [*range(first, step.number + 1), *rest]
    # whoever only helps learns it from the journal
    helper = WorkFolder(here, plan.identity, shared=True, owner=False)
    assert [s.number for s in helper.todo(plan.steps)] == todo


def test_a_lost_state_is_computed_again(place, engine, plan, whole, unfinished, tmp_path, caplog):
    here = copied(unfinished[3], tmp_path)
    (here / "state.2.npz").write_bytes(bytes(500))
    output, warnings = go_on(place, engine, tmp_path, caplog)
    assert len(warnings) == 1
    assert "state.2.npz" in warnings[0]
    runs.assert_same(output, whole)


@pytest.mark.parametrize("kind", ["cut", "zeros"])
def test_a_damaged_journal(place, engine, whole, unfinished, tmp_path, caplog, kind):
    here = copied(unfinished[3], tmp_path)
    damage(here / JOURNAL, kind, np.random.default_rng(2))
    output, warnings = go_on(place, engine, tmp_path, caplog)
    assert len(warnings) <= 1
    runs.assert_same(output, whole)


def test_an_entry_of_the_journal_names_no_file_elsewhere(plan, tmp_path, caplog):
    (tmp_path / "precious.npz").write_bytes(b"precious")
    folder = tmp_path / "x.mcool.partial"
    folder.mkdir()
    journal = Journal(folder / JOURNAL, FORMAT, VERSION, json.loads(json.dumps(plan.identity)))
    names = ["../precious", str(tmp_path / "precious"), "40.1", "..", "40.0/../../precious"]
    journal.rewrite({"step": 0, "parts": {name: "0" * 32}, "state": None} for name in names)
    journal.add({"step": 10**9, "parts": {}, "state": None})
    journal.add({"step": -1, "parts": {}, "state": None})
    journal.add({"parts": 1})
    work = WorkFolder(folder, plan.identity)
    assert len(work.todo(plan.steps)) == len(plan.steps)
    assert "lines of the journal: 7" in caplog.text
    assert (tmp_path / "precious.npz").read_bytes() == b"precious"


def test_a_folder_of_a_former_version(plan, tmp_path, caplog):
    folder = tmp_path / "x.mcool.partial"

    def make(settings):
        folder.mkdir(exist_ok=True)
        text = {"format": FORMAT, "version": 1, "settings": settings, "step": 1, "parts": ["40.0"]}
        (folder / "manifest.json").write_text(json.dumps(text))
        (folder / "40.0.npz").write_bytes(b"no checksum")

    make(json.loads(json.dumps(plan.identity)))
    assert WorkFolder(folder, plan.identity).todo(plan.steps) == plan.steps
    assert "was left by a former version; it is begun anew" in caplog.text
    assert not folder.exists()
    make({**json.loads(json.dumps(plan.identity)), "model": "other"})
    with pytest.raises(OutputError, match="unfinished run with model 'other', not 'toy'"):
        WorkFolder(folder, plan.identity)
    assert (folder / "40.0.npz").exists()


def test_a_part_that_is_damaged_while_the_run_goes_on(plan, unfinished, tmp_path):
    here = copied(unfinished[3], tmp_path)
    work = WorkFolder(here, plan.identity)
    name = next(iter(work.done[1]))
    assert work.load(name)
    (here / f"{name}.npz").write_bytes(b"")
    with pytest.raises(OutputError, match="damaged; repeat the command, which computes it again"):
        work.load(name)


@pytest.mark.parametrize(
    "number", [4, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(7200)])]
)
def test_any_damage_to_any_file(place, engine, plan, whole, unfinished, tmp_path, caplog, number):
    """The result is the undisturbed one, or the error is clear; never another result."""
    rng = np.random.default_rng(number)
    outcomes, errors = {"told": 0, "silent, of nothing that counts": 0, "error": 0}, []
    for k in range(number):
        here = copied(list(unfinished.values())[k % 3], tmp_path)
        files = sorted(p for p in here.iterdir())
        damage(files[int(rng.integers(len(files)))], KINDS[int(rng.integers(6))], rng)
        try:
            output, warnings = go_on(place, engine, tmp_path, caplog)
        except OutputError as error:
            outcomes["error"] += 1
            errors.append(str(error))
            continue
        outcomes["told" if warnings else "silent, of nothing that counts"] += 1
        runs.assert_same(output, whole)
        for path in tmp_path.glob("x.*"):
            path.unlink()
    print(outcomes)
    assert [error for error in errors if "damaged" not in error] == []
    assert outcomes["told"] >= number // 2
