"""Training: configuration, what learns and what is frozen, exact resume, checkpoints, failures, and
several processes.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from damage import KINDS, damage
from safetensors.torch import load_file, save_file
from toy_training import toy_config

from orca_cool.cli import main
from orca_cool.errors import CoolerError, ModelError, OutputError, TrainingError
from orca_cool.genome.open import open_genome
from orca_cool.model.bundle import load_bundle
from orca_cool.train import checkpoint
from orca_cool.train import loop as loop_module
from orca_cool.train.average import Average, recompute_norms
from orca_cool.train.batch import collate
from orca_cool.train.config import Config, load_config, parse_config, trained_parts
from orca_cool.train.loop import StageLoop
from orca_cool.train.net import StageNet, set_trained
from orca_cool.train.run import Run, train
from orca_cool.train.samples import TRAIN, StageData
from orca_cool.train.scores import correlation, correlation_sums

CONFIGS = sorted((Path(__file__).parents[2] / "orca_cool" / "data" / "configs").glob("*.yaml"))


def write_config(folder: Path, **changes: Any) -> Path:
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump({**toy_config(folder), **changes}))
    return path


def only(folder: Path, number: int, **changes: Any) -> Config:
    """The toy configuration with one of its stages."""
    data = toy_config(folder)
    data["stages"] = [{**data["stages"][number], **changes}]
    return parse_config(data, folder)


# -- configuration
# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_shipped_configurations_are_valid(path):
    config = load_config(path)
    profiles = [*config.feature_types, *config.peaks, *["a factor"] * bool(config.factors)]
    spec = config.spec(profiles, {})
    for stage in config.stages:
        trained_parts(stage, spec.module(stage.module) if stage.module else None, spec)
    if "yeast" in path.stem:
        assert config.test == ("chrI", "chrII")
        assert config.validation == ("chrVIII",)
    elif "extrusion" in path.stem:
        assert config.test == tuple(f"chr{k}" for k in range(70, 76))
        assert config.validation == ("chr67", "chr68", "chr69")
        assert config.cell_types == spec.cell_types == ("a", "b")
    else:
        assert config.test == ("chr9", "chr10")
        assert config.validation == ("chr8",)


def test_unknown_key_names_the_nearest(tmp_path):
    data = toy_config(tmp_path)
    stage = data["stages"][0]
    cases = [
        ({"genom": "x"}, r"'genom'.*'genome'"),
        ({"stages": [{**stage, "stepz": 3}]}, r"'stepz'.*'steps'"),
        ({"stages": [{**stage, "steps": "many"}]}, "steps must be int, not 'many'"),
        ({"validation": ["c4"]}, "'c4' is listed both under test and under validation"),
        ({"stages": [{**stage, "mix": {"g1": 1}}]}, "unknown source 'g1'"),
        ({"stages": [{**stage, "optimizer": "adam"}]}, "'adam'; known: sgd, adamw"),
        ({"stages": [stage, stage]}, "different names"),
        ({"stages": [{"name": "p"}]}, "needs 'window'"),
        ({"stages": []}, "must be a list"),
        ({"maps": {}}, "at least one contact map"),
        ({"target": "k"}, "'k' is not among the maps: m"),
        ({"test": "c4"}, "test must be tuple"),
        ({"keep_checkpoints": 0}, "keep_checkpoints must be 1 or more, not 0"),
        ({"stages": [{**stage, "batch": 0}]}, "batch must be 1 or more, not 0"),
    ]
    for change, message in cases:
        with pytest.raises(TrainingError, match=message):
            parse_config({**data, **change}, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: " + "9" * 5000, "is not YAML: Exceeds the limit"),
        ("seed: 0x" + "f" * 100_000, r"seed must be a whole number of at most .* too long to show"),
        ("0x" + "f" * 900 + ": 1", "unknown key [0-9]+[.]{3}[0-9]+ in the conf"),
        ("seed: .inf", "seed must be a whole number of at most [0-9,]+, not inf"),
        ("cutoff: .nan", "cutoff must be a finite number, not nan"),
        ("cutoff: 0x" + "f" * 1000, "cutoff must be a finite number"),
        ("threads: -1", "threads must be 1 or more, not -1"),
        ("maps: {m: 3}", r"maps must be Mapping\[str, str\], not"),
        ("test: [.nan]", "test must be tuple"),
        ("x: " + "[" * 5000, "is nested too deep"),
        ("model: {bins: 1000000000000000000000000000000}", "bins must be .* not 10{30}"),
        ("model: {encoder: {pools: [1, 0]}}", "a pool must be .* not 0"),
        (
            "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(
                f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi")
            )
            + "stages: *i",
            r"stages\[0\] must be a mapping, not \[",
        ),
        ("x: !!python/object/apply:os.system [true]", "is not YAML: could not determine a constr"),
    ],
)
def test_numbers_and_texts_that_no_configuration_has(tmp_path, text, message):
    path = write_config(tmp_path)
    key = text.partition(":")[0]
    data = yaml.safe_load(path.read_text())
    data.pop(key, None)
    path.write_text(yaml.safe_dump(data) + text)
    began = time.process_time()
    with pytest.raises((TrainingError, ModelError), match=message) as error:
        load_config(path).spec((), {})
    assert time.process_time() - began < 30  # of this process with all its threads, in any company
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_digest_holds_what_decides_the_numbers(tmp_path):
    data = toy_config(tmp_path)
    digest = parse_config(data, tmp_path).digest()
    free = {
        "threads": 7,
        "workers": 3,
        "devices": "4",
        "nodes": 2,
        "cache": "elsewhere",
        "genome": "other/g.fa",
    }
    assert parse_config({**data, **free}, tmp_path / "moved").digest() == digest
    for change in (
        {"seed": 2},
        {"genome": "h.fa"},
        {"cutoff": 3.0},
        {"clr_weight_name": "KR"},
        {"stages": data["stages"][:2]},
    ):
        assert parse_config({**data, **change}, tmp_path).digest() != digest


def test_released_specification_by_name(tmp_path):
    data = {**toy_config(tmp_path), "model": {"orca": "h1esc", "modules": ["32M"]}}
    spec = parse_config(data, tmp_path).spec(["a"], {})
    assert spec.resolutions[0] == 4000
    assert spec.name == "toy"
    assert spec.licence == ""  # one's own weights are not the released ones
    with pytest.raises(TrainingError, match="'bins'"):
        parse_config({**data, "model": {"orca": "h1esc", "bins": 3}}, tmp_path).spec([], {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeed": 1}, "'seeed'"),
        ({"maps": {"m": "absent.cool"}}, "absent.cool' does not exist"),
        ({"genome": "absent.fa"}, "absent.fa"),
        ({"test": ["c9"]}, "test chromosome 'c9' is not in genome 'g'"),
        ({"validation": ["c1", "c2", "c3"]}, "no chromosome of genome 'g' is left"),
        ({"start": "nowhere"}, "nowhere"),
        ({"expected": "nowhere"}, "nowhere"),
        ({"peaks": {"ctcf": "absent.bed"}}, "absent.bed"),
        ({"feature_types": ["tRNA"]}, "profile 'tRNA' has no interval"),
        (
            {"profile_weights": {"rad21": 2}},
            "'rad21', which is no profile; there are: centromere, ctcf",
        ),
        ({"devices": "nine"}, "devices 'nine'"),
    ],
)
def test_errors_on_the_command_line_are_one_line_and_exit_2(tmp_path, change, message):
    path = write_config(tmp_path, **change)
    result = CliRunner().invoke(main, ["train", str(path), "-o", str(tmp_path / "run")])
    assert result.exit_code == 2, result.output
    errors = [line for line in result.output.splitlines() if line.startswith("Error")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in result.output


def test_maps_without_the_resolution_or_weights(tmp_path):
    data = toy_config(tmp_path)
    source = open_genome(tmp_path / "g.fa")
    with pytest.raises(CoolerError, match="no resolution 1000; it has: 2000, 4000"):
        Run(only(tmp_path, 0, resolution=1000), tmp_path / "run", source).data(0)
    c = cooler.Cooler(f"{tmp_path / 'm.mcool'}::resolutions/2000")
    bins, pixels = c.bins()[:].drop(columns="weight"), c.pixels()[:]
    cooler.create_cooler(str(tmp_path / "m.cool"), bins, pixels)
    with pytest.raises(CoolerError, match="not balanced"):
        Run(
            parse_config({**data, "maps": {"m": "m.cool"}}, tmp_path), tmp_path / "run", source
        ).data(0)


def test_the_maps_weights_may_have_another_name_and_divide(tmp_path):
    data = toy_config(tmp_path)
    source = open_genome(tmp_path / "g.fa")
    c = cooler.Cooler(f"{tmp_path / 'm.mcool'}::resolutions/2000")
    bins = c.bins()[:].assign(KR=lambda b: 1 / b["weight"]).drop(columns="weight")
    cooler.create_cooler(str(tmp_path / "kr.cool"), bins, c.pixels()[:])
    changed = {**data, "maps": {"m": "kr.cool"}, "clr_weight_name": "KR"}
    found = []
    for plain in (data, changed):
        samples = Run(parse_config(plain, tmp_path), tmp_path / "run", source).data(0)
        found.append(samples.expected_tables["m"].cis)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


def test_peaks_on_other_names(tmp_path):
    config = toy_config(tmp_path)
    (tmp_path / "p.narrowPeak").write_text("chrA\t10\t20\n")
    with pytest.raises(TrainingError, match="chrA"):
        Run(parse_config(config, tmp_path), tmp_path / "run", open_genome(tmp_path / "g.fa"))


# -- one stage, in this process
# ---------------------------------------------------------------------------------


def make_loop(config: Config, folder: Path, seed: int = 1) -> StageLoop:
    """A loop over the configuration's first stage, on the CPU."""
    from lightning.fabric import Fabric

    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True, parents=True)
    fabric = Fabric(accelerator="cpu", devices=1)
    run = Run(config, folder, open_genome(config.path(config.genome)))
    torch.manual_seed(seed)
    model, data = run.model(), run.data(0)
    learning = set_trained(model, data.module, trained_parts(data.stage, data.module, run.spec))
    background, positive = list(data.expected_tables.values()), run.positive(data.stage)
    net = StageNet(
        model, data.module, learning, background, flank=data.stage.flank, positive=positive
    )
    if data.encodings_kept:
        net.keep_encodings(run.source)
    return StageLoop(fabric, config, net, data, folder, run.profile_weights())


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def flat(net: torch.nn.Module) -> torch.Tensor:
    return torch.cat([v.detach().double().flatten() for v in net.state_dict().values()])


