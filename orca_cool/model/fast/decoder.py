"""Decoders in a fast form: the same function as :class:`~orca_cool.model.decoder.Decoder`, to
rounding, in two thirds of the time or less.

What differs from the plain form, and why (`n` bins a map):

* batch norms are folded into the convolutions before them;
* maps are ``channels_last`` (b, n, n, channels): the dilated convolutions then need no reordering
  of a map;
* the first convolution reads ``x_i + x_j``, so it is the sum of a part that depends on i and one
  that depends on j: two 1-D convolutions in place of a 2-D one, with corrections where a tap falls
  off the map (see :class:`~orca_cool.model.fast.convolutions.Head`);
* its distance channel does not depend on the sequence: :meth:`FastDecoder.prepare` works it out
  once per expected table;
* residuals and activations are in place;
* on a CPU, bfloat16 runs with rows by phase (:mod:`orca_cool.model.fast.phases`).

A linear pair (conv, norm, conv, norm) is *not* collapsed to one 5x5 convolution: 2.8 times the
multiplications.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orca_cool.errors import DeviceError
from orca_cool.model import DECODER_DTYPES
from orca_cool.model.cascade import Orca
from orca_cool.model.decoder import Decoder
from orca_cool.model.fast.convolutions import Conv, Head
from orca_cool.model.fast.fold import folded
from orca_cool.model.fast.phases import PhaseConv, Rows, fuses
from orca_cool.model.fast.precision import convolutions
from orca_cool.model.fast.threads import ahead
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.profile import staged


def check_dtype(dtype: str, device: torch.device) -> None:
    """DeviceError unless decoders can run in ``dtype`` on ``device``."""
    if dtype not in DECODER_DTYPES:
        raise DeviceError(
            f"number type {dtype!r} is not known to the decoders; use one of "
            f"{', '.join(DECODER_DTYPES)}"
        )
    if device.type == "mps" and dtype != "float32":
        raise DeviceError(f"number type {dtype!r} is not tried on Apple's GPUs; use float32")
    if dtype == "tf32" and device.type != "cuda":
        raise DeviceError(
            f"number type 'tf32' needs a CUDA device, not {str(device)!r}; use float32 or bfloat16"
        )


class FastDecoder:
    """A :class:`~orca_cool.model.decoder.Decoder` in eval mode, for prediction only.

    It holds copies of the weights: a decoder that is trained further needs a new one.

    Parameters
    ----------
    decoder : on any device; it is not changed. Dropout is off whatever its mode.
    device : where to run; all tensors given are there.
    dtype : "float32" (equal to the decoder to rounding), "tf32" (CUDA only), "bfloat16" (see
        ``DECODER_DTYPES``). Whatever it is, the first convolution, what the distance and the coarse
        map add, the sums of the residual stack and the last 1x1 convolutions are in float32. (Sums
        in bfloat16 are about a tenth faster, and five times farther off.)

    Raises
    ------
    DeviceError
        If the number type is not known, or not to be had on this device.
    """

    def __init__(
        self, decoder: Decoder, device: torch.device | str = "cpu", dtype: str = "float32"
    ):
        self.spec = decoder.spec
        self.device = torch.device(device)
        check_dtype(dtype, self.device)
        self.dtype = dtype
        self._type = torch.bfloat16 if dtype == "bfloat16" else torch.float32
        dilations, channels, w = self.spec.dilations, self.spec.channels, self.spec.width
        steps = list(zip(decoder.lconvtwos, decoder.convtwos, dilations))
        by_phase = self._type == torch.bfloat16 and self.device.type == "cpu"
        plain, phased = (steps[:1], steps[1:]) if by_phase else (steps, [])
        self._linear = [self._pair(linear, d) for linear, _, d in plain]
        self._convs = [self._pair(conv, d) for _, conv, d in plain]
        self._phased = [
            (_phase_pair(linear, d), _phase_pair(conv, d)) for linear, conv, d in phased
        ]
        first, dilation = (
            (decoder.lconvtwos[0], dilations[0]) if self.spec.one_shot else (decoder.lcombinerD, 1)
        )
        weight, bias = folded(cast(nn.Sequential, first))[0]
        self._head = Head(weight[:, :channels], dilation, self.device)
        self._head_bias = bias.to(self.device, torch.float32)
        self._final = [
            Conv(*parts, 1, self.device, torch.float32) for parts in folded(decoder.final)
        ]
        if self.spec.one_shot:
            return
        self._distance = Conv(weight[:, channels:], bias, 1, self.device, torch.float32)
        self._head_second, self._combine_distance = (
            self._pair(decoder.lcombinerD)[1],
            self._pair(decoder.combinerD),
        )
        weight, bias = folded(decoder.lcombiner)[0]
        self._coarse_map = Conv(weight[:, :w], None, 1, self.device, self._type)
        self._coarse = Conv(weight[:, w:], bias, 1, self.device, torch.float32)
        self._coarse_second, self._combine_coarse = (
            self._pair(decoder.lcombiner)[1],
            self._pair(decoder.combiner),
        )

    def _pair(self, module: nn.Module, dilation: int = 1) -> tuple[Conv, Conv]:
        a, b = (
            Conv(*parts, dilation, self.device, self._type)
            for parts in folded(cast(nn.Sequential, module))
        )
        return a, b

    def sample(self, n: int) -> Callable[[], object]:
        """A part of what decoding a map of ``n`` bins does, to be timed: steps of the residual
        stack of the least, a middle and the largest dilation, on random numbers.
        """
        numbers = torch.Generator().manual_seed(0)
        m = torch.rand(1, self.spec.width, n, n, generator=numbers).to(self.device)
        m = m.contiguous(memory_format=torch.channels_last)
        plain = {pair[0].dilation: pair for pair in self._convs}
        phased = {pair[0].dilation: pair for _, pair in self._phased}
        every = sorted({**plain, **phased})
        chosen = sorted({every[0], every[len(every) // 2], every[-1]})

        def steps() -> None:
            with torch.no_grad(), convolutions(self.device, self.dtype == "tf32"):
                rows = Rows(m, phased) if phased else None
                for dilation in chosen:
                    if rows is not None and dilation in phased:
                        rows.add(phased[dilation], relu=True)
                    else:
                        _residual(m.clone(), plain[dilation])

        return steps

    def prepare(self, distance: Tensor) -> Tensor:
        """What the first convolution makes of the distance encoding, its bias included: the same
        for every window.

        Parameters
        ----------
        distance : (1 or batch, maps, n, n) log expected.

        Returns
        -------
        (1 or batch, width, n, n) float32; 16 MB a map in the released networks.
        """
        assert not self.spec.one_shot, "the one-shot decoder has no distance encoding"
        with torch.no_grad(), convolutions(self.device, False):
            return self._distance(distance).contiguous(memory_format=torch.channels_last)

    def __call__(
        self, x: Tensor, prepared: Tensor | None = None, coarse: Tensor | None = None
    ) -> Tensor:
        """Decode.

        Parameters
        ----------
        x : (batch, channels, n) float32 encodings at this level.
        prepared : (1 or batch, width, n, n) from :meth:`prepare`; None for the one-shot decoder
            only.
        coarse : (batch, maps, n/2, n/2) the parent's maps over this window, or None at the top
            level.

        Returns
        -------
        (batch, maps, n, n) float32, equal to its transpose.
        """
        assert (prepared is None) == self.spec.one_shot
        with torch.no_grad(), convolutions(self.device, False):
            if self.device.type != "cpu" or len(x) == 1:
                return self._decode(x, prepared, coarse)
            # On the CPU each window has a core of its own: a batch gains nothing more, maps of more
            # than 32 MB are fresh pages at every step, and one by one a window's bits do not depend
            # on its neighbours.
            count = len(x)
            each = zip(
                x.split(1),
                [None] * count if prepared is None else prepared.expand(count, -1, -1, -1).split(1),
                [None] * count if coarse is None else coarse.split(1),
            )
            return torch.cat(list(ahead(partial(self._decode, *window) for window in each)))

    @torch.no_grad()
    def _decode(self, x: Tensor, prepared: Tensor | None, coarse: Tensor | None) -> Tensor:
        m = self._head(x.float())
        m += self._head_bias if prepared is None else prepared.permute(0, 2, 3, 1)
        m = m.permute(0, 3, 1, 2)
        if coarse is not None:
            options = {} if self.spec.upsample == "nearest" else {"align_corners": False}
            coarse = self._coarse(
                F.interpolate(coarse.float(), scale_factor=2, mode=self.spec.upsample, **options)
            )
        with convolutions(self.device, self.dtype == "tf32"):
            m = self._steps(m, coarse)
        m = self._last(m)
        return 0.5 * (m + m.transpose(2, 3))

    def _last(self, m: Tensor) -> Tensor:
        """(b, width, n, n) to maps (b, maps, n, n)."""
        a, b = self._final
        if self.device.type != "cpu":
            return b(a(m).relu_())
        # On CPU, what a 1x1 convolution adds up in which order depends on the number of threads; a
        # matrix product's rows do not.
        m = F.linear(m.permute(0, 2, 3, 1), a.weight.flatten(1), a.bias).relu_()
        return F.linear(m, b.weight.flatten(1), b.bias).permute(0, 3, 1, 2)

    def _steps(self, m: Tensor, coarse: Tensor | None) -> Tensor:
        """The stack, from the output of the first convolution and of what the coarse map adds to
        the combiner's first.
        """
        first = 0
        if self.spec.one_shot:
            m = _residual(self._linear[0][1](m).float(), self._convs[0])
            first = 1
        else:
            m = _residual(self._head_second(m).float(), self._combine_distance)
            if coarse is not None:
                m = self._coarse_second(coarse.add_(self._coarse_map(m)))
                m = _residual(m.float(), self._combine_coarse)
                first = 1  # the combiner stands in for step 0
        for i in range(first, len(self._linear)):
            a, b = self._linear[i]
            linear = b(a(m))
            m = linear.float() if i == 0 else m.add_(linear)
            m = _residual(m, self._convs[i])
        if not self._phased:
            return m
        rows = Rows(m, (pair[0].dilation for pair, _ in self._phased))
        for linear_pair, pair in self._phased:
            rows.add(linear_pair, relu=False)
            rows.add(pair, relu=True)
        return rows.map


def _phase_pair(module: nn.Module, dilation: int) -> tuple[PhaseConv, PhaseConv]:
    a, b = (
        PhaseConv(*parts, dilation, fused=fuses()) for parts in folded(cast(nn.Sequential, module))
    )
    return a, b


def _residual(m: Tensor, pair: tuple[Conv, Conv]) -> Tensor:
    """``m`` (float32) plus two convolutions of it with ReLU, in place."""
    a, b = pair
    return m.add_(b(a(m).relu_()).relu_())


class FastCascade:
    """The networks of an :class:`~orca_cool.model.cascade.Orca` as fast forms, made when first used
    and kept.

    Parameters
    ----------
    model : its pyramids, which run as they are (2 % of the work), are moved to ``device``; the rest
        is not changed.
    device, dtype : as in :class:`FastDecoder`. The pyramids run in float32 whatever ``dtype`` is.

    Raises
    ------
    DeviceError
        As :class:`FastDecoder`.
    """

    def __init__(self, model: Orca, device: torch.device | str = "cpu", dtype: str = "float32"):
        self.model, self.spec, self.device, self.dtype = (
            model,
            model.spec,
            torch.device(device),
            dtype,
        )
        check_dtype(dtype, self.device)
        model.pyramids.to(self.device)
        self._decoders: dict[tuple[str, int] | None, FastDecoder] = {}

    def _fast(self, key: tuple[str, int] | None) -> FastDecoder:
        """The decoder of a module's level, or the one-shot decoder (None)."""
        if key not in self._decoders:
            levels = None if key is None else cast(nn.ModuleDict, self.model.decoders[key[0]])
            plain = (
                self.model.base_decoder if levels is None or key is None else levels[str(key[1])]
            )
            self._decoders[key] = FastDecoder(cast(Decoder, plain), self.device, self.dtype)
        return self._decoders[key]

    def sample(self, bins: int) -> Callable[[], object]:
        """:meth:`FastDecoder.sample` of the first module's finest level."""
        module = self.spec.modules[0]
        plain = module.decoder is None
        return self._fast(None if plain else (module.name, module.resolutions[-1])).sample(bins)

    @staged("encoding")
    def encodings(self, module: ModuleSpec, base: Tensor) -> dict[int, Tensor]:
        """As :meth:`Orca.encodings`: base encodings (batch, width, n) to encodings by
        resolution.
        """
        with torch.no_grad(), convolutions(self.device, False):
            return self.model.encodings(module, base)

    def prepare(self, module: ModuleSpec, resolution: int, distance: Tensor) -> Tensor | None:
        """:meth:`FastDecoder.prepare` of a level's decoder; None where the one-shot decoder is all
        there is.

        ``distance``: (1 or batch, maps, bins, bins) log expected.
        """
        return (
            None
            if module.decoder is None
            else self._fast((module.name, resolution)).prepare(distance)
        )

    def decode(
        self,
        module: ModuleSpec,
        resolution: int,
        x: Tensor,
        prepared: Tensor | None,
        coarse: Tensor | None,
    ) -> Tensor:
        """As :meth:`Orca.decode`, with the distance prepared.

        Parameters
        ----------
        x : (batch, width, bins) this level's encodings of the window.
        prepared : (1 or batch, decoder's width, bins, bins) of :meth:`prepare`.
        coarse : (batch, maps, bins/2, bins/2) the parent's maps over this window, None at the top.

        Returns
        -------
        (batch, maps, bins, bins) float32 log observed/expected.
        """
        y: Tensor | None = None
        if module.decoder is not None:
            y = self._fast((module.name, resolution))(x, prepared, coarse)
        if module.base_decoder and resolution == self.spec.base_bin:
            z = self._fast(None)(x)
            y = z if y is None else y + z
        assert y is not None
        return y
