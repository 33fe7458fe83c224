"""The whole model as one module tree, and the zoom from coarse to fine. No I/O, no genome, no
files.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from orca_cool.model.decoder import Decoder
from orca_cool.model.encoder import Encoder, Pyramid, profile_head
from orca_cool.model.spec import ModelSpec, ModuleSpec


class Orca(nn.Module):
    """All networks of a :class:`ModelSpec`.

    Sub-modules: ``encoder``; ``pyramids[name]``; ``base_decoder`` (Decoder_1m), ``final_1d``
    (profiles), each if specified; ``decoders[module name][str(resolution)]``.
    """

    def __init__(self, spec: ModelSpec):
        super().__init__()
        spec.check()
        self.spec = spec
        self.encoder = Encoder(spec.encoder)
        self.pyramids = nn.ModuleDict({name: Pyramid(p) for name, p in spec.pyramids.items()})
        self.base_decoder = Decoder(spec.base_decoder) if spec.base_decoder else None
        self.final_1d = (
            profile_head(spec.encoder.widths[-1], spec.profile_width, len(spec.profiles))
            if spec.profiles
            else None
        )
        self.decoders = nn.ModuleDict()
        for module in spec.modules:
            if module.decoder is not None:
                self.decoders[module.name] = nn.ModuleDict(
                    {str(r): Decoder(module.decoder) for r in module.resolutions}
                )

    def encodings(self, module: ModuleSpec, base: Tensor) -> dict[int, Tensor]:
        """Base encodings (batch, width, n) of a module's window to its encodings by resolution.

        Only what the module's levels need is kept; the down half of a pyramid whose fine outputs
        nobody reads is not run.
        """
        found = {self.spec.base_bin: base}
        resolution, x = self.spec.base_bin, base
        for k, name in enumerate(module.pyramids):
            pyramid = cast(Pyramid, self.pyramids[name])
            top = resolution * 2**pyramid.spec.steps
            coarsest_only = k + 1 < len(module.pyramids) and top <= module.resolutions[-1]
            outputs = pyramid(x, coarsest_only)
            first = top if coarsest_only else resolution
            found.update({first * 2**i: y for i, y in enumerate(outputs)})
            resolution, x = top, outputs[-1]
        return {r: found[r] for r in module.resolutions}

    def decode(
        self,
        module: ModuleSpec,
        resolution: int,
        x: Tensor,
        distance: Tensor,
        coarse: Tensor | None,
    ) -> Tensor:
        """One level of one window. The one-shot decoder reads the same encodings as the level's own
        (in a cascade, the pyramid's).

        Parameters
        ----------
        x : (batch, width, bins) this level's encodings of the window.
        distance : (batch or 1, 1, bins, bins) log expected.
        coarse : (batch, 1, bins/2, bins/2) the parent's map over this window, None at the top.

        Returns
        -------
        (batch, 1, bins, bins) log observed/expected.
        """
        one_shot = module.base_decoder and resolution == self.spec.base_bin
        y: Tensor | None = None
        if module.decoder is not None:
            y = cast(nn.ModuleDict, self.decoders[module.name])[str(resolution)](
                x, distance, coarse
            )
        if one_shot:
            assert self.base_decoder is not None
            z = self.base_decoder(x)
            y = z if y is None else y + z
        assert y is not None
        return y


def zoom(
    model: Orca,
    module: ModuleSpec,
    base: Tensor,
    distances: dict[int, Tensor],
    starts: dict[int, int],
) -> dict[int, Tensor]:
    """One zoom: a single window at every level, each inside the one before.

    Parameters
    ----------
    base : (batch, width, n) base encodings of the top window.
    distances : by resolution, (1 or batch, 1, bins, bins) log expected of that level's window.
    starts : by resolution, first bin of the window counted in that resolution's bins from the start
        of the top window.

    Returns
    -------
    By resolution, (batch, 1, bins, bins).
    """
    n = model.spec.bins
    encodings = model.encodings(module, base)
    maps: dict[int, Tensor] = {}
    parent: int | None = None
    for resolution in module.resolutions:
        start = starts[resolution]
        coarse = None
        if parent is not None:
            first = start // 2 - starts[parent]
            coarse = maps[parent][:, :, first : first + n // 2, first : first + n // 2]
        maps[resolution] = model.decode(
            module,
            resolution,
            encodings[resolution][..., start : start + n],
            distances[resolution],
            coarse,
        )
        parent = resolution
    return maps


def mirror(starts: dict[int, int], bins_at_top: int, n: int) -> dict[int, int]:
    """Window starts on the reverse complement, for starts on the forward strand.

    ``bins_at_top`` is the number of bins of the top window at the coarsest resolution of
    ``starts``.
    """
    top = max(starts)
    return {r: bins_at_top * (top // r) - s - n for r, s in starts.items()}


def flip_map(y: Tensor) -> Tensor:
    """A map predicted on the reverse complement, in forward orientation."""
    return torch.flip(y, dims=(-2, -1))
