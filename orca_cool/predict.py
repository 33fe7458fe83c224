"""``Predictor``: a model, a genome, a device -> maps of windows. What is decoded is asked for by a plan; nothing is stored."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from orca_cool.background import Background
from orca_cool.edits import Segment, SegmentSource
from orca_cool.encode import EncodingCache, encode_span
from orca_cool.errors import DeviceError
from orca_cool.genome import SequenceSource
from orca_cool.model.cascade import flip_map, mirror, zoom
from orca_cool.model.spec import ModuleSpec
from orca_cool.weights import Bundle
from orca_cool.windows import Window, fill_layout, layout, series, series_top

DTYPES = ("float32", "bfloat16")


def resolve_device(name: str) -> torch.device:
    """ "auto", "cpu", "cuda" or "cuda:n" to a device that exists; DeviceError otherwise."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"device {name!r} is not understood; use auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device {name!r} is not supported; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device {name!r} was asked for, but this machine has {torch.cuda.device_count()} CUDA devices; use cpu or auto")
    return device


@dataclass(frozen=True)
class WindowMap:
    """A predicted window: ``values`` float32 (bins, bins) log observed/expected, both strands averaged; ``spread`` half the
    absolute difference of the two strands' predictions."""

    window: Window
    values: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class SeriesMap:
    """One level of a zoom series: ``start``, ``end`` in bp on ``chrom``; the other fields as in :class:`WindowMap`.

    ``expected`` float64 (bins, bins) and ``eps`` invert the log ratio: F = exp(values) * (expected + eps).
    """

    chrom: str
    resolution: int
    start: int
    end: int
    values: np.ndarray
    spread: np.ndarray
    expected: np.ndarray
    eps: float


