"""A top window: what the windows inside it are decoded from, read when that is first needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from orca_cool.genome.segments import Segment
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.batch_decoder import StrandWindow, strand_window
from orca_cool.prediction.window_key import Content
from orca_cool.prediction.windows import Window


@dataclass(frozen=True, eq=False)
class Root:
    """A top window, from which every window inside it is decoded. It is read from the genome when
    that is first needed: where all of its windows are stored, never.

    Attributes
    ----------
    module : whose top window it is.
    read : reads it; see :attr:`strands`.
    segments : what the top window consists of, for a module that reads several chromosomes.
    turned : the same of the second strand, where it is not the reverse complement of the whole
        (:mod:`orca_cool.prediction.end_to_end`).
    forward_only : only maps of the forward strand are decoded.
    content : by what its windows are found in the window store, where there is one.
    """

    module: ModuleSpec
    read: Callable[[], list[dict[int, Tensor]]]
    segments: list[Segment] | None = None
    turned: list[Segment] | None = None
    forward_only: bool = False
    content: Content | None = None

    @cached_property
    def strands(self) -> list[dict[int, Tensor]]:
        """What windows are decoded from, by bin size in bp. Orca: for each strand the encodings of
        every level, (1, width, n). A WindowModel: one element, ``{1: codes}``, of the forward
        strand, uint8 (window + 2 context,).
        """
        return self.read()

    @property
    def n_strands(self) -> int:
        """On how many strands maps are decoded."""
        return 1 if self.forward_only else 2

    @property
    def nbytes(self) -> int:
        """Memory of the tensors; 0 until the window is read."""
        strands = self.strands if "strands" in self.__dict__ else []
        return sum(y.nbytes for strand in strands for y in strand.values())


def of_root(
    root: Root, window: Window, reverse: bool, above: Tensor | None, expected_at: int | None = None
) -> StrandWindow:
    """One strand of a window, all that its decoder reads; the root is read if it has not been.

    Parameters
    ----------
    above : maps of the window above it on that strand, None at the top.
    expected_at : where its expected is taken, in bp from the start of the top window; None: where
        it lies.
    """
    strand = strand_window(
        root.module, window, reverse, root.strands[reverse], above, root.segments, root.turned
    )
    return strand if expected_at is None else replace(strand, expected_start=expected_at)
