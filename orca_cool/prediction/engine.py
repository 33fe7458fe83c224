"""``Engine``: a model on a genome -> maps of windows, which is all that planning, files, tiles,
effects and evaluation ask for.

Two implementations: :class:`~orca_cool.prediction.orca_engine.OrcaEngine` re-uses encodings and
hands maps down a cascade; :class:`~orca_cool.prediction.window_engine.WindowEngine` predicts whole
windows with any :class:`~orca_cool.model.window_model.WindowModel`. :func:`make_engine` chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from orca_cool.errors import ModelError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import Model
from orca_cool.model.cascade import flip_map
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.model.window_model import ENCODE, WindowModel
from orca_cool.prediction.root import Root
from orca_cool.prediction.window_store import WindowStore
from orca_cool.prediction.windows import Window
from orca_cool.profile import staged

if TYPE_CHECKING:
    from orca_cool.prediction.zoom import EncodedZoom, GoOn

#: A window's maps on both strands, (1, maps, bins, bins) each, one map for each cell type, the
#: second in the orientation of the reverse complement; :func:`average` makes numbers of them. Of a
#: root that was read on the forward strand alone, that one's.
StrandMaps = tuple[Tensor, ...]

#: (name, start, end, reverse strand): what is left to encode of a stretch, in bp; called when it is
#: begun and after each block.
OnEncoding = Callable[[str, int, int, bool], None]


@dataclass(frozen=True)
class WindowMap:
    """A predicted window.

    Attributes
    ----------
    values : float32 (bins, bins), log observed/expected, mean of both strands.
    strand_difference : float32 (bins, bins), half the absolute difference of the two strands.
    """

    window: Window
    values: np.ndarray
    strand_difference: np.ndarray


#: One window to decode: its root, itself, and the maps of the window above it (None at the top).
Request = tuple[Root, Window, StrandMaps | None]


class Engine(Protocol):
    """What the rest of the package asks of a model on a genome."""

    @property
    def spec(self) -> ModelDescription:
        """The model's bins, levels and names."""
        ...

    @property
    def digest(self) -> str:
        """Digest of the model's weights, for provenance."""
        ...

    @property
    def source(self) -> SequenceSource:
        """The genome."""
        ...

    @property
    def context(self) -> int:
        """Sequence in bp on either side of a top window that its maps depend on."""
        ...

    @property
    def dtype(self) -> str:
        """Number type of what makes maps; anything but "float32" is an approximation."""
        ...

    @property
    def encoder_dtype(self) -> str:
        """Number type of what encodes sequence; anything but "float32" is an approximation."""
        ...

    @property
    def edges(self) -> str:
        """Whether windows see the sequence beyond their ends ("real") or end in zero padding
        ("zero-padded").
        """
        ...

    @property
    def numerics(self) -> dict[str, str]:
        """The choices that decide the numbers of a prediction, beside model and genome."""
        ...

    @property
    def windows_per_batch(self) -> int:
        """How many windows (both strands of each) are best asked for at once."""
        ...

    @property
    def concurrent(self) -> bool:
        """Whether several threads may call :meth:`decode_strand` at once, each of which then
        computes on one core; otherwise :meth:`decode_windows` is called, for many at once.
        """
        ...

    @property
    def window_store(self) -> WindowStore | None:
        """Where decoded windows are stored, if they are."""
        ...

    @property
    def encoded_bp(self) -> int:
        """Sequence in bp that the networks have read so far, over both strands."""
        ...

    @property
    def profile_block(self) -> int:
        """Base bins of which profiles are best asked for at once."""
        ...

    def expected(self, module: ModuleSpec) -> ExpectedModel:
        """Expected contact frequency that a module's maps are relative to."""
        ...

    def for_genome(self, genome: EditedGenome, keep: bool = True) -> Engine:
        """The same model on an edited genome of this engine's source (or, of an engine of an edited
        genome, of that one's); the two share what they can.

        Parameters
        ----------
        keep : add what is decoded to the window store, where there is one; False for the many
            genomes that are looked at but once.

        Raises
        ------
        GenomeError
            If the genome is made of another source.
        """
        ...

    def on_encoding(self, notice: OnEncoding | None) -> None:
        """Have ``notice`` called while sequence is encoded; None: nothing."""
        ...

    def encode_ahead(self, module: ModuleSpec, chrom: str, start: int) -> Iterator[None]:
        """Read the top window at ``start`` bp in short steps, so that :meth:`root` has it at hand.

        Yields
        ------
        None, before each step: the caller may stop there, and what was done is kept.
        """
        ...

    def root(self, module: ModuleSpec, chrom: str, start: int, forward_only: bool = False) -> Root:
        """The top window that begins at ``start`` bp, a multiple of the base bin. It is read when
        it is first needed.

        Parameters
        ----------
        forward_only : leave out the reverse strand.
        """
        ...

    def decode_windows(
        self, requests: Sequence[Request], *, only: bool | None = None
    ) -> list[StrandMaps]:
        """Maps of windows of one module and one resolution.

        Their roots may lie on any chromosome, also of edited genomes of the same source
        (:meth:`for_genome`); all are read on the same strands. On a CPU the numbers of a window do
        not depend on the others.

        Parameters
        ----------
        only : one strand alone of roots that have both: True the reverse one; None: all.
        """
        ...

    def decode_strand(
        self, root: Root, window: Window, reverse: bool, above: Tensor | None
    ) -> Tensor:
        """One strand of one window, the same numbers as those of :meth:`decode_windows`; it is not
        looked for in the window store, but added.

        Parameters
        ----------
        above : (1, maps, bins, bins) that strand of the window above it, None at the top.

        Returns
        -------
        (1, maps, bins, bins), of the reverse strand in its own orientation.
        """
        ...

    def windows(
        self, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
    ) -> Iterator[WindowMap]:
        """Predict one top window and all that lies below it.

        Parameters
        ----------
        levels : one root's part of a plan (:func:`orca_cool.prediction.windows.by_root`).

        Yields
        ------
        Level by level, windows by start.
        """
        ...

    def trans(
        self, module: ModuleSpec, first: Segment, second: Segment
    ) -> tuple[np.ndarray, np.ndarray]:
        """Contacts between stretches of two chromosomes at a module's top level.

        Returns
        -------
        values, strand_difference : float32 (bins of first, bins of second), as in
            :class:`WindowMap`. Where each of the two is turned in its own place these are the mean
            and the standard deviation of four predictions, of either on either strand.

        Raises
        ------
        ModelError
            If the model reads single chromosomes only.
        """
        ...

    def zoom(
        self, module: ModuleSpec, chrom: str, position: int, edges: str = ...
    ) -> list[ContactMap]:
        """Every level of a module around a position (0-based), coarsest first."""
        ...

    def encode_zoom(
        self, module: ModuleSpec, chrom: str, position: int, edges: str = ...
    ) -> EncodedZoom:
        """The first half of :meth:`zoom`: what must be read, to decode several zooms together."""
        ...

    def decode_zooms(
        self, module: ModuleSpec, zooms: Sequence[EncodedZoom], go_on: GoOn | None = ...
    ) -> list[list[ContactMap]]:
        """The second half of :meth:`zoom`, for several; none depends on the others.

        Parameters
        ----------
        go_on : asked after each level, with the maps of each zoom so far, which zooms are wanted
            any finer; None: all are.
        """
        ...

    def zoom_concatenated(
        self, module: ModuleSpec, segments: Sequence[Segment], starts: dict[int, int]
    ) -> list[ContactMap]:
        """A zoom into segments of chromosomes laid end to end, for a module that reads several.

        Raises
        ------
        ModelError
            If the model reads single chromosomes only.
        """
        ...

    def profiles(self, chrom: str, first: int, bins: int) -> np.ndarray:
        """Chromatin profiles of ``bins`` base bins from bin ``first``: float32 (profiles, bins),
        mean of both strands.

        Raises
        ------
        ModelError
            If the model predicts none.
        """
        ...

    def approximation_error(
        self, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
    ) -> dict[str, tuple[float, float]]:
        """What number types other than float32 cost, measured on one window of each level of a
        root.

        Returns
        -------
        Pearson's r, and the largest difference in standard deviations, against float32: by
        resolution for the maps, and "encoder" for the encodings. Only for what is approximated.
        """
        ...


