"""Progress of a run: a bar, lines of the log, a CSV file, TensorBoard, and a picture at every
validation.
"""

from __future__ import annotations

import csv
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

log = logging.getLogger(__name__)


def log_file(folder: Path, stage: str) -> Path:
    """The CSV file of a stage. Each stage has its own, as their columns differ."""
    return folder / f"log-{stage}.csv"


def best_score(folder: Path, stage: str) -> float:
    """The best validation score of a stage that has run, whenever that was; four digits."""
    with open(log_file(folder, stage), newline="") as file:
        return round(max(float(row["score"]) for row in csv.DictReader(file)), 4)


class Progress:
    """Reports the progress of one stage.

    Parameters
    ----------
    step, steps : optimiser steps done when the run begins, and in all.
    logger : a Fabric logger (TensorBoard), or None.
    quiet : report nothing: on all ranks but the first.
    """

    def __init__(
        self,
        folder: Path,
        stage: str,
        step: int,
        steps: int,
        logger: Any = None,
        quiet: bool = False,
    ):
        self.folder, self.stage, self.steps, self.logger, self.quiet = (
            folder,
            stage,
            steps,
            logger,
            quiet,
        )
        self.began = self._last = time.monotonic()
        self.first = self._from = step
        self.waited = 0.0
        if not quiet:
            self._forget()
        self.bar = tqdm(
            total=steps,
            initial=step,
            desc=stage,
            unit="step",
            disable=quiet or not sys.stderr.isatty(),
        )

    def step(self, loss: float, waited: float) -> None:
        """One step is done; ``waited``: seconds that it waited for its samples."""
        self.waited += waited
        self.bar.set_postfix(loss=f"{loss:.4f}", waiting=f"{self.waiting:.0%}", refresh=False)
        self.bar.update()

    @property
    def waiting(self) -> float:
        """Share of the time since the last report that was spent waiting for samples."""
        return self.waited / max(1e-9, time.monotonic() - self._last)

    def report(self, step: int, values: Mapping[str, float], lr: float) -> None:
        """Report a validation: a line of the log, a row of the CSV file, and TensorBoard."""
        if self.quiet:
            return
        now = time.monotonic()
        rate = (step - self._from) / max(1e-9, now - self._last)
        row = {
            "stage": self.stage,
            "step": step,
            "seconds": round(now - self.began, 1),
            "rate": rate,
            "waiting": self.waiting,
            "lr": lr,
        }
        row |= values
        left = timedelta(seconds=round((self.steps - step) / max(rate, 1e-9)))
        text = " ".join(
            f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()
        )
        log.info(
            "%s; %.2f steps/s, %.0f%% of it waiting for data, %s left",
            text,
            rate,
            100 * self.waiting,
            left,
        )
        self._csv(row)
        if self.logger is not None:
            self.logger.log_metrics(
                {f"{self.stage}/{k}": v for k, v in row.items() if k not in ("stage", "step")}, step
            )
        self._from, self._last, self.waited = step, now, 0.0

    def _forget(self) -> None:
        """Drop rows of the CSV file from past the step that the run goes on from: they will be
        written again.
        """
        file = log_file(self.folder, self.stage)
        if file.is_file():
            head, *rows = file.read_text().splitlines()
            at = head.split(",").index("step")
            kept = [row for row in rows if int(row.split(",")[at]) <= self.first]
            file.write_text("\n".join([head, *kept]) + "\n")

    def _csv(self, row: Mapping[str, Any]) -> None:
        file = log_file(self.folder, self.stage)
        new = not file.is_file()
        with open(file, "a", newline="") as out:
            writer = csv.DictWriter(out, list(row))
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})

    def picture(
        self,
        step: int,
        titles: Sequence[str],
        predicted: Sequence[np.ndarray],
        target: Sequence[np.ndarray],
        where: str,
    ) -> None:
        """Predicted maps above the diagonal, targets below, side by side:
        ``pictures/<stage>-<step>.png``, and TensorBoard.
        """
        if self.quiet or not predicted:
            return
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3.2 * len(predicted), 3.6), layout="constrained")
        canvas = FigureCanvasAgg(figure)
        for k, (title, own, measured) in enumerate(zip(titles, predicted, target)):
            ax = figure.add_subplot(1, len(predicted), k + 1)
            both = np.triu(own, 1) + np.tril(measured)
            known = np.isfinite(measured).any()
            limit = np.nanpercentile(np.abs(measured), 98) if known else 1.0
            ax.imshow(both, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="none")
            ax.set_title(title, fontsize=8)
            ax.set_axis_off()
        figure.suptitle(f"step {step}: predicted above, measured below; {where}", fontsize=8)
        path = self.folder / "pictures" / f"{self.stage}-{step:09d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
        if self.logger is not None:
            image = np.asarray(canvas.buffer_rgba())[..., :3]
            self.logger.experiment.add_image(f"{self.stage}/maps", image, step, dataformats="HWC")

    def close(self) -> None:
        """End the bar."""
        self.bar.close()