class Predictor:
    """Predict windows of a genome.

    Parameters
    ----------
    bundle : model with its backgrounds.
    source : genome.
    device : see :func:`resolve_device`.
    dtype : "float32", or "bfloat16" for the decoders (an approximation; encoders stay float32).
    """

    def __init__(self, bundle: Bundle, source: SequenceSource, device: str = "auto", dtype: str = "float32"):
        if dtype not in DTYPES:
            raise DeviceError(f"number type {dtype!r} is not supported; use one of {', '.join(DTYPES)}")
        self.bundle, self.source = bundle, source
        self.spec = bundle.spec
        self.device = resolve_device(device)
        self.dtype = dtype
        self.model = bundle.model.to(self.device).eval()
        # encodings of about two top windows, both strands, so that the step to the next root re-uses the first half
        widest = max((self.spec.window(m.resolutions[0]) for m in self.spec.modules if not m.assembly), default=self.spec.encoder.block)
        self.encodings = EncodingCache(self.model.encoder, source, self.device, max_blocks=4 * (widest // self.spec.encoder.block + 2))
        self._toeplitz: dict[tuple[str, int], Tensor] = {}

    def background(self, module: ModuleSpec) -> Background:
        return self.bundle.background(module)

    def windows(self, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]) -> Iterator[WindowMap]:
        """Predict one root window and everything below it.

        Parameters
        ----------
        levels : one root's part of a plan (:func:`orca_cool.windows.by_root`).

        Yields
        ------
        Level by level, windows by start.
        """
        root = levels[0][0]
        top = module.resolutions[0]
        pieces: list[Segment] | None = None
        if module.assembly:
            unit = self.background(module).resolution
            pieces = layout(chrom, self.source.chromsizes, self.spec.window(top), unit, root.start * top)
            bases = self._layout_bases(pieces, self.spec.window(top))
        else:
            first = root.start * (top // self.spec.base_bin)
            count = self.spec.bins * (top // self.spec.base_bin)
            bases = [self.encodings.window(chrom, first, count, reverse=r) for r in (False, True)]
        yield from self._decode(module, bases, levels, pieces)

    @torch.inference_mode()
    def _decode(
        self, module: ModuleSpec, bases: list[Tensor], levels: Sequence[Sequence[Window]], pieces: list[Segment] | None
    ) -> Iterator[WindowMap]:
        n, top = self.spec.bins, module.resolutions[0]
        root = levels[0][0].start
        encodings = [self.model.encodings(module, base[None]) for base in bases]
        parents: dict[int, list[Tensor]] = {}
        for resolution, level in zip(module.resolutions, levels):
            maps: dict[int, list[Tensor]] = {}
            for window in level:
                offset = window.start - root * (top // resolution)
                distance = self._distance(module, resolution, pieces, offset * resolution)
                pair = []
                for strand, x in enumerate(encodings):
                    at = mirror({top: 0, resolution: offset}, n, n)[resolution] if strand else offset
                    coarse = None
                    if window.parent is not None:
                        crop = window.start // 2 - window.parent
                        crop = n // 2 - crop if strand else crop
                        coarse = parents[window.parent][strand][..., crop : crop + n // 2, crop : crop + n // 2]
                    d = flip_map(distance) if strand else distance
                    with self._autocast():
                        y = self.model.decode(module, resolution, x[resolution][..., at : at + n], d, coarse)
                    pair.append(y.float())
                maps[window.start] = pair
                yield WindowMap(window, *_average(pair))
            parents = maps

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.dtype == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _distance(self, module: ModuleSpec, resolution: int, pieces: list[Segment] | None, start: int) -> Tensor:
        """(1, 1, bins, bins) log expected of a window; ``start`` in bp from the start of a layout."""
        background = self.background(module)
        if pieces is None:
            key = (module.name, resolution)
            if key not in self._toeplitz:
                self._toeplitz[key] = self._log(background.normmat(resolution, self.spec.bins))
            return self._toeplitz[key]
        return self._log(background.assembled(resolution, _plain(pieces), start, self.spec.bins))

    def _log(self, expected: np.ndarray) -> Tensor:
        return torch.from_numpy(np.log(expected).astype(np.float32)).to(self.device)[None, None]

    def _layout_bases(self, pieces: list[Segment], window: int) -> list[Tensor]:
        source = SegmentSource(self.source, pieces)
        return [
            encode_span(
                self.model.encoder, lambda a, b: source.fetch(source.name, a, b), 0, window, reverse=r, ends=True, device=self.device
            )
            for r in (False, True)
        ]

    def trans(self, module: ModuleSpec, first: Segment, second: Segment) -> tuple[np.ndarray, np.ndarray]:
        """Contacts between two chromosome pieces at the module's top level.

        Returns
        -------
        values, spread : float32 (bins of first, bins of second) log observed/expected, and strand spread.
        """
        top = module.resolutions[0]
        window = self.spec.window(top)
        pieces = fill_layout([first, second], self.source.chromsizes, window, self.background(module).resolution)
        bases = self._layout_bases(pieces, window)
        whole = next(iter(self._decode(module, bases, [[Window(top, 0, None, 0)]], pieces)))
        a, b = len(first) // top, len(second) // top
        return whole.values[:a, a : a + b], whole.spread[:a, a : a + b]

    @torch.inference_mode()
    def series(self, module: ModuleSpec, chrom: str, position: int) -> list[SeriesMap]:
        """One zoom series exactly as Orca's own: windows of arbitrary phase, the sequence ending with the top window.

        Parameters
        ----------
        position : 0-based, the base that every level centres on as far as the coarser level's bins allow.
        """
        spec, top = self.spec, module.resolutions[0]
        window, length = spec.window(top), self.source.chromsizes[chrom]
        pieces = None
        if module.assembly:
            pieces = layout(chrom, self.source.chromsizes, window, self.background(module).resolution)
            origin = 0
            bases = self._layout_bases(pieces, window)
        else:
            origin = series_top(position, length, window, top)
            bases = [
                encode_span(
                    self.model.encoder,
                    lambda a, b: self.source.fetch(chrom, a, b),
                    origin,
                    origin + window,
                    reverse=r,
                    ends=True,
                    device=self.device,
                )
                for r in (False, True)
            ]
        starts = series(position, origin, module.resolutions, spec.bins, len(pieces[0]) if pieces else None)
        distances = {r: self._distance(module, r, pieces, s * r) for r, s in starts.items()}
        with self._autocast():
            forward = zoom(self.model, module, bases[0][None], distances, starts)
            mirrored = mirror(starts, spec.bins, spec.bins)
            # The released program flips the background of the *mirrored* window. That is the right one for a single chromosome
            # (it depends on distance alone) but not for a layout of several, where `windows` takes the window's own; here its
            # numbers are to be had, so its way is followed.
            flipped = {r: flip_map(self._distance(module, r, pieces, s * r)) for r, s in mirrored.items()}
            reverse = zoom(self.model, module, bases[1][None], flipped, mirrored)
        background = self.background(module)
        out = []
        for r in module.resolutions:
            values, spread = _average([forward[r].float(), reverse[r].float()])
            begin = origin + starts[r] * r
            expected = np.exp(distances[r][0, 0].double().cpu().numpy())
            out.append(SeriesMap(chrom, r, begin, begin + spec.window(r), values, spread, expected, background.eps(r, spec.bins)))
        return out


def _average(pair: list[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    forward, reverse = pair[0][0, 0], flip_map(pair[1])[0, 0]
    return (0.5 * (forward + reverse)).cpu().numpy(), (0.5 * (forward - reverse).abs()).cpu().numpy()


def _plain(pieces: Sequence[Segment]) -> list[tuple[str, int, int, str]]:
    return [(s.chrom, s.start, s.end, s.strand) for s in pieces]
