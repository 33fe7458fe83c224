"""Writes the tracks of a prediction as bigWigs: insulation and E1 from the predicted file,
chromatin profiles from the sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from orca_cool.errors import ModelError, RegionError
from orca_cool.genome.composition import gc_of_bins
from orca_cool.genome.regions import Region, few, n_bins
from orca_cool.maps.bigwig import BigWig, require_room, writing_bigwig
from orca_cool.maps.coolfile import read_layer, read_log_ratio
from orca_cool.maps.phasing import Phasing
from orca_cool.maps.tracks import DIAMOND, first_eigenvector, insulation_over_expected
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.job import Say
from orca_cool.prediction.levels import expected_for, known_band
from orca_cool.prediction.plan import Plan
from orca_cool.prediction.progress import Report, progress_bar
from orca_cool.prediction.tracks import (
    E1,
    INSULATION,
    PROFILES,
    profile_paths,
    require_profiles,
    track_path,
)
from orca_cool.profile import staged

#: Bins whose insulation is taken from one square of pixels; pixels that are read at once.
BLOCK, CELLS = 512, 1 << 20

#: Distances in bins that a diamond needs.
NEEDED = 2 * DIAMOND - 1


@dataclass(frozen=True)
class Tracks:
    """The tracks that a prediction is to have.

    Attributes
    ----------
    names : of :data:`orca_cool.prediction.tracks.TRACKS`.
    engine, plan : of the prediction.
    phasing : what E1 is oriented by.
    """

    names: Sequence[str]
    engine: Engine
    plan: Plan
    phasing: Phasing = gc_of_bins

    @property
    def finest(self) -> int:
        """The finest level that is written, in bp: that of insulation."""
        return min(self.plan.settings.resolutions)

    def _band(self, resolution: int) -> int:
        """Bins of distance that the file's rows of a level hold."""
        module = self.plan.assignment.module_of(resolution)
        longest = n_bins(max(self.engine.source.chromsizes.values()), resolution)
        expected = expected_for(self.engine, module, resolution, longest)
        return known_band(expected, self.plan.written[resolution])

    def compartment_levels(self) -> dict[str, int]:
        """For each chromosome that is predicted as a whole the finest level of the file, in bp, at
        which one window covers it and all its distances are written, as far as the model has an
        expected for them; chromosomes without one are left out.
        """
        out = {}
        levels = sorted(self.plan.settings.resolutions)
        written = self.plan.written
        for region in self.plan.regions:
            if (region.start, region.end) != (0, self.engine.source.chromsizes[region.chrom]):
                continue
            held = (
                r for r in levels if n_bins(region.end, r) <= min(self.engine.spec.bins, written[r])
            )
            if (finest := next(held, None)) is not None:
                out[region.chrom] = finest
        return out

    def check(self, say: Say) -> None:
        """See, before anything is computed, whether there is something to write.

        Parameters
        ----------
        say : told which chromosomes will have no E1.

        Raises
        ------
        ModelError, RegionError
            If a track would have no value anywhere; the message says why.
        """
        require_profiles(self.engine.spec, self.names)
        regions = ", ".join(map(str, self.plan.regions[:5]))
        if INSULATION in self.names:
            if (band := self._band(self.finest)) < NEEDED:
                raise ModelError(
                    f"track {INSULATION!r} needs {NEEDED} bins of distance at {self.finest} bp, "
                    f"{band} are written; give --fill-distance {NEEDED * self.finest}"
                )
            if all(len(_bins(r, self.finest)) < NEEDED for r in self.plan.regions):
                raise RegionError(
                    f"track {INSULATION!r} needs a region of {NEEDED} bins of {self.finest} bp; "
                    f"there are {regions}"
                )
        if E1 in self.names:
            levels = self.compartment_levels()
            if not levels:
                raise RegionError(
                    f"track {E1!r} needs a whole chromosome that one window covers at a level of "
                    f"the file, with all its distances; there are {regions}"
                )
            if self.phasing is not gc_of_bins:  # a track, which may have nothing there
                for chrom, resolution in levels.items():
                    self._phasing(chrom, resolution)
            without = [r.chrom for r in self.plan.regions if r.chrom not in levels]
            if without:
                say(
                    f"track {E1!r} has no values on {few(dict.fromkeys(without))}: no level has "
                    f"all of it, in one window and with all distances"
                )

    def _phasing(self, chrom: str, resolution: int) -> np.ndarray:
        """(bins,) what E1 of a chromosome is oriented by."""
        source = self.engine.source
        n = n_bins(source.chromsizes[chrom], resolution)
        return self.phasing(source, chrom, 0, resolution, n)

    def _write_e1(self, track: BigWig, predicted: Path) -> None:
        """E1 of whole chromosomes, each at its own level."""
        for chrom, resolution in sorted(self.compartment_levels().items()):
            y = read_log_ratio(f"{predicted}::resolutions/{resolution}", chrom)
            values = first_eigenvector(y, self._phasing(chrom, resolution))
            track.add(chrom, 0, resolution, values)

    def paths(self, output: Path, profiles_beside: Path) -> list[Path]:
        """Names of the files: beside ``output``, profiles named after ``profiles_beside``."""
        plain = [track_path(output, t) for t in self.names if t != PROFILES]
        if PROFILES not in self.names:
            return plain
        return plain + profile_paths(profiles_beside, self.engine.spec.profiles)

    @staged("tracks")
    def write(
        self, predicted: Path, folder: Path, profiles_beside: Path, progress: bool
    ) -> list[Path]:
        """Write all files.

        Parameters
        ----------
        predicted : the .mcool of the plan. folder : where the files are made.
        profiles_beside : after which the files of profiles are named.
        progress : show a progress bar of the profiles.

        Returns
        -------
        Paths written.

        Raises
        ------
        OutputError
            If one cannot be written, or would have no value.
        """
        # bigWigs have their chromosomes in the order of the names
        regions = sorted(self.plan.regions, key=lambda r: (r.chrom, r.start))
        chromsizes = self.engine.source.chromsizes
        paths = self.paths(predicted, profiles_beside)
        smallest = min(self.finest, self.engine.spec.base_bin)
        require_room(folder, sum(len(_bins(r, smallest)) for r in regions), len(paths))
        made = [folder / path.name for path in paths]
        for name, path in zip(self.names, made):
            if name == PROFILES:
                break
            with writing_bigwig(path, chromsizes) as track:
                if name == INSULATION:
                    _write_insulation(track, predicted, self.finest, regions)
                else:
                    self._write_e1(track, predicted)
        if PROFILES in self.names:
            with ExitStack() as stack:
                of_profiles = made[-len(self.engine.spec.profiles) :]
                tracks = [stack.enter_context(writing_bigwig(p, chromsizes)) for p in of_profiles]
                name = self.engine.spec.name
                report = stack.enter_context(
                    progress_bar(progress, "bp", f"{name}, profiles", self.engine)
                )
                _write_profiles(tracks, self.engine, regions, report)
        return made


