"""Scores of two maps as arrays: numpy alone, so that training can call them at every validation.

Sums are streamed: a :class:`Moments` holds what Pearson's r needs of any number of pixels, by
stratum (distance), and two of them add up.
"""

from __future__ import annotations

import numpy as np

#: A spread below this share of the values' size is rounding, not variance.
ROUNDING = 1e-12

#: Bins on either side of a dot's middle that belong to the dot, and to what it is compared with.
DOT, RING = 1, 5


def dot_parts() -> tuple[np.ndarray, np.ndarray]:
    """What the strength of a dot is taken from: the bins of the dot (3 x 3), and those around it
    that it is compared with (11 x 11 without the inner 5 x 5): (11, 11) bool each.

    Examples
    --------
    >>> [int(part.sum()) for part in dot_parts()]
    [9, 96]
    """
    square = np.zeros((2 * RING + 1,) * 2, dtype=bool)
    around = ~square
    inner, wider = (slice(RING - k, RING + k + 1) for k in (DOT, DOT + 1))
    square[inner, inner], around[wider, wider] = True, False
    return square, around


def pearson(
    a: np.ndarray, b: np.ndarray, nearest: int = 2, farthest: int | None = None
) -> tuple[float, int]:
    """Pearson's r of two (n, n) symmetric maps over pixels finite in both, ``nearest`` ..
    ``farthest`` bins apart.

    Returns
    -------
    r (NaN with fewer than 3 pixels or no variance) and the number of pixels.
    """
    found = moments(a, b, nearest, farthest)
    return found.r(), found.pixels


class Moments:
    """Counts, means and centred sums of pairs (x, y) by stratum, float64.

    Parameters
    ----------
    strata : number of strata; for maps, distances in bins.
    """

    def __init__(self, strata: int = 1):
        zeros: np.ndarray = np.zeros((6, strata))
        self.n, self.x, self.y, self.xx, self.yy, self.xy = zeros

    @property
    def pixels(self) -> int:
        """Pairs seen, of all strata."""
        return int(self.n.sum())

    def add(self, x: np.ndarray, y: np.ndarray, stratum: np.ndarray | None = None) -> Moments:
        """Add finite pairs, (k,) each, and their strata (default: all 0)."""
        s = np.zeros(len(x), dtype=np.intp) if stratum is None else stratum
        size = len(self.n)
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        more = Moments(size)
        more.n = np.bincount(s, minlength=size).astype(float)
        more.x, more.y = (np.bincount(s, v, size) / np.maximum(more.n, 1) for v in (x, y))
        dx, dy = x - more.x[s], y - more.y[s]
        more.xx, more.yy, more.xy = (np.bincount(s, v, size) for v in (dx * dx, dy * dy, dx * dy))
        return self.merge(more)

    def merge(self, other: Moments) -> Moments:
        """Add another's sums, stratum by stratum (Chan, Golub & LeVeque 1979)."""
        n = self.n + other.n
        share = np.divide(other.n, n, out=np.zeros_like(n), where=n > 0)
        dx, dy = other.x - self.x, other.y - self.y
        between = self.n * share
        self.xx += other.xx + dx * dx * between
        self.yy += other.yy + dy * dy * between
        self.xy += other.xy + dx * dy * between
        self.x, self.y, self.n = self.x + dx * share, self.y + dy * share, n
        return self

    def pooled(self) -> Moments:
        """All strata as one."""
        total = max(self.n.sum(), 1)
        out = Moments()
        out.n[0], out.x[0], out.y[0] = (
            self.n.sum(),
            self.n @ self.x / total,
            self.n @ self.y / total,
        )
        dx, dy = self.x - out.x[0], self.y - out.y[0]
        out.xx[0] = self.xx.sum() + self.n @ (dx * dx)
        out.yy[0] = self.yy.sum() + self.n @ (dy * dy)
        out.xy[0] = self.xy.sum() + self.n @ (dx * dy)
        return out

    def by_stratum(self, least: int = 3) -> np.ndarray:
        """(strata,) Pearson's r of each; NaN with fewer than ``least`` pairs or no variance."""
        varies = (
            (self.n >= least)
            & (self.xx > self.n * (ROUNDING * self.x) ** 2)
            & (self.yy > self.n * (ROUNDING * self.y) ** 2)
        )
        size = np.sqrt(np.where(varies, self.xx, 1)) * np.sqrt(np.where(varies, self.yy, 1))
        return np.where(varies, np.clip(self.xy / size, -1, 1), np.nan)

    def r(self) -> float:
        """Pearson's r of all pairs; NaN with fewer than 3 or no variance."""
        return float(self.pooled().by_stratum()[0])

    def within(self) -> float:
        """Pearson's r of all pairs after each stratum's mean of x and of y is subtracted (as in the
        comparison of Orca with Akita).
        """
        flat = Moments()
        flat.n[0], flat.xx[0], flat.yy[0], flat.xy[0] = (
            v.sum() for v in (self.n, self.xx, self.yy, self.xy)
        )
        whole = self.pooled()
        flat.x, flat.y = (
            np.abs(whole.x) + np.sqrt(whole.xx / max(whole.n[0], 1)),
            np.abs(whole.y) + np.sqrt(whole.yy / max(whole.n[0], 1)),
        )
        return float(flat.by_stratum()[0])

    def scc(self) -> float:
        """HiCRep's stratum-adjusted correlation of x and y (Yang et al. 2017, Genome Research
        27:1939).

        SCC = sum_k w_k r_k / sum_k w_k over strata k (distances) in which both vary, r_k Pearson's
        r of the N_k pixels of the stratum, w_k = N_k sqrt(Var(U_k) Var(V_k)), U and V the ranks of
        x and of y in the stratum divided by N_k. With ties broken the ranks are 1 .. N_k, of
        variance (N_k + 1) / (12 N_k), whatever the values: w_k = (N_k + 1) / 12.
        """
        r = self.by_stratum(least=2)
        use = np.isfinite(r)
        weight = (self.n[use] + 1) / 12
        return float(weight @ r[use] / weight.sum()) if use.any() else float("nan")


