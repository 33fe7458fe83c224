"""Scores of a stage's networks on its validation samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from orca_cool.train.batch import Batch
from orca_cool.train.net import StageNet
from orca_cool.train.progress import Progress
from orca_cool.train.samples import StageData
from orca_cool.train.scores import correlation, correlation_sums, roc_areas, window_correlations
from orca_cool.train.settings import Config


class Validation:
    """Scores networks.

    Parameters
    ----------
    fixed : gives this rank's validation samples, in batches. total : sums a tensor over ranks.
    """

    def __init__(
        self,
        fabric: Any,
        config: Config,
        data: StageData,
        fixed: Callable[[], Iterator[Batch]],
        total: Callable[[torch.Tensor], torch.Tensor],
    ):
        self.fabric, self.config, self.data, self.fixed = fabric, config, data, fixed
        self.total = total

    @torch.no_grad()
    def scores(self, net: StageNet, progress: Progress, step: int) -> dict[str, float]:
        """Pearson's r by level, over the pooled pixels of all samples (``r4000``) and the mean of
        that of each (``w4000``); of profiles the area under the ROC curve. With several cell types
        also that of each, ``r4000_NAME`` and ``w4000_NAME``.

        ``score``, by which weights are chosen: the mean over levels of what the stage's ``score``
        says, or without maps the mean area.
        """
        net.eval()
        levels = self.data.module.resolutions if self.data.module else ()
        shape = len(levels), self.data.spec.n_maps
        device = self.fabric.device
        pooled = torch.zeros(*shape, 6, dtype=torch.float64, device=device)
        single = torch.zeros(*shape, 2, dtype=torch.float64, device=device)
        found: list[tuple[np.ndarray, np.ndarray]] = []
        for number, batch in enumerate(self.fixed()):
            with self.fabric.autocast():
                maps, logits = net(batch)
            for i, r in enumerate(levels):
                for k in range(shape[1]):
                    own, target = maps[r][:, k].double(), batch.targets[r][:, k].double()
                    pooled[i, k] += correlation_sums(own, target)
                    single[i, k] += window_correlations(own, target)
            if logits is not None and batch.labels is not None:
                found.append((logits.float().cpu().numpy(), batch.labels.cpu().numpy()))
            if number == 0 and maps:
                self._picture(progress, step, maps, batch)
        by_level = {
            "r": [[correlation(s.tolist()) for s in level] for level in self.total(pooled)],
            "w": [[_mean(*s.tolist()) for s in level] for level in self.total(single)],
        }
        return self._named(by_level, self._areas(net, found), step)

    def _named(
        self, by_level: dict[str, list[list[float]]], areas: dict[str, float], step: int
    ) -> dict[str, float]:
        """Scores under the names of the log's columns, and ``score``."""
        levels = self.data.module.resolutions if self.data.module else ()
        names = self.data.spec.cell_types
        scores: dict[str, float] = {}
        for letter, each in by_level.items():
            scores |= {f"{letter}{r}": float(np.mean(own)) for r, own in zip(levels, each)}
        for letter, each in by_level.items():  # and of each cell type, beside their mean
            for r, own in zip(levels, each):
                scores |= {f"{letter}{r}_{name}": v for name, v in zip(names, own)}
        chosen = "w" if self.data.stage.score == "window" else "r"
        rs = [v for r in levels if np.isfinite(v := scores[f"{chosen}{r}"])]
        named = {f"auroc_{p}": areas[p] for p in self.config.profile_weights if p in areas}
        if areas:
            scores |= {"auroc": float(np.mean(list(areas.values()))), **named}
        score = (
            float(np.mean(rs))
            if rs
            else float(np.mean([scores["auroc"], *named.values()]))
            if areas
            else float(step)
        )
        return {**scores, "score": score}

    def _picture(
        self, progress: Progress, step: int, maps: dict[int, torch.Tensor], batch: Batch
    ) -> None:
        """A batch's first window, predicted and measured, at each level and of each cell type."""
        names = self.data.spec.cell_types
        panels = [(r, k) for k in range(self.data.spec.n_maps) for r in maps]
        progress.picture(
            step,
            [f"{r:,} bp" + (f", {names[k]}" if names else "") for r, k in panels],
            [maps[r][0, k].float().cpu().numpy() for r, k in panels],
            [batch.targets[r][0, k].cpu().numpy() for r, k in panels],
            batch.where[0],
        )

    def _areas(self, net: StageNet, found: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
        """Area under the ROC curve of every profile that has positives and negatives, over the
        samples of all ranks.

        Parameters
        ----------
        found : (logits, labels) of this rank's batches, each (batch, profiles, bins).
        """
        if not net.train_profiles:
            return {}
        spec = net.model.spec
        # every rank offers as many columns; those that it has no sample for are NaN
        each = -(-self.data.stage.validation // self.fabric.world_size)
        both = np.full((2, len(spec.profiles), each * (self.data.window // spec.base_bin)), np.nan)
        for k in (0, 1) if found else ():
            mine = np.concatenate(
                [f[k].swapaxes(0, 1).reshape(len(spec.profiles), -1) for f in found], axis=1
            )
            both[k, :, : mine.shape[1]] = mine
        if self.fabric.world_size > 1:
            every = (
                self.fabric.all_gather(torch.from_numpy(both).to(self.fabric.device)).cpu().numpy()
            )
            both = np.concatenate(list(every), axis=-1)
        logits, labels = both[:, :, np.isfinite(both).all(axis=(0, 1))]
        return roc_areas(spec.profiles, logits, labels)


def _mean(count: float, total: float) -> float:
    return total / count if count else float("nan")
