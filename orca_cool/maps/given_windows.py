"""Windows of contact maps that somebody else has predicted: where they lie, and their values as
natural log of observed/expected. Everything about them is checked before anything is made of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from orca_cool.errors import WindowsError
from orca_cool.genome.regions import n_bins, suggestion
from orca_cool.maps.window_reader import WindowFile, window_files

#: What values are: natural log, log2 or plain ratio of observed to expected, or contact frequency.
UNITS = ("ln", "log2", "ratio", "frequency")

#: So many of the nearest distances may be unknown in all windows (many models leave out two).
MOST_NEAR = 8

#: A map may differ from its transpose by this much: rounding of half-precision numbers.
SYMMETRIC = 2e-2

#: Called with (windows done, windows in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class GivenWindow:
    """Where a window lies.

    Attributes
    ----------
    chrom : chromosome. start : first bin. size : bins along the map.
    reverse : its map is that of the reverse complement, in its own direction.
    units : what its values are, of :data:`UNITS`.
    file : which of the files holds it. number : which of that file's windows it is.
    """

    chrom: str
    start: int
    size: int
    reverse: bool
    units: str
    file: int
    number: int

    @property
    def end(self) -> int:
        """The bin behind its last."""
        return self.start + self.size


@dataclass(frozen=True)
class GivenWindows:
    """Windows of one size and one resolution, found sound.

    Attributes
    ----------
    path : as it was given. files : what holds the windows.
    resolution : bin in bp. bins : along every map.
    windows : in the order of the chromosomes, by start.
    chromsizes : chromosome to length in bp.
    near : so many of the nearest distances are unknown (0: none).
    unknown : by chromosome, (bins,) bool: bins that are unknown in some window.
    digest : of coordinates and values, whatever the order and the names of the files.
    """

    path: str
    files: list[WindowFile]
    resolution: int
    bins: int
    windows: list[GivenWindow]
    chromsizes: Mapping[str, int]
    near: int = 0
    unknown: Mapping[str, np.ndarray] = field(default_factory=dict)
    digest: str = ""

    @classmethod
    def open(
        cls,
        path: str | Path,
        chromsizes: Mapping[str, int],
        genome: str,
        progress: Progress = lambda done, total: None,
    ) -> GivenWindows:
        """Read all windows once.

        Parameters
        ----------
        path : a folder of .npz, an .npz or a Zarr group.
        chromsizes, genome : of what the windows must lie in, and how messages call it.

        Raises
        ------
        WindowsError
            If there are none, they differ in bins, do not lie on the bins of the genome's
            chromosomes, or a map is not symmetric, or unknown where it must not be; the message
            names the file.
        """
        files = window_files(path)
        windows: list[GivenWindow] = []
        resolution = 0
        for k, file in enumerate(files):
            found, r = _windows_of(file, k, chromsizes, genome)
            first = windows[0] if windows else found[0]
            if resolution not in (0, r) or any(w.size != first.size for w in found):
                raise WindowsError(
                    f"{file.name}: windows of {found[0].size} bins of {r:,} bp; "
                    f"{files[first.file].name} has {first.size} bins of {resolution or r:,} bp, "
                    f"and all windows must be alike"
                )
            resolution = r
            windows += found
        order = {c: n for n, c in enumerate(chromsizes)}
        windows.sort(key=lambda w: (order[w.chrom], w.start, w.file, w.number))
        bare = cls(str(path), files, resolution, windows[0].size, windows, chromsizes)
        return bare._scanned(progress)

    def _scanned(self, progress: Progress) -> GivenWindows:
        """With what is known only when all values were seen."""
        near, digests = 0, []
        unknown = {
            c: np.zeros(n_bins(n, self.resolution), bool)
            for c, n in self.chromsizes.items()
            if any(w.chrom == c for w in self.windows)
        }
        by_file = sorted(self.windows, key=lambda w: (w.file, w.number))
        for done, w in enumerate(by_file):
            progress(done, len(by_file))
            y = self._raw(w)
            near = max(near, self._check(w, y, unknown[w.chrom]))
            about = f"{w.chrom} {w.start} {self.resolution} {w.units}".encode()
            digests.append(hashlib.sha256(about + np.ascontiguousarray(y).tobytes()).digest())
        progress(len(by_file), len(by_file))
        digest = hashlib.sha256(b"".join(sorted(digests))).hexdigest()
        return GivenWindows(
            self.path,
            self.files,
            self.resolution,
            self.bins,
            self.windows,
            self.chromsizes,
            near,
            unknown,
            digest,
        )

    def _raw(self, w: GivenWindow) -> np.ndarray:
        """The map in the chromosome's direction, float32, in the file's units."""
        y = np.asarray(self.files[w.file].values(w.number), np.float32)
        return y[::-1, ::-1] if w.reverse else y

    def name(self, w: GivenWindow) -> str:
        """A window as messages call it."""
        r = self.resolution
        return f"{self.files[w.file].name}, {w.chrom}:{w.start * r:,}-{w.end * r:,}"

    def _check(self, w: GivenWindow, y: np.ndarray, unknown: np.ndarray) -> int:
        """Hold a map against what maps must be like, and note its unknown bins; how many of the
        nearest distances it does not know.
        """
        total = len(unknown)
        known = np.isfinite(y)
        if np.isinf(y).any():
            raise WindowsError(f"{self.name(w)}: values are infinite; NaN means unknown")
        if w.units in ("ratio", "frequency") and (y[known] < 0).any():
            raise WindowsError(f"{self.name(w)}: values of units {w.units!r} are below 0")
        if not (known == known.T).all() or not np.allclose(
            np.where(known, y, 0), np.where(known, y.T, 0), rtol=SYMMETRIC, atol=SYMMETRIC
        ):
            raise WindowsError(f"{self.name(w)}: the map is not symmetric")
        there = known.any(axis=1)
        at = np.arange(w.start, w.end)
        beyond = (at < 0) | (at >= total)
        if (there & beyond).any():
            raise WindowsError(
                f"{self.name(w)}: the map goes beyond the ends of {w.chrom}, which is "
                f"{self.chromsizes[w.chrom]:,} bp long; is this another genome? (Bins outside a "
                f"chromosome must be NaN)"
            )
        unknown[at[~there & ~beyond]] = True
        i, j = np.nonzero(~known & there[:, None] & there)
        if not len(i):
            return 0
        near = 1 + int(np.abs(i - j).max())
        if near > MOST_NEAR:
            k = int(np.argmax(np.abs(i - j)))
            raise WindowsError(
                f"{self.name(w)}: row {i[k]}, column {j[k]} is NaN. Unknown may be whole bins, and "
                f"the {MOST_NEAR} distances nearest to the diagonal"
            )
        return near

    def log_ratio(self, w: GivenWindow, expected: np.ndarray, eps: float) -> np.ndarray:
        """A window's map.

        Parameters
        ----------
        expected : (bins,) contact frequency by distance, by which frequencies are divided. eps :
            what is added to both before.

        Returns
        -------
        float32 (bins, bins): natural log of observed/expected, in the chromosome's direction; NaN
        where unknown.
        """
        y = self._raw(w)
        if w.units == "ln":
            return y
        if w.units == "log2":
            return y * np.float32(np.log(2))
        with np.errstate(divide="ignore"):
            if w.units == "frequency":
                d = np.abs(np.subtract.outer(np.arange(self.bins), np.arange(self.bins)))
                y = ((y + eps) / (expected[d] + eps)).astype(np.float32)
            out = np.log(y)
        if np.isinf(out).any():
            raise WindowsError(
                f"{self.name(w)}: values of units {w.units!r} are 0, which have no logarithm; NaN "
                f"means unknown"
            )
        return np.asarray(out, np.float32)


def _windows_of(
    file: WindowFile, number: int, chromsizes: Mapping[str, int], genome: str
) -> tuple[list[GivenWindow], int]:
    """The windows of a file, and their bin in bp."""
    table = file.columns()
    if not len(table["chrom"]):
        raise WindowsError(f"{file.name} holds no windows")
    shape = file.values(0).shape
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
        raise WindowsError(f"{file.name}: a map has shape {shape}, expected (n, n)")
    n, out, resolution = shape[0], [], 0
    for k in range(len(table["chrom"])):
        chrom, strand, units = (str(table[c][k]) for c in ("chrom", "strand", "units"))
        start, end = int(table["start"][k]), int(table["end"][k])
        place = f"{file.name}, {chrom}:{start:,}-{end:,}"
        if chrom not in chromsizes:
            raise WindowsError(
                f"{place}: there is no chromosome {chrom!r} in {genome}; "
                f"{suggestion(chrom, chromsizes)}"
            )
        if end <= start or (end - start) % n:
            raise WindowsError(
                f"{place}: {end - start:,} bp are not {n} bins of whole bp; start and end are "
                f"those of the map, without what a model cuts off"
            )
        r = (end - start) // n
        if resolution not in (0, r):
            raise WindowsError(f"{place}: bins of {r:,} bp; others of it have {resolution:,} bp")
        resolution = r
        if start % r:
            raise WindowsError(
                f"{place}: the start is no multiple of the bin, {r:,} bp, so that windows do not "
                f"tile the chromosome's bins"
            )
        if strand not in ("+", "-"):
            raise WindowsError(f"{place}: strand {strand!r} is neither '+' nor '-'")
        if units not in UNITS:
            raise WindowsError(f"{place}: units {units!r} are not known; use {', '.join(UNITS)}")
        if start >= chromsizes[chrom] or end <= 0:
            raise WindowsError(
                f"{place} lies outside of {chrom}, which is {chromsizes[chrom]:,} bp long in "
                f"{genome}; is this another genome?"
            )
        out.append(GivenWindow(chrom, start // r, n, strand == "-", units, number, k))
    return out, resolution
