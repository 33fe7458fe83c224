"""What ``orca-cool variants --stop-below X`` leaves out, and what it misses: SNVs and deletions are
drawn over a shipped genome, all levels of a shipped model are predicted, and each X is applied to
the changes that were found.

    python scripts/bench/stop_below.py [--model yeast-deep] [--variants 200] [--below 0.01 0.02 ...]

A change is the largest of a level: that of |ln(observed/expected)| of a pixel. ``missed`` counts
variants whose finest level was left out although its change is X or more (``at X``), or twice X.
``levels`` is the share of all levels (of the alternates) that are still predicted.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from common import Figures, parser
from processes import MARGIN, snvs

import orca_cool as oc
from orca_cool.effects.align import Reference, compare
from orca_cool.effects.stop_below import largest_change
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.prediction.engine import make_engine
from orca_cool.variants import parse_edits

#: Shortest and longest deletion, bp; lengths between are drawn evenly in their logarithm.
SHORTEST, LONGEST = 10, 5000


def deletions(genome: str, count: int, seed: int = 2) -> list[str]:
    """Deletions drawn evenly over a genome, as texts."""
    sizes = dict(oc.open_genome(genome).source.chromsizes)
    long = {c: n for c, n in sizes.items() if n > 2 * MARGIN + LONGEST}
    rng, share = np.random.default_rng(seed), np.array(list(long.values()), float)
    out = []
    for c in rng.choice(list(long), count, p=share / share.sum()):
        length = int(np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST))))
        start = int(rng.integers(MARGIN, long[c] - MARGIN - length))
        out.append(f"{c}:{start}-{start + length} del")
    return out


def changes(model: str, genome: str, edits: list[str]) -> np.ndarray:
    """The largest change of each edit at each level, coarsest first: (edits, levels)."""
    bundle, source = oc.load_model(model), oc.open_genome(genome).source
    engine = make_engine(getattr(bundle, "bundle", bundle), source, "cpu", fine_bytes=2**29)
    module = engine.spec.modules[0]
    reference, out = Reference(engine, module), []
    for text in edits:
        (found,) = compare(reference, [apply_edits(source, parse_edits(text, source))])
        by_level = {r: 0.0 for r in module.resolutions}
        for c in found:
            by_level[c.resolution] = max(by_level[c.resolution], largest_change(c))
        out.append(list(by_level.values()))
    return np.array(out)


def row(found: np.ndarray, below: float) -> dict[str, Any]:
    """What one X leaves out and misses."""
    skipped, finest = found[:, 0] < below, found[:, -1]
    predicted = np.where(skipped, 1, found.shape[1])
    return {
        "X": below,
        "levels": round(float(predicted.mean() / found.shape[1]), 3),
        "finest left out": int(skipped.sum()),
        "missed at X": int((skipped & (finest >= below)).sum()),
        "of those that change by X": int((finest >= below).sum()),
        "missed at 2 X": int((skipped & (finest >= 2 * below)).sum()),
        "of those that change by 2 X": int((finest >= 2 * below).sum()),
        "largest left out": round(float(finest[skipped].max()), 4) if skipped.any() else None,
    }


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--model", default="yeast-deep")
    given.add_argument("--genome", default="example")
    given.add_argument("--variants", type=int, default=200, help="of each kind")
    given.add_argument("--below", type=float, nargs="+", default=[0.005, 0.01, 0.02, 0.05, 0.1])
    options, figures = given.parse_args(), Figures(__file__)
    kinds = {
        "SNVs": snvs(options.genome, options.variants).splitlines(),
        "deletions": deletions(options.genome, options.variants),
    }
    report: dict[str, Any] = {"model": options.model, "of each kind": options.variants}
    for kind, edits in kinds.items():
        found = changes(options.model, options.genome, edits)
        report[kind] = {
            "median, 90th and 99th percentile of the change, by level, coarsest first": [
                [float(f"{q:.3g}") for q in np.percentile(level, (50, 90, 99))] for level in found.T
            ],
            "rows": (rows := [row(found, below) for below in options.below]),
        }
        for one in rows:
            told = {key: value for key, value in one.items() if value is not None}
            figures.add(f"{kind}, X {told.pop('X'):g}", told)
    print(json.dumps(report, indent=1))
    figures.keep(options.json)


if __name__ == "__main__":
    main()
