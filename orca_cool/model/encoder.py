"""Encoders: base pairs to base bins (Encoder), base bins to coarser bins (Encoder2, Encoder2b,
Encoder3).

Parameter names are those of the released state dicts. Source: Zhou 2022, Methods, "model
architecture".
"""

from __future__ import annotations

from torch import Tensor, nn

from orca_cool.model.layers import BatchNorm1d, Conv1d
from orca_cool.model.network_spec import EncoderSpec, PyramidSpec


def _linear_pair(a: int, b: int, kernel: int, *before: nn.Module) -> nn.Sequential:
    pad = kernel // 2
    return nn.Sequential(
        *before,
        Conv1d(a, b, kernel, padding=pad),
        BatchNorm1d(b),
        Conv1d(b, b, kernel, padding=pad),
        BatchNorm1d(b),
    )


def _conv_pair(a: int, kernel: int, last_norm: bool = True) -> nn.Sequential:
    pad = kernel // 2
    norm = [BatchNorm1d(a)] if last_norm else []
    return nn.Sequential(
        Conv1d(a, a, kernel, padding=pad),
        BatchNorm1d(a),
        nn.ReLU(inplace=True),
        Conv1d(a, a, kernel, padding=pad),
        *norm,
        nn.ReLU(inplace=True),
    )


class Encoder(nn.Module):
    """One-hot sequence (batch, 4, bp) to encodings (batch, width, bp / base_bin).

    Stage s is ``l = lconv_s(x); c = conv_s(l)``; the next stage gets ``c + l``; the result is the
    last ``c`` alone.
    """

    def __init__(self, spec: EncoderSpec):
        super().__init__()
        self.spec = spec
        self.dropout = nn.Dropout1d(spec.dropout) if spec.dropout else nn.Identity()
        a = 4
        for s, (width, pool) in enumerate(zip(spec.widths, spec.pools), start=1):
            before = [] if s == 1 else [nn.MaxPool1d(pool, pool)]
            setattr(self, f"lconv{s}", _linear_pair(a, width, spec.kernel, *before))
            setattr(self, f"conv{s}", _conv_pair(width, spec.kernel))
            a = width

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.spec.widths)
        for s in range(1, last + 1):
            linear = getattr(self, f"lconv{s}")(x)
            conv = getattr(self, f"conv{s}")(linear)
            x = conv if s == last else self.dropout(conv + linear)
        return x


class Pyramid(nn.Module):
    """Encodings (batch, width, n) to a list of encodings, finest first: n, n/2, ... n/2**steps
    bins.

    With ``down`` (Encoder2, Encoder3) a U-shaped second half mixes coarse context back into the
    finer levels; without (Encoder2b) the outputs of the up half are returned as they are.
    """

    def __init__(self, spec: PyramidSpec):
        super().__init__()
        self.spec = spec
        w, k = spec.width, spec.kernel
        self.dropout = nn.Dropout1d(spec.dropout) if spec.dropout else nn.Identity()
        self.lblocks = nn.ModuleList(
            _linear_pair(w, w, k, nn.MaxPool1d(2, 2)) for _ in range(spec.steps)
        )
        self.blocks = nn.ModuleList(_conv_pair(w, k) for _ in range(spec.steps))
        if spec.down:
            self.downlblocks = nn.ModuleList(
                _linear_pair(w, w, k, nn.Upsample(scale_factor=2)) for _ in range(spec.steps)
            )
            self.downblocks = nn.ModuleList(
                _conv_pair(w, k, last_norm=False) for _ in range(spec.steps)
            )

    def forward(self, x: Tensor, coarsest_only: bool = False) -> list[Tensor]:
        """``coarsest_only`` skips the down half: the list then holds the coarsest encoding alone,
        which it cannot change.
        """
        ups = [x]
        for lblock, block in zip(self.lblocks, self.blocks):
            linear = lblock(ups[-1])
            ups.append(self.dropout(block(linear) + linear))
        if coarsest_only:
            return ups[-1:]
        if not self.spec.down:
            return ups
        out = ups[-1]
        encodings = [out]
        for lblock, block, skip in zip(self.downlblocks, self.downblocks, reversed(ups[:-1])):
            linear = lblock(out)
            out = skip + block(linear) + linear
            encodings.append(out)
        return encodings[::-1]


def profile_head(width: int, hidden: int, profiles: int) -> nn.Sequential:
    """``final_1d``: encodings (batch, width, n) to profile probabilities (batch, profiles, n)."""
    return nn.Sequential(
        Conv1d(width, hidden, 1),
        BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        Conv1d(hidden, profiles, 1),
        nn.Sigmoid(),
    )
