"""Samples of training, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from orca_cool.errors import TrainingError
from orca_cool.genome.segments import Segment


@dataclass
class Sample:
    """One window.

    Attributes
    ----------
    codes : uint8 (flank + window + flank,), codes 0 to 4.
    where : the window in words, for messages.
    labels : (profiles, bins) 0 or 1, or None.
    targets : by resolution, (maps, bins, bins) float32 log observed/expected, NaN where unknown;
        a map for each cell type. In training with ``batch_eps`` the observed contact frequency:
        the log ratio is taken when the step's windows are known.
    starts : by resolution, first bin of the level's window from the start of the top window.
    expected : by resolution, (maps, bins, bins) float32 log expected; of concatenated chromosomes
        alone, as it is the same for all windows of one chromosome.
    dots : by resolution, (maps, bins, bins) bool, pixels whose dots are compared, where a stage
        learns dots (:mod:`orca_cool.train.dots`).
    pieces : where the window lies, if its encodings are kept
        (:mod:`orca_cool.train.kept_encodings`); ``codes`` are then empty.
    """

    codes: np.ndarray
    where: str
    labels: np.ndarray | None = None
    targets: dict[int, np.ndarray] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)
    expected: dict[int, np.ndarray] = field(default_factory=dict)
    dots: dict[int, np.ndarray] = field(default_factory=dict)
    pieces: tuple[Segment, ...] | None = None


@dataclass
class Batch:
    """Several samples as tensors: attributes are those of :class:`Sample`, with a first axis for
    the samples.
    """

    codes: Tensor
    where: list[str]
    labels: Tensor | None
    targets: dict[int, Tensor]
    starts: dict[int, list[int]]
    expected: dict[int, Tensor]
    dots: dict[int, Tensor] = field(default_factory=dict)
    pieces: list[tuple[Segment, ...]] | None = None

    def __len__(self) -> int:
        return len(self.where)

    def with_targets(self, targets: dict[int, Tensor]) -> Batch:
        """The same batch with other targets."""
        return replace(self, targets=targets)

    def to(self, device: torch.device) -> Batch:
        """The batch on a device, except the codes: encoders move them there piece by piece."""

        def move(t: Tensor) -> Tensor:
            return t.to(device, non_blocking=True)

        return Batch(
            self.codes,
            self.where,
            None if self.labels is None else move(self.labels),
            {r: move(t) for r, t in self.targets.items()},
            self.starts,
            {r: move(t) for r, t in self.expected.items()},
            {r: move(t) for r, t in self.dots.items()},
            self.pieces,
        )

    def split(self, size: int) -> list[Batch]:
        """The batch in parts of at most ``size`` samples, in order."""
        cuts = [slice(a, a + size) for a in range(0, len(self), size)]
        return [
            Batch(
                self.codes[c],
                self.where[c],
                None if self.labels is None else self.labels[c],
                {r: t[c] for r, t in self.targets.items()},
                {r: s[c] for r, s in self.starts.items()},
                {r: t[c] for r, t in self.expected.items()},
                {r: t[c] for r, t in self.dots.items()},
                None if self.pieces is None else self.pieces[c],
            )
            for c in cuts
        ]


class Sealed:
    """A batch on its way through Lightning Fabric, which under mixed precision would turn targets
    and expected into the smaller number type, and stops at the pieces, which it cannot copy.

    Attributes
    ----------
    batch : what it holds.
    """

    def __init__(self, batch: Batch):
        self.batch = batch


@dataclass(frozen=True)
class Failure:
    """The message of an error in a worker process. The exception itself would bring the worker's
    traceback along.
    """

    message: str


def collate(samples: list[Sample | Failure]) -> Batch | Failure:
    """Stack samples to a batch; the first failure, if there is one, in its place."""
    good: list[Sample] = []
    for s in samples:
        if isinstance(s, Failure):
            return s
        good.append(s)
    first = good[0]
    return Batch(
        torch.from_numpy(np.stack([s.codes for s in good])),
        [s.where for s in good],
        None
        if first.labels is None
        else torch.from_numpy(np.stack([s.labels for s in good if s.labels is not None])),
        {r: torch.from_numpy(np.stack([s.targets[r] for s in good])) for r in first.targets},
        {r: [s.starts[r] for s in good] for r in first.starts},
        {r: torch.from_numpy(np.stack([s.expected[r] for s in good])) for r in first.expected},
        {r: torch.from_numpy(np.stack([s.dots[r] for s in good])) for r in first.dots},
        None if first.pieces is None else [s.pieces for s in good if s.pieces is not None],
    )


def batches(loader: DataLoader) -> Iterator[Batch]:
    """Batches of a loader; TrainingError with the message of a sample that failed."""
    for batch in loader:
        if isinstance(batch, Failure):
            raise TrainingError(batch.message)
        yield batch
