"""A training step and a validation by the rules of the released training scripts: batch norm, loss,
learning rate, averages, scores and the weights that are kept.
"""

from __future__ import annotations

import copy
import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_training import toy_config

from orca_cool.genome.open import open_genome
from orca_cool.genome.source import one_hot
from orca_cool.train.batch import Batch, Sealed, collate
from orca_cool.train.config import Config, parse_config, trained_parts
from orca_cool.train.draw import evenly_placed_window
from orca_cool.train.loop import StageLoop
from orca_cool.train.net import StageNet, set_trained
from orca_cool.train.optimizer import make_optimizer, make_schedule
from orca_cool.train.progress import kept_score
from orca_cool.train.samples import TRAIN
from orca_cool.train.scores import window_correlations
from orca_cool.train.settings import Stage
from orca_cool.train.setup import Run
from orca_cool.train.validate import Validation


def loop_of(folder: Path, number: int, **changes: Any) -> StageLoop:
    """A loop over one of the toy stages, on the CPU."""
    from lightning.fabric import Fabric

    torch.set_num_threads(1)
    data = toy_config(folder)
    data["stages"] = [{**data["stages"][number], **changes}]
    config: Config = parse_config(data, folder)
    run = Run(config, folder / "run", open_genome(folder / "g.fa"))
    torch.manual_seed(1)
    model, samples = run.model(), run.data(0)
    stage = samples.stage
    learning = set_trained(model, samples.module, trained_parts(stage, samples.module, run.spec))
    options: dict[str, Any] = {"flank": stage.flank, "one_pass": stage.one_pass}
    options["positive"] = run.positive(stage)
    net = StageNet(model, samples.module, learning, [*samples.expected_tables.values()], **options)
    if samples.encodings_kept:
        net.keep_encodings(run.source)
    (folder / "run").mkdir(exist_ok=True)
    fabric = Fabric(accelerator="cpu", devices=1)
    return StageLoop(fabric, config, net, samples, folder / "run", run.profile_weights())


def batch_of(loop: StageLoop, step: int = 0) -> Batch:
    return collate([loop.data[TRAIN, step, i] for i in range(loop.stage.batch)])  # type: ignore[return-value]


# -- a step


def test_a_window_of_two_blocks_is_one_batch_to_batch_norm(tmp_path):
    """64 kb in blocks of 40 kb: in one pass the numbers are those of the encoder itself."""
    trained = {"train": ["encoder", "p", "decoders"], "shift": 0}
    once, blocks = (loop_of(tmp_path, 1, **trained, one_pass=n, name=f"s{n}") for n in (2, 1))
    batch = batch_of(once)
    for loop in (once, blocks):
        loop.net.train()
    with torch.no_grad():
        codes = torch.stack([one_hot(c, torch.device("cpu")) for c in batch.codes])
        plain = once.net.model.encoder(codes)
        torch.testing.assert_close(once.net._encode(batch), plain)
        apart = (blocks.net._encode(batch) - plain).std() / plain.std()
    assert apart > 0.01


