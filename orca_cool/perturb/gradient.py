"""Gradients of an objective with respect to the bases of a region, through both strands.

Only what the region reaches is encoded with a graph, block by block: the first pass encodes without
one, the decoders give the gradient at the encodings, and each block is encoded a second time to
carry it on to the bases (:mod:`orca_cool.model.horizontal` does the same in training). So memory is
that of one block and one decoder, however long the window and the region are.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from orca_cool.encodings.reuse import CONCATENATED
from orca_cool.genome.regions import Region
from orca_cool.genome.source import one_hot
from orca_cool.model.cascade import Orca, flip_map
from orca_cool.model.fast.precision import convolutions
from orca_cool.perturb.objective import require_gradient
from orca_cool.perturb.watched import Watched
from orca_cool.prediction.batch_decoder import plain, strand_window
from orca_cool.prediction.progress import Report, no_report
from orca_cool.prediction.windows import Window

#: Steps of integrated gradients: the first number, doubled until the sum is right, and the last.
FIRST_STEPS, MOST_STEPS = 16, 256

#: How far the sum of integrated gradients may be off: as a share of the objective's difference, or
#: outright, where that is smaller.
TOLERANCE, NOTHING = 0.01, 1e-5

#: Bins of the largest map whose decoder's activations are kept until the backward pass; those of
#: larger ones are made a second time.
KEPT_BINS = 128


class Differentiable:
    """An objective as a function of the one-hot bases of a region; all other bases stay.

    Parameters
    ----------
    watched : the objective.
    region : whose bases are variables; it lies in the top window, or, where a module reads several
        chromosomes, in one of the stretches of its input.
    dtype : of the networks: float32, or float64 for checks.

    Raises
    ------
    RegionError
        If the region lies elsewhere.
    """

    def __init__(self, watched: Watched, region: Region, dtype: torch.dtype = torch.float32):
        watched.require_inside(region)
        self.watched, self.region, self.dtype = watched, region, dtype
        engine = watched.engine
        self.device, self.spec = engine.device, engine.bundle.spec
        model = engine.bundle.model
        self.model: Orca = model if dtype == torch.float32 else copy.deepcopy(model).to(dtype)
        base, laid = self.spec.base_bin, watched.placed.laid
        self.bins = self.spec.window(watched.placed.module.resolutions[0]) // base
        margin = self.spec.encoder.context // base
        #: Where the region begins, in bp from the start of the top window.
        self.at = region.start - watched.placed.origin
        #: Whether the sequence ends with the top window.
        self.ends = laid is not None or engine.edges == "zero-padded"
        self._joined = None if laid is None else laid.genome(engine.source)
        if laid is not None:
            self.at = laid.span(region) or 0
        first = self.at // base - margin
        last = -(-(self.at + len(region)) // base) + margin
        #: Base bins of the top window that depend on the region.
        self.first, self.last = max(first, 0), min(last, self.bins)
        codes = engine.source.fetch(region.chrom, region.start, region.end)
        self._logs: dict[tuple[int, bool], Tensor] = {}
        #: (4, L) one-hot bases of the region as they are in the genome.
        self.bases = one_hot(codes, self.device, dtype)

    @cached_property
    def _constant(self) -> list[Tensor]:
        """(width, bins) base encodings of both strands as the genome is, in the forward order."""
        strands = self.watched.reference_zoom.strands
        # clones are no inference tensors
        return [s.clone().to(self.dtype) for s in (strands[0], strands[1].flip(-1))]

    def _log(self, resolution: int, reverse: bool) -> Tensor:
        """(1, maps, n, n) log expected of a strand's window: an input of the decoders."""
        zoom = self.watched.reference_zoom
        key = resolution, reverse and zoom.segments is not None
        if key not in self._logs:
            tables = self.watched.engine.bundle.every_expected(self.watched.placed.module)
            n, pieces = self.spec.bins, plain(zoom.segments)
            begin = zoom.starts[resolution] * resolution
            if reverse:
                begin = zoom.reverse_expected_starts.get(resolution, begin)
            log = np.log(
                np.stack(
                    [
                        t.assembled(resolution, pieces, begin, n)
                        if pieces
                        else t.expected_matrix(resolution, n)
                        for t in tables
                    ]
                )
            )
            one = torch.from_numpy(log.astype(np.float32)).to(self.device, self.dtype)[None]
            self._logs[key] = flip_map(one) if key[1] else one
        return self._logs[key]

    def _fetch(self, start: int, end: int) -> np.ndarray:
        """Codes of the top window's sequence, in bp from its start, and of what lies around it."""
        if self._joined is not None:
            return self._joined.fetch(CONCATENATED, start, end)
        source, origin = self.watched.engine.source, self.watched.placed.origin
        return source.fetch(self.region.chrom, origin + start, origin + end)

    # ---- forward

    def value(self, bases: Tensor) -> float:
        """The objective, with the bases (4, L) in the region."""
        with torch.no_grad(), convolutions(self.device, False):
            return float(self._objective(self._encodings(bases)))

    def gradient(self, bases: Tensor) -> tuple[float, Tensor]:
        """The objective, and its gradient (4, L) with respect to the bases of the region."""
        with convolutions(self.device, False):
            with torch.no_grad():
                found = self._encodings(bases)
            leaves = [y.requires_grad_() for y in found]
            with torch.enable_grad():
                value = self._objective(leaves)
                above = torch.autograd.grad(value, leaves)
            out = torch.zeros_like(bases)
            for a, b in self._blocks():
                parts = [g[:, a - self.first : b - self.first] for g in above]
                self._back(bases, a, b, parts, out)
        return float(value.detach()), out

    def gradient_at_encodings(self) -> list[Tensor]:
        """The gradient of the objective at the base encodings of the whole top window: (width,
        bins) of both strands, in the forward order of bins. It does not depend on the region.
        """
        with convolutions(self.device, False), torch.enable_grad():
            leaves = [y.clone().requires_grad_() for y in self._constant]
            return list(torch.autograd.grad(self._objective_of(leaves), leaves))

    def gradient_through(self, above: list[Tensor]) -> Tensor:
        """The gradient (4, L) with respect to the region's bases as they are in the genome.

        Parameters
        ----------
        above : what :meth:`gradient_at_encodings` gives, for a region of the same window.
        """
        out = torch.zeros_like(self.bases)
        with convolutions(self.device, False):
            for a, b in self._blocks():
                parts = [g[:, a:b].to(self.dtype) for g in above]
                if any(bool(part.any()) for part in parts):
                    self._back(self.bases, a, b, parts, out)
        return out

    def _encodings(self, bases: Tensor) -> list[Tensor]:
        """(width, last - first) of both strands, in the forward order of bins."""
        blocks = [self._encode(bases, a, b) for a, b in self._blocks()]
        return [torch.cat([y[s] for y in blocks], dim=-1) for s in (0, 1)]

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """The bins that the region reaches, in blocks."""
        size = self.spec.encoder.block // self.spec.base_bin
        for a in range(self.first, self.last, size):
            yield a, min(a + size, self.last)

    def _encode(self, bases: Tensor, a: int, b: int) -> list[Tensor]:
        """Encodings (width, b - a) of bins [a, b) of both strands, in the forward order."""
        base, flank = self.spec.base_bin, self.spec.encoder.flank
        start, end = a * base - flank, b * base + flank
        if self.ends:
            start, end = max(start, 0), min(end, self.bins * base)
        x = one_hot(self._fetch(start, end), self.device, self.dtype)
        at = self.at - start  # of the region's first base in this piece
        i, j = max(at, 0), min(at + len(self.region), end - start)
        if i < j:
            x = torch.cat([x[:, :i], bases[:, i - at : j - at], x[:, j:]], dim=1)
        cut = slice(a - start // base, b - start // base)
        forward = self.model.encoder(x[None])[0]
        # A, C, G, T turned round are T, G, C, A
        reverse = self.model.encoder(x.flip(0, 1)[None])[0].flip(-1)
        return [forward[:, cut], reverse[:, cut]]

    def _back(self, bases: Tensor, a: int, b: int, above: list[Tensor], out: Tensor) -> None:
        """Add to ``out`` the gradient that goes through bins [a, b)."""
        with torch.enable_grad():
            x = bases.detach().requires_grad_()
            (found,) = torch.autograd.grad(self._encode(x, a, b), x, above)
        out += found

    def _objective(self, encodings: list[Tensor]) -> Tensor:
        return self._objective_of(
            [
                torch.cat([rest[:, : self.first], y, rest[:, self.last :]], dim=-1)
                for rest, y in zip(self._constant, encodings)
            ]
        )

    def _objective_of(self, strands: list[Tensor]) -> Tensor:
        """The objective of base encodings of the top window, in the forward order."""
        watched = self.watched
        profile = partial(self._profile, strands)
        if watched.objective.reads_map:
            maps = self._maps([strands[0], strands[1].flip(-1)])
        else:
            maps = watched.reference.clone().to(self.dtype)
        return watched.objective(watched.view(maps, profile=profile))

    def _maps(self, bases: list[Tensor]) -> Tensor:
        """(maps, n, n) of the objective's level."""
        placed, model = self.watched.placed, self.model
        module, strands = placed.module, []
        for reverse, base in enumerate(bases):
            found = model.encodings(module, base[None])
            above: Tensor | None = None
            before: int | None = None
            for r in module.resolutions:
                parent = None if before is None else placed.starts[before]
                window = Window(r, placed.starts[r], parent, 0)
                w = strand_window(module, window, bool(reverse), found, above, None)
                decode = partial(model.decode, module, r)
                if self.spec.bins > KEPT_BINS:
                    decode = partial(checkpoint, decode, use_reentrant=False)
                above = decode(w.x, self._log(r, bool(reverse)), w.coarse)
                if r == placed.resolution:
                    break
                before = r
            assert above is not None
            strands.append(above)
        return 0.5 * (strands[0] + flip_map(strands[1]))[0]

    def _profile(self, strands: list[Tensor], name: str, position: int) -> Tensor:
        """A profile at a position, mean of both strands, from encodings in the forward order."""
        number, head = self.watched.profile_number(name), self.model.final_1d
        assert head is not None
        k = (position - self.watched.placed.origin) // self.spec.base_bin
        both = [head(y[None, :, k : k + 1])[0, :, 0] for y in strands]
        return 0.5 * (both[0][number] + both[1][self.spec.profiles_of_reverse[number]])


def gradient(function: Differentiable) -> np.ndarray:
    """The gradient of an objective with respect to the one-hot bases of a region.

    Returns
    -------
    (L, 4) float64.

    Raises
    ------
    RegionError
        If the objective is one that has no gradient where nothing is changed.
    """
    require_gradient(function.watched.objective)
    _, found = function.gradient(function.bases)
    return found.T.double().cpu().numpy()


def integrated(
    function: Differentiable, baseline: Tensor | None = None, progress: Report = no_report
) -> tuple[np.ndarray, float, float]:
    """Integrated gradients (Sundararajan 2017) of an objective, on the straight way from a
    baseline.

    The trapezoid rule, with twice as many steps until the sum is right to :data:`TOLERANCE` of the
    objective's difference, or there are :data:`MOST_STEPS`.

    Parameters
    ----------
    baseline : (4, L) in the place of the region's bases; None: N, a quarter of each base.

    Returns
    -------
    (L, 4) float64; the objective's difference to the baseline; by how much the sum of the first
    differs from that.
    """
    x = function.bases
    baseline = torch.full_like(x, 0.25) if baseline is None else baseline
    step = x - baseline

    def at(t: float) -> tuple[float, Tensor]:
        value, found = function.gradient(baseline + t * step)
        return value, found.double()

    (before, first), (after, last) = at(0.0), at(1.0)
    difference, steps = after - before, 1
    mean = 0.5 * (first + last)
    while True:
        wanted = max(2 * steps, FIRST_STEPS)
        new = sorted({k / wanted for k in range(wanted)} - {k / steps for k in range(steps)})
        total = mean * steps  # with half of each end
        for done, t in enumerate(new):
            progress(steps + done, wanted)
            total = total + at(t)[1]
        mean, steps = total / wanted, wanted
        progress(steps, steps)
        found = step.double() * mean
        missing = abs(float(found.sum()) - difference)
        if missing <= max(TOLERANCE * abs(difference), NOTHING) or steps >= MOST_STEPS:
            return found.T.cpu().numpy(), difference, missing
