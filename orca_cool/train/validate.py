"""Prediction of whole chromosomes for validation, and correlation by level. Works on arrays; no files.

A plain mosaic: windows step by half a window, so that pixels farther apart than half a window are covered only in part and
the rest stay NaN (``orca-cool predict`` fills them from the coarser level, and its r is therefore a little higher).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from orca_cool.background import Background
from orca_cool.genome import GAP, reverse_complement
from orca_cool.model.cascade import Orca
from orca_cool.model.spec import ModuleSpec
from orca_cool.train.bank import Encoded, encode_chromosome


def distances(model: Orca, module: ModuleSpec, background: Background) -> dict[int, torch.Tensor]:
    """(1, 1, bins, bins) log expected by resolution."""
    device = next(model.parameters()).device
    n = model.spec.bins
    return {r: torch.from_numpy(np.log(background.normmat(r, n))).float().to(device)[None, None] for r in module.resolutions}


def window_starts(n: int, bins: int) -> list[int]:
    """Starts of windows that step by half a window and cover n bins."""
    return list(range(0, max(n - bins // 2, 1), bins // 2))


def predict_strand(
    model: Orca, module: ModuleSpec, item: Encoded, n_top: int, distance: Mapping[int, torch.Tensor], autocast: Callable[[], object]
) -> dict[int, np.ndarray]:
    """One strand of a chromosome of ``n_top`` coarsest bins: by resolution (n, n), overlapping windows averaged."""
    spec, bins, top = model.spec, model.spec.bins, module.resolutions[0]
    factor = top // spec.base_bin
    total = {r: np.zeros((n_top * (top // r),) * 2) for r in module.resolutions}
    weight = {r: np.zeros_like(t) for r, t in total.items()}
    ramp = np.minimum(np.arange(bins) + 1, np.arange(bins, 0, -1)).astype(float)
    taper = np.minimum.outer(ramp, ramp)
    parents: dict[int, tuple[dict[int, torch.Tensor], torch.Tensor]] = {}
    model.eval()
    with torch.no_grad(), autocast():  # type: ignore[attr-defined]
        for start in window_starts(n_top, bins):
            base = item.window(start * factor, bins * factor)[None]
            parents[start * factor] = (model.encodings(module, base), base)
        maps: dict[int, dict[int, np.ndarray]] = {}
        for level, r in enumerate(module.resolutions):
            n = n_top * (top // r)
            maps[r] = {}
            starts = window_starts(n, bins)
            for start in starts:
                home = min(parents, key=lambda p: abs((start + bins / 2) * (r // spec.base_bin) - p - bins * factor / 2))
                encodings, base = parents[home]
                local = start - home // (r // spec.base_bin)
                coarse = None
                if level:
                    parent = module.resolutions[level - 1]
                    fits = [s for s in maps[parent] if s <= start // 2 and start // 2 + bins // 2 <= s + bins]
                    best = min(fits, key=lambda s: abs(start / 2 + bins / 4 - s - bins / 2))
                    k = start // 2 - best
                    coarse = torch.from_numpy(maps[parent][best][k : k + bins // 2, k : k + bins // 2].copy())[None, None]
                    coarse = coarse.to(base.device)
                x = encodings[r][..., local : local + bins]
                y = model.decode(module, r, x, distance[r], coarse)[0, 0].float().cpu().numpy()
                maps[r][start] = y
                e = min(bins, n - start)
                total[r][start : start + e, start : start + e] += (y * taper)[:e, :e]
                weight[r][start : start + e, start : start + e] += taper[:e, :e]
    with np.errstate(invalid="ignore", divide="ignore"):
        return {r: total[r] / np.where(weight[r] > 0, weight[r], np.nan) for r in total}


def predict_chromosome(
    model: Orca, module: ModuleSpec, codes: np.ndarray, background: Background, autocast: Callable[[], object]
) -> dict[int, np.ndarray]:
    """Both strands averaged: by resolution, (n, n) log observed/expected, n in whole coarsest bins."""
    top = module.resolutions[0]
    n_top = -(-len(codes) // top)
    full = np.full(n_top * top, GAP, dtype=np.uint8)
    full[: len(codes)] = codes
    distance = distances(model, module, background)
    forward = predict_strand(model, module, encode_chromosome(model, full, {}), n_top, distance, autocast)
    reverse = predict_strand(model, module, encode_chromosome(model, reverse_complement(full), {}), n_top, distance, autocast)
    return {r: (forward[r] + reverse[r][::-1, ::-1]) / 2 for r in forward}


def pearson(a: np.ndarray, b: np.ndarray, nearest: int = 2, farthest: int | None = None) -> tuple[float, int]:
    """Pearson's r of two (n, n) symmetric maps over pixels finite in both, ``nearest`` .. ``farthest`` bins apart.

    Returns
    -------
    r (NaN with fewer than 3 pixels or no variance) and the number of pixels.
    """
    n = min(a.shape[0], b.shape[0])
    i, j = np.triu_indices(n, nearest)
    if farthest is not None:
        near = j - i <= farthest
        i, j = i[near], j[near]
    x, y = a[i, j].astype(float), b[i, j].astype(float)
    found = np.isfinite(x) & np.isfinite(y)
    x, y = x[found], y[found]
    if len(x) < 3 or x.std() == 0 or y.std() == 0:
        return float("nan"), len(x)
    return float(np.corrcoef(x, y)[0, 1]), len(x)
