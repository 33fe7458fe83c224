"""Contact frequencies of the world `extrusion`: loop extrusion simulated by lefsim, a polymer
approximation on its snapshots, and compartments.

A simulation, not a measurement. Two loci that extruders have brought together are as close as the
path between them that may cross each extruder for the price of a short linker; the contact
frequency falls with that distance as for a polymer (power -1.5), and compartments multiply it.
"""

from __future__ import annotations

from dataclasses import dataclass

import lefsim
import numpy as np
from rules import Features
from scipy.spatial.distance import squareform


@dataclass(frozen=True)
class Physics:
    """The parameters of the simulation.

    Attributes
    ----------
    site : bp of a lattice site. separation : bp for each extruder.
    processivity : bp that an extruder covers with both legs before it leaves.
    stalled : how much longer it stays once a leg was stopped at a site. Few extruders that leave
        such sites soon are what tells convergent from tandem sites (ln observed/expected 0.95 and
        0.44 above the surroundings, divergent 0.0): many that stay queue up, and a queue at one
        site looks as if the next one had stopped it (stalled 3, separation 120 kb: 1.20 and 1.04).
    hop : distance, in bp, of crossing an extruder.
    snapshots, apart, warm : number of snapshots; steps of a leg between them, and before the first.
    compartment : log of the preference of like compartments at full strength.
    """

    site: int = 1000
    separation: int = 240_000
    processivity: int = 400_000
    stalled: float = 0.5
    hop: int = 1000
    snapshots: int = 200
    apart: float = 75.0
    warm: float = 2000.0
    compartment: float = 0.35


def frequencies(
    features: Features, length: int, resolution: int, physics: Physics | None = None, seed: int = 0
) -> np.ndarray:
    """Mean contact frequency over the snapshots, without the noise of counting.

    Parameters
    ----------
    features : of the sequence. length : bp of the sequence.
    resolution : bp of a bin, a multiple of a lattice site.
    seed : of the simulation; another one gives a replicate.

    Returns
    -------
    (bins, bins) float64, symmetric; the diagonal is that of neighbouring bins.
    """
    physics = physics or Physics()
    n = -(-length // physics.site)
    sites = np.arange(resolution // physics.site // 2, n, resolution // physics.site)
    simulation = lefsim.Sim(_model(features, n, length, physics, seed), seed=seed)
    simulation.run_until(physics.warm)
    total = np.zeros(len(sites) * (len(sites) - 1) // 2)
    unit = max(1, physics.site // 100)
    for k in range(physics.snapshots):
        simulation.run_until(physics.warm + (k + 1) * physics.apart)
        paths = simulation.world().effective_distances(
            sites.tolist(), step_length=unit, hop_length=max(1, physics.hop // 100)
        )
        distance = np.asarray(paths) * (physics.site / unit)
        total += (1 + distance / resolution) ** -1.5
    out = squareform(total / physics.snapshots)
    np.fill_diagonal(out, 1.0)
    at = np.minimum(sites * physics.site // features.bin, len(features.compartment) - 1)
    own = features.compartment[at]
    return np.asarray(out * np.exp(physics.compartment * np.outer(own, own)))


def _model(features: Features, n: int, length: int, physics: Physics, seed: int) -> lefsim.Model:
    """The lattice with its sites that stop extruders. Of several on one lattice site that stop the
    same side, the chance that one of them does counts; a site holds one side, so that those of the
    other side move to the next one.
    """
    passing: dict[tuple[int, str], float] = {}
    for position, from_right, strength in zip(
        features.position, features.stops_from_right, features.strength
    ):
        key = min(int(position) // physics.site, n - 1), "right" if from_right else "left"
        passing[key] = passing.get(key, 1.0) * (1 - float(strength))
    table: dict[int, tuple[str, float]] = {}
    for (at, side), share in sorted(passing.items()):
        while at in table and at < n - 1:
            at += 1
        table.setdefault(at, (side, 1 - share))
    lattice = lefsim.Lattice(
        n,
        {
            "site": sorted(table),
            "captures_from": [table[at][0] for at in sorted(table)],
            "strength": [table[at][1] for at in sorted(table)],
        },
    )
    leaves = 2 * physics.site / physics.processivity
    rates = lefsim.Rates(
        step=1.0, respawn=leaves, respawn_blocked=leaves, respawn_captured=leaves / physics.stalled
    )
    extruders = max(1, length // physics.separation)
    return lefsim.Model(lefsim.populate(lattice, extruders, seed=seed), rates)
