"""Progress bars: often where somebody looks, seldom in a log."""

from __future__ import annotations

import io
import sys

import pytest

from orca_cool.prediction.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a bar of 200 steps writes into the standard error stream."""
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("tqdm.std.time", iter(range(10**6)).__next__)  # a look at it is a second
    with progress_bar(True, "window", "toy") as report:
        for done in range(1, 201):
            report(done, 200)
    return [line for line in stream.getvalue().replace("\r", "\n").split("\n") if line.strip()]


def test_a_log_gets_two_lines_a_minute(monkeypatch):
    lines = written(io.StringIO(), monkeypatch)
    assert 2 <= len(lines) <= 2 + 600 / 30
    assert "200/200" in lines[-1]


def test_a_terminal_is_written_to_all_the_time(monkeypatch):
    assert len(written(Terminal(), monkeypatch)) >= 200
