"""Overlapping windows to seamless banded maps, in rows, with bounded memory.

Each window's weight ramps from 0 at its edges (except where an edge is the chromosome's own end) to
1; where the weights of a level's windows do not add up to 1, the rest is the next coarser level's
map. So every pixel is a continuous blend: no window edge can be seen. Rows leave in order, as soon
as no later window can change them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from orca_cool.genome.regions import n_bins
from orca_cool.prediction.windows import ramp

#: Pixels of rows that are finished together: 256 kB of each array.
CELLS = 1 << 16


@dataclass(frozen=True)
class Rows:
    """Finished rows of one level: ``values[r, d]`` is the pair of bins (start + r, start + r + d).

    ``values`` float32 (rows, band), NaN where nothing predicts; ``level`` int32 (rows, band), the
    resolution in bp of the level that holds most of the weight; ``strand_difference`` float32 or
    None.
    """

    start: int
    values: np.ndarray
    level: np.ndarray
    strand_difference: np.ndarray | None


def ramp_weights(bins: int, at_start: bool, at_end: bool) -> np.ndarray:
    """(bins, bins) weights of a window's pairs (i, i + d): 0..1 by the distance to the nearer open
    edge.
    """
    i = np.arange(bins)[:, None]
    d = np.arange(bins)[None, :]
    left = np.full((bins, bins), np.inf) if at_start else np.broadcast_to(i + 1.0, (bins, bins))
    right = np.full((bins, bins), np.inf) if at_end else bins - (i + d) + 0.0
    weights = np.clip(np.minimum(left, right) / ramp(bins), 0.0, 1.0)
    return np.where(i + d < bins, weights, 0.0).astype(np.float32)


class Bands:
    """Symmetric maps (n, n) to rows by distance: out[i, d] = y[i, i + d], 0 beyond the edge."""

    def __init__(self, n: int):
        self._padded = np.zeros((n, 2 * n), dtype=np.float32)
        # row i of the flat view, read from column i on
        step, item = self._padded.strides
        self._view = np.lib.stride_tricks.as_strided(self._padded, (n, n), (step + item, item))

    def of(self, y: np.ndarray) -> np.ndarray:
        """(n, n) float32, good until the next call."""
        self._padded[:, : len(y)] = y
        return self._view


def band_of(y: np.ndarray) -> np.ndarray:
    """One map, as :class:`Bands`."""
    return Bands(len(y)).of(y)


class LevelMosaic:
    """One level of one region of one chromosome.

    Parameters
    ----------
    resolution, bins : of the level.
    length : of the chromosome, bp.
    start, end : region in bp; pairs with both bins inside are produced.
    band : distances in bins, from 0, that rows hold; further than the window they come from the
        coarser level.
    coarser : the mosaic one level up, or None.
    """

    def __init__(
        self,
        resolution: int,
        bins: int,
        length: int,
        start: int,
        end: int,
        band: int,
        coarser: LevelMosaic | None = None,
        strand_difference: bool = False,
    ):
        self.resolution, self.bins, self.coarser, self.with_strand_difference = (
            resolution,
            bins,
            coarser,
            strand_difference,
        )
        self.total = n_bins(length, resolution)
        self.first, self.last = start // resolution, n_bins(end, resolution)
        self.band = min(band, self.last - self.first)
        self.width = min(bins, self.band)
        self.done = self.first  # rows before this have left
        self._weights: dict[tuple[bool, bool], np.ndarray] = {}
        # sums from row `done` on: values, weights, strand_difference; rows before `_rows` are known
        self._sums = np.empty((3 if strand_difference else 2, 0, self.width), dtype=np.float32)
        self._rows = 0
        self._bands = Bands(bins)
        self._product = np.empty((bins, self.width), np.float32)
        self._closed: Rows | None = None  # finished rows that the finer level may still read

    def add(self, start: int, y: np.ndarray, strand_difference: np.ndarray | None = None) -> None:
        """Add a window's map (bins, bins) whose first bin is ``start``; windows come in order of
        start.
        """
        edges = (start <= 0, start + self.bins >= self.total)
        if edges not in self._weights:
            self._weights[edges] = ramp_weights(self.bins, *edges)
        a, b = max(start, self.done), min(start + self.bins, self.last)
        if b <= a:
            return
        weights = self._weights[edges][a - start : b - start, : self.width]
        begin, end = a - self.done, b - self.done
        self._make_room(end)
        self._clear_until(begin)
        known = min(self._rows - begin, end - begin)  # rows that other windows have begun
        self._rows = max(self._rows, end)
        for plane, values in enumerate((y, None, strand_difference)[: len(self._sums)]):
            sums = self._sums[plane, begin:end]
            if plane == 1:
                sums[:known] += weights[:known]
                sums[known:] = weights[known:]
                continue
            assert values is not None
            band = self._bands.of(values)[a - start : b - start, : self.width]
            sums[:known] += np.multiply(weights[:known], band[:known], out=self._product[:known])
            np.multiply(weights[known:], band[known:], out=sums[known:])

    def _make_room(self, rows: int) -> None:
        """Have room for at least ``rows`` rows of sums; more is made than is asked for, so that
        they are seldom moved.
        """
        if rows > self._sums.shape[1]:
            planes, _, width = self._sums.shape
            larger = np.empty((planes, max(2 * self._sums.shape[1], rows), width), np.float32)
            larger[:, : self._rows] = self._sums[:, : self._rows]
            self._sums = larger

    def _clear_until(self, rows: int) -> None:
        """Sums of rows before ``rows`` to which no window has added are 0."""
        if rows > self._rows:
            self._sums[:, self._rows : rows] = 0.0
            self._rows = rows

    def close(self, upto: int) -> Rows:
        """Finish the rows before bin ``upto`` (no later window may touch them; the coarser level
        must have closed them).
        """
        upto = min(max(upto, self.done), self.last)
        rows = upto - self.done
        self._make_room(rows)
        self._clear_until(rows)
        shape = rows, self.band
        out = Rows(
            self.done,
            np.zeros(shape, np.float32),
            np.full(shape, self.resolution, np.int32),
            np.zeros(shape, np.float32) if self.with_strand_difference else None,
        )
        # some rows at a time, which stay in the processor's cache
        step = max(1, CELLS // max(1, self.band))
        for first in range(0, rows, step):
            self._finish(out, first, min(first + step, rows))
        self._drop(rows)
        self._keep(out)
        self.done = upto
        return out

    def _finish(self, out: Rows, first: int, end: int) -> None:
        """Make rows ``first`` to ``end`` of those that are being finished from their sums, and from
        the coarser level where these weigh less than 1.
        """
        value, level = out.values[first:end], out.level[first:end]
        value[:, : self.width] = self._sums[0, first:end]
        weight = self._sums[1, first:end]  # nobody reads it later
        if self.width < self.band:
            weight = np.pad(weight, ((0, 0), (0, self.band - self.width)))
        sums = [value]
        if out.strand_difference is not None:
            sums.append(out.strand_difference[first:end])
            sums[1][:, : self.width] = self._sums[2, first:end]
        if self.coarser is not None:
            rest = np.maximum(0.0, 1.0 - weight)
            factor = self.coarser.resolution // self.resolution
            up = self.coarser.stretched(factor, out.start + first, value.shape)
            known = (rest > 0) & np.isfinite(up.values)
            rest *= known
            np.copyto(level, up.level, where=known & (weight < 0.5))
            for total, part in zip(sums, (up.values, up.strand_difference)):
                if part is not None:
                    np.copyto(part, 0.0, where=~known)
                    part *= rest
                    total += part
            weight += rest
        empty = weight <= 0
        left = self.last - out.start  # pairs beyond the last bin are empty
        for row in range(max(first, left - self.band), end):
            empty[row - first, left - row :] = True
        np.copyto(weight, 1.0, where=empty)
        for total in sums:
            total /= weight
            np.copyto(total, np.nan, where=empty)

    def _drop(self, rows: int) -> None:
        """Forget the sums of the first rows, which are finished."""
        left = self._rows - rows
        self._sums[:, :left] = self._sums[:, rows : self._rows]  # numpy minds overlaps
        self._rows = left

    def stretched(self, factor: int, first: int, shape: tuple[int, int]) -> Rows:
        """Finished pixels for the rows by distance of a finer level; NaN beyond the band.

        Parameters
        ----------
        factor : bins of the finer level to one here. first : its first row. shape : of its rows.
        """
        kept, (rows, band) = self._closed, shape
        assert kept is not None
        values, level = np.empty(shape, np.float32), np.empty(shape, np.int32)
        difference = None if kept.strand_difference is None else np.empty(shape, np.float32)
        for k in range(min(factor, rows)):
            # the pair (i, i + d) there is (i // factor, (i % factor + d) // factor) here
            i = first + k
            distance = (i % factor + np.arange(band)) // factor
            inside = int(np.searchsorted(distance, self.band))
            distance = np.minimum(distance, self.band - 1)
            start = i // factor - kept.start
            here = slice(start, start + -(-(rows - k) // factor))
            values[k::factor] = kept.values[here].take(distance, axis=1)
            values[k::factor, inside:] = np.nan
            level[k::factor] = kept.level[here].take(distance, axis=1)
            if difference is not None and kept.strand_difference is not None:
                difference[k::factor] = kept.strand_difference[here].take(distance, axis=1)
        return Rows(first, values, level, difference)

    def forget(self, before: int) -> None:
        """Drop finished rows before bin ``before``: the finer level has passed them."""
        if self._closed is not None and before > self._closed.start:
            k = min(before - self._closed.start, len(self._closed.values))
            c = self._closed
            self._closed = Rows(
                c.start + k,
                c.values[k:].copy(),
                c.level[k:].copy(),
                None if c.strand_difference is None else c.strand_difference[k:].copy(),
            )

    def _keep(self, rows: Rows) -> None:
        if self._closed is None or not len(self._closed.values):
            self._closed = rows
            return
        c = self._closed
        strand_difference = (
            None
            if c.strand_difference is None or rows.strand_difference is None
            else np.concatenate([c.strand_difference, rows.strand_difference])
        )
        self._closed = Rows(
            c.start,
            np.concatenate([c.values, rows.values]),
            np.concatenate([c.level, rows.level]),
            strand_difference,
        )

    def state(self) -> dict[str, np.ndarray]:
        """Arrays that, with :meth:`restore`, continue the mosaic bit for bit; nothing changes them
        later.
        """
        out = {"done": np.array(self.done), "open": self._sums[:, : self._rows].copy()}
        if self._closed is not None:
            out |= {
                "closed_start": np.array(self._closed.start),
                "closed": self._closed.values,
                "closed_level": self._closed.level,
            }
            if self._closed.strand_difference is not None:
                out["closed_strand_difference"] = self._closed.strand_difference
        return out

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Inverse of :meth:`state`."""
        self.done, self._sums = int(state["done"]), np.array(state["open"])
        self._rows = self._sums.shape[1]
        self._closed = None
        if "closed" in state:
            self._closed = Rows(
                int(state["closed_start"]),
                state["closed"],
                state["closed_level"],
                state.get("closed_strand_difference"),
            )