@pytest.mark.parametrize(
    ("number", "frozen", "learns"),
    [
        (0, ["pyramids", "decoders"], ["encoder", "base_decoder", "final_1d"]),
        (
            1,
            ["encoder", "base_decoder", "final_1d", "pyramids.q", "decoders.128k"],
            ["pyramids.p", "decoders.64k"],
        ),
        (
            2,
            ["encoder", "base_decoder", "final_1d", "pyramids.p", "decoders.64k"],
            ["pyramids.q", "decoders.128k"],
        ),
    ],
)
def test_only_what_is_trained_changes(tmp_path, number, frozen, learns):
    """Frozen parts keep every weight and every running statistic, as in the paper's stages
    2 and 3.
    """
    loop = make_loop(only(tmp_path, number), tmp_path / "run")
    before = {k: v.clone() for k, v in loop.net.model.state_dict().items()}
    loop.run()
    after = loop.net.model.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    for part in frozen:
        assert not [k for k in changed if k.startswith(part)], part
    for part in learns:
        assert any(k.startswith(part) and k.endswith("weight") for k in changed), part
        assert any(k.startswith(part) and k.endswith("running_mean") for k in changed), part
    assert all(p.requires_grad for p in loop.parameters)


def test_every_trained_parameter_gets_a_gradient(tmp_path):
    """Distributed training waits for the gradient of every parameter that it knows."""
    for number in range(3):
        loop = make_loop(only(tmp_path, number), tmp_path / f"run{number}")
        wrapped, optimizer = loop.fabric.setup(loop.net, loop.optimizer)
        loop._update(wrapped, optimizer, collate([loop.data[TRAIN, 0, i] for i in range(2)]))
        assert not [n for n, p in loop.net.named_parameters() if p.requires_grad and p.grad is None]


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (0, {}),
        (1, {}),
        (1, {"shift": 0, "flank": 20_000}),
        (2, {}),
        (0, {"average_restart": True, "norms": "running", "weights": "last", "score": "window"}),
        (2, {"chromosomes": "by_length", "shift": 300, "shift_each": True, "loss_over": "all"}),
    ],
    ids=[
        "one-shot",
        "cascade",
        "kept-encodings",
        "several-chromosomes",
        "restarted-average",
        "by-length",
    ],
)
def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, number, changes):
    """Weights, averages, best state, schedule, optimiser, log: all as in an uninterrupted run, to
    the last bit.
    """
    config = only(tmp_path, number, **changes)
    whole = make_loop(config, tmp_path / "whole")
    whole.run()

    class Killed(Exception):
        pass

    broken = make_loop(config, tmp_path / "broken")
    update, stop = broken._update, whole.stage.validate + 1

    def until(*args: Any) -> dict[str, float]:
        if broken.step == stop:
            raise Killed
        return update(*args)

    monkeypatch.setattr(broken, "_update", until)
    with pytest.raises(Killed):
        broken.run()
    last = checkpoint.newest(tmp_path / "broken" / "checkpoints")
    assert last is not None
    again = make_loop(config, tmp_path / "broken", seed=99)  # its own start is forgotten
    again.run(last)
    a, b = (checkpoint.newest(tmp_path / f / "checkpoints") for f in ("whole", "broken"))
    assert a is not None
    assert b is not None
    one, two = load_file(a), load_file(b)
    assert one.keys() == two.keys()
    assert not [k for k in one if not torch.equal(one[k], two[k])]
    assert checkpoint.read(a, config.digest())[1] == checkpoint.read(b, config.digest())[1]
    assert torch.equal(flat(whole.net), flat(again.net))
    rows = [table(tmp_path / f / f"log-{whole.stage.name}.csv") for f in ("whole", "broken")]
    timed = ("seconds", "rate", "waiting")
    assert [{k: v for k, v in r.items() if k not in timed} for r in rows[0]] == [
        {k: v for k, v in r.items() if k not in timed} for r in rows[1]
    ]


