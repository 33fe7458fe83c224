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

from orca_cool.train.settings import Stage

log = logging.getLogger(__name__)


#: Where there is no bar, a line of the log is written after the first step and then every so many
#: seconds, so that a run whose validations are hours apart shows that it goes on.
EVERY = 60.0


def log_file(folder: Path, stage: str) -> Path:
    """The CSV file of a stage. Each stage has its own, as their columns differ."""
    return folder / f"log-{stage}.csv"


def kept_score(folder: Path, stage: Stage) -> float:
    """The validation score of the weights that a stage kept, the best or the last; four digits."""
    with open(log_file(folder, stage.name), newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    return round(max(scores) if stage.weights == "best" else scores[-1], 4)


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
        self.done, self._told = step, -EVERY
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
        self.done += 1
        self.bar.set_postfix(loss=f"{loss:.4f}", waiting=f"{self.waiting:.0%}", refresh=False)
        self.bar.update()
        if self.bar.disable and not self.quiet:
            self._tell(loss)

    def _tell(self, loss: float) -> None:
        """A line of the log, unless the last one is too recent."""
        now = time.monotonic()
        if now - self._told < EVERY and self._told >= self.began:
            return
        self._told = now
        rate = (self.done - self._from) / max(1e-9, now - self._last)
        left = timedelta(seconds=round((self.steps - self.done) / max(rate, 1e-9)))
        log.info(
            "stage %s: step %d of %d, loss %.4f; %.2g steps/s, %.0f%% of it waiting for data, %s "
            "left",
            *(self.stage, self.done, self.steps, loss, rate, 100 * self.waiting, left),
        )

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
        # a run of a former version, gone on with, keeps the columns of its log
        columns = list(row) if new else file.read_text().partition("\n")[0].split(",")
        with open(file, "a", newline="") as out:
            writer = csv.DictWriter(out, columns, extrasaction="ignore")
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
