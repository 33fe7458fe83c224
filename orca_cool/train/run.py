"""From a configuration to a trained model: the stages are run in turn, then the model is
written.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from orca_cool.errors import OutputError, TrainingError, missing_package
from orca_cool.genome.open import open_genome
from orca_cool.locks import locked_outputs
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import save_bundle
from orca_cool.model.cascade import Orca
from orca_cool.model.expected_tables import choose_table
from orca_cool.train import checkpoint
from orca_cool.train.checks import check_files
from orca_cool.train.loop import StageLoop
from orca_cool.train.net import StageNet, set_trained
from orca_cool.train.progress import kept_score
from orca_cool.train.samples import StageData
from orca_cool.train.settings import Config
from orca_cool.train.setup import Run

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def train(config: Config, folder: str | Path, resume: bool = False) -> Path | None:
    """Run every stage of ``config``.

    Parameters
    ----------
    folder : of the run: it gets checkpoints, logs, pictures, TensorBoard events, the cache of
        tiles, and at the end the bundle ``model``.
    resume : go on from the last checkpoint in the folder.

    Returns
    -------
    The bundle's folder; None on all processes but the first.

    Raises
    ------
    TrainingError
        If the configuration or its data cannot be used, the folder holds a run (without
        ``resume``) or none (with it), or a loss is not a number.
    OutputError
        If the folder cannot be written, or another process trains there.
    """
    folder = Path(folder)
    _last_checkpoint(folder, resume)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"folder {str(folder)!r} cannot be made: {error.strerror or error}"
        ) from error
    with locked_outputs(*([] if _only_helps() else [folder]), inside=True):
        return _train(config, folder, _last_checkpoint(folder, resume))


def _only_helps() -> bool:
    """True in a process that Lightning or another launcher started beside the first one: it
    computes, and leaves writing to that.
    """
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")  # as Lightning looks
    rank = next((os.environ[name] for name in names if name in os.environ), "0")
    return any(r.isdigit() and int(r) > 0 for r in (rank, os.environ.get("NODE_RANK", "0")))


def _train(config: Config, folder: Path, last: Path | None) -> Path | None:
    """Run the stages from a checkpoint on, in every process."""
    torch.set_num_threads(config.threads)
    fabric = _launch(config, folder)
    if not fabric.is_global_zero:
        logging.getLogger("orca_cool").setLevel(logging.WARNING)  # the first process reports
    check_files(config)
    run = Run(config, folder, open_genome(config.path(config.genome)))
    torch.manual_seed(config.seed)
    model = run.model()
    begin = int(last.name.split("-")[0]) if last else 0
    # what is wrong with a later stage is said before the first begins
    datas = [run.data(k) for k in range(len(config.stages))]
    for k in range(begin, len(config.stages)):
        _run_stage(run, fabric, model, datas[k], last if k == begin else None)
    model.requires_grad_(False).cpu().float().eval()
    path = folder / "model"
    if fabric.is_global_zero:
        _save(run, model, path)
    fabric.barrier()
    return path if fabric.is_global_zero else None


def _last_checkpoint(folder: Path, resume: bool) -> Path | None:
    """The checkpoint to go on from; TrainingError if there is one and none is wanted, or none and
    one is wanted.
    """
    last = checkpoint.newest(folder / "checkpoints")
    if last is not None and not resume:
        raise TrainingError(
            f"{str(folder)!r} already holds a run; continue it with --resume or choose another "
            f"folder"
        )
    if last is None and resume:
        raise TrainingError(
            f"{str(folder)!r} holds no checkpoint to resume from; start without --resume"
        )
    return last


def _launch(config: Config, folder: Path) -> Fabric:
    """Lightning Fabric on the devices of the configuration, launched in every process.

    Raises
    ------
    TrainingError
        If Lightning is not installed, the devices are not there, or the launcher (torchrun, SLURM)
        started another number of processes.
    """
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.loggers import TensorBoardLogger
        from lightning.fabric.utilities.exceptions import MisconfigurationException
    except ImportError as error:
        raise TrainingError(missing_package("training", error, "train")) from error
    # torchrun says how many it started; Lightning's "auto" is one on a CPU, and each rank would
    # train alone, all into the same folder
    wanted = (
        os.environ.get("LOCAL_WORLD_SIZE", "auto") if config.devices == "auto" else config.devices
    )
    try:
        fabric = Fabric(
            accelerator=config.accelerator,
            devices=int(wanted) if wanted.isdigit() else wanted,
            num_nodes=config.nodes,
            strategy=config.strategy,
            precision=config.precision,  # type: ignore[arg-type]
            loggers=TensorBoardLogger(folder / "tensorboard", name=""),
        )
        fabric.launch()
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as error:
        raise TrainingError(
            f"devices {config.devices!r}, accelerator {config.accelerator!r}: {error}; devices is "
            f"how many are used, or 'auto'"
        ) from error
    started = int(os.environ.get("WORLD_SIZE", fabric.world_size))
    if started != fabric.world_size:  # each would train alone, all into the same folder
        raise TrainingError(
            f"devices {config.devices!r} and nodes {config.nodes} make {fabric.world_size} "
            f"processes, the launcher started {started}"
        )
    return fabric


def _run_stage(run: Run, fabric: Fabric, model: Orca, data: StageData, last: Path | None) -> None:
    """Train one stage, from the checkpoint ``last`` if there is one."""
    stage = data.stage
    options: dict[str, Any] = {
        "flank": stage.flank,
        "one_pass": stage.one_pass,
        "encoding_dropout": stage.encoding_dropout,
        "positive": run.positive(stage),
    }
    learning = set_trained(model, data.module, run.parts(stage))
    tables = [data.expected_tables[name] for name in data.predicted if data.module is not None]
    net = StageNet(model, data.module, learning, tables, **options).to(fabric.device)
    if data.encodings_kept:
        net.keep_encodings(run.source)
    # twice as fast on CPUs, usual on CUDA
    model.decoders.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    StageLoop(fabric, run.config, net, data, run.folder, run.profile_weights()).run(last)


def _save(run: Run, model: Orca, path: Path) -> None:
    """Write the bundle, with how it was trained and how well it validates in its specification."""
    config = run.config
    text = "; ".join(f"{s.name}: {s.steps} steps" for s in config.stages)
    about = (
        f"{text}; test {', '.join(config.test)} never read; "
        f"validation {', '.join(config.validation)}"
    )
    scores = {s.name: kept_score(run.folder, s) for s in config.stages}
    metrics = {
        **model.spec.metrics,
        "validation": {**dict(model.spec.metrics.get("validation", {})), **scores},
    }
    training_data = "; ".join(t for t in (run.spec.training_data, about) if t)
    model.spec = dataclasses.replace(model.spec, training_data=training_data, metrics=metrics)
    used: dict[str, dict[int, ExpectedModel]] = {}
    for name, tables in run.tables.items():
        chosen = [choose_table(tables, m, run.spec.base_bin) for m in run.spec.modules]
        used[name] = {t.resolution: t for t in chosen if t is not None}
    if config.cell_types:
        save_bundle(path, model, by_cell_type=used, force=True)
    else:
        save_bundle(path, model, used[config.target], force=True)