def test_microbatches_add_up(tmp_path):
    """Of batch norms frozen, a batch in parts gives the gradient of the whole."""
    losses, grads = [], []
    for micro in (0, 1, 3):
        loop = make_loop(
            only(tmp_path, 1, batch=4, microbatch=micro, optimizer="sgd", momentum=0.0, clip=0.0),
            tmp_path / f"run{micro}",
        )
        for m in loop.net.modules():
            if isinstance(
                m, torch.nn.modules.batchnorm._BatchNorm | torch.nn.Dropout | torch.nn.Dropout1d
            ):
                m.train = lambda mode=True, m=m: m  # type: ignore[method-assign]
                m.training = False
        wrapped, optimizer = loop.fabric.setup(loop.net, loop.optimizer)
        losses.append(
            loop._update(wrapped, optimizer, collate([loop.data[TRAIN, 0, i] for i in range(4)]))[
                "loss"
            ]
        )
        grads.append(torch.cat([p.grad.flatten() for p in loop.parameters]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) == pytest.approx(losses[2], rel=1e-5)
    for g in grads[1:]:
        assert (g - grads[0]).abs().max() <= 1e-5 * grads[0].abs().max()


def test_training_lowers_the_loss(tmp_path):
    config = only(
        tmp_path,
        1,
        steps=60,
        validate=20,
        optimizer="adamw",
        schedule="onecycle",
        lr=0.01,
        average="ema",
    )
    loop = make_loop(config, tmp_path / "run")
    loop.run()
    rows = table(tmp_path / "run" / "log-two.csv")
    assert float(rows[-1]["loss"]) < 0.7 * float(rows[0]["loss"])
    assert {"rate", "waiting", "loss4000", "loss2000", "r4000", "r2000", "score"} <= set(rows[0])
    assert len(list((tmp_path / "run" / "pictures").glob("two-*.png"))) == 3


def test_a_loss_that_is_no_number_stops_and_names_the_sample(tmp_path, monkeypatch):
    config = only(tmp_path, 1)
    loop = make_loop(config, tmp_path / "run")
    plain = StageData.__getitem__

    def poisoned(self: StageData, key: tuple[int, int, int]) -> Any:
        sample = plain(self, key)
        if key == (TRAIN, 4, 1):
            sample.targets[2000][0, 3, 4] = 3e38  # type: ignore[union-attr]
            sample.where = "the poisoned one"  # type: ignore[union-attr]
        return sample

    monkeypatch.setattr(StageData, "__getitem__", poisoned)
    with pytest.raises(
        TrainingError,
        match=r"step 5: the loss is not a number, for: the poisoned one\. Stopped; .*000-000000003",
    ):
        loop.run()
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == [
        "000-000000003.safetensors"
    ]


# -- averages
# --------------------------------------------------------------------------------------------------


def test_swa_is_the_plain_mean_and_ema_the_exponential_one(tmp_path):
    for kind, expected in (("swa", (3 + 4 + 5) / 3), ("ema", None)):
        config = only(tmp_path, 1, steps=5, average=kind, average_from=0.4, decay=0.5)
        loop = make_loop(config, tmp_path / kind)
        average = Average(loop.net, loop.stage)
        weight = next(p for p in loop.net.learning.parameters())
        value = float(weight.detach().flatten()[0])
        for step in range(1, 6):
            with torch.no_grad():
                weight.fill_(float(step))
            average.update(loop.net, step)
            value += max(0.5, 10 / (step + 10)) * (step - value)
        got = float(next(p for p in average.net.learning.parameters()).detach().flatten()[0])
        assert got == pytest.approx(value if expected is None else expected, rel=1e-5)
        assert average.count == (3 if kind == "swa" else 5)


def test_recomputed_norms_are_the_means_over_the_samples(tmp_path):
    """Against statistics taken by hooks; frozen norms stay."""
    loop = make_loop(only(tmp_path, 1), tmp_path / "run")
    net = loop.net
    norm = next(m for m in net.learning.modules() if isinstance(m, torch.nn.BatchNorm1d))
    frozen = net.model.encoder.conv1[1].running_mean.clone()
    seen: list[torch.Tensor] = []
    handle = norm.register_forward_pre_hook(lambda m, args: seen.append(args[0].detach()))
    batches = [collate([loop.data[TRAIN, s, i] for i in range(2)]) for s in range(3)]
    torch.manual_seed(0)
    recompute_norms(net, batches, lambda t: t)
    handle.remove()
    means = torch.stack([x.mean(dim=(0, 2)) for x in seen]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean, means, rtol=1e-4, atol=1e-5)
    assert norm.momentum == 0.1
    assert torch.equal(net.model.encoder.conv1[1].running_mean, frozen)


def test_pooled_correlation_is_that_of_all_pixels():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 12, 12))
    b += a
    b[rng.random(b.shape) < 0.2] = np.nan
    sums = sum(
        correlation_sums(torch.from_numpy(a[k : k + 2]), torch.from_numpy(b[k : k + 2]))
        for k in (0, 2, 4)
    )
    i, j = np.triu_indices(12, 2)
    x, y = a[:, i, j].ravel(), b[:, i, j].ravel()
    keep = np.isfinite(y)
    assert correlation(sums.tolist()) == pytest.approx(
        np.corrcoef(x[keep], y[keep])[0, 1], rel=1e-10
    )
    assert np.isnan(correlation([2, 0, 0, 0, 0, 0]))


