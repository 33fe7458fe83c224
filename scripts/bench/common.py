"""What the benchmarks share: a genome and a released-size model that need no file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import Model
from orca_cool.model.cascade import Orca
from orca_cool.model.orca_spec import orca_spec

#: the plain formulation, against which everything is measured, lies with the tests that hold the
#: fast paths to it
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))


class Random:
    """A genome drawn as it is read: pure function of position, no file."""

    name = "random"

    def __init__(self, **chromsizes: int):
        self.chromsizes = dict(chromsizes)

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        seed = list(self.chromsizes).index(chrom) + 1
        x = (np.arange(start, end).astype(np.uint64) + np.uint64(seed << 33)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        x ^= x >> np.uint64(29)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        codes = ((x >> np.uint64(40)) & np.uint64(3)).astype(np.uint8)
        inside = (np.arange(start, end) >= 0) & (np.arange(start, end) < self.chromsizes[chrom])
        return np.where(inside, codes, np.uint8(4))


def released_size() -> Model:
    """Orca's networks (modules 32M, 256M, 1M) with random weights whose maps are of order one, and
    power laws for expected_tables.
    """
    torch.manual_seed(0)
    model = Orca(orca_spec("h1esc")).eval()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape))
            elif key.endswith(("running_mean", "bias")):
                tensor.copy_(0.1 * torch.randn(tensor.shape))
            elif tensor.ndim > 1:
                tensor.copy_(torch.randn(tensor.shape) / tensor[0].numel() ** 0.5)
        # residual sums grow with random weights: the last layer brings maps back to order one or
        # less, for frequencies to be numbers
        x, distance, coarse = (
            torch.randn(1, 128, 64),
            -5 + torch.randn(1, 1, 64, 64),
            torch.randn(1, 1, 32, 32),
        )
        for decoder in [d for levels in model.decoders.values() for d in levels.values()] + [
            model.base_decoder
        ]:
            y = decoder(x) if decoder.spec.one_shot else decoder(x, distance, coarse)
            for tensor in decoder.final[3].parameters():
                tensor.div_(
                    1000 * y.std()
                )  # real encodings and maps give far larger ones than these
    fine = ExpectedModel(4000, 0.1 / (1.0 + np.arange(8200)) ** 0.9)
    coarse = ExpectedModel(32_000, 0.1 / (1.0 + 8 * np.arange(8200)) ** 0.9, 2e-5)
    return Model(model.spec, model, {4000: fine, 32_000: coarse}, "random", Path("random"))
