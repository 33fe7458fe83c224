"""One bit is flipped in a file that numbers come from: the numbers are the same, or there is an
error of ours. A traceback, or other numbers in silence, is a failure.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from Bio import bgzf

from orca_cool.errors import OrcaCoolError
from orca_cool.genome import index_cache
from orca_cool.genome.open import open_genome
from orca_cool.model.bundle import Model, load_bundle
from orca_cool.model.header import PROSE

#: Flips in CI, and where nothing hurries.
FLIPS = [20, pytest.param(200, marks=pytest.mark.long)]


def flipped(path: Path, count: int, seed: int) -> Iterator[None]:
    """Flip bits drawn at random, one at a time; the file is as it was after each."""
    whole = path.read_bytes()
    stat = path.stat()
    places = np.random.default_rng(seed).choice(8 * len(whole), min(count, 8 * len(whole)), False)
    for place in places:
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        yield
    path.write_bytes(whole)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def outcomes(path: Path, count: int, read: Callable[[], Any]) -> Counter[str]:
    """How many flips were errors, and how many changed nothing; none may do anything else."""
    before, found = read(), Counter()
    for _ in flipped(path, count, seed=len(path.name)):
        try:
            now = read()
        except OrcaCoolError as error:
            found["error" if "\n" not in str(error) else "error of several lines"] += 1
        else:
            assert now == before
            found["same"] += 1
    assert read() == before
    assert set(found) <= {"error", "same"}
    print(f"{path.name}: {dict(found)}")
    return found


@pytest.fixture
def genome(tmp_path, monkeypatch) -> Path:
    """A bgzip FASTA of several blocks and chromosomes, its indexes beside it."""
    monkeypatch.setattr(index_cache, "SMALL", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    random = np.random.default_rng(5)
    path = tmp_path / "g.fa.gz"
    with bgzf.BgzfWriter(str(path), "wb") as out:
        for name, length in {"chr1": 180_000, "chr2": 90_010, "chrM": 700}.items():
            text = random.choice(np.frombuffer(b"ACGTacgtN", np.uint8), length).tobytes()
            lines = (text[a : a + 60] + b"\n" for a in range(0, length, 60))
            out.write(f">{name} of nothing\n".encode() + b"".join(lines))
    open_genome(path)
    return path


def bases(path: Path) -> dict[str, bytes]:
    source = open_genome(path)
    return {c: source.fetch(c, 0, n).tobytes() for c, n in source.chromsizes.items()}


@pytest.mark.parametrize("count", FLIPS)
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "anew"])
@pytest.mark.parametrize("ending", ["", ".fai", ".gzi"])
def test_sequence(genome, monkeypatch, ending, kept, count):
    """``kept``: the disk changed a bit, and neither time nor name tells of it; the file was looked
    at before, and is not looked at again.
    """
    if kept:
        monkeypatch.setattr(index_cache, "_key", lambda path, stat: path.name)
    else:
        monkeypatch.setattr(index_cache, "kept", lambda path, stat: None)
    found = outcomes(Path(f"{genome}{ending}"), count, lambda: bases(genome))
    assert found["error"] >= count // 2


@pytest.mark.parametrize("count", FLIPS)
def test_kept_index(genome, tmp_path, count):
    bases(genome)
    (kept,) = (tmp_path / "cache" / "orca-cool" / "fasta").iterdir()
    assert outcomes(kept, count, lambda: bases(genome))["same"] == count


def numbers(folder: Path) -> dict[str, Any]:
    """All that a model's numbers come from."""
    bundle: Model = load_bundle(folder)
    tensors = {k: v.numpy().tobytes() for k, v in bundle.model.state_dict().items()}
    tables = {r: (t.cis.tobytes(), t.trans) for r, t in bundle.expected_tables.items()}
    spec = {k: v for k, v in bundle.spec.to_json().items() if k not in PROSE}
    return {"tensors": tensors, "tables": tables, "spec": spec, "digest": bundle.digest}


@pytest.mark.parametrize("count", FLIPS)
@pytest.mark.parametrize("file", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("name", ["toy", "former"])
def test_bundle(toy_bundle: Model, tmp_path, name, file, count):
    """A bundle of a former version has no digest: of its model.json only what is out of bounds, or
    does not fit the weights, can be found.
    """
    folder = toy_bundle.path
    if name == "former":
        folder = tmp_path / "former"
        shutil.copytree(Path(__file__).parent / "data" / "v0.1" / "toy", folder)
        if file == "model.json":
            for _ in flipped(folder / file, count, seed=1):
                with contextlib.suppress(OrcaCoolError):
                    load_bundle(folder)
            return
    torch.set_num_threads(1)
    found = outcomes(folder / file, count, lambda: numbers(folder))
    if file == "weights.safetensors":
        assert found["error"] == count