# -- checkpoints
# ------------------------------------------------------------------------------------------------


def test_checkpoints_are_whole_or_refused(tmp_path):
    tensors = {"model.a": torch.arange(6.0).reshape(2, 3), "optimizer.0.step": torch.tensor(3.0)}
    for step in (1, 2, 3):
        path = checkpoint.write(tmp_path, 1, step, tensors, {"step": step}, "digest", keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "001-000000002.safetensors",
        "001-000000003.safetensors",
    ]
    assert checkpoint.newest(tmp_path) == path
    back, state = checkpoint.read(path, "digest")
    assert torch.equal(back["model.a"], tensors["model.a"])
    assert state == {"step": 3}
    with pytest.raises(TrainingError, match="another configuration"):
        checkpoint.read(path, "other")
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    with pytest.raises(TrainingError, match="is damaged"):
        checkpoint.read(path, "digest")
    path.write_bytes(data[:-9])
    with pytest.raises(TrainingError, match="cannot be read"):
        checkpoint.read(path, "digest")
    path.write_bytes(b"")
    with pytest.raises(TrainingError, match="cannot be read"):
        checkpoint.read(path, "digest")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        checkpoint.write(tmp_path / "file", 0, 1, tensors, {}, "d", 1)


@pytest.mark.parametrize(
    "number", [24, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_any_damage_to_a_checkpoint_is_an_error(tmp_path, number):
    """Its numbers are those that were written, or it is refused: tensors, step, rates, best score."""
    loop = make_loop(only(tmp_path, 1), tmp_path / "run")
    loop.run()
    path = checkpoint.newest(tmp_path / "run" / "checkpoints")
    assert path is not None
    digest, data = loop.config.digest(), path.read_bytes()
    tensors, state = checkpoint.read(path, digest)
    assert state["step"] == 6
    header = int.from_bytes(data[:8], "little")
    rng, refused = np.random.default_rng(number), 0
    for k in range(number):
        path.write_bytes(data)
        if k % 3:  # a bit, of the header and of the tensors in turn
            at = int(rng.integers(0, header + 8) if k % 3 == 1 else rng.integers(len(data)))
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << k % 8]) + data[at + 1 :])
        else:
            damage(path, KINDS[k // 3 % 6], rng)
        try:
            found, now = checkpoint.read(path, digest)
        except TrainingError:
            refused += 1
            continue
        assert now == state
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[k], tensors[k]) for k in tensors)
    print(f"{number} damaged, {refused} refused")
    assert refused >= 0.9 * number  # spaces of the header's end, and spelling of JSON, do not count


