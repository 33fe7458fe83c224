"""Random inputs of several chromosomes, by which contacts between them are scored: the zooms go
into their centre.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hg38 import SIZES

from orca_cool.evaluate.protocol import ModelEvaluation

LEVELS = (1_024_000, 512_000, 256_000, 128_000)


def test_zooms_into_the_centre_see_contacts_between_chromosomes():
    """Of the windows of 128, 64 and 32 Mb of inputs of chr9 and chr10, 100, 49 and 28 of 100 hold
    such contacts; zooms at random would in fewer.
    """
    chroms = ["chr9", "chr10"]
    spec = SimpleNamespace(bins=250, window=lambda r: 250 * r)
    at_32_kb = SimpleNamespace(resolution=32_000)
    engine = SimpleNamespace(
        spec=spec, source=SimpleNamespace(chromsizes=SIZES), expected=lambda module: at_32_kb
    )
    evaluation = SimpleNamespace(
        engine=engine,
        module=SimpleNamespace(resolutions=LEVELS),
        maps=SimpleNamespace(observed=at_32_kb),
        options=SimpleNamespace(scored_chroms=chroms),
    )
    rng, seen, n = np.random.default_rng(1), np.zeros(4), 1500
    for _ in range(n):
        segments, filled, starts = ModelEvaluation.draw_input(evaluation, rng)  # type: ignore[arg-type]
        assert {s.chrom for s in segments} == set(chroms)
        assert sum(map(len, filled)) == 256_000_000
        junction = len(segments[0])
        for k, r in enumerate(LEVELS):
            start, end = starts[r] * r, (starts[r] + 250) * r
            seen[k] += start < junction < end
            assert abs((start + end) / 2 - 128_000_000) <= LEVELS[0]
    shares = 100 * seen / n
    assert shares[0] == shares[1] == 100
    assert abs(shares[2] - 49) < 5
    assert abs(shares[3] - 28) < 5