class Mosaic:
    """The levels of one region, coarsest first, each filled from the one before it."""

    def __init__(
        self,
        resolutions: list[int],
        bands: dict[int, int],
        bins: int,
        length: int,
        start: int,
        end: int,
        strand_difference: bool = False,
    ):
        self.levels: dict[int, LevelMosaic] = {}
        coarser = None
        for r in resolutions:
            coarser = self.levels[r] = LevelMosaic(
                r, bins, length, start, end, bands[r], coarser, strand_difference
            )

    def close(self, next_starts: dict[int, int | None]) -> Iterator[tuple[int, Rows]]:
        """Finish what no later window touches.

        Parameters
        ----------
        next_starts : by resolution, first bin of the first window still to come, None if there is
            none.

        Yields
        ------
        resolution, rows (possibly none), coarsest level first.
        """
        before: LevelMosaic | None = None
        for r, level in self.levels.items():
            upto = level.last
            first = next_starts.get(r)
            if first is not None:
                upto = min(upto, first)
            if before is not None and before.done < before.last:
                upto = min(upto, before.resolution // r * before.done)
            yield r, level.close(upto)
            if before is not None:
                before.forget(level.done // (before.resolution // r))
            before = level
        if before is not None:
            before.forget(before.done)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays that continue the mosaic after an interruption."""
        return {f"{r}.{k}": v for r, level in self.levels.items() for k, v in level.state().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Inverse of :meth:`state`."""
        for r, level in self.levels.items():
            prefix = f"{r}."
            level.restore({k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)})
