"""Loops as a loss of their own: strengths of dots, which pixels they are, training with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_training import toy_config

from orca_cool.errors import TrainingError
from orca_cool.genome.open import open_genome
from orca_cool.genome.segments import Segment
from orca_cool.maps.metrics import RING
from orca_cool.train.config import parse_config
from orca_cool.train.dots import CONTROL_SHIFT, dot_pixels, dot_sums
from orca_cool.train.run import Run, train
from orca_cool.train.samples import TRAIN

R = 2000


def strength(y: np.ndarray, i: int, j: int) -> float:
    """By plain loops: 3 x 3 bins less the 11 x 11 around them without the inner 5 x 5."""
    inner, outer = [], []
    for a in range(-5, 6):
        for b in range(-5, 6):
            value = y[i + a, j + b]
            if np.isnan(value):
                continue
            if max(abs(a), abs(b)) <= 1:
                inner.append(value)
            elif max(abs(a), abs(b)) > 2:
                outer.append(value)
    return float(np.mean(inner) - np.mean(outer))


def test_the_loss_is_the_squared_error_of_strengths_by_plain_loops():
    rng = np.random.default_rng(3)
    y, target = rng.normal(size=(2, 2, 3, 40, 40)).astype(np.float32)
    target[rng.random(target.shape) < 0.1] = np.nan
    chosen = np.zeros(target.shape, dtype=bool)
    where = [(0, 0, 6, 20), (0, 2, 12, 33), (1, 1, 5, 34), (1, 1, 10, 24)]
    expected = np.zeros(2)
    for b, m, i, j in where:
        chosen[b, m, i, j] = True
        known = np.where(np.isnan(target[b, m]), np.nan, y[b, m])  # of what is known in the target
        expected[b] += (strength(known, i, j) - strength(target[b, m], i, j)) ** 2
    sums = dot_sums(
        {R: torch.from_numpy(y)}, {R: torch.from_numpy(target)}, {R: torch.from_numpy(chosen)}
    )
    np.testing.assert_allclose(sums[R].numpy(), expected, rtol=1e-4)
    assert expected.min() > 0


def test_a_missing_target_brings_no_gradient_that_is_no_number():
    y = torch.zeros(1, 1, 20, 20, requires_grad=True)
    target = torch.full((1, 1, 20, 20), torch.nan)
    target[..., 2:, 2:] = 1.0
    chosen = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
    chosen[0, 0, 6, 14] = True
    dot_sums({R: y}, {R: target}, {R: chosen})[R].sum().backward()
    assert torch.isfinite(y.grad).all()
    assert not y.grad[..., :2, :].any()


def pixels(strand: str, target: np.ndarray, loops: np.ndarray) -> set[tuple[int, int]]:
    piece = Segment("c", 10_000, 10_000 + 64 * R, strand)
    chosen = dot_pixels(np.random.default_rng(1), {"c": loops}, piece, R, 0, target)
    assert chosen.shape == target.shape
    return {(int(i), int(j)) for _, i, j in np.argwhere(chosen)}


def test_pixels_are_the_loops_and_controls_at_their_distance_and_turn_with_the_strand():
    target = np.zeros((1, 64, 64))
    loops = np.array([[10_000 + 20 * R + 5, 10_000 + 40 * R + 700]])
    forward = pixels("+", target, loops)
    assert (20, 40) in forward
    (control,) = forward - {(20, 40)}
    assert control[1] - control[0] == 20
    assert CONTROL_SHIFT[0] <= abs(control[0] - 20) <= CONTROL_SHIFT[1]
    assert (63 - 40, 63 - 20) in pixels("-", target, loops)


def test_dots_at_borders_on_the_diagonal_or_mostly_unknown_are_left_out():
    target = np.zeros((1, 64, 64))
    at = [(RING - 1, 30), (30, 63), (20, 20 + 2 * RING)]
    loops = np.array([[10_000 + i * R, 10_000 + j * R] for i, j in at])
    assert not pixels("+", target, loops) & set(at)
    good = np.array([[10_000 + 20 * R, 10_000 + 40 * R]])
    target[:, 19:22, 39:41] = np.nan  # six of nine
    assert (20, 40) not in pixels("+", target, good)
    target[:, 19:22, 39] = 0.0  # three of nine
    assert (20, 40) in pixels("+", target, good)
    assert not pixels("+", target, np.array([[0, 500_000]]))


def with_loops(folder, **changes) -> dict:
    data = toy_config(folder)
    data["model"]["bins"] = 32  # the toy's 16 have no room for a dot's surroundings
    data["stages"] = [{**data["stages"][1], "dots": 2.0, **changes}]
    rows = [(c, a * R, (a + 12) * R) for c in ("c1", "c4") for a in range(18)]
    lines = [f"{c}\t{a}\t{a + R}\t{c}\t{b}\t{b + R}\n" for c, a, b in rows]
    (folder / "loops.bedpe").write_text("".join(lines))
    return {**data, "loops": {"m": "loops.bedpe"}}


def test_training_counts_dots_and_reads_those_of_training_chromosomes_alone(tmp_path):
    config = parse_config(with_loops(tmp_path, steps=2, validate=1), tmp_path)
    run = Run(config, tmp_path / "run", open_genome(tmp_path / "g.fa"))
    assert set(run.loops["m"]) == {"c1"}  # c4 is a test chromosome
    samples = [run.data(0)[TRAIN, 0, k] for k in range(8)]
    assert any(s.dots[R].any() for s in samples)
    train(config, tmp_path / "out")
    lines = (tmp_path / "out" / "log-two.csv").read_text().splitlines()
    column = lines[0].split(",").index("loss_dots")
    assert all(np.isfinite(float(line.split(",")[column])) for line in lines[1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loops": {}}, "'two' has dots: 2.0, and the configuration has no loops"),
        ({"loops": {"n": "loops.bedpe"}}, "loops of 'n': no map has this name; maps: m"),
        ({"test": ["c1"]}, "has none on a training chromosome"),
    ],
)
def test_what_cannot_be_learnt_is_told(tmp_path, change, message):
    data = {**with_loops(tmp_path), **change}
    if change.get("test"):
        (tmp_path / "loops.bedpe").write_text("c4\t0\t2000\tc4\t30000\t32000\n")
        data["test"] = ["c4"]
    config = parse_config(data, tmp_path)
    with pytest.raises(TrainingError, match=message):
        Run(config, tmp_path / "run", open_genome(tmp_path / "g.fa")).data(0)


def test_dots_of_a_module_of_several_chromosomes_are_an_error(tmp_path):
    data = with_loops(tmp_path)
    data["stages"] = [{**toy_config(tmp_path)["stages"][2], "dots": 1.0}]
    config = parse_config(data, tmp_path)
    with pytest.raises(TrainingError, match="modules of maps of a single chromosome"):
        Run(config, tmp_path / "run", open_genome(tmp_path / "g.fa")).data(0)


def test_a_negative_weight_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="dots must not be negative"):
        parse_config(with_loops(tmp_path, dots=-1), tmp_path)