def test_checkpoints_of_a_former_version_are_read(tmp_path):
    """Version 1 had a checksum over the tensors alone."""
    tensors = {"model.a": torch.arange(6.0).reshape(2, 3)}
    header = {"format": checkpoint.FORMAT, "version": 1, "digest": "d", "state": {"step": 3}}
    header["sha256"] = checkpoint._sum(tensors, {})
    path = tmp_path / "000-000000003.safetensors"
    save_file(tensors, path, metadata={"orca_cool": json.dumps(header)})
    found, state = checkpoint.read(path, "d")
    assert torch.equal(found["model.a"], tensors["model.a"])
    assert state == {"step": 3}


# -- whole runs
# -------------------------------------------------------------------------------------------------


def test_all_three_stages_make_a_bundle_that_predicts(tmp_path):
    from orca_cool.prediction.engine import make_engine

    path = write_config(tmp_path)
    out = tmp_path / "run"
    result = CliRunner().invoke(main, ["train", str(path), "-o", str(out)])
    assert result.exit_code == 0, result.output
    bundle = load_bundle(out / "model")
    assert bundle.spec.profiles == ("centromere", "ctcf")
    assert "c4 never read" in bundle.spec.training_data
    assert set(bundle.spec.metrics["validation"]) == {"one", "two", "three"}
    engine = make_engine(bundle, open_genome(tmp_path / "g.fa"), "cpu")
    for name in ("64k", "128k", "32k"):
        for m in engine.zoom(bundle.spec.module(name), "c4", 30_000):
            assert np.isfinite(m.values).all()
    assert (out / "tensorboard").is_dir()
    again = CliRunner().invoke(main, ["train", str(path), "-o", str(out)])
    assert again.exit_code == 2
    assert "--resume" in again.output
    before = [(out / "model" / f).read_bytes() for f in ("weights.safetensors", "model.json")]
    resumed = CliRunner().invoke(
        main, ["train", str(path), "-o", str(out), "--resume"]
    )  # a finished run: the same bundle again
    assert resumed.exit_code == 0, resumed.output
    assert [
        (out / "model" / f).read_bytes() for f in ("weights.safetensors", "model.json")
    ] == before
    other = CliRunner().invoke(
        main, ["train", str(path), "-o", str(out), "--resume", "--set", "seed=2"]
    )
    assert other.exit_code == 2
    assert "another configuration" in other.output
    empty = CliRunner().invoke(main, ["train", str(path), "-o", str(tmp_path / "none"), "--resume"])
    assert empty.exit_code == 2
    assert "no checkpoint to resume from" in empty.output


