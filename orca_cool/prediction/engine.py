"""``Engine``: a model, a genome, a device -> maps of windows. What is decoded is asked for by a
plan; nothing is stored.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from orca_cool.encodings.cache import EditedCache, EncodingCache, Notice
from orca_cool.encodings.store import EncodingStore
from orca_cool.errors import DeviceError, GenomeError, ModelError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import Bundle
from orca_cool.model.cascade import flip_map, mirror
from orca_cool.model.fast.decoder import DTYPES, FastCascade
from orca_cool.model.fast.encoder import DTYPES as ENCODER_DTYPES
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.model.spec import ModuleSpec
from orca_cool.prediction.device import default_batch, resolve_device
from orca_cool.prediction.windows import (
    Window,
    concatenated_chromosomes,
    fill_with_chromosomes,
    zoom_top,
    zoom_windows,
)

logger = logging.getLogger(__name__)

EDGES = ("real", "zero-padded")


@dataclass(frozen=True)
class WindowMap:
    """A predicted window: ``values`` float32 (bins, bins) log observed/expected, both strands
    averaged; ``strand_difference`` half the absolute difference of the two strands' predictions.
    """

    window: Window
    values: np.ndarray
    strand_difference: np.ndarray


class Engine:
    """Predict windows of a genome.

    Parameters
    ----------
    bundle : model with its expected_tables.
    source : genome.
    device : see :func:`resolve_device`.
    dtype : of the decoders: "float32"; "tf32" (GPU) and "bfloat16" are approximations, see
        :meth:`approximation_error`.
    encoder_dtype : of the encoder: "float32"; "tf32" and "float16" (GPU) are approximations.
    store : encodings on disk to read from and add to, or the path where such a store is or is to be
        made.
    edges : "real": encodings see the chromosome beyond their window; "zero-padded": windows end in
        zero padding, as in Orca's own program. Layouts of several chromosomes always end in
        padding.
    batch : windows and strands decoded at once; see :func:`default_batch`.
    notice : called while sequence is encoded.
    reuse : of an edited genome, take from its source's encodings (and their store) what the edits
        do not touch; False encodes it anew, as any other genome.
    fine_bytes : see :class:`~orca_cool.encodings.cache.EncodingCache`.
    """

    def __init__(
        self,
        bundle: Bundle,
        source: SequenceSource,
        device: str = "auto",
        dtype: str = "float32",
        *,
        encoder_dtype: str = "float32",
        store: EncodingStore | str | os.PathLike[str] | None = None,
        edges: str = "real",
        batch: int | None = None,
        notice: Notice | None = None,
        reuse: bool = True,
        fine_bytes: int = 0,
    ):
        for kind, value, known in (
            ("number type", dtype, DTYPES),
            ("encoder's number type", encoder_dtype, ENCODER_DTYPES),
        ):
            if value not in known:
                raise DeviceError(
                    f"{kind} {value!r} is not supported; use one of {', '.join(known)}"
                )
        if edges not in EDGES:
            raise ModelError(f"edges {edges!r} are not known; use one of {', '.join(EDGES)}")
        self.bundle, self.source = bundle, source
        self.spec = bundle.spec
        self.device = resolve_device(device)
        self.dtype, self.encoder_dtype, self.edges = dtype, encoder_dtype, edges
        self.model = bundle.model.to(self.device).eval()
        edited = source if isinstance(source, EditedGenome) and reuse else None
        encoded = edited.source if edited else source
        if isinstance(store, str | os.PathLike):
            store = EncodingStore.open(
                store, self.model.encoder, encoded, model_name=self.spec.name
            )
        self.cascade = FastCascade(self.model, self.device, dtype)
        encoder = FastEncoder(self.model.encoder, self.device, encoder_dtype)
        self.encodings = EncodingCache(
            encoder, encoded, store, notice=notice, fine_bytes=fine_bytes
        )
        if edited:
            self.encodings = EditedCache(self.encodings, edited)
        self.batch = batch or default_batch(self.spec, self.device)
        self._prepared: dict[tuple[str, str, int], Tensor | None] = {}

    @property
    def numerics(self) -> dict[str, str]:
        """The choices that decide the numbers of a prediction, beside model and genome."""
        return {
            "device": self.device.type,
            "dtype": self.dtype,
            "encoder_dtype": self.encoder_dtype,
            "encodings": self.encodings.dtype,
            "edges": self.edges,
        }

    def for_genome(self, genome: EditedGenome) -> Engine:
        """The same model on an edited genome of this engine's source, whose encodings they
        share.
        """
        if genome.source is not self.source:
            raise GenomeError(f"genome {genome.name!r} is not an edited {self.source.name!r}")
        other = copy.copy(self)
        other.source, other.encodings = genome, EditedCache(self.encodings, genome)
        return other

    def expected(self, module: ModuleSpec) -> ExpectedModel:
        return self.bundle.expected(module)

    def windows(
        self, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
    ) -> Iterator[WindowMap]:
        """Predict one root window and everything below it.

        Parameters
        ----------
        levels : one root's part of a plan (:func:`orca_cool.prediction.windows.by_root`).

        Yields
        ------
        Level by level, windows by start.
        """
        top = module.resolutions[0]
        yield from self._decode(self.root(module, chrom, levels[0][0].start * top), levels)

    def root(self, module: ModuleSpec, chrom: str, start: int) -> Root:
        """Encodings of the top window that begins at ``start`` (bp, on a base bin), from which all
        windows in it are decoded.
        """
        bases, pieces = self._bases(module, chrom, start)
        with torch.inference_mode():
            return Root(
                module, [self.cascade.encodings(module, base[None]) for base in bases], pieces
            )

    def _bases(
        self, module: ModuleSpec, chrom: str, start: int
    ) -> tuple[list[Tensor], list[Segment] | None]:
        """Base encodings of a top window on both strands, and the pieces it is laid out of if it is
        a layout.
        """
        base, width = self.spec.base_bin, self.spec.window(module.resolutions[0])
        if module.multi_chromosome:
            pieces = concatenated_chromosomes(
                chrom, self.source.chromsizes, width, self.expected(module).resolution, start
            )
            return self._sequence(pieces, width), pieces
        if self.edges == "zero-padded":
            return self._sequence([Segment(chrom, start, start + width)], width), None
        return [
            self.encodings.window(chrom, start // base, width // base, reverse=r)
            for r in (False, True)
        ], None

    def _sequence(self, pieces: Sequence[Segment], length: int) -> list[Tensor]:
        return [self.encodings.sequence(pieces, length, reverse=r) for r in (False, True)]

    def _decode(self, root: Root, levels: Sequence[Sequence[Window]]) -> Iterator[WindowMap]:
        parents: dict[int, StrandMaps] = {}
        for level in levels:
            maps: dict[int, StrandMaps] = {}
            for at in range(0, len(level), self.windows_per_batch):
                part = level[at : at + self.windows_per_batch]
                requests = [
                    (root, w, None if w.parent is None else parents[w.parent]) for w in part
                ]
                for window, pair in zip(part, self.decode_windows(requests)):
                    maps[window.start] = pair
                    yield WindowMap(window, *average(pair))
            parents = maps

    @property
    def windows_per_batch(self) -> int:
        """Windows, both strands of each, that are decoded at once."""
        return max(1, self.batch // 2)

    @torch.inference_mode()
    def decode_windows(
        self, requests: Sequence[tuple[Root, Window, StrandMaps | None]]
    ) -> list[StrandMaps]:
        """Decode windows of one module and resolution, each in its root and below its parent (None
        at the top).

        The roots may be of any chromosome, also of edited genomes of the same source (:meth:`for_genome`).
        On a CPU a window's numbers do not depend on what is decoded with it.

        Returns
        -------
        For each window its maps on both strands; see :func:`average`.
        """
        module, resolution = requests[0][0].module, requests[0][1].resolution
        tasks = []
        for root, window, above in requests:
            parents = (
                {}
                if window.parent is None or above is None
                else {(window.parent, s): above[s] for s in (False, True)}
            )
            tasks += [
                self._task(module, window, s, window.root, root.encodings[s], parents, root.pieces)
                for s in (False, True)
            ]
        maps = self._run(self.cascade, module, resolution, tasks)
        return list(zip(maps[::2], maps[1::2]))

    def _task(
        self,
        module: ModuleSpec,
        window: Window,
        reverse: bool,
        root: int,
        encodings: dict[int, Tensor],
        parents: Mapping[tuple[int, bool], Tensor],
        pieces: list[Segment] | None,
    ) -> _Task:
        n, top, r = self.spec.bins, module.resolutions[0], window.resolution
        offset = window.start - root * (top // r)
        at = mirror({top: 0, r: offset}, n, n)[r] if reverse else offset
        coarse = None
        if window.parent is not None:
            crop = window.start // 2 - window.parent
            crop = n // 2 - crop if reverse else crop
            coarse = parents[window.parent, reverse][
                ..., crop : crop + n // 2, crop : crop + n // 2
            ]
        return _Task(window, reverse, encodings[r][..., at : at + n], coarse, offset * r, pieces)

    def _run(
        self, cascade: FastCascade, module: ModuleSpec, resolution: int, tasks: Sequence[_Task]
    ) -> list[Tensor]:
        """(1, 1, bins, bins) of every task. If they do not fit the GPU together they are done in
        halves, from now on.
        """
        try:
            out: list[Tensor] = []
            for at in range(0, len(tasks), self.batch):
                part = tasks[at : at + self.batch]
                coarse = (
                    None
                    if part[0].coarse is None
                    else torch.cat([t.coarse for t in part if t.coarse is not None])
                )
                prepared = self._distance(cascade, module, resolution, part)
                out += cascade.decode(
                    module, resolution, torch.cat([t.x for t in part]), prepared, coarse
                ).split(1)
            return out
        except torch.cuda.OutOfMemoryError as error:
            if self.batch == 1:
                raise DeviceError(
                    f"one window of {self.spec.bins} x {self.spec.bins} bins does not fit the "
                    f"memory of {self.device}"
                ) from error
            self.batch = max(1, min(self.batch, len(tasks)) // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        logger.warning(
            "the memory of %s is full: going on with %d windows at once", self.device, self.batch
        )
        return self._run(cascade, module, resolution, tasks)

    def _distance(
        self, cascade: FastCascade, module: ModuleSpec, resolution: int, tasks: Sequence[_Task]
    ) -> Tensor | None:
        """What the decoder's first convolution makes of the windows' log expected: one for all in a
        chromosome, else one for each.
        """
        if not module.multi_chromosome:
            return self._toeplitz(cascade, module, resolution)
        expected_model = self.expected(module)
        logs = [
            self._log(
                expected_model.assembled(
                    resolution, _plain(t.pieces or []), t.offset, self.spec.bins
                )
            )
            for t in tasks
        ]
        return cascade.prepare(
            module,
            resolution,
            torch.cat([flip_map(d) if t.reverse else d for d, t in zip(logs, tasks)]),
        )

    def _toeplitz(self, cascade: FastCascade, module: ModuleSpec, resolution: int) -> Tensor | None:
        """The same for every window of a chromosome, on either strand; kept."""
        key = (cascade.dtype, module.name, resolution)
        if key not in self._prepared:
            distance = self._log(self.expected(module).expected_matrix(resolution, self.spec.bins))
            self._prepared[key] = cascade.prepare(module, resolution, distance)
        return self._prepared[key]

    def _log(self, expected: np.ndarray) -> Tensor:
        return torch.from_numpy(np.log(expected).astype(np.float32)).to(self.device)[None, None]

    @torch.inference_mode()
    def approximation_error(
        self, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
    ) -> dict[str, tuple[float, float]]:
        """What the approximations of this engine cost, measured on one zoom of a root
        window.

        Returns
        -------
        Pearson's r, and the largest difference in standard deviations, against float32: by
        resolution for the decoders (each zoom of its own kind from the top down), and "encoder" for
        one block. Only for what is approximated.
        """
        found: dict[str, tuple[float, float]] = {}
        if self.encoder_dtype != "float32":
            start = levels[0][0].start * module.resolutions[0]
            exact = FastEncoder(self.model.encoder, self.device)
            pair = [
                e.span(
                    lambda a, b: self.source.fetch(chrom, a, b),
                    start,
                    start + self.spec.encoder.block,
                )
                for e in (exact, self.encodings.encoder.encoder)
            ]
            found["encoder"] = _differ(*pair)
        if self.dtype != "float32":
            bases, pieces = self._bases(module, chrom, levels[0][0].start * module.resolutions[0])
            chain = [levels[-1][len(levels[-1]) // 2]]
            for level in reversed(levels[:-1]):
                chain.insert(0, next(w for w in level if w.start == chain[0].parent))
            kinds = []
            for cascade in (FastCascade(self.model, self.device, "float32"), self.cascade):
                encodings = cascade.encodings(module, bases[0][None])
                parents: dict[tuple[int, bool], Tensor] = {}
                maps: dict[int, Tensor] = {}
                for w in chain:
                    task = self._task(
                        module, w, False, levels[0][0].start, encodings, parents, pieces
                    )
                    (y,) = self._run(cascade, module, w.resolution, [task])
                    parents = {(w.start, False): y}
                    maps[w.resolution] = y
                kinds.append(maps)
            found |= {str(r): _differ(kinds[0][r], kinds[1][r]) for r in kinds[0]}
        return found

    def trans(
        self, module: ModuleSpec, first: Segment, second: Segment
    ) -> tuple[np.ndarray, np.ndarray]:
        """Contacts between two chromosome pieces at the module's top level.

        Returns
        -------
        values, strand_difference : float32 (bins of first, bins of second) log observed/expected, and strand
            strand_difference.
        """
        top = module.resolutions[0]
        window = self.spec.window(top)
        pieces = fill_with_chromosomes(
            [first, second], self.source.chromsizes, window, self.expected(module).resolution
        )
        with torch.inference_mode():
            encodings = [
                self.cascade.encodings(module, base[None])
                for base in self._sequence(pieces, window)
            ]
        whole = next(self._decode(Root(module, encodings, pieces), [[Window(top, 0, None, 0)]]))
        a, b = len(first) // top, len(second) // top
        return whole.values[:a, a : a + b], whole.strand_difference[:a, a : a + b]

    def zoom(
        self, module: ModuleSpec, chrom: str, position: int, edges: str = "zero-padded"
    ) -> list[ContactMap]:
        """One zoom exactly as Orca's own: see :meth:`encode_zoom`, :meth:`decode`."""
        return self.decode(module, [self.encode_zoom(module, chrom, position, edges)])[0]

    def encode_zoom(
        self, module: ModuleSpec, chrom: str, position: int, edges: str = "zero-padded"
    ) -> EncodedZoom:
        """Encode the top window of a zoom: windows of arbitrary phase, the sequence ending
        with the top window.

        Where the top window begins on a base bin of its chromosome the encodings are the
        chromosome's (from memory or the store) but for its ends; otherwise all of the window is
        encoded anew.

        Parameters
        ----------
        position : 0-based, the base that every level centres on as far as the coarser level's bins
            allow.
        edges : "zero-padded": zero padding at the top window's ends; "real": the chromosome goes on
            there.
        """
        spec, top = self.spec, module.resolutions[0]
        window, length = spec.window(top), self.source.chromsizes[chrom]
        pieces, origin = None, 0
        if module.multi_chromosome:
            unit = self.expected(module).resolution
            if length > window:  # of a fused chromosome, say: the part around the position
                origin = min(max(position - window // 2, 0), length - window) // unit * unit
            pieces = concatenated_chromosomes(chrom, self.source.chromsizes, window, unit, origin)
            bases = self._sequence(pieces, window)
        else:
            origin = zoom_top(position, length, window, top)
            if edges == "zero-padded":
                bases = self._sequence([Segment(chrom, origin, origin + window)], window)
            else:
                bases = [
                    self.encodings.span(chrom, origin, origin + window, reverse=r)
                    for r in (False, True)
                ]
        starts = zoom_windows(
            position, origin, module.resolutions, spec.bins, len(pieces[0]) if pieces else None
        )
        # The released program flips the background of the *mirrored* window. That is the right one
        # for a single chromosome (it depends on distance alone) but not for a layout of several,
        # where `windows` takes the window's own; here its numbers are to be had, so its way is
        # followed.
        mirrored = mirror(starts, spec.bins, spec.bins)
        return EncodedZoom(
            chrom, bases, starts, pieces, origin, {r: s * r for r, s in mirrored.items()}
        )

    def zoom_concatenated(
        self, module: ModuleSpec, pieces: Sequence[Segment], starts: Mapping[int, int]
    ) -> list[ContactMap]:
        """One zoom of chromosome pieces laid end to end, for a module whose input they are
        (256M).

        Unlike in :meth:`zoom` the second strand's background is always that of the window itself.

        Parameters
        ----------
        pieces : at most the top window; lengths are multiples of the background's bin; the rest is
            N.
        starts : by resolution, the window's first bin from the start of the layout, inside the
            window one level up.

        Returns
        -------
        Level by level; ``chrom`` is "layout", ``start`` and ``end`` count from its start.
        """
        bases = self._sequence(pieces, self.spec.window(module.resolutions[0]))
        return self.decode(
            module,
            [
                EncodedZoom(
                    "concatenated",
                    bases,
                    starts,
                    list(pieces),
                    0,
                    {r: s * r for r, s in starts.items()},
                )
            ],
        )[0]

    @torch.inference_mode()
    def decode(self, module: ModuleSpec, zooms: Sequence[EncodedZoom]) -> list[list[ContactMap]]:
        """EncodedZoom, each level by level. Several together fill a batch; a zoom' numbers do not
        depend on the others.
        """
        expected_model, bins = self.expected(module), self.spec.bins
        encodings = [
            [self.cascade.encodings(module, base[None]) for base in zoom.bases] for zoom in zooms
        ]
        parents: list[dict[tuple[int, bool], Tensor]] = [{} for _ in zooms]
        before: int | None = None
        out: list[list[ContactMap]] = [[] for _ in zooms]
        for r in module.resolutions:
            tasks = []
            for zoom, found, above in zip(zooms, encodings, parents):
                w = Window(r, zoom.starts[r], None if before is None else zoom.starts[before], 0)
                pair = [
                    self._task(module, w, strand, 0, found[strand], above, zoom.pieces)
                    for strand in (False, True)
                ]
                tasks += [pair[0], dataclasses.replace(pair[1], offset=zoom.expected_starts[r])]
            maps = self._run(self.cascade, module, r, tasks)
            for k, zoom in enumerate(zooms):
                both = maps[2 * k : 2 * k + 2]
                parents[k] = {(zoom.starts[r], strand): y for strand, y in zip((False, True), both)}
                begin = zoom.starts[r] * r
                if zoom.pieces is None:
                    expected = expected_model.expected_matrix(r, bins)
                else:
                    expected = expected_model.assembled(r, _plain(zoom.pieces), begin, bins)
                start = zoom.origin + begin
                region = Region(zoom.chrom, start, start + self.spec.window(r))
                values, strands = average(both)
                eps = expected_model.eps(r, bins)
                out[k].append(ContactMap(values, expected, eps, region, r, strands))
            before = r
        return out


#: (1, 1, bins, bins) of the window, and of its reverse complement in that orientation.
StrandMaps = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Root:
    """An encoded top window.

    Attributes
    ----------
    encodings : on both strands, by resolution, (1, width, n). pieces : what it is laid out of, for
        an assembly module.
    """

    module: ModuleSpec
    encodings: list[dict[int, Tensor]]
    pieces: list[Segment] | None

    @property
    def nbytes(self) -> int:
        return sum(y.nbytes for strand in self.encodings for y in strand.values())


@dataclass(frozen=True)
class EncodedZoom:
    """An encoded zoom.

    Attributes
    ----------
    bases : base encodings of the top window on both strands, (width, bins) each.
    starts : by resolution, the window's first bin from the start of the top window.
    pieces : what the top window is laid out of, for an assembly module. origin : its start on
        ``chrom`` in bp.
    expected_starts : by resolution, where, in bp from the top window's start, the background of the
        second strand's window is taken; it is flipped.
    """

    chrom: str
    bases: list[Tensor]
    starts: Mapping[int, int]
    pieces: list[Segment] | None
    origin: int
    expected_starts: Mapping[int, int]


@dataclass(frozen=True)
class _Task:
    """One strand of one window: ``x`` (1, width, bins) encodings, ``coarse`` (1, 1, bins/2, bins/2)
    or None, ``offset`` in bp from the root window's start, ``pieces`` that it is laid out of, if it
    is.
    """

    window: Window
    reverse: bool
    x: Tensor
    coarse: Tensor | None
    offset: int
    pieces: list[Segment] | None


def _differ(exact: Tensor, rough: Tensor) -> tuple[float, float]:
    a, b = exact.double().flatten().cpu().numpy(), rough.double().flatten().cpu().numpy()
    return float(np.corrcoef(a, b)[0, 1]), float(np.abs(a - b).max() / a.std())


def average(pair: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of both strands' maps of a window, and half their absolute difference: (bins, bins)
    float32 each.
    """
    forward, reverse = pair[0][0, 0], flip_map(pair[1])[0, 0]
    return (0.5 * (forward + reverse)).cpu().numpy(), (
        0.5 * (forward - reverse).abs()
    ).cpu().numpy()


def _plain(pieces: Sequence[Segment]) -> list[tuple[str, int, int, str]]:
    return [(s.chrom, s.start, s.end, s.strand) for s in pieces]
