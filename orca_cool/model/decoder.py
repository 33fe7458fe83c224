"""Decoders: encodings of a window to its contact map (Decoder, Decoder_1m).

Parameter names are those of the released state dicts. Source: Zhou 2022, Methods, "model
architecture".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orca_cool.model.layers import BatchNorm2d, Conv2d
from orca_cool.model.network_spec import DecoderSpec


def _linear2(
    a: int, mid: int, b: int, dilation: int = 1, dropout: float | None = None
) -> nn.Sequential:
    drop = [] if dropout is None else [nn.Dropout(dropout)]
    return nn.Sequential(
        *drop,
        Conv2d(a, mid, 3, padding=dilation, dilation=dilation),
        BatchNorm2d(mid),
        Conv2d(mid, b, 3, padding=dilation, dilation=dilation),
        BatchNorm2d(b),
    )


def _conv2(width: int, mid: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        Conv2d(width, mid, 3, padding=dilation, dilation=dilation),
        BatchNorm2d(mid),
        nn.ReLU(inplace=True),
        Conv2d(mid, width, 3, padding=dilation, dilation=dilation),
        BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


class Decoder(nn.Module):
    """Encodings of n bins to symmetric n x n maps of log observed/expected, one for each cell type.

    With ``spec.one_shot`` this is Decoder_1m: neither distance encoding nor coarse maps.

    Parameters
    ----------
    maps : number of maps. They share all but the last layer, and each level reads all maps of the
        coarser one, as in the published models of several cell types (OrcaLeukemia).
    """

    def __init__(self, spec: DecoderSpec, maps: int = 1):
        super().__init__()
        self.spec, self.maps = spec, maps
        w, mid = spec.width, spec.bottleneck
        first = spec.channels if spec.one_shot else w
        self.lconvtwos = nn.ModuleList(
            _linear2(w if i else first, mid, w, d, None if i else spec.dropout)
            for i, d in enumerate(spec.dilations)
        )
        self.convtwos = nn.ModuleList(_conv2(w, mid, d) for d in spec.dilations)
        self.final = nn.Sequential(
            Conv2d(w, spec.head, 1),
            BatchNorm2d(spec.head),
            nn.ReLU(inplace=True),
            Conv2d(spec.head, maps, 1),
        )
        if not spec.one_shot:
            self.lcombinerD = _linear2(spec.channels + maps, w, w)
            self.combinerD = _conv2(w, w)
            self.lcombiner = _linear2(w + maps, w, w, dropout=spec.dropout)
            self.combiner = _conv2(w, w)

    def forward(
        self, x: Tensor, distance: Tensor | None = None, coarse: Tensor | None = None
    ) -> Tensor:
        """Decode.

        Parameters
        ----------
        x : (batch, channels, n) encodings at this level.
        distance : (batch or 1, maps, n, n) log expected; None for the one-shot decoder only.
        coarse : (batch, maps, n/2, n/2) the parent's maps over this window, or None at the top
            level.

        Returns
        -------
        (batch, maps, n, n), equal to its transpose.
        """
        m = x[:, :, :, None] + x[:, :, None, :]
        first = 0
        if not self.spec.one_shot:
            assert distance is not None
            m = torch.cat([m, distance.expand(m.shape[0], -1, -1, -1)], dim=1)
            m = self.lcombinerD(m)
            m = self.combinerD(m) + m
            if coarse is not None:
                options = {} if self.spec.upsample == "nearest" else {"align_corners": False}
                up = F.interpolate(coarse, scale_factor=2, mode=self.spec.upsample, **options)
                m = self.lcombiner(torch.cat([m, up], dim=1))
                m = self.combiner(m) + m
                first = 1  # the combiner stands in for step 0
        for i in range(first, len(self.lconvtwos)):
            linear = self.lconvtwos[i](m)
            m = linear if i == 0 else linear + m
            m = self.convtwos[i](m) + m
        m = self.final(m)
        return 0.5 * (m + m.transpose(2, 3))
