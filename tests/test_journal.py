"""Lines that are only added: what is damaged does not count, whatever happened to it."""

from __future__ import annotations

import os

import pytest

from orca_cool.errors import OutputError
from orca_cool.journal import Journal

ENTRIES = [{"step": k, "name": "ä" * k, "parts": {"40.1": None}} for k in range(4)]


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "journal.jsonl", "kind", 2, {"model": "toy"})
    assert made.read() is None
    made.begin()
    for entry in ENTRIES:
        made.add(entry)
    return made


def test_what_was_written_is_read(journal):
    found = journal.read()
    assert (found.settings, found.entries, found.damaged) == ({"model": "toy"}, ENTRIES, 0)
    journal.begin()  # it is there
    journal.rewrite(ENTRIES[1:])
    journal.add(ENTRIES[0])
    assert journal.read().entries == [*ENTRIES[1:], ENTRIES[0]]


def test_every_bit_and_every_length(journal):
    """Each damaged line is left out; the others stay what they were."""
    data = journal.path.read_bytes()
    for at in range(len(data)):
        journal.path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        found = journal.read()
        assert found.damaged
        assert all(entry in ENTRIES for entry in found.entries)
        assert len(found.entries) >= len(ENTRIES) - 2  # an end of a line joins two
        assert found.settings in ({"model": "toy"}, None)
        for end in (data[:at], data[:at] + bytes(len(data) - at)):
            journal.path.write_bytes(end)
            found = journal.read()
            whole = data[:at].count(b"\n")
            assert found.entries == ENTRIES[: max(0, whole - 1)]
            assert (found.settings is None) is (whole == 0)
            assert bool(found.damaged) is (whole == 0 or not end.endswith(b"\n"))


def test_a_line_is_on_the_disk_before_it_counts(journal, monkeypatch):
    flushed = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda d: (flushed.append(os.fstat(d).st_size), real(d)))
    journal.add({"step": 9})
    assert flushed == [journal.path.stat().st_size]


def test_journals_of_others(journal, tmp_path):
    with pytest.raises(OutputError, match="format is 'kind', expected 'other'"):
        Journal(journal.path, "other", 2, {}).read()
    with pytest.raises(OutputError, match="reads up to version 1: update orca-cool"):
        Journal(journal.path, "kind", 1, {}).read()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder cannot be read: Is a directory"):
        Journal(tmp_path / "folder", "kind", 1, {}).read()
