"""What the networks of a model are: widths and pools of encoders, pyramids and decoders, and the
modules that put them together. Figures of the released networks are the defaults: Zhou, Nature
Genetics 2022, Methods, and the released state dicts.
"""

from __future__ import annotations

import itertools
import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from orca_cool.maps.expected_model import ExpectedModel


@dataclass(frozen=True)
class EncoderSpec:
    """Base pairs to base bins.

    Attributes
    ----------
    widths : channels of each stage.
    pools : max-pool before each stage (the first must be 1); their product is the base bin in bp.
    kernel : width of every convolution (odd).
    block, flank : the encoder runs in blocks of ``block`` bp with ``flank`` bp of real sequence on
        each side ("horizontal checkpointing"), both multiples of the base bin; ``flank`` must
        exceed half the receptive field, so that blocks change nothing.
    """

    widths: tuple[int, ...] = (64, 96, 128, 128, 128, 128, 128)
    pools: tuple[int, ...] = (1, 4, 4, 5, 5, 5, 2)
    kernel: int = 9
    block: int = 800_000
    flank: int = 112_000
    dropout: float = 0.0

    @property
    def base_bin(self) -> int:
        """Bin of the encodings in bp."""
        return math.prod(self.pools)

    @property
    def half_receptive_field(self) -> int:
        """Distance in bp from a bin's edge beyond which a base cannot change the bin (104,016 for
        Orca).

        Pools lie on the bin's own grid and add nothing; each stage has four convolutions.
        """
        strides = itertools.accumulate(self.pools, operator.mul)
        return sum(4 * (self.kernel // 2) * stride for stride in strides)

    @property
    def context(self) -> int:
        """Sequence in bp that a bin's encoding depends on, on either side: whole base bins."""
        return -(-self.half_receptive_field // self.base_bin) * self.base_bin


@dataclass(frozen=True)
class PyramidSpec:
    """Encodings at one bin size to encodings at ``2 ** steps`` times coarser bins (Encoder2, 2b,
    3).
    """

    steps: int
    width: int = 128
    kernel: int = 9
    down: bool = True
    dropout: float = 0.0


@dataclass(frozen=True)
class DecoderSpec:
    """Encodings to a contact map.

    ``steps`` residual steps of width ``width`` with bottleneck ``bottleneck``; dilations of step i
    > 0 cycle through ``dilations``. With ``one_shot`` (Decoder_1m) there is neither distance
    encoding nor coarse input.
    """

    channels: int = 128
    width: int = 64
    bottleneck: int = 32
    head: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64) * 4
    one_shot: bool = False
    upsample: str = "bilinear"
    dropout: float = 0.1


@dataclass(frozen=True)
class ModuleSpec:
    """A part of a model that predicts maps at some resolutions, coarsest first.

    A model that is not a cascade gives ``name`` and ``resolutions`` alone; ``pyramids``,
    ``decoder`` and ``base_decoder`` say which of Orca's networks a module is made of.

    Attributes
    ----------
    name : "1M", "32M", "256M" in the released models.
    resolutions : bin of every level in bp, coarsest first, each half of the one before.
    pyramids : names of the pyramids that run, in turn, on the base encodings.
    decoder : specification of every decoder of the cascade.
    base_decoder : True if the one-shot decoder (Decoder_1m) is added at the finest level, or is all
        there is.
    multi_chromosome : True if the module's input is several chromosomes laid end to end (256M),
        with its own expected table; False if it is one window of one chromosome.
    eps : which frequency is added to observed and expected before the logarithm. "table": of each
        level the smallest expected within its window's reach, or the one between chromosomes if
        that is smaller. "window": the smallest expected that the window itself has, as in the
        released 256M models: between chromosomes it is that of such contacts, within one many
        times as large. Where no module reads several chromosomes the two are the same.
    """

    name: str
    resolutions: tuple[int, ...]
    pyramids: tuple[str, ...] = ()
    decoder: DecoderSpec | None = None
    base_decoder: bool = False
    multi_chromosome: bool = False
    eps: str = "table"

    def window_eps(self, table: float, expected: np.ndarray) -> float:
        """The eps of a window.

        Parameters
        ----------
        table : what it is by the level's table. expected : (bins, bins) of the window, no NaN.
        """
        return table if self.eps == "table" else float(expected.min())

    def layer_eps(self, table: ExpectedModel, resolution: int, bins: int) -> float:
        """The one eps by which the windows of a level, put together, are read as contact
        frequency: where ``eps`` is "window", that of a window inside a chromosome, but at the top
        level, whose windows hold several.
        """
        cis_only = self.eps == "window" and resolution != self.resolutions[0]
        return table.eps(resolution, bins, cis_only=cis_only)