def test_stages_in_files_of_their_own_begin_with_the_model_before(tmp_path):
    data = toy_config(tmp_path)
    train(parse_config({**data, "stages": data["stages"][:1]}, tmp_path), tmp_path / "a")
    second = {**data, "stages": data["stages"][1:2], "start": str(tmp_path / "a" / "model")}
    train(parse_config(second, tmp_path), tmp_path / "b")
    a, b = (load_bundle(tmp_path / f / "model").model.state_dict() for f in "ab")
    assert all(
        torch.equal(a[k], b[k]) for k in a if k.startswith(("encoder", "base_decoder", "final_1d"))
    )
    assert set(load_bundle(tmp_path / "b" / "model").spec.metrics["validation"]) == {"one", "two"}
    wide = json.loads(json.dumps(second))
    wide["model"]["encoder"]["widths"] = [4, 4, 8]
    with pytest.raises(TrainingError, match=r"encoder\.\S+ has shape .*expected"):
        train(parse_config(wide, tmp_path), tmp_path / "c")


def run_cli(
    folder: Path, arguments: list[str], launcher: list[str] | None = None
) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*(launcher or [sys.executable]), "-m", "orca_cool", "train", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def train_here(path: Path, folder: Path, *more: str) -> None:
    """``orca-cool train`` in this process."""
    done = CliRunner().invoke(main, ["train", str(path), "-o", str(folder), *more])
    assert done.exit_code == 0, done.output