def _bins(region: Region, resolution: int) -> range:
    """Bins of a region."""
    return range(region.start // resolution, n_bins(region.end, resolution))


class _NearDiagonal:
    """Contact frequencies of one resolution of a predicted file, near the diagonal.

    Attributes
    ----------
    expected : (n,) by distance in bins, as the frequencies have it: with eps, unless the file's
        mode is "contact".
    """

    def __init__(self, file: h5py.File, resolution: int):
        self.layer, meta = read_layer(f"{file.filename}::resolutions/{resolution}")
        self.expected = self.layer.expected
        if meta["mode"] != "contact":
            self.expected = self.expected + self.layer.eps
        self._depth = meta["pseudo_depth"]
        group = file[f"resolutions/{resolution}"]
        self._pixels, self._rows = group["pixels"], group["indexes/bin1_offset"]
        self._first = dict(
            zip(self.layer.masked, group["indexes/chrom_offset"][:].tolist(), strict=False)
        )

    def square(self, chrom: str, first: int, last: int) -> np.ndarray:
        """(n, n) float64, symmetric, of the bins ``[first, last)`` of a chromosome; NaN where there
        is no pixel, in masked bins, and from NEEDED bins of distance on.
        """
        n, start = last - first, self._first[chrom] + first
        out = np.full((n, n), np.nan)
        step = max(1, CELLS // self.layer.band)
        for at in range(0, n, step):
            offset = self._rows[start + at : start + min(at + step, n) + 1]
            i = at + np.repeat(np.arange(len(offset) - 1), np.diff(offset))
            j = self._pixels["bin2_id"][offset[0] : offset[-1]] - start
            near = (j < n) & (j - i < NEEDED)
            i, j = i[near], j[near]
            values = self._pixels["count"][offset[0] : offset[-1]][near] / self._depth
            out[i, j] = out[j, i] = values
        masked = self.layer.masked[chrom][first:last]
        out[masked], out[:, masked] = np.nan, np.nan
        return out


def _write_insulation(
    track: BigWig, predicted: Path, resolution: int, regions: Sequence[Region]
) -> None:
    """Insulation of each region, as if it were all there is: bins whose diamond does not lie in the
    region have no value.
    """
    with h5py.File(predicted, "r") as file:
        pixels = _NearDiagonal(file, resolution)
        for region in regions:
            bins = _bins(region, resolution)
            for a in range(bins.start, bins.stop, BLOCK):
                b = min(a + BLOCK, bins.stop)
                first, last = max(bins.start, a - DIAMOND), min(bins.stop, b + DIAMOND)
                values = insulation_over_expected(
                    pixels.square(region.chrom, first, last), pixels.expected
                )
                track.add(region.chrom, a, resolution, values[a - first : b - first])


def _write_profiles(
    tracks: Sequence[BigWig], engine: Engine, regions: Sequence[Region], report: Report
) -> None:
    """Profiles of all base bins of the regions, block by block as they are encoded."""
    base, size = engine.spec.base_bin, engine.profile_block
    done, total = 0, sum(map(len, regions))
    before = ("", 0)  # a bin that two regions share is written once
    for region in regions:
        bins = _bins(region, base)
        at = max(bins.start, before[1] if before[0] == region.chrom else 0)
        while at < bins.stop:
            end = min((at // size + 1) * size, bins.stop)
            values = engine.profiles(region.chrom, at, end - at)
            for track, row in zip(tracks, values, strict=True):
                track.add(region.chrom, at, base, row)
            at = end
            report(done + min(len(region), at * base - region.start), total)
        done += len(region)
        before = (region.chrom, bins.stop)
