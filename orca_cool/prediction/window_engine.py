"""``WindowEngine``: any model of windows (:class:`~orca_cool.model.window_model.WindowModel`) on a
genome. It predicts whole windows; nothing is encoded, and no map is handed down.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from orca_cool.errors import GenomeError, ModelError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource, reverse_complement
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.window_model import WindowModel
from orca_cool.prediction.engine import OnEncoding, Request, StrandMaps, WindowMap, average
from orca_cool.prediction.many_roots import RootWindows, decode_roots
from orca_cool.prediction.root import Root
from orca_cool.prediction.window_key import Content, model_digest, through_store
from orca_cool.prediction.window_store import WindowStore, numerics_of
from orca_cool.prediction.windows import Window, centred_on, zoom_top, zoom_windows
from orca_cool.prediction.zoom import EncodedZoom, GoOn, still_wanted, zoom_map
from orca_cool.profile import staged

#: Windows and strands predicted at once, unless the caller says how many.
BATCH = 8


class WindowEngine:
    """Predict windows of a genome; an :class:`~orca_cool.prediction.engine.Engine`.

    A window is read with the model's context on either side, N beyond the chromosome; both strands
    are predicted.

    Parameters
    ----------
    model : what predicts. Its modules read single chromosomes.
    source : genome, edited or not.
    batch : windows and strands predicted at once; None: ``BATCH``.
    window_store : predicted windows on disk to read from and add to.

    Raises
    ------
    ModelError
        If the model's description contradicts itself, or a module reads several chromosomes.
    """

    dtype, encoder_dtype, edges = "float32", "float32", "real"
    concurrent = False
    profile_block = 1

    def __init__(
        self,
        model: WindowModel,
        source: SequenceSource,
        *,
        batch: int | None = None,
        window_store: WindowStore | None = None,
    ):
        model.spec.check_levels()
        if model.spec.cell_types:
            raise ModelError(
                f"model {model.spec.name!r} predicts one map of a window; leave out cell_types, "
                f"and give a model for each cell type"
            )
        for module in model.spec.modules:
            if module.multi_chromosome:
                raise ModelError(
                    f"module {module.name!r} of model {model.spec.name!r} reads several "
                    f"chromosomes, which only Orca-type bundles can here; leave it out"
                )
        self.model, self.source, self.spec = model, source, model.spec
        self.windows_per_batch = max(1, (batch or BATCH) // 2)
        self._read: Counter[str] = Counter()  # bp, shared with engines of edited genomes
        self.window_store, self.keep = window_store, True

    @property
    def digest(self) -> str:
        return self.model.digest

    @property
    def context(self) -> int:
        return self.model.context

    @property
    def numerics(self) -> dict[str, str]:
        return {"dtype": self.dtype, "edges": self.edges} | numerics_of(self.window_store)

    @property
    def encoded_bp(self) -> int:
        return self._read["bp"]

    def expected(self, module: ModuleSpec) -> ExpectedModel:
        return self.model.expected(module)

    def for_genome(self, genome: EditedGenome, keep: bool = True) -> WindowEngine:
        if genome.source is not self.source:
            raise GenomeError(f"genome {genome.name!r} is not an edited {self.source.name!r}")
        other = copy.copy(self)
        other.source, other.keep = genome, keep
        return other

    def on_encoding(self, notice: OnEncoding | None) -> None:
        """Nothing is encoded, so ``notice`` is never called."""

    def encode_ahead(self, module: ModuleSpec, chrom: str, start: int) -> Iterator[None]:
        """Nothing is encoded: no steps."""
        return iter(())

    # ---- maps of windows

    def root(self, module: ModuleSpec, chrom: str, start: int, forward_only: bool = False) -> Root:
        end = start + self.spec.window(module.resolutions[0])

        def read() -> list[dict[int, Tensor]]:
            codes = self.source.fetch(chrom, start - self.context, end + self.context)
            return [{1: torch.from_numpy(codes)}]

        return Root(module, read, forward_only=forward_only, content=self._content())

    def _content(self) -> Content | None:
        """What the windows of a root depend on beside their own sequence."""
        if self.window_store is None:
            return None
        return Content(lambda: model_digest(self.digest, self.spec, self.numerics), self.keep)

    def windows(
        self, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
    ) -> Iterator[WindowMap]:
        yield from next(decode_roots(self, [RootWindows(module, chrom, levels)]))

    def decode_windows(
        self, requests: Sequence[Request], *, only: bool | None = None
    ) -> list[StrandMaps]:
        module, r = requests[0][0].module, requests[0][1].resolution
        width = self.spec.window(r) + 2 * self.context
        codes = []
        for root, window, _ in requests:
            offset = (window.start - window.root * (module.resolutions[0] // r)) * r
            codes.append(root.strands[0][1].numpy()[offset : offset + width])
        strands = requests[0][0].n_strands
        contents = [root.content for root, _, _ in requests]
        keys = [
            content.key([r, s], [torch.from_numpy(read)]) if content else None
            for read, content in zip(codes, contents)
            for s in range(strands)
        ]

        def decode(which: Sequence[int]) -> list[Tensor]:
            # both strands of a window are predicted together
            pairs = self._predict([codes[k // strands] for k in which[::strands]], strands == 1)
            return [y for pair in pairs for y in pair]

        maps = through_store(self.window_store, keys, decode, torch.device("cpu"), strands)
        found = [tuple(maps[k : k + strands]) for k in range(0, len(maps), strands)]
        return found if only is None else [pair[only : only + 1] for pair in found]

    def decode_strand(
        self, root: Root, window: Window, reverse: bool, above: Tensor | None
    ) -> Tensor:
        (pair,) = self.decode_windows([(root, window, None)])
        return pair[reverse]

    @staged("decoding")
    def _predict(self, codes: Sequence[np.ndarray], forward_only: bool) -> list[StrandMaps]:
        """Maps of windows, given as the codes of their forward strands: of both strands, or of that
        one alone.
        """
        bins, size = self.spec.bins, self.windows_per_batch
        out: list[StrandMaps] = []
        for at in range(0, len(codes), size):
            part = codes[at : at + size]
            reverse = [] if forward_only else list(map(reverse_complement, part))
            read = np.stack([*part, *reverse])
            self._read["bp"] += read.size
            maps = np.asarray(self.model.predict(read))
            if maps.shape != (len(read), bins, bins) or not np.isfinite(maps).all():
                raise ModelError(
                    f"model {self.spec.name!r} predicts maps of shape {maps.shape} from codes of "
                    f"shape {read.shape}; finite values of shape ({len(read)}, {bins}, {bins}) are "
                    f"needed"
                )
            y = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))[:, None, None]
            out += zip(y) if forward_only else zip(y[: len(part)], y[len(part) :])
        return out

    # ---- zooms

    def zoom(
        self, module: ModuleSpec, chrom: str, position: int, edges: str = "real"
    ) -> list[ContactMap]:
        return self.decode_zooms(module, [self.encode_zoom(module, chrom, position, edges)])[0]

    def encode_zoom(
        self, module: ModuleSpec, chrom: str, position: int, edges: str = "real"
    ) -> EncodedZoom:
        if edges != "real":
            raise ModelError(
                f"edges {edges!r} mean nothing to model {self.spec.name!r}: its windows always see "
                f"the sequence around them; use 'real'"
            )
        top, length = module.resolutions[0], self.source.chromsizes[chrom]
        centred = centred_on(self.spec, self.source, chrom)
        origin = zoom_top(position, length, self.spec.window(top), top, centred)
        starts = zoom_windows(position, origin, module.resolutions, self.spec.bins)
        root = self.root(module, chrom, origin)
        return EncodedZoom(
            chrom, lambda: [root.strands[0][1]], starts, origin, content=root.content
        )

    def decode_zooms(
        self, module: ModuleSpec, zooms: Sequence[EncodedZoom], go_on: GoOn | None = None
    ) -> list[list[ContactMap]]:
        expected, bins = self.expected(module), self.spec.bins
        out: list[list[ContactMap]] = [[] for _ in zooms]
        roots = [Root(module, partial(_read, z), content=z.content) for z in zooms]
        live = list(range(len(zooms)))
        for r in module.resolutions:
            requests: list[Request] = [
                (roots[k], Window(r, zooms[k].starts[r], None, 0), None) for k in live
            ]
            matrix, eps = expected.expected_matrix(r, bins), expected.eps(r, bins)
            for k, pair in zip(live, self.decode_windows(requests)):
                z = zooms[k]
                start = z.origin + z.starts[r] * r
                out[k].append(zoom_map(z.chrom, r, start, average(pair, 0), matrix, eps))
            live = still_wanted(live, out, go_on)
            if not live:
                break
        return out

    def zoom_concatenated(
        self, module: ModuleSpec, segments: Sequence[Segment], starts: Mapping[int, int]
    ) -> list[ContactMap]:
        raise self._single_chromosomes(module)

    def trans(
        self, module: ModuleSpec, first: Segment, second: Segment
    ) -> tuple[np.ndarray, np.ndarray]:
        raise self._single_chromosomes(module)

    def _single_chromosomes(self, module: ModuleSpec) -> ModelError:
        return ModelError(
            f"module {module.name!r} of model {self.spec.name!r} does not predict contacts between "
            f"chromosomes"
        )

    # ---- besides

    def profiles(self, chrom: str, first: int, bins: int) -> np.ndarray:
        raise ModelError(f"model {self.spec.name!r} predicts no chromatin profiles")

    def approximation_error(
        self, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
    ) -> dict[str, tuple[float, float]]:
        """Empty: the model's own numbers are all there is."""
        return {}


def _read(zoom: EncodedZoom) -> list[dict[int, Tensor]]:
    """The strands of a zoom's root."""
    return [{1: zoom.strands[0]}]
