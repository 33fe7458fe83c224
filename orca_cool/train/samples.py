"""Training samples: each a pure function of seed, stage, purpose, step and index.

So nothing of a loader needs to be saved, any number of worker processes or ranks draws the same
set, and a resumed run goes on with the samples that an uninterrupted one would have seen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from orca_cool.errors import OrcaCoolError
from orca_cool.genome.intervals import Interval, PeakLabels
from orca_cool.genome.open import open_genome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import GAP, SequenceSource, reverse_complement
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.observed import ObservedMap
from orca_cool.maps.positional import Positional
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelSpec
from orca_cool.train.batch import Failure, Sample, collate
from orca_cool.train.blacklist import Blacklist
from orca_cool.train.dots import Loops, dots_of_window
from orca_cool.train.draw import (
    bins_of,
    centre_zoom,
    cut_square,
    draw_interval,
    draw_shifts,
    draw_window,
    draw_zoom,
    evenly_placed_window,
    extent,
    settle_beyond,
    window_around,
)
from orca_cool.train.places import window_place
from orca_cool.train.settings import TEACHER, Stage
from orca_cool.train.targets import enough, level_target
from orca_cool.train.teacher import assemble
from orca_cool.train.transplants import TrainingGenome, substitute

#: What a sample is for; part of the seed.
TRAIN, VALIDATION, NORMS = range(3)

#: Windows drawn for one sample before training gives up on finding one with enough pixels.
ATTEMPTS = 200


@dataclass
class StageData(Dataset):
    """All that the samples of one stage are drawn from; indexed by (purpose, step, index).

    Attributes
    ----------
    seed : of the run. number : of the stage.
    module : whose maps are learnt; None: profiles alone.
    chromsizes : of the genome.
    training, validation : names of chromosomes; nothing of any other is read.
    observed, expected_tables : measured maps, and the expected of each, by name of the map.
    predicted : names of the maps that the model predicts, at which validation looks.
    peaks : labels of the profiles.
    intervals : of each profile, those on training chromosomes, around which windows are drawn.
    genome : training sequence in memory, for transplants and the teacher.
    teacher : see :mod:`orca_cool.train.teacher`.
    teacher_lengths : smallest and largest length in bp of the chromosomes that it draws.
    loops : of the measured maps, by name, whose dots are learnt.
    blacklist : what windows of one chromosome must not overlap.
    anew : windows are coarse-grained by themselves.
    encodings_kept : samples say where they lie instead of bringing their sequence
        (:mod:`orca_cool.train.kept_encodings`).
    """

    seed: int
    number: int
    stage: Stage
    spec: ModelSpec
    module: ModuleSpec | None
    genome_path: Path
    chromsizes: Mapping[str, int]
    training: tuple[str, ...]
    validation: tuple[str, ...]
    predicted: tuple[str, ...]
    observed: Mapping[str, ObservedMap]
    expected_tables: Mapping[str, ExpectedModel]
    block_missing: float
    peaks: PeakLabels | None = None
    intervals: tuple[tuple[Interval, ...], ...] = ()
    genome: TrainingGenome | None = None
    teacher: Positional | None = None
    teacher_lengths: tuple[int, int] = (270_000, 850_000)
    loops: Mapping[str, Loops] = field(default_factory=dict)
    encodings_kept: bool = False
    blacklist: Blacklist = field(default_factory=Blacklist)
    anew: bool = False
    _matrices: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    def __getitem__(self, key: tuple[int, int, int]) -> Sample | Failure:
        purpose, step, index = key
        try:
            for attempt in range(ATTEMPTS):
                rng = np.random.default_rng([self.seed, self.number, purpose, step, index, attempt])
                sample = self._draw(rng, purpose, index, last=attempt == ATTEMPTS - 1)
                if sample is not None:
                    return sample
        except OrcaCoolError as error:
            return Failure(str(error))
        # A validation window is where it is; what it lacks it does not count.
        assert purpose != VALIDATION
        chroms = ", ".join(self.training)
        return Failure(
            f"stage {self.stage.name!r}: none of {ATTEMPTS} windows drawn from the training "
            f"chromosomes ({chroms}) has "
            f"{1 - self.stage.missing:.0%} of its pixels"
            f"{' and lies off the blacklist' if self.blacklist else ''}; is the map empty or "
            f"masked there?"
        )

    @property
    def window(self) -> int:
        """bp that a sample scores."""
        return (
            self.stage.window
            if self.module is None
            else self.spec.window(self.module.resolutions[0])
        )

    @property
    def centred(self) -> bool:
        """Whether a chromosome shorter than a window of maps lies inside it, N on both sides."""
        return self.spec.placement == "centred"

    @property
    def unit(self) -> int:
        """bp: windows of maps start on multiples of it."""
        return self.observed[self.predicted[0]].resolution

    def _draw(
        self, rng: np.random.Generator, purpose: int, index: int, last: bool
    ) -> Sample | None:
        held = purpose == VALIDATION
        if self.module is None:
            return self._profiles(rng, held, index)
        maps = self.predicted
        if not held and self.stage.mix:
            names = sorted(self.stage.mix)
            share = np.array([self.stage.mix[n] for n in names], dtype=float)
            maps = (names[rng.choice(len(names), p=share / share.sum())],)
        if maps == (TEACHER,):
            return self._taught(rng)
        return self._measured(rng, maps, held, index)

    def _measured(
        self, rng: np.random.Generator, maps: tuple[str, ...], held: bool, index: int
    ) -> Sample | None:
        """A window of some maps; None if too many of its pixels are missing.

        Parameters
        ----------
        held : the ``index``-th window of validation, not one of training.
        """
        module, stage = self.module, self.stage
        assert module is not None
        pieces = window_place(self, rng, maps, held, index)
        if pieces is None:
            return None
        shifts = self._shifts(rng, len(pieces), held)
        bins, inside = self.spec.bins, extent(pieces, self.chromsizes)
        if held and stage.validation_zoom == "centre":
            starts = centre_zoom(module.resolutions, bins)
        else:
            starts = draw_zoom(rng, module.resolutions, bins, inside, stage.half_open)
        targets, expected, counts = {}, {}, True
        frequencies = stage.batch_eps and not held
        whole = {m: self.observed[m].windows_anew(pieces) for m in maps} if self.anew else {}
        for r, s in starts.items():
            levels = [level_target(self, m, pieces, r, s, whole.get(m)) for m in maps]
            y = np.stack([t.observed if frequencies else t.log_ratio for t in levels])
            if module.multi_chromosome:
                e = np.stack([t.expected for t in levels])
                expected[r] = np.log(e).astype(np.float32)
                if held:
                    other = ~bins_of(self.validation, pieces, r, s, bins)
                    y[:, other[:, None] & other] = np.nan
            targets[r] = y.astype(np.float32)
            if r == module.resolutions[0]:
                counts = enough(stage, levels, inside, r, held)
                if not held and not counts:
                    return None
            if not counts:
                targets[r][:] = np.nan
        loops = {} if held else self.loops
        dots = dots_of_window(rng, loops, maps, pieces[0], targets, starts)
        if (self.centred or stage.fewer) and not held:
            zero = {r: np.exp(e) for r, e in expected.items()} if frequencies else {}
            settle_beyond(rng, targets, starts, inside, zero)
        where = f"{'+'.join(maps)} {' '.join(map(str, pieces))}"
        where += f" shifted by {', '.join(map(str, shifts))}" if any(shifts) else ""
        labels = self._labels(pieces)
        if self.encodings_kept:
            codes = np.empty(0, np.uint8)
            return Sample(codes, where, labels, targets, starts, expected, dots, pieces)
        codes = self._sequence(rng, pieces, shifts, held)
        return Sample(codes, where, labels, targets, starts, expected, dots)

    def _shifts(self, rng: np.random.Generator, pieces: int, held: bool) -> list[int]:
        """By how many bp the sequence of each piece is shifted; one for all, or one for each."""
        stage = self.stage
        if held:
            return [0] * pieces
        if stage.shift_each:
            return draw_shifts(rng, stage.shift, pieces, stage.half_open)
        return draw_shifts(rng, stage.shift, 1, stage.half_open) * pieces

    def expected_matrix(self, name: str, resolution: int) -> np.ndarray:
        """(bins, bins) expected of a window of one chromosome; kept."""
        if (name, resolution) not in self._matrices:
            self._matrices[name, resolution] = self.expected_tables[name].expected_matrix(
                resolution, self.spec.bins
            )
        return self._matrices[name, resolution]

    def _sequence(
        self, rng: np.random.Generator, pieces: tuple[Segment, ...], shifts: list[int], held: bool
    ) -> np.ndarray:
        """Codes of the window and its flanks. Of concatenated chromosomes the flanks, and what no
        piece fills, are N.
        """
        flank = self.stage.flank
        if len(pieces) == 1 and len(pieces[0]) == self.window:
            return self._piece(rng, pieces[0], shifts[0], flank, held)
        out = np.full(self.window + 2 * flank, GAP, dtype=np.uint8)
        at = flank
        for p, shift in zip(pieces, shifts):
            out[at : at + len(p)] = self._piece(rng, p, shift, 0, held)
            at += len(p)
        return out

    def _piece(
        self, rng: np.random.Generator, piece: Segment, shift: int, flank: int, held: bool
    ) -> np.ndarray:
        first, last = piece.start + shift - flank, piece.end + shift + flank
        codes = _source(self.genome_path, os.getpid()).fetch(piece.chrom, first, last)
        if not held:
            g = self.genome
            cen = g.centromeres.get(piece.chrom) if g else None
            if (
                g
                and cen
                and first < cen.start
                and cen.end < last
                and rng.random() < g.transplants.replace
            ):
                g.erase(rng, codes, cen.start - first, cen.end - first)
                g.paste(rng, codes, (cen.start + cen.end) // 2 - first)
            substitute(rng, codes, self.stage.substitute)
        return codes if piece.strand == "+" else reverse_complement(codes)

    def _labels(self, pieces: tuple[Segment, ...]) -> np.ndarray | None:
        """Profiles of a window of one chromosome, where the stage trains them."""
        if self.peaks is None or len(pieces) != 1:
            return None
        p = pieces[0]
        labels = self.peaks.window(p.chrom, p.start, p.end, self.spec.base_bin)
        return labels if p.strand == "+" else self._turned(labels)

    def _turned(self, labels: np.ndarray) -> np.ndarray:
        """Profiles in the orientation of the reverse complement."""
        return labels[self.spec.profiles_of_reverse, ::-1]

    def _taught(self, rng: np.random.Generator) -> Sample:
        module, stage, bins = self.module, self.stage, self.spec.bins
        assert module is not None
        assert self.teacher is not None
        assert self.genome is not None
        chromosome, maps = assemble(
            rng, self.genome, self.teacher, module.resolutions, self.teacher_lengths
        )
        substitute(rng, chromosome, stage.substitute)
        sizes, unit = {"made": len(chromosome)}, module.resolutions[-1]
        piece = draw_window(rng, sizes, self.window, unit, stage.overhang, self.centred)
        inside = extent((piece,), sizes)
        starts = draw_zoom(rng, module.resolutions, bins, inside, stage.half_open)
        step = 1 if piece.strand == "+" else -1
        targets = {}
        for r, s in starts.items():
            first = piece.start + s * r if step == 1 else piece.end - (s + bins) * r
            # the teacher's bins lie on the chromosome's grid: the nearest one, at most half a bin
            # off
            targets[r] = cut_square(maps[r], round(first / r), bins)[None, ::step, ::step].copy()
        if self.centred:
            settle_beyond(rng, targets, starts, inside)
        (shift,) = draw_shifts(rng, stage.shift, 1, stage.half_open)
        first, last = piece.start + shift - stage.flank, piece.end + shift + stage.flank
        codes = np.full(last - first, GAP, dtype=np.uint8)
        a, b = max(first, 0), min(last, len(chromosome))
        codes[a - first : b - first] = chromosome[a:b]
        if step == -1:
            codes = reverse_complement(codes)
        dots = dots_of_window(rng, self.loops, (TEACHER,), piece, targets, starts)
        return Sample(codes, f"teacher {piece}", None, targets, starts, {}, dots)

    # -- profiles alone

    def _profiles(self, rng: np.random.Generator, held: bool, index: int) -> Sample:
        stage, base = self.stage, self.spec.base_bin
        assert self.peaks is not None
        sizes = {c: self.chromsizes[c] for c in (self.validation if held else self.training)}
        if held:
            piece = evenly_placed_window(index, stage.validation, sizes, self.window, base)
        else:
            place = None if self.genome is None else self.genome.drawn_negative(rng)
            place = place or draw_interval(rng, self.intervals, stage.around)
            if place is not None:
                piece = window_around(rng, place, self.window)
            else:
                piece = draw_window(rng, sizes, self.window, 1, stage.overhang)
        first, last = piece.start - stage.flank, piece.end + stage.flank
        codes = _source(self.genome_path, os.getpid()).fetch(piece.chrom, first, last)
        labels = self.peaks.window(piece.chrom, piece.start, piece.end, base)
        if not held:
            substitute(rng, codes, stage.substitute)
            if self.genome is not None and "centromere" in self.spec.profiles:
                row = labels[self.spec.profiles.index("centromere")]
                self.genome.move_centromeres(rng, codes, row, piece.chrom, first, stage.flank, base)
        if piece.strand == "-":
            codes, labels = reverse_complement(codes), self._turned(labels)
        return Sample(codes, str(piece), labels)

    # -- loading

    def loader(
        self,
        keys: Iterator[list[tuple[int, int, int]]] | list[list[tuple[int, int, int]]],
        workers: int,
        pin: bool,
    ) -> DataLoader:
        """Batches in the order of ``keys``, drawn by ``workers`` processes ahead of time (0: as
        they are asked for).
        """
        several: dict[str, Any] = (
            {"prefetch_factor": 4, "worker_init_fn": _one_thread} if workers else {}
        )
        return DataLoader(
            self,
            batch_sampler=keys,
            num_workers=workers,
            collate_fn=collate,
            pin_memory=pin,
            **several,
        )


@lru_cache(maxsize=2)
def _source(path: Path, pid: int) -> SequenceSource:
    """A genome of this process: forked processes that share one would move its file position."""
    return open_genome(path)


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
