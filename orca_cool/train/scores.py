"""How well a stage predicts its validation samples: correlation of maps, ROC areas of profiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def correlation_sums(a: Tensor, b: Tensor, nearest: int = 2) -> Tensor:
    """(6,) n and sums of a, b, aa, bb, ab over pixels of (batch, n, n) ``nearest`` bins apart or
    more, finite in b.
    """
    n = a.shape[-1]
    far = torch.ones(n, n, dtype=torch.bool, device=a.device).triu(nearest)
    keep = torch.isfinite(b) & far
    x, y = a[keep], b[keep]
    return torch.stack(
        [
            torch.tensor(float(len(x)), dtype=a.dtype, device=a.device),
            x.sum(),
            y.sum(),
            x @ x,
            y @ y,
            x @ y,
        ]
    )


def window_correlations(a: Tensor, b: Tensor) -> Tensor:
    """(2,) number and sum of Pearson's r of the single windows of (batch, n, n), each over all of
    its pixels that are finite in b; windows without variance or with fewer than 3 are left out.
    """
    keep = torch.isfinite(b)
    x, y = torch.where(keep, a, 0).flatten(1), torch.where(keep, b, 0).flatten(1)
    n = keep.flatten(1).sum(dim=1, keepdim=True).clamp(min=1)
    known = keep.flatten(1)
    x = torch.where(known, x - x.sum(dim=1, keepdim=True) / n, 0)
    y = torch.where(known, y - y.sum(dim=1, keepdim=True) / n, 0)
    scale = (x.square().sum(dim=1) * y.square().sum(dim=1)).sqrt()
    good = (n[:, 0] >= 3) & (scale > 0)
    r = (x * y).sum(dim=1)[good] / scale[good]
    return torch.stack([good.sum().to(a.dtype), r.sum()])


def correlation(sums: list[float]) -> float:
    """Pearson's r from :func:`correlation_sums`; NaN with fewer than 3 pixels or no variance."""
    n, a, b, aa, bb, ab = sums
    if n < 3:
        return float("nan")
    va, vb = aa - a * a / n, bb - b * b / n
    return float((ab - a * b / n) / np.sqrt(va * vb)) if va > 0 and vb > 0 else float("nan")


def roc_areas(profiles: Sequence[str], logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Area under the ROC curve of every profile that has positives and negatives.

    Parameters
    ----------
    profiles : names.
    logits, labels : (profiles, n).
    """
    from sklearn.metrics import roc_auc_score

    return {
        profile: float(roc_auc_score(y > 0, x))
        for profile, x, y in zip(profiles, logits, labels)
        if 0 < y.sum() < len(y)
    }
