"""The training loop: profile stage, map stages, averaged weights, validation, checkpoints that resume."""

from __future__ import annotations

import copy
import csv
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from orca_cool.background import Background
from orca_cool.errors import TrainingError
from orca_cool.genome import one_hot
from orca_cool.model.cascade import Orca
from orca_cool.positional import Positional
from orca_cool.train.bank import Encoded, draw_zoom, encode_chromosome, measured, taught
from orca_cool.train.config import TEACHER, Config, Stage
from orca_cool.train.sequence import ProfileSampler, TrainingGenome
from orca_cool.train.targets import TargetMaps
from orca_cool.train.validate import distances, pearson, predict_chromosome

log = logging.getLogger(__name__)

#: Format of a run's checkpoint.
CHECKPOINT = 1


@dataclass
class Material:
    """Everything the stages read, all of it of the training and validation chromosomes."""

    genome: TrainingGenome
    profiles: ProfileSampler | None
    maps: dict[str, TargetMaps]
    targets: dict[str, dict[str, Any]]
    background: Background
    teacher: Positional | None
    validation: dict[str, np.ndarray]
    centromeres: dict[str, int]


class Trainer:
    """Runs the stages of a configuration in ``folder``.

    Parameters
    ----------
    fabric : a :class:`lightning.fabric.Fabric` of one device; gives device, precision and backward.
    """

    def __init__(self, config: Config, model: Orca, material: Material, folder: Path, fabric: Any):
        self.config, self.material, self.folder, self.fabric = config, material, folder, fabric
        self.model: Orca = fabric.to_device(model)
        self.average = copy.deepcopy(self.model)
        self.module = model.spec.modules[0] if model.spec.modules else None
        self.stage, self.step, self.best, self.stale = 0, 0, -np.inf, 0
        self.best_state: dict[str, Tensor] = {}

    # -- stages -------------------------------------------------------------------------------------------------

    def run(self, resume: bool) -> Orca:
        """All stages; the averaged model of the last stage's best validation."""
        file = self.folder / "last.ckpt"
        stored = self._read(file) if resume and file.is_file() else None
        if resume and stored is None:
            log.warning("nothing to resume in %s: starting from the beginning", self.folder)
        if stored:
            self.stage = stored["stage"]
        for k in range(self.stage, len(self.config.stages)):
            self.stage, stage = k, self.config.stages[k]
            self._run_stage(stage, stored)
            stored = None
            self.model.load_state_dict(self.best_state)
            self.average.load_state_dict(self.best_state)
            self.step, self.best, self.stale = 0, -np.inf, 0
        return self.average

    def _run_stage(self, stage: Stage, stored: dict[str, Any] | None) -> None:
        model, c = self.model, self.config
        profile = stage.kind == "profiles"
        parts = [model.encoder, model.final_1d] if profile else [model.pyramids, model.decoders, model.base_decoder]
        parameters = [p for part in parts if part is not None for p in part.parameters()]
        if not parameters:
            raise TrainingError(f"stage {stage.kind!r} has nothing to train: the model has no part for it")
        optimizer = torch.optim.AdamW(parameters, lr=stage.lr, weight_decay=stage.weight_decay, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, stage.lr, total_steps=stage.steps + 1, pct_start=0.15)
        if stored:
            model.load_state_dict(stored["model"])
            self.average.load_state_dict(stored["average"])
            optimizer.load_state_dict(stored["optimizer"])
            schedule.load_state_dict(stored["schedule"])
            self.step, self.best, self.stale, self.best_state = stored["step"], stored["best"], stored["stale"], stored["best_state"]
        else:
            self.best_state = _copy(self.average)
        losses = self._profile_losses(stage) if profile else self._map_losses(stage)
        began, recent = time.monotonic(), []
        while self.step < stage.steps and self.stale < stage.patience:
            loss, parts_of_loss = next(losses)
            optimizer.zero_grad()
            self.fabric.backward(loss)
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            self.step += 1
            self._update_average(min(stage.ema, self.step / (self.step + 10)))
            recent.append([float(loss.detach()), *parts_of_loss])
            if self.step % stage.validate == 0 or self.step == stage.steps:
                scores = self._validate_profiles() if profile else self._validate_maps()
                score = scores["score"]
                if score > self.best:
                    self.best, self.stale, self.best_state = score, 0, _copy(self.average)
                else:
                    self.stale += 1
                row = {"stage": stage.name or stage.kind, "step": self.step, "seconds": round(time.monotonic() - began)}
                row.update({f"loss{i or ''}": round(float(v), 5) for i, v in enumerate(np.mean(recent, axis=0))})
                row.update({k: round(v, 4) for k, v in scores.items()})
                self._log(row)
                recent = []
                self._write(optimizer, schedule)
        log.info("stage %s of %s done: best score %.4f", stage.name or stage.kind, c.name, self.best)

    def _profile_losses(self, stage: Stage) -> Iterator[tuple[Tensor, list[float]]]:
        sampler, model, bin_size = self.material.profiles, self.model, self.model.spec.base_bin
        if sampler is None or model.final_1d is None:
            raise TrainingError("a stage of kind 'profiles' needs 'peaks', 'extra_peaks' or 'features' in the configuration")
        frequency = torch.from_numpy(sampler.frequency()).float().clamp(1e-3, 0.5).to(self.fabric.device)
        emphasis = ((1 - frequency) / frequency).sqrt()[:, None]  # positives of rare marks count more, but not in full
        margin = stage.flank // bin_size
        cen = sampler.centromere
        if cen is not None:
            emphasis[cen] = 3.0  # transplants already make it common
        while True:
            rng = np.random.default_rng([self.config.seed, self.stage, self.step])
            samples = [sampler.draw(rng, stage.window, stage.flank, stage.substitute) for _ in range(stage.batch)]
            x = torch.stack([one_hot(s.codes, self.fabric.device) for s in samples])
            labels = torch.from_numpy(np.stack([s.labels for s in samples])).to(self.fabric.device)
            model.train()
            with self.fabric.autocast():
                # the head's own sigmoid is left out: the loss is stable on logits
                logits = model.final_1d[:-1](F.dropout1d(model.encoder(x), stage.encoding_dropout))[..., margin:-margin].float()
            weight = torch.where(labels > 0, emphasis, torch.ones_like(emphasis))
            per = (F.binary_cross_entropy_with_logits(logits, labels, reduction="none") * weight).mean(dim=(0, 2))
            loss, of_cen = per.mean(), 0.0
            if cen is not None:
                rest = torch.cat([per[:cen], per[cen + 1 :]])
                loss = per[cen] * self.config.centromere_weight * 10 + (rest.mean() if len(rest) else 0.0)
                of_cen = float(per[cen].detach())
            yield loss, [of_cen]

    def _map_losses(self, stage: Stage) -> Iterator[tuple[Tensor, list[float]]]:
        model, module, m = self.model, self.module, self.material
        assert module is not None
        # twice as fast on a CPU, and the usual layout on CUDA
        model.decoders.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for part in (model.encoder, model.final_1d):
            if part is not None:
                part.requires_grad_(False)
        seed = np.random.default_rng([self.config.seed, self.stage, self.step, 1])
        bank: list[Encoded] = []
        names = list(stage.mix)
        share = np.array([stage.mix[n] for n in names], dtype=float)
        share = share / share.sum()

        def fresh(rng: np.random.Generator) -> Encoded:
            name = names[rng.choice(len(names), p=share)]
            if name == TEACHER:
                assert m.teacher is not None
                codes, targets = taught(rng, m.genome, m.teacher, module.resolutions, stage)
            else:
                codes, targets = measured(rng, m.genome, m.maps[name], m.targets[name], stage)
            return encode_chromosome(model, codes, targets)

        table = distances(model, module, m.background)
        owed = 0.0
        while True:
            rng = np.random.default_rng([self.config.seed, self.stage, self.step])
            while len(bank) < stage.bank:
                bank.append(fresh(seed))
            owed += stage.refresh
            while owed >= 1:
                bank[int(rng.integers(len(bank)))] = fresh(rng)
                owed -= 1
            model.train()
            model.encoder.eval()
            loss, parts = torch.zeros((), device=self.fabric.device), [0.0] * len(module.resolutions)
            drawn = [
                draw_zoom(rng, bank[int(rng.integers(len(bank)))], module.resolutions, model.spec.base_bin, model.spec.bins)
                for _ in range(stage.batch)
            ]
            base = torch.stack([d[0] for d in drawn])
            keep = (torch.rand(base.shape[0], base.shape[1], 1, device=base.device) >= stage.encoding_dropout).float()
            base = base * keep / max(1e-6, 1 - stage.encoding_dropout)
            with self.fabric.autocast():
                maps = _zoom_batch(model, module, base, table, [d[1] for d in drawn])
            for k, r in enumerate(module.resolutions):
                y = torch.from_numpy(np.stack([d[2][r] for d in drawn])).to(self.fabric.device)
                found = torch.isfinite(y)
                error = torch.where(found, maps[r][:, 0].float() - torch.nan_to_num(y), torch.zeros_like(y)).square()
                mse = error.sum() / found.sum().clamp(min=1)
                loss = loss + mse
                parts[k] = float(mse.detach())
            yield loss, parts

    # -- validation ---------------------------------------------------------------------------------------------

    def _validate_profiles(self) -> dict[str, float]:
        """Log of where the centromere of each validation chromosome ranks among its bins; score is minus its loss."""
        spec, sampler = self.model.spec, self.material.profiles
        assert sampler is not None
        assert self.average.final_1d is not None
        if sampler.centromere is None or not self.material.centromeres:
            return {"score": float(self.step)}
        ranks, found, others = [], [], []
        for chrom, codes in self.material.validation.items():
            n = len(codes) // spec.base_bin
            for shift in (0, 1000):
                item = encode_chromosome(self.average, codes[shift : shift + (n - 1) * spec.base_bin], {})
                self.average.final_1d.eval()
                with torch.no_grad():
                    p = self.average.final_1d(item.encodings[None])[0, sampler.centromere].float().cpu().numpy()
                at = (self.material.centromeres[chrom] - shift) // spec.base_bin
                ranks.append(int((p > p[at]).sum()) + 1)
                found.append(p[at])
                others.append(np.delete(p, [at - 1, at, at + 1]).max())
        score = -float(np.log(np.maximum(found, 1e-6)).mean()) - float(np.log1p(-np.minimum(others, 1 - 1e-6)).mean())
        return {"score": -score, "rank": float(np.mean(ranks)), "p": float(np.mean(found)), "other": float(np.mean(others))}

    def _validate_maps(self) -> dict[str, float]:
        scores: dict[str, float] = {}
        assert self.module is not None
        for chrom, codes in self.material.validation.items():
            predicted = predict_chromosome(self.average, self.module, codes, self.material.background, self.fabric.autocast)
            observed = self.material.targets[self.config.target][chrom]
            for r in self.module.resolutions:
                value = pearson(predicted[r], observed[r], 2, self.model.spec.bins - 1)[0]
                scores[f"r{r}"] = scores.get(f"r{r}", 0.0) + (0.0 if np.isnan(value) else value) / len(self.material.validation)
        if not scores:
            return {"score": float(self.step)}
        return {"score": float(np.mean(list(scores.values()))), **scores}

    # -- state --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _update_average(self, decay: float) -> None:
        for a, b in zip(self.average.state_dict().values(), self.model.state_dict().values()):
            if a.is_floating_point():
                a.lerp_(b, 1 - decay)
            else:
                a.copy_(b)

    def _write(self, optimizer: torch.optim.Optimizer, schedule: Any) -> None:
        state = {
            "format": CHECKPOINT, "digest": self.config.digest(), "stage": self.stage, "step": self.step, "best": float(self.best),
            "stale": self.stale, "model": self.model.state_dict(), "average": self.average.state_dict(), "best_state": self.best_state,
            "optimizer": optimizer.state_dict(), "schedule": _plain(schedule.state_dict()),
        }  # fmt: skip
        part = self.folder / "last.ckpt.part"
        torch.save(state, part)
        os.replace(part, self.folder / "last.ckpt")

    def _read(self, file: Path) -> dict[str, Any]:
        try:
            stored: dict[str, Any] = torch.load(file, map_location=self.fabric.device, weights_only=True)
        except Exception as error:
            raise TrainingError(f"checkpoint {str(file)!r} cannot be read ({error}); start again without --resume") from error
        if stored.get("format") != CHECKPOINT or stored.get("digest") != self.config.digest():
            raise TrainingError(f"checkpoint {str(file)!r} belongs to another configuration; start again without --resume, or elsewhere")
        return stored

    def _log(self, row: dict[str, Any]) -> None:
        log.info("%s", " ".join(f"{k}={v}" for k, v in row.items()))
        columns = ["stage", "step", "seconds", "loss", "loss1", "loss2", "loss3", "score", "rank", "p", "other"]
        columns += [f"r{r}" for r in (self.module.resolutions if self.module else ())]
        file = self.folder / "log.csv"
        new = not file.is_file()
        with open(file, "a", newline="") as out:
            writer = csv.DictWriter(out, columns, extrasaction="ignore")
            if new:
                writer.writeheader()
            writer.writerow(row)


def _zoom_batch(model: Orca, module: Any, base: Tensor, table: dict[int, Tensor], starts: list[dict[int, int]]) -> dict[int, Tensor]:
    """As :func:`orca_cool.model.cascade.zoom`, with a window of its own for every sample; parents are detached."""
    n = model.spec.bins
    encodings = model.encodings(module, base)
    maps: dict[int, Tensor] = {}
    parent: int | None = None
    for r in module.resolutions:
        at = [s[r] for s in starts]
        x = torch.stack([encodings[r][i, :, a : a + n] for i, a in enumerate(at)])
        coarse = None
        if parent is not None:
            first = [a // 2 - s[parent] for a, s in zip(at, starts)]
            coarse = torch.stack([maps[parent][i, :, k : k + n // 2, k : k + n // 2] for i, k in enumerate(first)]).detach()
        maps[r] = model.decode(module, r, x, table[r], coarse)
        parent = r
    return maps


def _copy(model: torch.nn.Module) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in state.items() if isinstance(v, (int, float, str, bool, list, dict, type(None)))}