def finish(process: subprocess.Popen[str], good: bool = True) -> str:
    """Wait for the end, which must be good or bad; what was said."""
    said, _ = process.communicate(timeout=600)
    assert (process.returncode == 0) is good, said
    return said


@pytest.mark.long
def test_kill_and_resume_with_workers(tmp_path):
    """SIGKILL in the middle of a real process with loader workers; the resumed run ends like one
    that was left alone.
    """
    path = write_config(tmp_path, workers=2)
    more = ["--set", "stages.1.steps=24"]
    killed = run_cli(tmp_path, [str(path), "-o", "run", *more])
    folder = tmp_path / "run" / "checkpoints"
    end = time.monotonic() + 240
    while not list(folder.glob("001-*.safetensors")) and time.monotonic() < end:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    finish(killed, good=False)
    assert checkpoint.newest(folder) is not None
    train_here(path, tmp_path / "run", "--resume", *more)
    train_here(path, tmp_path / "whole", *more)
    a, b = (load_file(tmp_path / f / "model" / "weights.safetensors") for f in ("whole", "run"))
    assert a.keys() == b.keys()
    assert not [k for k in a if not np.array_equal(a[k].numpy(), b[k].numpy(), equal_nan=True)]


TORCHRUN = [
    *[sys.executable, "-m", "torch.distributed.run", "--standalone"],
    *["--nproc-per-node", "2"],
]


