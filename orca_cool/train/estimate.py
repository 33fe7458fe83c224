"""What a training will take (``--dry-run``): samples counted, a few of them drawn from the maps,
memory and time from a few backward passes of small windows on this machine.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orca_cool.errors import TrainingError
from orca_cool.genome.open import open_genome
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.cascade import Orca
from orca_cool.model.estimate import Estimate
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.train.batch import Batch, Failure
from orca_cool.train.checks import check_files
from orca_cool.train.net import StageNet, set_trained
from orca_cool.train.samples import TRAIN, VALIDATION, StageData
from orca_cool.train.settings import Config, Stage
from orca_cool.train.setup import Run

#: Windows of the trial, as shares of the model's bins: costs that grow with the window's length and
#: with its square are told apart by two of them.
SHARES = (1 / 8, 1 / 4)


@dataclasses.dataclass(frozen=True)
class _Cost:
    """What one sample takes: seconds of training and of validation, and bytes that are kept for
    its backward pass.
    """

    train: float
    validate: float
    kept: float


def estimate_training(config: Config, folder: str | Path) -> Estimate:
    """What :func:`orca_cool.train.run.train` will take on this machine, by one process.

    A few samples of each stage are drawn from the maps, so that what is wrong with these is found
    before anything is started. Nothing is written but the index of a FASTA that has none.

    Raises
    ------
    TrainingError, GenomeError, CoolerError
        If the configuration, its tables or its maps cannot be used, or no sample can be drawn.
    """
    torch.set_num_threads(config.threads)
    check_files(config)
    run = Run(config, Path(folder), open_genome(config.path(config.genome)), keep=False)
    model = run.model()
    size = sum(t.nbytes for t in model.state_dict().values())
    windows, pixels, seconds, most, optimizer, levels = 0, 0, 0.0, 0.0, 0, set[int]()
    notes = []
    for number, stage in enumerate(config.stages):
        module, samples = run.module(stage), stage.steps * stage.batch
        drawn = _drawn(run.data(number))
        validated = _validations(stage) * stage.validation
        one = _cost(run, stage, module)
        own = samples * one.train + validated * one.validate
        resolutions = module.resolutions if module is not None else ()
        windows += samples + validated
        pixels += (samples + validated) * len(resolutions) * run.spec.bins**2
        seconds += own
        most = max(most, (stage.microbatch or stage.batch) * one.kept)
        optimizer = max(optimizer, 2 if stage.optimizer == "adamw" else 1)
        levels |= set(resolutions)
        kept = (stage.microbatch or stage.batch) * one.kept
        notes.append(
            f"stage {stage.name}: {stage.steps:,} steps of {stage.batch} samples, "
            f"{_validations(stage):,} validations of {stage.validation}; {own / 3600:.2g} h, "
            f"{stage.batch * one.train:.2g} s a step, {kept / 1e9:.2g} GB for its backward pass; "
            f"{drawn}"
        )
    state = (3 + optimizer) * size  # weights, their average, the best ones, the optimiser's
    return Estimate(
        windows=windows,
        levels=tuple(sorted(levels)),
        pixels=pixels,
        disk=size + state * config.keep_checkpoints,
        work=state,
        memory=int(_largest() + (state + size) + most),
        seconds=seconds,
        notes=(
            *notes,
            "samples are exact unless `patience` ends a stage early; disk without the cache of "
            "tiles; memory within a factor of 2 and time within a factor of 3, of one process, "
            "from backward passes of an eighth and a quarter of a window, without waiting for "
            "samples",
        ),
    )


def _drawn(data: StageData) -> str:
    """How long it takes to draw a stage's samples: the first one, and one more whose tiles of the
    map are then there; TrainingError if none can be drawn.
    """
    taken = []
    for key in ((TRAIN, 0, 0), (TRAIN, 0, 0), (VALIDATION, 0, 0)):
        begun = time.perf_counter()
        sample = data[key]
        taken.append(time.perf_counter() - begun)
        if isinstance(sample, Failure):
            raise TrainingError(sample.message)
    return f"a sample drawn in {taken[1]:.2g} s ({taken[0]:.2g} s the first time) a process"


def _validations(stage: Stage) -> int:
    """How often a stage validates: every ``validate`` steps, and at its end."""
    return -(-stage.steps // stage.validate)


def _cost(run: Run, stage: Stage, module: ModuleSpec | None) -> _Cost:
    """One sample of a stage, worked out from smaller ones."""
    whole = run.spec.bins
    sizes = [max(4, int(whole * share) // 2 * 2) for share in SHARES]
    found = [_trial(run, stage, module, n) for n in sizes]

    def at_full_size(name: str) -> float:
        a, b = (getattr(one, name) / n for one, n in zip(found, sizes))
        slope = max(0.0, (b - a) / (sizes[1] - sizes[0])) if sizes[1] > sizes[0] else 0.0
        return float(whole * (b + slope * (whole - sizes[1])))

    return _Cost(*(at_full_size(name) for name in ("train", "validate", "kept")))


def _trial(run: Run, stage: Stage, module: ModuleSpec | None, bins: int) -> _Cost:
    """One sample of ``bins`` bins, forward and backward, the second time that it is done."""
    config, spec = run.config, dataclasses.replace(run.spec, bins=bins)
    gpu = config.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    model = Orca(spec)
    fine = ExpectedModel(spec.base_bin, 0.1 / (1.0 + np.arange(1 << 16)) ** 0.9)
    net = StageNet(
        model,
        module,
        set_trained(model, module, run.parts(stage)),
        [fine] * spec.n_maps,
        flank=stage.flank,
        one_pass=stage.one_pass,
        positive=np.ones(max(1, len(spec.profiles))),
    ).to(device)
    batch = _made_up(net, stage, run.spec.bins).to(device)
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    taken = []
    for _ in range(2):
        net.train()
        kept.clear()
        begun = _clock(device)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            maps, logits = net(batch)
            total = sum((m.square().sum() for m in maps.values()), torch.zeros((), device=device))
            if logits is not None:
                total = total + logits.square().sum()
        total.backward()
        taken.append(_clock(device) - begun)
    net.eval()
    begun = _clock(device)
    with torch.no_grad():
        net(batch)
    return _Cost(taken[-1], _clock(device) - begun, float(sum(kept.values())))


def _made_up(net: StageNet, stage: Stage, whole: int) -> Batch:
    """One random sample of a network; ``whole`` is the number of bins of a real one."""
    spec, module, n = net.model.spec, net.module, net.model.spec.bins
    base = spec.base_bin
    if module is not None:
        window = spec.window(module.resolutions[0])
    else:
        window = max(1, stage.window * n // whole // base) * base
    levels: tuple[int, ...] = module.resolutions if module is not None else ()
    maps: dict[int, Any] = {r: torch.randn(1, spec.n_maps, n, n) for r in levels}
    labels = torch.rand(1, len(spec.profiles), window // base).round()
    return Batch(
        torch.randint(0, 4, (1, window + 2 * stage.flank), dtype=torch.uint8),
        ["made up"],
        labels if spec.profiles else None,
        maps,
        {r: [0] for r in levels},
        maps if module is not None and module.multi_chromosome else {},
    )


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _largest() -> int:
    """Bytes of memory that this process has had at most so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