def make_engine(
    model: WindowModel,
    source: SequenceSource,
    device: str = "auto",
    dtype: str = "float32",
    *,
    batch: int | None = None,
    **options: Any,
) -> Engine:
    """The engine for a model: with its encodings re-used if it can encode, else window by window.

    Parameters
    ----------
    device, dtype, options : see :class:`~orca_cool.prediction.orca_engine.OrcaEngine`. A model that
        cannot encode decides about them itself.
    batch : windows and strands predicted at once; None: what fits.

    Raises
    ------
    ModelError
        If an option is given that means nothing to the model.
    """
    from orca_cool.prediction.orca_engine import OrcaEngine
    from orca_cool.prediction.window_engine import WindowEngine

    if ENCODE in model.capabilities:
        if not isinstance(model, Model):
            raise ModelError(
                f"model {model.spec.name!r} names the capability {ENCODE!r}, which only Orca-type "
                f"bundles have here; leave it out, and whole windows are predicted"
            )
        return OrcaEngine(model, source, device, dtype, batch=batch, **options)
    free: dict[str, Any] = {
        "device": "auto",
        "dtype": "float32",
        "encoder_dtype": "float32",
        "edges": "real",
    }
    free |= {"asked": {}, "store": None, "notice": None, "reuse": True, "fine_bytes": 0}
    windows = options.pop("window_store", None)
    for name, value in {"device": device, "dtype": dtype, **options}.items():
        if name not in free or value != free[name]:
            raise ModelError(
                f"{name} {value!r} means nothing to model {model.spec.name!r}, which predicts "
                f"whole windows by itself"
            )
    return WindowEngine(model, source, batch=batch, window_store=windows)


def averages(pairs: Sequence[StrandMaps], number: int) -> tuple[Tensor, Tensor]:
    """As :func:`average` of several windows, on their device: (windows, bins, bins) float32
    each.
    """
    forward = torch.stack([pair[0][0, number] for pair in pairs]).float()
    if len(pairs[0]) == 1:
        return forward, torch.zeros_like(forward)
    reverse = flip_map(torch.stack([pair[1][0, number] for pair in pairs]))
    return 0.5 * (forward + reverse), 0.5 * (forward - reverse).abs()


@staged("decoding")  # on a GPU it waits for the networks
def average(pair: StrandMaps, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of both strands' maps of a window, and half their absolute difference: (bins, bins)
    float32 each. Of the forward strand alone: its map, and no difference.

    Parameters
    ----------
    number : which of the maps: :attr:`orca_cool.model.spec.ModelDescription.map_number`.
    """
    # by numpy: torch would spread so little over all cores, which costs more than it saves
    found = [strand[0, number].float().cpu().numpy() for strand in pair]
    if len(found) == 1:
        return found[0], np.zeros_like(found[0])
    forward, reverse = found[0], found[1][::-1, ::-1]
    mean, difference = forward + reverse, forward - reverse
    np.abs(difference, out=difference)
    mean *= np.float32(0.5)
    difference *= np.float32(0.5)
    return mean, difference
