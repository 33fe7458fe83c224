"""An Akita-shaped network as a model of orca-cool: `orca-cool predict --model akita.py:Akita ...`.

2^20 bp in, 512 bins of 2,048 bp, of which 32 are cut off at either side: 448 x 448 bins out,
natural log of observed/expected. **Its weights are random** and its layers few; put your own
network and weights in the place of `Network`, and your map's expected in that of `expected`.
"""

import numpy as np
import torch
from torch import nn

from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription

BIN, BINS, CROP = 2048, 448, 32


class Network(nn.Module):
    """One-hot sequence (n, 4, 2^20) to maps (n, 512, 512): 11 halvings, then pairs of bins."""

    def __init__(self, width=8):
        super().__init__()
        widths = [4, *[width] * 11]
        self.trunk = nn.Sequential(
            *(
                nn.Sequential(nn.Conv1d(a, b, 5, padding=2, bias=False), nn.Tanh(), nn.AvgPool1d(2))
                for a, b in zip(widths, widths[1:])
            )
        )
        self.head = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.Tanh())
        self.last = nn.Conv2d(width, 1, 1, bias=False)
        for weight in self.parameters():
            nn.init.kaiming_normal_(weight)

    def forward(self, x):
        x = self.trunk(x)
        pairs = self.head((x[..., :, None] + x[..., None, :]) / 2)
        return self.last(pairs + pairs.transpose(2, 3))[:, 0]


class Akita:
    """What orca-cool asks of a model (`orca_cool.WindowModel`)."""

    spec = ModelDescription("akita-like", BINS, (ModuleSpec("akita", (BIN,)),), licence="none")
    context = CROP * BIN  # read on either side of the map, and cut off
    digest = "random, seed 1"  # another for other weights: the SHA-256 of their file
    capabilities = frozenset()

    def __init__(self):
        torch.manual_seed(1)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = Network().eval().to(self.device)

    def expected(self, module):
        frequency = 0.1 / (1.0 + np.arange(2 * BINS))  # of contacts, by distance in bins
        return ExpectedModel(BIN, frequency)

    def predict(self, codes):  # uint8 (n, 2^20), 0 to 3 for A, C, G, T, 4 for N
        x = torch.from_numpy(codes).to(self.device).long()
        x = nn.functional.one_hot(x, 5)[..., :4].transpose(1, 2) - 0.25
        with torch.inference_mode():
            y = self.network(x)[:, CROP:-CROP, CROP:-CROP]
        return y.cpu().numpy()  # float32 (n, 448, 448), symmetric