@pytest.mark.parametrize("over", ["measured", "all"])
@pytest.mark.parametrize("micro", [0, 1])
def test_squared_errors_are_over_measured_or_all_pixels(tmp_path, monkeypatch, over, micro):
    """Of a prediction that is 0.5 everywhere, by hand."""
    loop = loop_of(tmp_path, 2, loss_over=over, microbatch=micro, clip=0)
    batch = batch_of(loop)
    for r, y in batch.targets.items():
        y[0, 0, : r // 2000] = np.nan  # rows of the first sample
    anything = loop.parameters[0]

    def half(part: Sealed) -> tuple[dict[int, torch.Tensor], None]:
        zero = 0 * anything.sum()
        return {r: torch.full_like(y, 0.5) + zero for r, y in part.batch.targets.items()}, None

    monkeypatch.setattr(loop.net, "forward", half)
    wrapped, optimizer = loop.fabric.setup(loop.net, loop.optimizer)
    losses = loop._update(wrapped, optimizer, batch)
    for r, y in batch.targets.items():
        errors = (y.double().numpy() - 0.5) ** 2
        pixels = np.isfinite(errors).sum() if over == "measured" else 2 * 16 * 16
        assert losses[f"loss{r}"] == pytest.approx(np.nansum(errors) / pixels, rel=1e-6)


@pytest.mark.parametrize(("clip", "calls"), [(0, 0), (1, 1)])
def test_gradients_are_clipped_where_asked(tmp_path, monkeypatch, clip, calls):
    loop = loop_of(tmp_path, 2, clip=clip)
    seen: list[Any] = []
    monkeypatch.setattr(loop.fabric, "clip_gradients", lambda *a, **k: seen.append(k))
    wrapped, optimizer = loop.fabric.setup(loop.net, loop.optimizer)
    loop._update(wrapped, optimizer, batch_of(loop))
    assert len(seen) == calls


# -- learning rate


@pytest.mark.parametrize("threshold", [0.0, 1e-4])
def test_the_learning_rate_falls_after_ten_validations_without_a_new_best(threshold):
    """Against the rule: the eleventh in a row that is no better takes a tenth off."""
    stage = Stage("a", lr=0.002, plateau=10, factor=0.9, threshold=threshold)
    optimizer = make_optimizer(stage, [torch.nn.Parameter(torch.zeros(1))])
    schedule = make_schedule(stage, optimizer)
    rng = np.random.default_rng(2)
    scores = np.minimum.accumulate(rng.random(80))[::-1] * 1e-5 + 0.8  # rises in tiny steps
    best, bad, lr, fell = -np.inf, 0, 0.002, 0
    for score in scores:
        schedule.step(float(score))
        if score > best * (1 + threshold):
            best, bad = score, 0
        else:
            bad += 1
        if bad > 10:
            lr, bad, fell = lr * 0.9, 0, fell + 1
        assert optimizer.param_groups[0]["lr"] == pytest.approx(lr, rel=1e-12)
    assert fell >= (6 if threshold else 1)


# -- averages


def test_running_norms_are_those_of_the_averaged_networks_own_passes(tmp_path, monkeypatch):
    """Against the rule: the mean of all steps' weights so far reads the step's samples in training
    mode, and its batch norms go on from where the network's were. (AveragedModel of torch did so
    when the released scripts were written; it has since begun to copy the network's.)
    """
    options = {"average_from": 0.4, "norms": "running", "weights": "last", "validate": 3}
    loop = loop_of(tmp_path, 0, **options)
    averaged, history = loop._averaged, []
    own: list[StageNet] = []

    def both(batch: Batch) -> None:
        state = torch.get_rng_state()
        averaged(batch)
        if loop.step > 2:
            own[:] = own or [copy.deepcopy(loop.net)]
            history.append([p.detach().clone() for p in loop.net.learning.parameters()])
            with torch.no_grad():
                for p, steps in zip(own[0].learning.parameters(), zip(*history)):
                    p.copy_(torch.stack(steps).mean(dim=0))
                torch.set_rng_state(state)  # the same dropout
                own[0].train()
                own[0](batch)

    monkeypatch.setattr(loop, "_averaged", both)
    loop.run()
    theirs = own[0].learning.state_dict()
    for name, mine in loop.net.learning.state_dict().items():
        torch.testing.assert_close(mine, theirs[name], rtol=1e-4, atol=1e-5, msg=name)
    assert loop.average.count == len(history) == 4


def test_averaging_begins_with_a_fresh_optimiser(tmp_path, monkeypatch):
    loop = loop_of(tmp_path, 0, average_from=0.5, average_restart=True, lr=0.01, plateau=0, steps=6,
                   validate=1)  # fmt: skip
    update, seen = loop._update, []

    def watched(*args: Any) -> dict[str, float]:
        seen.append((loop.step, len(loop.optimizer.state), loop.optimizer.param_groups[0]["lr"]))
        return update(*args)

    falling = iter(range(10, 0, -1))
    monkeypatch.setattr(loop, "_update", watched)
    monkeypatch.setattr(
        loop.validation, "scores", lambda net, progress, step: {"score": float(next(falling))}
    )
    loop.run()
    assert [s for s, n, lr in seen if not n] == [0, 3]
    rates = [lr for _, _, lr in seen]
    assert rates == pytest.approx([0.01, 0.01, 0.009, 0.01, 0.01, 0.009])


# -- validation


def test_the_score_of_single_windows_is_the_mean_of_their_correlations():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 12, 12))
    b += a
    b[rng.random(b.shape) < 0.3] = np.nan
    b[2] = np.nan  # a window that does not count
    b[3] = 1.0  # without variance
    each = [
        np.corrcoef(a[k][m], b[k][m])[0, 1] for k in (0, 1, 4, 5) if (m := np.isfinite(b[k])).any()
    ]
    count, total = window_correlations(torch.from_numpy(a), torch.from_numpy(b)).tolist()
    assert count == 4
    assert total / count == pytest.approx(np.mean(each), rel=1e-10)