@pytest.mark.slow
def test_two_processes_train_as_one_in_microbatches(tmp_path):
    """Gradients among ranks: the weights are those of one process that takes the same parts of the
    batch in turn.
    """
    stage = {**toy_config(tmp_path)["stages"][1], "batch": 4, "average": "none"}
    stage = {**stage, "steps": 4, "validate": 2}
    decoder = toy_config(tmp_path)["model"]["modules"][0]["decoder"]
    decoder["dropout"] = 0.0  # ranks draw masks of their own
    model = toy_config(tmp_path)["model"]
    for module in model["modules"][:2]:
        module["decoder"] = decoder
    model["base_decoder"]["dropout"] = 0.0
    path = write_config(tmp_path, stages=[stage], model=model)
    train_here(path, tmp_path / "one", "--set", "stages.0.microbatch=2")
    two = run_cli(tmp_path, [str(path), "-o", "two", "--devices", "2"], TORCHRUN)
    finish(two)
    a, b = (load_bundle(tmp_path / f / "model").model for f in ("one", "two"))
    for (name, p), q in zip(a.named_parameters(), b.parameters()):
        torch.testing.assert_close(
            p, q, rtol=1e-4, atol=1e-6, msg=lambda m, name=name: f"{name}: {m}"
        )
    rows = [table(tmp_path / f / "log-two.csv") for f in ("one", "two")]
    assert float(rows[0][0]["loss"]) == pytest.approx(float(rows[1][0]["loss"]), rel=1e-3)


@pytest.mark.long  # in CI two processes train, in the test above
def test_a_batch_that_cannot_be_divided_among_processes(tmp_path):
    stage = {**toy_config(tmp_path)["stages"][1], "batch": 3}
    path = write_config(tmp_path, stages=[stage])
    line = [str(path), "-o", "run", "--set", "devices=auto"]  # as many as the launcher started
    uneven = run_cli(tmp_path, line, TORCHRUN)
    assert "batch 3 cannot be divided among 2 processes" in finish(uneven, good=False)


def test_a_launcher_that_started_more_processes_than_devices(tmp_path, monkeypatch):
    path = write_config(tmp_path)
    # what torchrun tells the first of two processes
    told = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    for name, value in {**told, "TORCHELASTIC_RUN_ID": "lonely"}.items():
        monkeypatch.setenv(name, str(value))
    lonely = ["train", str(path), "-o", str(tmp_path / "run"), "--devices", "1"]
    refused = CliRunner().invoke(main, lonely)
    assert refused.exit_code == 2
    assert "make 1 processes, the launcher started 2" in refused.output


def test_seeds_of_steps_and_ranks_differ(tmp_path, monkeypatch):
    seeds: list[int] = []
    loop = make_loop(only(tmp_path, 1), tmp_path / "run")
    real = torch.manual_seed
    monkeypatch.setattr(loop_module.torch, "manual_seed", lambda s: (seeds.append(s), real(s))[1])
    loop.run()
    assert len(seeds) == len(set(seeds)) == 6


def test_one_resolution_holds_one_background(tmp_path):
    data = toy_config(tmp_path)
    data["stages"][2]["resolution"] = 2000
    run = Run(parse_config(data, tmp_path), tmp_path / "run", open_genome(tmp_path / "g.fa"))
    run.data(1)
    with pytest.raises(
        TrainingError,
        match="'128k' needs an expected table with a trans value, and the model has another one of "
        "2000 bp",
    ):
        run.data(2)


def test_map_of_another_depth_is_a_source_of_its_own(tmp_path):
    """A second map in the mix is taken against its own expected: three times the contacts are the
    same targets.
    """
    data = toy_config(tmp_path)
    c = cooler.Cooler(f"{tmp_path / 'm.mcool'}::resolutions/2000")
    bins, pixels = c.bins()[:], c.pixels()[:]
    pixels["count"] *= 3
    cooler.create_cooler(str(tmp_path / "n.cool"), bins, pixels)
    data["maps"]["n"] = "n.cool"
    one, two = ({**data["stages"][1], "mix": {k: 1.0}, "name": k} for k in "mn")
    run = Run(
        parse_config({**data, "stages": [one, two]}, tmp_path),
        tmp_path / "run",
        open_genome(tmp_path / "g.fa"),
    )
    a, b = run.data(0), run.data(1)
    ratio = b.expected_tables["n"].cis / a.expected_tables["m"].cis
    np.testing.assert_allclose(ratio[np.isfinite(ratio)], 3, rtol=1e-6)
    assert b[TRAIN, 0, 0].where.startswith("n ")  # type: ignore[union-attr]
