"""Training in float16 (``precision: 16-mixed``), whose losses are multiplied so that small gradients
are not 0: on the CPU, with the scaler that a GPU would have. Gradients are clipped as they are
without that factor, a step whose gradients overflow is left out, and a run that goes on goes on
with the factor that it had.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.precision import MixedPrecision
from test_train import flat, make_loop, only

from orca_cool.train import checkpoint
from orca_cool.train.loop import StageLoop


def loop_of(
    folder: Path, monkeypatch, number: int, scale: float | None, **changes
) -> tuple[StageLoop, list[float], list[float]]:
    """A loop of a toy stage, and what it notes: the norm of the gradients of each step that is
    taken, and its losses.

    Parameters
    ----------
    scale : the first factor of losses, in float16; None: float32.
    """

    def fabric(**options):
        if scale is not None:
            scaler = torch.amp.GradScaler("cpu", init_scale=scale, backoff_factor=2.0**-50)
            options["plugins"] = [MixedPrecision("16-mixed", "cpu", scaler)]
        return Fabric(**options)

    monkeypatch.setattr("lightning.fabric.Fabric", fabric)
    options = {"steps": 2, "validate": 2, "average": "none", "schedule": "constant", "dots": 0.0}
    loop = make_loop(only(folder, number, **options | changes), folder / f"run-{scale}")
    norms, losses = [], []
    step, update = loop.optimizer.step, loop._update

    def stepped(*given, **named):
        norms.append(float(torch.cat([p.grad.flatten() for p in loop.parameters]).norm()))
        return step(*given, **named)

    def updated(*given):
        values = update(*given)
        losses.append(values["loss"])
        return values

    monkeypatch.setattr(loop.optimizer, "step", stepped)
    monkeypatch.setattr(loop, "_update", updated)
    return loop, norms, losses


@pytest.mark.parametrize("number", [0, 1, 2])
def test_gradients_are_clipped_without_the_factor(tmp_path, monkeypatch, number):
    """Encoder, cascade, and a cascade of several chromosomes: steps like those of float32."""
    found = {}
    for scale in (None, 256.0):
        loop, norms, losses = loop_of(tmp_path, monkeypatch, number, scale, clip=0.05, lr=0.05)
        before = flat(loop.net.learning)
        loop.run()
        assert len(norms) == 2
        assert norms == pytest.approx([0.05] * 2, rel=0.02)  # the gradients were larger
        found[scale] = flat(loop.net.learning) - before, losses
    plain, half = (found[scale][0] for scale in (None, 256.0))
    assert torch.nn.functional.cosine_similarity(plain, half, dim=0) > 0.98
    assert found[256.0][1] == pytest.approx(found[None][1], rel=0.02)


def test_kept_encodings_pass_through_mixed_precision(tmp_path, monkeypatch):
    """Samples that say where they lie, in float16: targets stay float32 on their way."""
    loop, _, _ = loop_of(tmp_path, monkeypatch, 1, 256.0, shift=0, flank=10_000)
    assert loop.data.encodings_kept
    seen = []

    def noted(batch):
        seen.append(batch)
        return forward(batch)

    forward = loop.net.forward
    monkeypatch.setattr(loop.net, "forward", noted)
    loop.run()
    trained = [b.batch for b in seen if hasattr(b, "batch")]
    assert len(trained) == 2
    for batch in trained:
        assert batch.pieces is not None
        assert {y.dtype for y in batch.targets.values()} == {torch.float32}


def test_a_step_whose_gradients_overflow_is_left_out(tmp_path, monkeypatch):
    """The factor falls, and the next step is taken; losses themselves are finite."""
    loop, norms, losses = loop_of(tmp_path, monkeypatch, 1, 2.0**60)
    batches, before = [], flat(loop.net.learning)

    def noted(*given):
        values = update(*given)
        batches.append([p.detach().clone() for p in loop.parameters])
        return values

    first = [p.detach().clone() for p in loop.parameters]
    update = loop._update
    monkeypatch.setattr(loop, "_update", noted)
    loop.run()
    assert all(torch.equal(a, b) for a, b in zip(first, batches[0]))
    assert not torch.equal(torch.cat([p.flatten() for p in first]),
                           torch.cat([p.flatten() for p in batches[1]]))  # fmt: skip
    assert len(norms) == 1
    assert all(0 < loss < 1e3 for loss in losses)
    assert len(losses) == loop.step == 2
    assert torch.isfinite(flat(loop.net.learning)).all()
    assert not torch.equal(flat(loop.net.learning), before)
    assert loop.fabric.strategy.precision.scaler.get_scale() == 2.0**10


def test_a_run_goes_on_with_the_factor_it_had(tmp_path, monkeypatch):
    loop, _, _ = loop_of(tmp_path, monkeypatch, 1, 2.0**60)
    loop.run()
    last = checkpoint.newest(loop.folder / "checkpoints")
    again, _, _ = loop_of(tmp_path, monkeypatch, 1, 2.0**16)
    again._restore(last)
    scaler = again.fabric.strategy.precision.scaler
    assert scaler.get_scale() == 2.0**10
    assert scaler.state_dict() == loop.fabric.strategy.precision.scaler.state_dict()
    plain, _, _ = loop_of(tmp_path, monkeypatch, 1, None)
    plain._restore(last)  # of a run in float32 there is no factor to take
    assert plain.step == 2
