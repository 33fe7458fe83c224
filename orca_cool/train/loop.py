"""The training loop of one stage: optimiser, averaging, validation, checkpoints that resume
exactly.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orca_cool.errors import TrainingError
from orca_cool.train import checkpoint
from orca_cool.train.average import Average, recompute_norms, share_norms
from orca_cool.train.batch import Batch, Sealed, batches
from orca_cool.train.dots import dot_sums
from orca_cool.train.net import StageNet, map_sums
from orca_cool.train.optimizer import make_optimizer, make_schedule, plain
from orca_cool.train.progress import Progress
from orca_cool.train.samples import NORMS, TRAIN, VALIDATION, StageData
from orca_cool.train.settings import Config, Stage
from orca_cool.train.targets import with_common_eps
from orca_cool.train.validate import Validation

log = logging.getLogger(__name__)


class StageLoop:
    """Trains one stage.

    Parameters
    ----------
    fabric : a launched :class:`lightning.fabric.Fabric`: devices, precision, gradients among ranks,
        loggers.
    net : on the fabric's device. data : what its samples are drawn from. profile_weights :
        (profiles,) of the loss.
    """

    def __init__(
        self,
        fabric: Any,
        config: Config,
        net: StageNet,
        data: StageData,
        folder: Path,
        profile_weights: np.ndarray,
    ):
        self.fabric, self.config, self.data, self.folder = fabric, config, data, folder
        self.stage: Stage = data.stage
        self.net, self.average = net, Average(net, data.stage)
        self.weights = torch.from_numpy(profile_weights.astype(np.float32)).to(fabric.device)
        world = fabric.world_size
        if self.stage.batch % world:
            raise TrainingError(
                f"stage {self.stage.name!r}: batch {self.stage.batch} cannot be divided among "
                f"{world} processes"
            )
        self.parameters = [p for p in net.parameters() if p.requires_grad]
        if not self.parameters:
            raise TrainingError(
                f"stage {self.stage.name!r} has nothing to train: the model has no part for it"
            )
        self.optimizer = make_optimizer(self.stage, self.parameters)
        self.schedule = make_schedule(self.stage, self.optimizer)
        self.validation = Validation(
            fabric, config, data, lambda: self._fixed(VALIDATION, self.stage.validation), self._sum
        )
        self.step, self.best, self.stale = 0, -np.inf, 0
        self.best_state: dict[str, Tensor] = {}
        self.done = False

    # -- training
    # ----------------------------------------------------------------------------------------------

    def run(self, resume: Path | None = None) -> None:
        """Train to the stage's end, from a checkpoint if there is one; the network ends with the
        weights of the best validation, or the last, as the stage says.
        """
        if resume is not None:
            self._restore(resume)
        if not self.done:
            self._train()
        self.net.learning.load_state_dict(self.best_state)

    def _train(self) -> None:
        s, fabric = self.stage, self.fabric
        wrapped, optimizer = fabric.setup(self.net, self.optimizer)
        progress = Progress(
            self.folder,
            s.name,
            self.step,
            s.steps,
            fabric.logger if fabric.loggers else None,
            not fabric.is_global_zero,
        )
        loader = self.data.loader(self._keys(), self.config.workers, fabric.device.type == "cuda")
        samples = batches(loader)
        losses: list[dict[str, float]] = []
        try:
            while self.step < s.steps and not self._stale():
                if s.average_restart and self.step == self.average.first:
                    self._restart()
                asked = time.monotonic()
                batch = next(samples).to(fabric.device)
                waited = time.monotonic() - asked
                losses.append(self._update(wrapped, optimizer, batch))
                self.step += 1
                if s.schedule == "onecycle":
                    self.schedule.step()
                self._averaged(batch)
                progress.step(losses[-1]["loss"], waited)
                if self.step % s.validate == 0 or self.step == s.steps:
                    self._validated(progress, losses)
                    losses = []
        finally:
            progress.close()
        self.done = True
        self._write()
        log.info("stage %s: best score %.4f", s.name, self.best)

    def _restart(self) -> None:
        """Optimiser and schedule as at the first step, with the weights as they are."""
        self.optimizer.state.clear()
        for group in self.optimizer.param_groups:
            group["lr"] = self.stage.lr
        self.schedule = make_schedule(self.stage, self.optimizer)

    def _averaged(self, batch: Batch) -> None:
        """Take the weights after a step into the average, and its samples into the running
        statistics of the averaged networks, if they come from there.
        """
        if not self.average.update(self.net, self.step) or self.stage.norms != "running":
            return
        self.average.net.train()
        with torch.no_grad(), self.fabric.autocast():
            for part in batch.split(self.stage.microbatch or len(batch)):
                self.average.net(part)

    def _stale(self) -> bool:
        """True if the stage ends early: too many validations without a new best."""
        return bool(self.stage.patience) and self.stale >= self.stage.patience

    def _share(self, count: int) -> range:
        """This rank's part of ``count`` samples, in a row: so that ranks see what one process sees
        in microbatches.
        """
        rank, world = self.fabric.global_rank, self.fabric.world_size
        return range(rank * count // world, (rank + 1) * count // world)

    def _keys(self) -> Iterator[list[tuple[int, int, int]]]:
        """Keys of this rank's samples of every step from the present one on."""
        for step in range(self.step, self.stage.steps):
            yield [(TRAIN, step, i) for i in self._share(self.stage.batch)]

    def _update(self, wrapped: Any, optimizer: Any, batch: Batch) -> dict[str, float]:
        """One step of the optimiser; mean losses by level over the whole batch of all ranks."""
        fabric, s = self.fabric, self.stage
        # dropout: each step and rank has numbers of its own, whatever was drawn before
        seed = np.random.SeedSequence(
            [self.config.seed, self.data.number, self.step, fabric.global_rank]
        )
        torch.manual_seed(int(seed.generate_state(1)[0]))
        levels = list(batch.targets)
        if s.batch_eps:
            batch = with_common_eps(batch, self._smallest)
        if s.loss_over == "all":
            counts = self._counts({r: torch.ones_like(batch.targets[r]) for r in levels})
        else:
            counts = self._counts({r: torch.isfinite(batch.targets[r]) for r in levels})
        dots = self._counts(batch.dots)
        self.net.train()
        optimizer.zero_grad()
        total = torch.zeros(len(levels) + 2, dtype=torch.float64, device=fabric.device)
        parts = batch.split(s.microbatch or len(batch))
        for k, part in enumerate(parts):
            with fabric.no_backward_sync(wrapped, enabled=k + 1 < len(parts)):
                maps, logits = wrapped(Sealed(part))
                errors = map_sums(maps, part.targets)
                loss = torch.zeros((), device=fabric.device)
                each = torch.zeros(len(part), device=fabric.device)
                for i, r in enumerate(levels):
                    each = each + errors[r] / counts[i]
                    total[i] += errors[r].detach().sum() / counts[i]
                for i, own in enumerate(dot_sums(maps, part.targets, part.dots).values()):
                    each = each + s.dots * own / dots[i]
                    total[-2] += s.dots * own.detach().sum() / dots[i]
                loss = each.sum()
                if logits is not None and part.labels is not None:
                    bins = part.labels.shape[2] * s.batch
                    weight = self.weights * (s.profiles if levels else 1.0)
                    own = (self.net.profile_sums(logits, part.labels) * weight).sum(dim=1) / bins
                    each, loss = each + own, loss + own.sum()
                    total[-1] += own.detach().sum()
                self._finite(each, part)
                # gradients are averaged over ranks, losses are sums over them
                fabric.backward(loss * fabric.world_size)
        if s.clip:
            fabric.clip_gradients(wrapped, optimizer, max_norm=s.clip, error_if_nonfinite=False)
        optimizer.step()
        total = self._sum(total)
        values = {"loss": float(total.sum())} | {
            f"loss{r}": float(v) for r, v in zip(levels, total)
        }
        values |= {"loss_dots": float(total[-2])} if s.dots else {}
        return values | ({"loss_profiles": float(total[-1])} if self.net.train_profiles else {})

    def _counts(self, chosen: Mapping[int, Tensor]) -> Tensor:
        """(levels,) how many pixels are chosen at each level, on all ranks; at least 1."""
        own = [y.sum() for y in chosen.values()]
        counts = torch.stack(own) if own else torch.zeros(0)
        return self._sum(counts.to(self.fabric.device, torch.float64)).clamp(min=1)

    def _finite(self, each: Tensor, batch: Batch) -> None:
        """TrainingError on every rank if any sample's loss is not a number; nothing has been
        updated yet.
        """
        bad = ~torch.isfinite(each.detach())
        if self._sum(bad.sum().to(torch.float64)) == 0:
            return
        names = (
            "; ".join(batch.where[k] for k in torch.nonzero(bad).flatten().tolist())
            or "a sample of another process"
        )
        last = checkpoint.newest(self.folder / "checkpoints")
        kept = (
            f"the last good checkpoint is {str(last)!r}" if last else "there is no checkpoint yet"
        )
        raise TrainingError(
            f"stage {self.stage.name!r}, step {self.step + 1}: the loss is not a number, for: "
            f"{names}. Stopped; {kept}. "
            "A smaller lr, or clip, may help"
        )

    def _sum(self, value: Tensor) -> Tensor:
        """Sum over ranks."""
        return (
            self.fabric.all_reduce(value, reduce_op="sum") if self.fabric.world_size > 1 else value
        )

    def _smallest(self, value: Tensor) -> Tensor:
        """The smallest over ranks."""
        return (
            self.fabric.all_reduce(value, reduce_op="min") if self.fabric.world_size > 1 else value
        )

    def _mean(self, value: Tensor) -> Tensor:
        """Mean over ranks."""
        return (
            self.fabric.all_reduce(value, reduce_op="mean") if self.fabric.world_size > 1 else value
        )

    # -- validation
    # ---------------------------------------------------------------------------------------------

    def _validated(self, progress: Progress, losses: list[dict[str, float]]) -> None:
        """Validate, keep the weights if they are the best, report, and write a checkpoint.

        Parameters
        ----------
        losses : of the steps since the last validation.
        """
        s = self.stage
        net = self.net
        if self.average.begun:
            net = self.average.net
            if s.norms == "running":
                share_norms(net, self._mean)
            elif s.average == "swa" and s.norm_samples:
                recompute_norms(net, self._fixed(NORMS, s.norm_samples), self._mean)
        scores = self.validation.scores(net, progress, self.step)
        score = scores["score"]
        better = score > self.best
        self.best, self.stale = max(self.best, score), 0 if better else self.stale + 1
        if better or s.weights == "last":
            self.best_state = {k: v.detach().clone() for k, v in net.learning.state_dict().items()}
        if s.schedule == "plateau":
            self.schedule.step(score)
        means = {k: float(np.mean([row[k] for row in losses])) for k in losses[0]}
        progress.report(self.step, {**means, **scores}, self.optimizer.param_groups[0]["lr"])
        self._write()

    def _fixed(self, purpose: int, count: int) -> Iterator[Batch]:
        """This rank's part of a fixed set of samples, in batches like those of training."""
        mine = list(self._share(count))
        size = self.stage.microbatch or max(1, self.stage.batch // self.fabric.world_size)
        keys = [[(purpose, 0, i) for i in mine[a : a + size]] for a in range(0, len(mine), size)]
        for batch in batches(self.data.loader(keys, min(self.config.workers, len(keys)), False)):
            yield batch.to(self.fabric.device)

    # -- state
    # ----------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Write a checkpoint, on the first rank."""
        if not self.fabric.is_global_zero:
            return
        packed, groups = checkpoint.pack_optimizer(self.optimizer)
        tensors = {f"model.{k}": v for k, v in self.net.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.net.learning.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best_state.items()}
        state = {
            "stage": self.data.number,
            "step": self.step,
            "best": float(self.best),
            "stale": self.stale,
            "done": self.done,
            "averaged": self.average.count,
            "groups": groups,
            "schedule": plain(self.schedule.state_dict()) if self.schedule else {},
            # of 16-mixed, by what losses are multiplied
            "precision": self.fabric.strategy.precision.state_dict(),
        }
        folder = self.folder / "checkpoints"
        checkpoint.write(
            folder,
            self.data.number,
            self.step,
            tensors | packed,
            state,
            self.config.digest(),
            self.config.keep_checkpoints,
        )

    def _restore(self, path: Path) -> None:
        """Take up the state of a checkpoint."""
        tensors, state = checkpoint.read(path, self.config.digest())
        for net in (self.net, self.average.net):  # what is frozen is the same in both
            net.model.load_state_dict(checkpoint.under(tensors, "model"))
        self.average.net.learning.load_state_dict(checkpoint.under(tensors, "average"))
        self.best_state = {
            k: v.to(self.fabric.device) for k, v in checkpoint.under(tensors, "best").items()
        }
        checkpoint.unpack_optimizer(self.optimizer, tensors, state["groups"])
        if self.schedule:
            self.schedule.load_state_dict(state["schedule"])
        if precision := state.get("precision"):
            self.fabric.strategy.precision.load_state_dict(precision)
        self.step, self.best, self.stale, self.done = (
            state["step"],
            state["best"],
            state["stale"],
            state["done"],
        )
        self.average.count = state["averaged"]
        log.info("going on from %s", path)
