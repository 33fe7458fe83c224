"""A planted truth: a network whose first layers recognize one word and let nothing else through. What
screen and logo find is held against the word and where it stands in the sequence.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_toy_expected, make_toy_model, make_toy_spec
from planted_genome import occurrences
from torch import nn

import orca_cool as oc
from orca_cool.genome.source import codes_to_letters, letters_to_codes, reverse_complement
from orca_cool.model.bundle import save_bundle
from orca_cool.model.cascade import Orca

#: What the network recognizes, on the forward strand of each of the two that it reads; no palindrome.
WORD = letters_to_codes("TGACCAGTA")
LENGTH = 6400
#: First bases of copies, of which every other one is on the reverse strand, and of scrambled ones.
COPIES, SCRAMBLED = (1210, 2035, 3127, 4444), (1618, 2551, 3786)


def recognizing() -> Orca:
    """Random weights, but for the first stage: its one output that is read is 0.5 where the word
    stands, every base of it, and 0 elsewhere.
    """
    model = make_toy_model(make_toy_spec())
    encoder = model.encoder
    first, second = (m for m in encoder.lconv1 if isinstance(m, nn.Conv1d))
    third, fourth = (m for m in encoder.conv1 if isinstance(m, nn.Conv1d))
    following = next(m for m in encoder.lconv2 if isinstance(m, nn.Conv1d))
    with torch.no_grad():
        for norm in (m for part in (encoder.lconv1, encoder.conv1) for m in part):
            if isinstance(norm, nn.BatchNorm1d):
                norm.weight.fill_(1)
                norm.bias.zero_()
                norm.running_mean.zero_()
                norm.running_var.fill_(1 - norm.eps)
        for conv in (first, second, third, fourth):
            conv.weight.zero_()
            conv.bias.zero_()
        for base in range(4):  # the base two places before, and two places behind
            first.weight[base, base, 0] = first.weight[4 + base, base, 4] = 1
        for place, base in enumerate(WORD.tolist()):
            at = (base, place) if place < 5 else (4 + base, place - 4)
            second.weight[0, at[0], at[1]] = 1
        second.bias[0] = 0.5 - len(WORD)
        third.weight[0, 0, 2] = fourth.weight[1, 0, 2] = 1
        following.weight[:, [c for c in range(8) if c != 1]] = 0
        following.weight[:, 1] *= 5
    return model


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, and a genome in which the word stands at COPIES alone."""
    folder = tmp_path_factory.mktemp("planted")
    save_bundle(folder / "toy", recognizing(), make_toy_expected(make_toy_spec()))
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, LENGTH, dtype=np.uint8)
    for k, start in enumerate(COPIES):
        codes[start : start + len(WORD)] = reverse_complement(WORD) if k % 2 else WORD
    for start in SCRAMBLED:
        codes[start : start + len(WORD)] = rng.permutation(WORD)
    assert occurrences(codes, WORD).tolist() == list(COPIES)
    (folder / "g.fa").write_text(f">a\n{codes_to_letters(codes).decode()}\n")
    return folder


def test_the_strongest_sites_of_a_screen_are_the_planted_motifs(here):
    """One unit a sequence: a unit that holds nothing of a copy changes nothing."""
    places = [f"a:{s // 10 * 10 - 30}-{s // 10 * 10 + 40}" for s in (*COPIES, *SCRAMBLED)]
    table = oc.screen.local(
        places, model=here / "toy", genome=here / "g.fa", module="S", device="cpu", unit=10,
        per_sequence=1, runs=2, aggregate="mean", progress=False,
    ).table  # fmt: skip
    assert len(table) == 7 * len(places)
    start, end = table["start"].to_numpy()[:, None], table["end"].to_numpy()[:, None]
    shared = np.minimum(end, np.array(COPIES) + len(WORD)) - np.maximum(start, np.array(COPIES))
    holds, scores = (shared > 0).any(axis=1), table["score"].to_numpy()
    assert scores[~holds].max() < 1e-3 * scores[holds].max()  # scrambled copies are among them
    for k in range(len(COPIES)):
        best = scores[shared[:, k] == shared[:, k].max()].max()
        assert best > 100 * scores[~holds].max()
    strongest = np.argsort(-scores)[: len(COPIES)]
    assert holds[strongest].all()


@pytest.mark.parametrize("k", range(2))
def test_the_logo_writes_the_motif_out(here, k):
    """On either strand: each base of the word counts, and as much as any other; none around it."""
    predictor = oc.Predictor(here / "toy", here / "g.fa", device="cpu", progress=False)
    start, around = COPIES[k], 3
    end = start + len(WORD)
    found = oc.attribute.ism(
        predictor, f"a:{start - around}-{end + around}", f"row a:{start + 4}", resolution=40
    )
    inside = slice(around, around + len(WORD))
    assert found.projected[inside].min() > 0
    np.testing.assert_allclose(found.projected[inside], found.projected[around], rtol=1e-3)
    outside = np.delete(np.abs(found.scores), range(around, around + len(WORD)), axis=0)
    assert outside.max() < 1e-3 * np.abs(found.scores).max()
    # the base whose substitution is none is the one of the word
    word = reverse_complement(WORD) if k % 2 else WORD
    np.testing.assert_array_equal(np.abs(found.scores[inside]).argmin(axis=1), word)


def test_a_scrambled_copy_writes_nothing(here):
    predictor = oc.Predictor(here / "toy", here / "g.fa", device="cpu", progress=False)
    place = SCRAMBLED[0]
    silent = oc.attribute.ism(
        predictor, f"a:{place}-{place + len(WORD)}", f"row a:{place + 4}", resolution=40
    )
    loud = oc.attribute.ism(
        predictor, f"a:{COPIES[0]}-{COPIES[0] + 2}", f"row a:{COPIES[0] + 4}", resolution=40
    )
    assert np.abs(silent.scores).max() < 1e-3 * np.abs(loud.scores).max()
