"""All networks of a model as one torch module, and the geometry of the reverse complement."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from orca_cool.model.decoder import Decoder
from orca_cool.model.encoder import Encoder, Pyramid, profile_head
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelSpec


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
        self.base_decoder = Decoder(spec.base_decoder, spec.n_maps) if spec.base_decoder else None
        self.final_1d = (
            profile_head(spec.encoder.widths[-1], spec.profile_width, len(spec.profiles))
            if spec.profiles
            else None
        )
        self.decoders = nn.ModuleDict()
        for module in spec.modules:
            if module.decoder is not None:
                self.decoders[module.name] = nn.ModuleDict(
                    {str(r): Decoder(module.decoder, spec.n_maps) for r in module.resolutions}
                )

    def encodings(self, module: ModuleSpec, base: Tensor) -> dict[int, Tensor]:
        """Encodings of a module's window at the resolutions of its levels.

        Only what the module's levels need is kept; the down half of a pyramid whose fine outputs
        no level reads is not run.

        Parameters
        ----------
        base : (batch, width, n) base encodings of the module's top window.

        Returns
        -------
        By resolution in bp, (batch, width, bins of the top window at that resolution).
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
        """The maps of one window at one level, one for each cell type.

        At the base bin of a module with the one-shot decoder, that decoder's map is added to the
        level's own; both read the same encodings.

        Parameters
        ----------
        x : (batch, width, bins) this level's encodings of the window.
        distance : (batch or 1, maps, bins, bins) log expected.
        coarse : (batch, maps, bins/2, bins/2) the parent's maps over this window, None at the top.

        Returns
        -------
        (batch, maps, bins, bins) log observed/expected.
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


def mirror(starts: dict[int, int], bins_at_top: int, n: int) -> dict[int, int]:
    """First bins of windows on the reverse complement, for windows on the forward strand.

    Parameters
    ----------
    starts : by resolution in bp, the first bin of a window of ``n`` bins, counted in bins of that
        resolution from the start of the top window.
    bins_at_top : bins of the top window at the coarsest of these resolutions.

    Returns
    -------
    By resolution, the same bins counted from the start of the top window's reverse complement.
    """
    top = max(starts)
    return {r: bins_at_top * (top // r) - s - n for r, s in starts.items()}


def flip_map(y: Tensor) -> Tensor:
    """A map (..., n, n) predicted on the reverse complement, in forward orientation."""
    return torch.flip(y, dims=(-2, -1))
