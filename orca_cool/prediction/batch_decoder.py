"""Decodes many windows at once on one device: the last step of Orca's cascade."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from orca_cool.errors import DeviceError
from orca_cool.genome.segments import Segment
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.cascade import flip_map, mirror
from orca_cool.model.fast.decoder import FastCascade
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.end_to_end import mirrored
from orca_cool.prediction.windows import Window
from orca_cool.profile import staged

logger = logging.getLogger("orca_cool.prediction")


@dataclass(frozen=True)
class StrandWindow:
    """One strand of one window, all that its decoder reads.

    Attributes
    ----------
    x : (1, width, bins) encodings, in the orientation of the strand.
    coarse : (1, maps, bins/2, bins/2) the part of the maps above it that it covers; None at the
        top.
    expected_start : where its expected begins, in bp from the start of the top window.
    segments : what the top window consists of, for a module that reads several chromosomes.
    order : of a strand on which chromosomes are turned in place, which of its bins are the
        window's, in turn; None: all of them backwards, as on any reverse strand.
    """

    reverse: bool
    x: Tensor
    coarse: Tensor | None
    expected_start: int
    segments: list[Segment] | None
    order: np.ndarray | None = None


def strand_window(
    module: ModuleSpec,
    window: Window,
    reverse: bool,
    encodings: dict[int, Tensor],
    above: Tensor | None,
    segments: list[Segment] | None,
    turned: list[Segment] | None = None,
) -> StrandWindow:
    """Cut one strand of a window out of its top window.

    Parameters
    ----------
    encodings : of the top window on that strand, by resolution, (1, width, n).
    above : (1, maps, bins, bins) maps of the window above it on that strand, None at the top.
    turned : the input of the second strand, where chromosomes are turned in their own places.
    """
    if reverse and turned is not None and segments is not None:
        return _turned_window(module, window, encodings, above, segments, turned)
    top, r = module.resolutions[0], window.resolution
    n = encodings[top].shape[-1]
    offset = window.start - window.root * (top // r)
    at = mirror({top: 0, r: offset}, n, n)[r] if reverse else offset
    coarse = None
    if window.parent is not None and above is not None:
        crop = window.start // 2 - window.parent
        crop = n // 2 - crop if reverse else crop
        coarse = above[..., crop : crop + n // 2, crop : crop + n // 2]
    return StrandWindow(reverse, encodings[r][..., at : at + n], coarse, offset * r, segments)


def _turned_window(
    module: ModuleSpec,
    window: Window,
    encodings: dict[int, Tensor],
    above: Tensor | None,
    segments: list[Segment],
    turned: list[Segment],
) -> StrandWindow:
    """The second strand of a window, where chromosomes are turned in their own places."""
    top, r = module.resolutions[0], window.resolution
    n = encodings[top].shape[-1]
    at, order = mirrored(segments, turned, r, window.start - window.root * (top // r), n)
    coarse = None
    if window.parent is not None and above is not None:
        parent = window.parent - window.root * (top // (2 * r))
        up, order_above = mirrored(segments, turned, 2 * r, parent, n)
        crop = at // 2 - up
        there = above if order_above is None else _in_order(flip_map(above), order_above)
        coarse = there[..., crop : crop + n // 2, crop : crop + n // 2]
    return StrandWindow(False, encodings[r][..., at : at + n], coarse, at * r, turned, order)


def _in_order(y: Tensor, order: np.ndarray) -> Tensor:
    """A map (..., n, n) whose rows and columns are those of ``order``."""
    index = torch.from_numpy(order).to(y.device)
    return y[..., index, :][..., index]


class BatchDecoder:
    """Decoders on a device, fed with as many windows as fit it.

    Parameters
    ----------
    expected : expected contact frequencies of a module, one for each cell type; their logarithms
        are inputs of the decoders.
    bins : of a map.
    batch : strands of windows decoded at once. Where they do not fit the memory it is halved, for
        good.
    """

    def __init__(
        self,
        cascade: FastCascade,
        device: torch.device,
        expected: Callable[[ModuleSpec], Sequence[ExpectedModel]],
        bins: int,
        batch: int,
    ):
        self.cascade, self.device, self.expected = cascade, device, expected
        self.bins, self.batch = bins, batch
        self._prepared: dict[tuple[str, int], Tensor | None] = {}

    @staged("decoding")
    def decode(
        self, module: ModuleSpec, resolution: int, windows: Sequence[StrandWindow]
    ) -> list[Tensor]:
        """Maps (1, maps, bins, bins) of strands of windows of one resolution; those of the second
        strand have the window's bins backwards.

        Raises
        ------
        DeviceError
            If the memory of the device does not hold even one.
        """
        try:
            out: list[Tensor] = []
            for at in range(0, len(windows), self.batch):
                part = windows[at : at + self.batch]
                coarse = (
                    None
                    if part[0].coarse is None
                    else torch.cat([w.coarse for w in part if w.coarse is not None])
                )
                prepared = self._distance(module, resolution, part)
                out += self.cascade.decode(
                    module, resolution, torch.cat([w.x for w in part]), prepared, coarse
                ).split(1)
            return [
                y if w.order is None else flip_map(_in_order(y, w.order))
                for y, w in zip(out, windows)
            ]
        except torch.cuda.OutOfMemoryError as error:
            if self.batch == 1:
                raise DeviceError(
                    f"one window of {self.bins} x {self.bins} bins does not fit the "
                    f"memory of {self.device}"
                ) from error
            self.batch = max(1, min(self.batch, len(windows)) // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        logger.warning(
            "the memory of %s is full: going on with %d windows at once", self.device, self.batch
        )
        return self.decode(module, resolution, windows)

    def _distance(
        self, module: ModuleSpec, resolution: int, windows: Sequence[StrandWindow]
    ) -> Tensor | None:
        """What the decoder's first convolution makes of the log expected: of a single chromosome
        one for all windows (it depends on distance alone), else one for each.
        """
        if not module.multi_chromosome:
            return self._by_distance(module, resolution)
        expected = self.expected(module)
        logs = [
            self._log(
                e.assembled(resolution, plain(w.segments), w.expected_start, self.bins)
                for e in expected
            )
            for w in windows
        ]
        logs = [flip_map(y) if w.reverse else y for y, w in zip(logs, windows)]
        if self.device.type != "cpu":
            return self.cascade.prepare(module, resolution, torch.cat(logs))
        # one by one, so that its bits do not depend on which others there are
        each = [self.cascade.prepare(module, resolution, y) for y in logs]
        return torch.cat([y for y in each if y is not None]) if each[0] is not None else None

    def _by_distance(self, module: ModuleSpec, resolution: int) -> Tensor | None:
        """The same for every window of a chromosome, on either strand; kept."""
        key = module.name, resolution
        if key not in self._prepared:
            log = self._log(e.expected_matrix(resolution, self.bins) for e in self.expected(module))
            self._prepared[key] = self.cascade.prepare(module, resolution, log)
        return self._prepared[key]

    def _log(self, expected: Iterable[np.ndarray]) -> Tensor:
        """(1, maps, bins, bins) log of the expected of each cell type."""
        log = np.log(np.stack(list(expected))).astype(np.float32)
        return torch.from_numpy(log).to(self.device)[None]


def plain(segments: Sequence[Segment] | None) -> list[tuple[str, int, int, str]]:
    """Segments as (chromosome, start, end, strand), as expected models take them."""
    return [(s.chrom, s.start, s.end, s.strand) for s in segments or ()]
