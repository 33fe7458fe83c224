"""Stages are timed where somebody asks, no second counts twice, and numbers stay the same."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import runs
from click.testing import CliRunner, Result

from orca_cool.cli import main
from orca_cool.effects.scores import SCORES
from orca_cool.profile import REST, STAGES, Profile, carried, stage, staged


def by_name(profile: Profile) -> dict[str, tuple[float, float]]:
    return {s.name: (s.wall, s.cpu) for s in profile.stages}


def work(seconds: float) -> None:
    """Use so many seconds of this thread's CPU."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_off_by_default():
    assert stage("encoding") is stage("decoding")
    profile = Profile()
    with stage("encoding"):
        pass
    with profile, stage("decoding"):
        pass
    with stage("merging"):
        pass
    assert set(by_name(profile)) == {"decoding", REST}
    assert stage("encoding") is stage("decoding")


def test_a_sleep_and_work_are_found():
    with Profile() as profile:
        with stage("waiting"):
            time.sleep(0.2)
        with stage("encoding"):
            work(0.2)
    found = by_name(profile)
    assert 0.2 <= found["waiting"][0] <= profile.wall
    assert found["waiting"][1] < 0.1
    assert found["encoding"][1] == pytest.approx(0.2, abs=0.05)
    assert found["encoding"][0] >= 0.19
    wall, cpu = profile.wall, profile.cpu
    work(0.05)
    assert (profile.wall, profile.cpu) == (wall, cpu)  # it has ended


def test_a_stage_within_another_interrupts_it():
    @staged("writing")
    def outer() -> str:
        work(0.1)
        with stage("expected"):
            work(0.3)
            with stage("writing"):
                work(0.05)
        return "done"

    with Profile() as profile:
        assert outer() == "done"
    found = by_name(profile)
    assert found["writing"][1] == pytest.approx(0.15, abs=0.04)
    assert found["expected"][1] == pytest.approx(0.3, abs=0.04)
    assert found["writing"][0] + found["expected"][0] <= profile.wall


def test_an_error_ends_its_stage():
    with Profile() as profile:
        with pytest.raises(ValueError, match="bad"), stage("encoding"), stage("decoding"):
            raise ValueError("bad")
        work(0.1)
    found = by_name(profile)
    assert found["encoding"][1] + found["decoding"][1] < 0.05
    assert found[REST][1] >= 0.09


def test_threads_are_counted_by_their_own_cpu():
    def one(name: str) -> None:
        with stage(name):
            work(0.15)

    with Profile() as profile:
        threads = [threading.Thread(target=one, args=(n,)) for n in ("merging", "writing")]
        for thread in threads:
            thread.start()
        one("decoding")
        with stage("waiting"):
            for thread in threads:
                thread.join()
    found = by_name(profile)
    for name in ("merging", "writing", "decoding"):
        assert found[name][1] == pytest.approx(0.15, abs=0.05)
    del found[REST]
    assert sum(wall for wall, _ in found.values()) <= 3 * profile.wall
    assert sum(cpu for _, cpu in found.values()) <= profile.cpu + 0.01


def test_a_helper_gives_its_cpu_to_the_stage_that_waits_for_it():
    with Profile() as profile, stage("encoding"):
        thread = threading.Thread(target=carried(lambda: work(0.2)))
        thread.start()
        thread.join()
    wall, cpu = by_name(profile)["encoding"]
    assert cpu == pytest.approx(0.2, abs=0.05)
    assert wall <= profile.wall
    call = object
    assert carried(call) is call


def test_a_whole_process_begins_before_the_block():
    with Profile(whole_process=True) as profile:
        pass
    wall, cpu = by_name(profile)["start"]
    assert cpu == pytest.approx(profile.cpu, rel=0.2)
    assert profile.wall >= wall > 0.1


# ---- of the program


def call(*line: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in line])


def rows(table: str) -> dict[str, list[float]]:
    """The numbers of a table, by stage."""
    header, *lines = table[table.index("stage ") :].splitlines()
    assert header.split() == ["stage", "wall", "s", "CPU", "s", "share"]
    found = {line[:18].strip(): line[18:].replace("%", "").split() for line in lines}
    return {name: list(map(float, numbers)) for name, numbers in found.items()}


def test_predict_tells_its_stages_and_writes_the_same(place: Path, tmp_path: Path):
    plain, profiled = tmp_path / "a.mcool", tmp_path / "b.mcool"
    without = call(*runs.arguments(place, plain))
    found = call(*runs.arguments(place, profiled), "--profile")
    assert (without.exit_code, found.exit_code) == (0, 0)
    assert "stage " not in without.stderr
    assert found.stderr.startswith(without.stderr)
    assert found.stdout == without.stdout.replace("a.", "b.")
    told = rows(found.stderr)
    expected = {"opening", "reading sequence", "encoding", "decoding", "merging", "writing"}
    assert expected | {"start", "libraries", "expected", "waiting", "rest", "total"} <= set(told)
    assert list(told) == [n for n in (*STAGES, REST, "total") if n in told]
    total = told.pop("total")
    assert sum(n[1] for n in told.values()) == pytest.approx(total[1], abs=0.15)
    assert sum(n[2] for n in told.values()) == pytest.approx(100, abs=2)
    assert total[2] == 100
    assert sum(n[0] for n in told.values()) <= 3 * total[0] + 0.2
    runs.assert_same(plain, profiled)


def test_variants_tell_their_stages(place: Path):
    line = ("variants", "-q", "-m", place / "toy", "-g", place / "toy.fa", "--module", "S")
    line = (*line, "--edit", "a:3,001-3,200 del", "-o", "-", "--device", "cpu")
    without, found = call(*line), call(*line, "--profile")
    assert (without.exit_code, found.exit_code) == (0, 0)
    assert SCORES[0] in found.stdout
    assert found.stdout == without.stdout
    assert {"encoding", "decoding", "scoring", "total"} <= set(rows(found.stderr))
    refused = call(*line[:-4], "a:9-3 del", *line[-3:], "--profile")
    assert refused.exit_code == 2
    assert "stage " not in refused.stderr


def test_a_run_of_python(place: Path, tmp_path: Path):
    """Computed and written in one block; another profile at the same time sees the same."""
    engine = runs.engine(place)
    with Profile() as outer, Profile() as profile:
        runs.write(place, tmp_path / "x.mcool", engine_=engine)
    found, all_ = by_name(profile), by_name(outer)
    names = {"reading sequence", "encoding", "decoding", "merging", "writing", "expected"}
    assert names <= set(found) == set(all_)
    cpu = sum(cpu for name, (_, cpu) in found.items() if name != REST)
    assert 0.5 * profile.cpu < cpu <= profile.cpu
    assert all(wall >= 0 for wall, _ in found.values())
    for name in names:
        assert found[name] == pytest.approx(all_[name], rel=1e-9)
