"""One stage as a network: what is trained, what is frozen, and the sums of which losses are
made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orca_cool.genome.source import SequenceSource, one_hot
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.cascade import Orca
from orca_cool.model.decoder import Decoder
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.model.horizontal import encode_blocks
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.train.batch import Batch, Sealed
from orca_cool.train.kept_encodings import KeptEncodings


def set_trained(model: Orca, module: ModuleSpec | None, parts: tuple[str, ...]) -> list[nn.Module]:
    """Let the named parts learn and freeze all else; the modules that learn.

    In a cascade the top decoder never runs its combiner, the others never their step 0 (the
    combiner stands in for it): those parameters get no gradient and are left out, so that
    distributed training does not wait for one.
    """
    model.requires_grad_(False)
    learning: list[nn.Module] = []
    for part in parts:
        if part == "decoders":
            assert module is not None
            decoders = cast(nn.ModuleDict, model.decoders[module.name])
            for r in module.resolutions:
                decoder = cast(Decoder, decoders[str(r)])
                decoder.requires_grad_(True)
                if r == module.resolutions[0]:
                    unused: list[nn.Module] = [decoder.lcombiner, decoder.combiner]
                else:
                    unused = [decoder.lconvtwos[0], decoder.convtwos[0]]
                for m in unused:
                    m.requires_grad_(False)
                learning.append(decoder)
            continue
        named = {
            "encoder": model.encoder,
            "profiles": model.final_1d,
            "base_decoder": model.base_decoder,
        }
        found = named[part] if part in named else model.pyramids[part]
        assert found is not None
        found.requires_grad_(True)
        learning.append(found)
    return learning


class StageNet(nn.Module):
    """The networks of one stage.

    Parameters
    ----------
    model : its trained parts are marked by :func:`set_trained`.
    module : None trains profiles alone.
    expected_models : of the module, one for each map.
    encoding_dropout : share of encoding channels set to zero.
    flank : bp beside the window in every sample.
    one_pass : see :class:`~orca_cool.train.settings.Stage`.
    positive : (profiles,) weight of a positive.
    """

    def __init__(
        self,
        model: Orca,
        module: ModuleSpec | None,
        learning: list[nn.Module],
        expected_models: Sequence[ExpectedModel],
        *,
        flank: int = 0,
        one_pass: int = 1,
        encoding_dropout: float = 0.0,
        positive: np.ndarray | None = None,
    ):
        super().__init__()
        self.model, self.module, self.flank, self.encoding_dropout = (
            model,
            module,
            flank,
            encoding_dropout,
        )
        self.longest_pass = one_pass * model.spec.encoder.block
        self.learning = nn.ModuleList(learning)
        self.train_encoder = any(m is model.encoder for m in learning)
        self.train_profiles = any(m is model.final_1d for m in learning)
        self._fast: FastEncoder | None = None
        self._kept: KeptEncodings | None = None
        if module is not None and not module.multi_chromosome:
            assert len(expected_models) == model.spec.n_maps
            for r in module.resolutions:
                matrices = [e.expected_matrix(r, model.spec.bins) for e in expected_models]
                log = np.log(np.stack(matrices)).astype(np.float32)
                self.register_buffer(f"distance_{r}", torch.from_numpy(log)[None], persistent=False)
        if positive is not None:
            self.register_buffer(
                "positive",
                torch.from_numpy(positive.astype(np.float32))[None, :, None],
                persistent=False,
            )

    def train(self, mode: bool = True) -> StageNet:
        """Training mode for what learns; the rest keeps its running statistics and drops
        nothing.
        """
        super().train(False)
        if mode:
            for part in self.learning:
                part.train()
        self.training = mode
        return self

    def forward(self, batch: Batch | Sealed) -> tuple[dict[int, Tensor], Tensor | None]:
        """Predict.

        Parameters
        ----------
        batch : as it is, or as Fabric hands it on.

        Returns
        -------
        maps : by resolution, (batch, maps, bins, bins); parents are detached before they go down.
        logits : (batch, profiles, bins) before the head's sigmoid, or None.
        """
        if isinstance(batch, Sealed):
            batch = batch.batch
        base = self._drop(self._encode(batch))
        margin = 0 if batch.pieces is not None else self.flank // self.model.spec.base_bin
        logits = None
        if self.train_profiles and batch.labels is not None:
            assert self.model.final_1d is not None
            logits = _crop(self.model.final_1d[:-1](base), margin)  # the loss is stable on logits
        if self.module is None:
            return {}, logits
        module, n = self.module, self.model.spec.bins
        encodings = self.model.encodings(module, _crop(base, margin))
        maps: dict[int, Tensor] = {}
        parent: int | None = None
        for r in module.resolutions:
            at = batch.starts[r]
            x = torch.stack([encodings[r][i, :, a : a + n] for i, a in enumerate(at)])
            coarse = None
            if parent is not None:
                first = [a // 2 - p for a, p in zip(at, batch.starts[parent])]
                coarse = torch.stack(
                    [
                        maps[parent][i, :, k : k + n // 2, k : k + n // 2]
                        for i, k in enumerate(first)
                    ]
                ).detach()
            distance = (
                batch.expected[r] if module.multi_chromosome else getattr(self, f"distance_{r}")
            )
            maps[r] = self.model.decode(module, r, x, distance, coarse)
            parent = r
        return maps, logits

    def profile_sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(batch, profiles) sums over bins of the cross entropy. A bin with an interval weighs
        ``positive``, and so does one with an interval on the other strand: were it a negative like
        all others, to say "on either strand" would cost next to nothing, and an encoder that has
        learnt to say so does not learn to tell the strands apart.
        """
        either = (labels > 0) | (labels[:, self.model.spec.profiles_of_reverse] > 0)
        weight = torch.where(either, cast(Tensor, self.positive), 1.0)
        cross_entropy = F.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")
        return (cross_entropy * weight).sum(dim=2)

    def keep_encodings(self, source: SequenceSource) -> None:
        """Have the encodings of samples that say where they lie made once, and kept."""
        module, length = self.module, 0
        if module is not None and module.multi_chromosome:
            length = self.model.spec.window(module.resolutions[0])
        self._kept = KeptEncodings(self.model.encoder, source, length)

    def _encode(self, batch: Batch) -> Tensor:
        """(batch, width, bins) base encodings of the windows with their flanks, if they have
        any.
        """
        if batch.pieces is not None:
            assert self._kept is not None
            return torch.stack([self._kept.window(pieces) for pieces in batch.pieces])
        encoder, codes = self.model.encoder, batch.codes
        device = next(encoder.parameters()).device
        if self.train_encoder:
            if codes.shape[1] > self.longest_pass:
                return encode_blocks(encoder, codes)
            return encoder(torch.stack([one_hot(c, device) for c in codes]))
        return torch.stack([self._frozen(c, device) for c in codes])

    def _frozen(self, codes: Tensor, device: torch.device) -> Tensor:
        if self._fast is None:
            self._fast = FastEncoder(self.model.encoder, device)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            plain = codes.numpy()
            return self._fast.span(
                lambda a, b: plain[a:b], 0, len(plain), ends=(True, True)
            ).clone()

    def _drop(self, base: Tensor) -> Tensor:
        if not self.training or not self.encoding_dropout:
            return base
        keep = (
            torch.rand(base.shape[0], base.shape[1], 1, device=base.device) >= self.encoding_dropout
        )
        return base * keep / (1 - self.encoding_dropout)


def _crop(y: Tensor, margin: int) -> Tensor:
    """All but ``margin`` bins on either side."""
    return y[..., margin : y.shape[-1] - margin]


def map_sums(maps: Mapping[int, Tensor], targets: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """By resolution, (batch,) sums of squared errors over the targets' finite pixels."""
    out = {}
    for r, y in maps.items():
        found = torch.isfinite(targets[r])
        error = torch.where(
            found, y.float() - torch.nan_to_num(targets[r]), torch.zeros_like(targets[r])
        )
        out[r] = error.square().sum(dim=(1, 2, 3))
    return out
