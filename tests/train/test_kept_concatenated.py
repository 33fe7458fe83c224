"""Encodings that are kept for chromosomes laid end to end: those of the network on the sequence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_training import toy_config

from orca_cool.errors import TrainingError
from orca_cool.genome.open import open_genome
from orca_cool.genome.source import one_hot
from orca_cool.train.config import parse_config
from orca_cool.train.kept_encodings import KeptEncodings
from orca_cool.train.samples import TRAIN, VALIDATION
from orca_cool.train.setup import Run


def toy_run(folder, **changes) -> Run:
    config = toy_config(folder)
    config["stages"][2].update(changes)
    return Run(parse_config(config, folder), folder / "run", open_genome(folder / "g.fa"))


@pytest.mark.parametrize("fewer", [0.0, 1.0])
def test_kept_encodings_are_those_of_the_joined_sequence(tmp_path, fewer):
    run = toy_run(tmp_path, fewer=fewer)
    torch.manual_seed(3)
    model, data = run.model().eval(), run.data(2)
    assert data.encodings_kept
    keys = [(TRAIN, s, 0) for s in range(8)] + [(VALIDATION, 0, i) for i in range(2)]
    where = [data[k] for k in keys]
    data.encodings_kept = False
    plain = [data[k] for k in keys]
    kept = KeptEncodings(model.encoder, run.source, data.window)
    strands, filled = set(), set()
    for a, b in zip(where, plain):
        assert (a.where, len(a.codes), len(b.codes)) == (b.where, 0, data.window)
        strands |= {p.strand for p in a.pieces}
        filled.add(sum(len(p) for p in a.pieces) == data.window)
        with torch.no_grad():
            whole = model.encoder(one_hot(b.codes)[None])[0]
        ours = kept.window(a.pieces)
        assert ours.shape == whole.shape == (8, data.window // 2000)
        assert float((ours - whole).abs().max() / whole.std()) < 1e-4
    assert strands == {"+", "-"}
    assert filled == ({True, False} if fewer else {True})


@pytest.mark.parametrize(
    "change", [{"shift": 10}, {"substitute": 0.1}, {"flank": 10_000}, {"train": ["encoder"]}]
)
def test_encodings_are_not_kept_where_a_window_changes_what_the_encoder_reads(tmp_path, change):
    data = toy_run(tmp_path, **change).data(2)
    assert not data.encodings_kept
    assert len(data[TRAIN, 0, 0].codes) == data.window + 2 * change.get("flank", 0)


def test_windows_of_fewer_chromosomes_have_some_targets_behind_them(tmp_path):
    """Of the pixels beyond the chromosomes a tenth is 0, all others are unknown."""
    data = toy_run(tmp_path, fewer=1.0).data(2)
    beyond = []
    for s in range(40):
        sample = data[TRAIN, s, 0]
        end = sum(len(p) for p in sample.pieces)
        for r, y in sample.targets.items():
            start = (np.arange(y.shape[-1]) + sample.starts[r]) * r
            out = start >= end
            beyond.append(y[0][out[:, None] | out])
    values = np.concatenate(beyond)
    known = values[np.isfinite(values)]
    assert len(values) > 1000
    assert not known.any()
    assert 0.07 < len(known) / len(values) < 0.13


def test_fewer_is_a_share_and_for_windows_of_several_chromosomes(tmp_path):
    with pytest.raises(TrainingError, match=r"fewer must be a share from 0 to 1, not 1[.]5"):
        toy_run(tmp_path, fewer=1.5)
    config = toy_config(tmp_path)
    config["stages"][1]["fewer"] = 0.5
    run = Run(parse_config(config, tmp_path), tmp_path / "run", open_genome(tmp_path / "g.fa"))
    with pytest.raises(TrainingError, match=r"'two' has fewer: 0[.]5, which is for modules that"):
        run.data(1)
