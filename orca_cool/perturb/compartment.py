"""E1 of one bin, differentiable: the definition of :func:`orca_cool.maps.tracks.first_eigenvector`
in torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orca_cool.errors import RegionError
from orca_cool.maps.metrics import ROUNDING
from orca_cool.maps.tracks import first_eigenvector

if TYPE_CHECKING:
    from torch import Tensor

#: Share of the largest eigenvalue by which it must be larger than the next, in size: otherwise E1
#: is any mixture of the two.
LEAST_GAP = 1e-6


def e1_at(
    values: Tensor, known: Tensor, k: int, gc: np.ndarray, reference: Tensor | None = None
) -> Tensor:
    """E1 of a bin: the first eigenvector of observed/expected - 1, with a mean square of 1.

    The derivative is that of the eigenvector itself, v' = (l - A)^+ A' v for the eigenvalue l of
    the matrix A, so that it needs no other eigenvalues to be apart from each other. Sign and choice
    of the eigenvector are held fixed in it.

    Parameters
    ----------
    values : (n, n) log observed/expected. known : (n, n) bool; bins without any are left out.
    k : the bin.
    gc : (n,) share of G and C, in which E1 is positive.
    reference : (n, n) the map before a change: E1 is then turned as that one's, so that a change
        cannot turn it over.

    Returns
    -------
    A tensor without dimensions, float64.

    Raises
    ------
    RegionError
        If the map has no E1: fewer than three known bins, nothing but its distances, or two
        eigenvalues of the same size.
    """
    import torch

    keep = known.any(dim=1)
    if int(keep.sum()) < 3:
        raise RegionError("fewer than three bins of the map are known")
    there = known[keep][:, keep]
    y = values[keep][:, keep].double()
    centred = _over_distance(0.5 * (y + y.T), there)
    with torch.no_grad():
        if float(centred.abs().max()) < ROUNDING * len(centred):
            raise RegionError("the map depends on distance alone")
        roots, vectors = torch.linalg.eigh(centred)
        sizes = roots.abs()
        m = int(sizes.argmax())
        second = float(sizes[torch.arange(len(sizes), device=sizes.device) != m].max())
        if float(sizes[m]) - second < LEAST_GAP * float(sizes[m]):
            raise RegionError("the map has two eigenvectors of the same eigenvalue")
        v = vectors[:, m]
        kept = keep.cpu().numpy()
        like = _orientation(kept, gc, known, reference)
        turn = (-1.0 if float(v.cpu().numpy() @ like) < 0 else 1.0) * len(v) ** 0.5
        at = int(keep[:k].sum())
        apart = roots[m] - roots
        apart[m] = torch.inf
        response = (vectors[at] / apart) @ vectors.T
    return turn * (v[at] + response @ (centred - centred.detach()) @ v)


def _over_distance(y: Tensor, there: Tensor) -> Tensor:
    """(n, n) each pixel over the mean of its distance, less 1; 0 where unknown."""
    import torch

    n = len(y)
    at = torch.arange(n, device=y.device)
    d = (at[:, None] - at[None, :]).abs().flatten()
    ratio = y.where(there, 0.0).exp().where(there, 0.0)
    total = torch.zeros(n, dtype=y.dtype, device=y.device).index_add(0, d, ratio.flatten())
    count = torch.zeros_like(total).index_add(0, d, there.flatten().to(y.dtype))
    mean = total / count.clamp(min=1)
    mean = mean.where(count > 0, 1.0)
    return (ratio / mean[d].view(n, n) - 1.0).where(there, 0.0)


def _orientation(
    kept: np.ndarray, gc: np.ndarray, known: Tensor, reference: Tensor | None
) -> np.ndarray:
    """(kept bins,) what E1 must not point against."""
    if reference is None:
        return np.nan_to_num(gc[kept] - np.nanmean(gc[kept]))
    y = reference.detach().double().cpu().numpy()
    y = np.where(known.cpu().numpy(), 0.5 * (y + y.T), np.nan)
    return np.nan_to_num(first_eigenvector(y, gc)[kept])