@pytest.mark.parametrize(("score", "letter"), [("pooled", "r"), ("window", "w")])
def test_both_scores_are_in_the_log_and_one_chooses(tmp_path, score, letter):
    loop = loop_of(tmp_path, 1, score=score, steps=4, validate=2)
    loop.run()
    rows = list(csv.DictReader((tmp_path / "run" / "log-two.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["2", "4"]
    for row in rows:
        chosen = [float(row[f"{letter}{r}"]) for r in (4000, 2000)]
        assert float(row["score"]) == pytest.approx(np.mean(chosen), rel=1e-4)
    assert any(row["r2000"] != row["w2000"] for row in rows)


@pytest.mark.parametrize("kept", ["best", "last"])
def test_the_weights_of_the_best_or_of_the_last_validation_are_kept(tmp_path, monkeypatch, kept):
    loop = loop_of(tmp_path, 2, weights=kept, steps=3, validate=1, average="none")
    states: list[torch.Tensor] = []
    score = iter((0.1, 0.5, 0.3))

    def scores(net: StageNet, progress: Any, step: int) -> dict[str, float]:
        states.append(torch.cat([p.detach().flatten().clone() for p in net.learning.parameters()]))
        return {"score": next(score)}

    monkeypatch.setattr(loop.validation, "scores", scores)
    loop.run()
    final = torch.cat([p.detach().flatten() for p in loop.net.learning.parameters()])
    assert torch.equal(final, states[1 if kept == "best" else 2])
    assert not torch.equal(states[1], states[2])
    assert kept_score(tmp_path / "run", loop.stage) == (0.5 if kept == "best" else 0.3)


def test_2048_windows_of_1_Mb_are_all_different():
    sizes = {"chr8": 145_138_636}
    found = {evenly_placed_window(k, 2048, sizes, 1_000_000, 1_000).start for k in range(2048)}
    assert len(found) == pytest.approx(2048, abs=20)  # those at the ends are kept inside
    assert max(b - a for a, b in zip(sorted(found), sorted(found)[1:])) <= 72_000
    assert Validation.scores.__doc__


# -- what a run says while it runs


def test_a_run_without_a_bar_says_where_it_is_once_a_minute(tmp_path, monkeypatch, caplog):
    from orca_cool.train import progress

    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    caplog.set_level("INFO", logger="orca_cool")
    shown = progress.Progress(tmp_path, "1M", 0, 100)
    for _ in range(50):
        now[0] += 4.0
        shown.step(0.25, 1.0)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4  # at 4, 64, 124 and 184 s
    assert lines[0] == (
        "stage 1M: step 1 of 100, loss 0.2500; 0.25 steps/s, 25% of it waiting for data, 0:06:36 "
        "left"
    )
    assert [line.split(" of ")[0].split()[-1] for line in lines] == ["1", "16", "31", "46"]
