"""``OrcaEngine``: an Orca-type model, a genome, a device -> maps of windows.

Sequence is encoded once and shared by windows, modules and edits
(:mod:`orca_cool.encodings.cache`); maps are handed down from coarse to fine windows. Nothing is
stored here.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from orca_cool.encodings.cache import EditedCache, EncodingCache
from orca_cool.encodings.store import EncodingStore
from orca_cool.errors import DeviceError, GenomeError, ModelError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model import DECODER_DTYPES, ENCODER_DTYPES
from orca_cool.model.bundle import Model
from orca_cool.model.fast.decoder import FastCascade
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction import EDGES, accuracy, zoom
from orca_cool.prediction.batch_decoder import BatchDecoder
from orca_cool.prediction.device import default_batch, resolve_device
from orca_cool.prediction.end_to_end import (
    between,
    input_of,
    input_of_pair,
    inputs_of_pair,
    second_strand,
)
from orca_cool.prediction.engine import OnEncoding, Request, StrandMaps, WindowMap, average
from orca_cool.prediction.many_roots import RootWindows, decode_roots
from orca_cool.prediction.root import Root, of_root
from orca_cool.prediction.window_key import Content, add, content_of, key_of, through_store
from orca_cool.prediction.window_store import WindowStore, numerics_of
from orca_cool.prediction.windows import Window
from orca_cool.prediction.zoom import EncodedZoom, GoOn

#: Base bins encoded between two looks at whether the caller has something more urgent.
ENCODED_AT_ONCE = 2000


class OrcaEngine:
    """Predict windows of a genome; an :class:`~orca_cool.prediction.engine.Engine`.

    Parameters
    ----------
    bundle : model with its expected tables.
    source : genome.
    device : see :func:`orca_cool.prediction.device.resolve_device`.
    dtype : of the decoders: "float32"; "tf32" (GPU) and "bfloat16" are approximations, see
        :meth:`approximation_error`.
    encoder_dtype : of the encoder: "float32"; "tf32", "float16" (CUDA) and "bfloat16" (CPU) are
        approximations.
    asked : number types that were asked for and are not used, for :attr:`numerics`.
    store : encodings on disk to read from and add to, or the path where such a store is or is to be
        made.
    edges : "real": encodings see the chromosome beyond their window; "zero-padded": windows end in
        zero padding, as in Orca's own program. Chromosomes laid end to end always end in padding.
    batch : windows and strands decoded at once; see
        :func:`orca_cool.prediction.device.default_batch`.
    notice : called while sequence is encoded.
    reuse : of an edited genome, take from its source's encodings (and their store) what the edits
        do not touch; False encodes it anew, as any other genome.
    fine_bytes : see :class:`~orca_cool.encodings.cache.EncodingCache`.
    window_store : decoded windows on disk to read from and add to.

    Raises
    ------
    DeviceError, ModelError, StoreError
        If a number type, the device, the edges or the store cannot be used.
    """

    def __init__(
        self,
        bundle: Model,
        source: SequenceSource,
        device: str = "auto",
        dtype: str = "float32",
        *,
        encoder_dtype: str = "float32",
        asked: Mapping[str, str] | None = None,
        store: EncodingStore | str | os.PathLike[str] | None = None,
        edges: str = "real",
        batch: int | None = None,
        notice: OnEncoding | None = None,
        reuse: bool = True,
        fine_bytes: int = 0,
        window_store: WindowStore | None = None,
    ):
        for kind, value, known in (
            ("number type", dtype, DECODER_DTYPES),
            ("encoder's number type", encoder_dtype, ENCODER_DTYPES),
        ):
            if value not in known:
                raise DeviceError(
                    f"{kind} {value!r} is not supported; use one of {', '.join(known)}"
                )
        if edges not in EDGES:
            raise ModelError(f"edges {edges!r} are not known; use one of {', '.join(EDGES)}")
        self.bundle, self.source, self.spec = bundle, source, bundle.spec
        _ = self.spec.map_number  # ModelError at once where none of several is chosen
        self.device = resolve_device(device)
        self.dtype, self.encoder_dtype, self.edges = dtype, encoder_dtype, edges
        self.asked = dict(asked or {})
        self.model = bundle.model.to(self.device).eval()
        edited = source if isinstance(source, EditedGenome) and reuse else None
        encoded = edited.source if edited else source
        if isinstance(store, str | os.PathLike):
            store = EncodingStore.open(
                store,
                self.model.encoder,
                encoded,
                model_name=self.spec.name,
                encoder_dtype=encoder_dtype,
            )
        self.cascade = FastCascade(self.model, self.device, dtype)
        fast = FastEncoder(self.model.encoder, self.device, encoder_dtype)
        self.encodings = EncodingCache(fast, encoded, store, notice=notice, fine_bytes=fine_bytes)
        if edited:
            self.encodings = EditedCache(self.encodings, edited)
        batch = batch or default_batch(self.spec, self.device)
        self.decoder = self.new_decoder(self.cascade, batch)
        self.window_store, self.keep = window_store, True

    def new_decoder(self, cascade: FastCascade, batch: int) -> BatchDecoder:
        """Decoders of this model, with its expected."""
        return BatchDecoder(cascade, self.device, self.bundle.every_expected, self.spec.bins, batch)

    # ---- what it is

    @property
    def digest(self) -> str:
        return self.bundle.digest

    @property
    def context(self) -> int:
        return self.encodings.margin * self.spec.base_bin

    @property
    def numerics(self) -> dict[str, str]:
        chosen = {"cell_type": self.spec.cell_type} if self.spec.cell_types else {}
        return chosen | {
            "device": self.device.type,
            "dtype": self.dtype,
            "encoder_dtype": self.encoder_dtype,
            **self.asked,
            "encodings": self.encodings.dtype,
            "edges": self.edges,
            **numerics_of(self.window_store),
        }

    @property
    def batch(self) -> int:
        """Windows and strands decoded at once."""
        return self.decoder.batch

    @property
    def windows_per_batch(self) -> int:
        return max(1, self.batch // 2)

    @property
    def concurrent(self) -> bool:
        return self.device.type == "cpu"

    @property
    def encoded_bp(self) -> int:
        return self.encodings.encoded

    def expected(self, module: ModuleSpec) -> ExpectedModel:
        return self.bundle.expected(module)

    def for_genome(self, genome: EditedGenome, keep: bool = True) -> OrcaEngine:
        encodings = self.encodings
        if isinstance(encodings, EditedCache) and genome.source is encodings.genome.source:
            encodings = encodings.reference  # edited otherwise
        elif genome.source is not self.source:
            raise GenomeError(f"genome {genome.name!r} is not an edited {self.source.name!r}")
        other = copy.copy(self)
        other.source, other.encodings = genome, EditedCache(encodings, genome)
        other.keep = keep
        return other

    def for_cell_type(self, name: str) -> OrcaEngine:
        """The same engine for another of the model's cell types; networks, encodings and decoders
        are shared.

        Raises
        ------
        ModelError
            If the model has no such cell type.
        """
        other = copy.copy(self)
        other.bundle = self.bundle.for_cell_type(name)
        other.spec = other.bundle.spec
        return other

    # ---- encodings

    def on_encoding(self, notice: OnEncoding | None) -> None:
        self.encodings.encoder.notice = notice

    def encode_ahead(self, module: ModuleSpec, chrom: str, start: int) -> Iterator[None]:
        if module.multi_chromosome:
            return
        base = self.spec.base_bin
        first, last = start // base, (start + self.spec.window(module.resolutions[0])) // base
        for at in range(first, last, ENCODED_AT_ONCE):
            for reverse in (False, True):
                yield
                bins = min(ENCODED_AT_ONCE, last - at)
                self.encodings.window(chrom, at, bins, reverse=reverse)

    def root(self, module: ModuleSpec, chrom: str, start: int, forward_only: bool = False) -> Root:
        segments = self._several(module, chrom, start)
        other = None if forward_only else second_strand(self.spec, module, segments)
        content = content_of(self, module, chrom, start, self.edges, segments, other)

        def bases() -> list[Tensor]:
            return self.top_window(module, chrom, start, forward_only)[0]

        return self._root(module, bases, segments, other, forward_only, content)

    def _root(
        self,
        module: ModuleSpec,
        bases: Callable[[], Sequence[Tensor]],
        segments: list[Segment] | None,
        other: list[Segment] | None = None,
        forward_only: bool = False,
        content: Content | None = None,
    ) -> Root:
        def read() -> list[dict[int, Tensor]]:
            with torch.inference_mode(False):  # what is kept is a tensor like any other
                found = bases()
            with torch.inference_mode():
                return [self.cascade.encodings(module, base[None]) for base in found]

        return Root(module, read, segments, other, forward_only, content)

    def _several(self, module: ModuleSpec, chrom: str, start: int) -> list[Segment] | None:
        """What a top window consists of, if the module reads several chromosomes."""
        if not module.multi_chromosome:
            return None
        unit = self.expected(module).resolution
        return input_of(self.spec, self.source, module, unit, chrom, start)

    def top_window(
        self, module: ModuleSpec, chrom: str, start: int, forward_only: bool = False
    ) -> tuple[list[Tensor], list[Segment] | None]:
        """Base encodings (width, bins) of a top window on both strands, or the forward one alone,
        and the segments that it consists of if the module reads several chromosomes.
        """
        strands = (False,) if forward_only else (False, True)
        base, width = self.spec.base_bin, self.spec.window(module.resolutions[0])
        segments = self._several(module, chrom, start)
        if segments is not None:
            other = second_strand(self.spec, module, segments)
            return self.concatenated(segments, width, strands, other), segments
        if self.edges == "zero-padded":
            return self.concatenated([Segment(chrom, start, start + width)], width, strands), None
        return [
            self.encodings.window(chrom, start // base, width // base, reverse=r) for r in strands
        ], None

    def concatenated(
        self,
        segments: Sequence[Segment],
        length: int,
        strands: Sequence[bool] = (False, True),
        other: Sequence[Segment] | None = None,
    ) -> list[Tensor]:
        """Base encodings (width, bins) of segments laid end to end, on both strands; the sequence
        ends with them. What they leave of ``length`` bp is N.

        Parameters
        ----------
        strands : of each that is wanted, whether it is the reverse one.
        other : what the reverse strand is made of; None: it is the reverse complement of the whole.
        """
        if other is None:
            return [self.encodings.sequence(segments, length, reverse=r) for r in strands]
        return [self.encodings.sequence(other if r else segments, length) for r in strands]

    # ---- maps of windows

    def windows(
        self, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
    ) -> Iterator[WindowMap]:
        yield from next(decode_roots(self, [RootWindows(module, chrom, levels)]))

    @torch.inference_mode()
    def decode_windows(
        self,
        requests: Sequence[Request],
        reverse_expected: Sequence[int | None] = (),
        *,
        only: bool | None = None,
    ) -> list[StrandMaps]:
        """As :meth:`Engine.decode_windows`; ``reverse_expected``: of each, where in bp from the top
        window's start the expected of its reverse strand is taken, None: where the window lies.
        """
        starts = reverse_expected or [None] * len(requests)
        module, resolution = requests[0][0].module, requests[0][1].resolution
        wanted = [
            (root, window, s, None if above is None else above[s], at if s else None)
            for (root, window, above), at in zip(requests, starts)
            for s in ((False, True)[: root.n_strands] if only is None else (only,))
        ]

        def decode(which: Sequence[int]) -> list[Tensor]:
            return self.decoder.decode(module, resolution, [of_root(*wanted[k]) for k in which])

        keys = [key_of(*one) for one in wanted]
        together = requests[0][0].n_strands if only is None else 1
        maps = through_store(self.window_store, keys, decode, self.device, together)
        return [tuple(maps[k : k + together]) for k in range(0, len(maps), together)]

    @torch.inference_mode()
    def decode_strand(
        self, root: Root, window: Window, reverse: bool, above: Tensor | None
    ) -> Tensor:
        strand = of_root(root, window, reverse, above)
        maps = self.decoder.decode(root.module, window.resolution, [strand])
        return add(self.window_store, [key_of(root, window, reverse, above)], maps)[0]

    def trans(
        self, module: ModuleSpec, first: Segment, second: Segment
    ) -> tuple[np.ndarray, np.ndarray]:
        top, unit = module.resolutions[0], self.expected(module).resolution
        segments = input_of_pair(self.spec, self.source, module, unit, (first, second))
        width, found = self.spec.window(top), []
        for one, other in inputs_of_pair(self.spec, module, segments):
            bases = partial(self.concatenated, one, width, other=other)
            content = content_of(self, module, "", 0, self.edges, one, other)
            root = self._root(module, bases, one, other, content=content)
            (pair,) = self.decode_windows([(root, Window(top, 0, None, 0), None)])
            found.append(average(pair, self.spec.map_number))
        values, strand_difference = between(found, [len(s) // top for s in segments[:2]])
        a, b = len(first) // top, len(second) // top
        return values[:a, :b], strand_difference[:a, :b]

    # ---- zooms

    def zoom(
        self, module: ModuleSpec, chrom: str, position: int, edges: str = "zero-padded"
    ) -> list[ContactMap]:
        """Every level around a position, exactly as Orca's own program has it; see
        :func:`orca_cool.prediction.zoom.encode_zoom`.
        """
        return self.decode_zooms(module, [self.encode_zoom(module, chrom, position, edges)])[0]

    def encode_zoom(
        self, module: ModuleSpec, chrom: str, position: int, edges: str = "zero-padded"
    ) -> EncodedZoom:
        return zoom.encode_zoom(self, module, chrom, position, edges)

    def decode_zooms(
        self, module: ModuleSpec, zooms: Sequence[EncodedZoom], go_on: GoOn | None = None
    ) -> list[list[ContactMap]]:
        return zoom.decode_zooms(self, module, zooms, go_on)

    def zoom_concatenated(
        self, module: ModuleSpec, segments: Sequence[Segment], starts: Mapping[int, int]
    ) -> list[ContactMap]:
        return zoom.zoom_concatenated(self, module, segments, starts)

    # ---- besides

    @property
    def profile_block(self) -> int:
        return self.encodings.size

    @torch.inference_mode()
    def profiles(self, chrom: str, first: int, bins: int) -> np.ndarray:
        head = self.model.final_1d
        if head is None:
            raise ModelError(f"model {self.spec.name!r} predicts no chromatin profiles")
        strands = []
        for reverse in (False, True):
            y = head(self.encodings.window(chrom, first, bins, reverse=reverse)[None])[0]
            strands.append(y.flip(-1)[self.spec.profiles_of_reverse] if reverse else y)
        values: np.ndarray = (0.5 * (strands[0] + strands[1])).float().cpu().numpy()
        return values

    def approximation_error(
        self, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
    ) -> dict[str, tuple[float, float]]:
        return accuracy.approximation_error(self, module, chrom, levels)
