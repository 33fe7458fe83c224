"""The encoder's networks in fast form, as two tiers: tensors in, tensors out.

Tier 1 is the stages of a fine stride, which see a few hundred bp; tier 2 is the others, which see
far but cost little. :mod:`orca_cool.model.fast.encoder` cuts a sequence into chunks of tier 1 and
blocks of tier 2.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from orca_cool.errors import DeviceError
from orca_cool.model import ENCODER_DTYPES
from orca_cool.model.encoder import Encoder
from orca_cool.model.fast.stage import crop, fast_stages
from orca_cool.model.network_spec import EncoderSpec

#: Tier 1 ends at about this stride in bp; the next pool is taken at its end.
FINE = 16

#: Number types of the encoder on a kind of device; on others float32 alone.
OF_DEVICE = {"cpu": ("float32", "bfloat16"), "cuda": ("float32", "tf32", "float16")}

#: Longest chunk of tier 1 in bp: its tensors then stay below the size at which allocators go to the
#: system.
CHUNK = 32_000


class Tiers:
    """Both tiers of an encoder on a device, for both strands. Parameters and errors are those of
    :class:`~orca_cool.model.fast.encoder.FastEncoder`.
    """

    def __init__(self, encoder: Encoder, device: torch.device | str, dtype: str):
        self.spec: EncoderSpec = encoder.spec
        self.device = torch.device(device)
        if dtype not in ENCODER_DTYPES:
            raise DeviceError(
                f"number type {dtype!r} is not known to the encoder; use one of "
                f"{', '.join(ENCODER_DTYPES)}"
            )
        if dtype not in OF_DEVICE.get(self.device.type, ("float32",)):
            needed = "the CPU" if dtype == "bfloat16" else "a CUDA device"
            raise DeviceError(
                f"number type {dtype!r} of the encoder needs {needed}, not {str(device)!r}; "
                f"use {' or '.join(OF_DEVICE.get(self.device.type, ('float32',)))}"
            )
        self.dtype = dtype
        strides = np.cumprod(self.spec.pools).tolist()
        halos = [2 * (self.spec.kernel - 1) * stride for stride in strides]
        last = len(strides) - 1
        #: Stages of tier 1; the pool after them; halos in bp and strides of the outputs of both
        #: tiers.
        self._fine = max(1, min(last, sum(stride <= FINE for stride in strides)))
        self._pool = self.spec.pools[self._fine] if self._fine <= last else 1
        self._stride = math.prod(self.spec.pools[: self._fine]) * self._pool
        self._halo, self._flank = sum(halos[: self._fine]), sum(halos[self._fine :])
        self._chunk = _chunk(self.spec.block, self._stride)
        number = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(dtype, torch.float32)
        self._letters = torch.cat([torch.eye(4), torch.full((1, 4), 0.25)]).to(self.device, number)
        if self.device.type == "cpu":
            # glibc maps large tensors anew each time, and gives memory back to the system, until it
            # has freed one this large.
            torch.empty(31 << 18)
        self._stages = tuple(
            fast_stages(encoder, self.device, number, mirrored) for mirrored in (False, True)
        )

    @property
    def fine_bin(self) -> int:
        """bp of a bin of tier 1's outputs (80 for Orca)."""
        return self._stride

    @property
    def fine_margin(self) -> int:
        """Fine bins on either side of one that its output depends on."""
        return -(-self._halo // self._stride)

    def _chunks(
        self, codes: Tensor, reverse: bool, left: bool, right: bool, cut: tuple[int, int]
    ) -> Tensor:
        """Tier 1 over codes (batch, bp); ``cut``: bp left and right that were computed because they
        reach a true end.
        """
        x = self._letters[codes.int()].permute(0, 2, 1)[:, :, None]
        for s, stage in enumerate(self._stages[reverse][: self._fine]):
            x = stage(_pool(x, self.spec.pools[s]), left, right)
        stride = self._stride // self._pool
        return _pool(
            crop(x, cut[0] // stride if left else 0, cut[1] // stride if right else 0), self._pool
        )

    @torch.inference_mode()
    def _tier2(
        self,
        place: tuple[int, int],
        parts: list[Tensor],
        reverse: bool,
        left: bool,
        right: bool,
        cut: tuple[int, int],
    ) -> tuple[int, int, Tensor]:
        """The other stages over tier-1 outputs (1, channels, 1, n), the first of them pooled
        already; ``cut`` in bins.
        """
        x = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        for s, stage in enumerate(self._stages[reverse][self._fine :]):
            x = stage(_pool(x, self.spec.pools[self._fine + s]) if s else x, left, right)
        return (*place, crop(x, *cut)[0, :, 0])


def _pool(x: Tensor, width: int) -> Tensor:
    return F.max_pool2d(x, (1, width)) if width > 1 else x


def _chunk(block: int, stride: int) -> int:
    """Length of a chunk in bp: a multiple of ``stride``, if possible a whole part of the block."""
    least = max(1, -(-block // CHUNK))
    for parts in range(least, 2 * least + 1):
        if block % (parts * stride) == 0:
            return block // parts
    return max(stride, CHUNK // stride * stride)