def shared_pixels(
    a: np.ndarray, b: np.ndarray, nearest: int = 2, farthest: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(k,) rows and columns of pixels of the upper triangle finite in both maps, ``nearest`` ..
    ``farthest`` bins apart.
    """
    n = min(a.shape[0], b.shape[0])
    found = np.triu(np.isfinite(a[:n, :n]) & np.isfinite(b[:n, :n]), nearest)
    if farthest is not None:
        found = np.tril(found, farthest)
    i, j = np.nonzero(found)
    return i, j


def moments(a: np.ndarray, b: np.ndarray, nearest: int = 2, farthest: int | None = None) -> Moments:
    """Sums by distance, (n,) strata, of the pixels of two (n, n) maps that
    :func:`shared_pixels` finds.
    """
    i, j = shared_pixels(a, b, nearest, farthest)
    return Moments(min(a.shape[0], b.shape[0])).add(a[i, j], b[i, j], j - i)


def smooth(m: np.ndarray, h: int) -> np.ndarray:
    """Mean of the finite pixels of each (2h + 1) x (2h + 1) square (HiCRep's filter); NaN stays
    NaN; h = 0 changes nothing.
    """
    if h == 0:
        return m
    from scipy.ndimage import uniform_filter

    found = np.isfinite(m)
    total, count = (
        uniform_filter(v, 2 * h + 1, mode="constant")
        for v in (np.where(found, m, 0.0), found.astype(float))
    )
    return np.where(found, total / np.where(found, count, 1), np.nan)


def scc(
    a: np.ndarray, b: np.ndarray, h: int = 0, nearest: int = 0, farthest: int | None = None
) -> float:
    """:meth:`Moments.scc` of two (n, n) maps, both smoothed by ``h`` bins."""
    return moments(smooth(a, h), smooth(b, h), nearest, farthest).scc()


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of two (k,) samples, ties by their mean rank; NaN with fewer than
    3 or no variance.
    """
    from scipy.stats import rankdata

    return Moments().add(rankdata(x), rankdata(y)).r()


def diamond(m: np.ndarray, window: int, nearest: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Insulation: the mean contact across each bin.

    Parameters
    ----------
    m : (n, n) symmetric map, NaN where unknown.
    window : side of the diamond in bins: pixels (i - a, i + b) for a, b in 0 .. window - 1 (Crane
        2015, as cooltools takes them).
    nearest : pixels fewer bins apart are left out.

    Returns
    -------
    (n,) means of the finite pixels and (n,) their numbers; NaN and 0 where the diamond does not lie
    in the map.
    """
    n = len(m)
    mean, count = np.full(n, np.nan), np.zeros(n)
    first, last = window - 1, n - window
    if last < first:
        return mean, count
    found = np.isfinite(m)
    i = np.arange(first, last + 1)
    sums = []
    for v in (np.where(found, m, 0.0), found.astype(float)):
        table = np.zeros((n + 1, n + 1))
        table[1:, 1:] = v.cumsum(axis=0).cumsum(axis=1)
        up, down, left, right = i - window + 1, i + 1, i, i + window
        total = table[down, right] - table[up, right] - table[down, left] + table[up, left]
        for a in range(min(nearest, window)):
            for b in range(min(nearest - a, window)):
                total = total - v[i - a, i + b]
        sums.append(total)
    count[i] = np.rint(sums[1])
    mean[i] = np.where(count[i] > 0, sums[0] / np.maximum(count[i], 1), np.nan)
    return mean, count


def insulation_score(frequency: np.ndarray, window: int = 10) -> np.ndarray:
    """(n,) log2 of the mean contact across each bin (:func:`diamond`), less its mean over the map;
    NaN near the map's ends.

    Parameters
    ----------
    frequency : (n, n), linear. window : side of the diamond in bins.
    """
    mean, _ = diamond(frequency, window)
    with np.errstate(divide="ignore"):
        track = np.log2(mean)
    known = np.isfinite(track)
    return np.where(known, track - (track[known].mean() if known.any() else 0.0), np.nan)


def insulation(
    a: np.ndarray, b: np.ndarray, window: int = 10, nearest: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Insulation of two (n, n) maps over the pixels finite in both, at the (k,) bins whose diamond
    has at least half of its pixels.
    """
    both = np.isfinite(a) & np.isfinite(b)
    x, count = diamond(np.where(both, a, np.nan), window, nearest)
    y, _ = diamond(np.where(both, b, np.nan), window, nearest)
    close = min(nearest, window)
    enough = count >= max(1, (window**2 - close * (close + 1) / 2) / 2)
    return x[enough], y[enough]


def eigenvector(y: np.ndarray) -> np.ndarray:
    """First eigenvector E1 of observed/expected - 1: that of the eigenvalue of largest size.

    Each distance is divided by its mean, as cooltools does; NaN counts as the mean.

    Parameters
    ----------
    y : (n, n) log observed/expected.

    Returns
    -------
    (n,); all NaN if the map depends on distance alone.
    """
    n = len(y)
    d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    found = np.isfinite(y)
    ratio = np.where(found, np.exp(np.where(found, y, 0.0)), 0.0)
    mean = np.bincount(d[found], ratio[found], n) / np.maximum(
        np.bincount(d[found], minlength=n), 1
    )
    centred = np.where(found, ratio / np.where(mean > 0, mean, 1)[d] - 1, 0.0)
    if np.abs(centred).max(initial=0) < ROUNDING * n:
        return np.full(n, np.nan)
    values, vectors = np.linalg.eigh(centred)
    return np.asarray(vectors[:, np.argmax(np.abs(values))])


def compartments(a: np.ndarray, b: np.ndarray, nearest: int = 2, least: int = 32) -> float:
    """|r| of the first eigenvectors of two (n, n) maps of log observed/expected.

    An eigenvector has no sign of its own: the signs are chosen to agree. The maps are compared at
    pixels that are finite in both, in bins that have at least half of the pixels that they can
    have; NaN with fewer than ``least`` such bins.
    """
    n = len(a)
    d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    both = np.isfinite(a) & np.isfinite(b) & (d >= nearest)
    there = both.any(axis=1)
    keep = there & (both.sum(axis=1) >= there.sum() / 2)
    if keep.sum() < least:
        return float("nan")
    x, y = (eigenvector(np.where(both, m, np.nan)[np.ix_(keep, keep)]) for m in (a, b))
    return abs(Moments().add(x, y).r())


class Sample:
    """A uniform random sample, without replacement, of any number of pairs, in bounded memory.

    Every pair draws a key; the pairs with the ``capacity`` smallest keys are kept. With fewer pairs
    than that all are there.
    """

    def __init__(self, capacity: int, seed: int | list[int] = 0):
        self.capacity = capacity
        self._rng = np.random.default_rng(seed)
        self._rows = [np.zeros((3, 0), dtype=np.float32)]
        self._limit = np.float32(1)

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y, (k,) float32 each, k at most ``capacity``."""
        self._trim()
        return self._rows[0][1], self._rows[0][2]

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Offer (k,) pairs."""
        self._keep(
            np.stack(
                [
                    self._rng.random(len(x), dtype=np.float32),
                    x.astype(np.float32),
                    y.astype(np.float32),
                ]
            )
        )

    def merge(self, other: Sample) -> None:
        """Make this the sample of both."""
        for rows in other._rows:
            self._keep(rows)

    def _keep(self, rows: np.ndarray) -> None:
        self._rows.append(rows[:, rows[0] < self._limit])
        # seldom, so that a pair costs little however many there are
        if sum(r.shape[1] for r in self._rows) > 2 * self.capacity:
            self._trim()

    def _trim(self) -> None:
        rows = np.concatenate(self._rows, axis=1)
        if rows.shape[1] > self.capacity:
            rows = rows[:, np.argpartition(rows[0], self.capacity)[: self.capacity]]
            self._limit = rows[0].max()
        self._rows = [rows]
