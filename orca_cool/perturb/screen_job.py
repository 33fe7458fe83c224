"""What ``orca-cool screen local`` does: which base pairs hold the contacts of their bin."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool import __version__
from orca_cool.errors import EditError, RegionError
from orca_cool.files import check_output, sha256
from orca_cool.genome.regions import Region, interval_of, merge_regions, parse_region
from orca_cool.genome.source import GAP, SequenceSource
from orca_cool.genome.textfile import TextFile
from orca_cool.locks import holding
from orca_cool.maps.bigwig import import_pybigwig
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.perturb.screen_options import chosen_level, read_mask
from orca_cool.perturb.screen_output import SCORE, ScreenResult, paths_of, write_files
from orca_cool.perturb.screen_plan import (
    REPLACEMENTS,
    Frame,
    frames,
    replacement,
    require_apart,
    sequences,
    tiled,
)
from orca_cool.prediction.job import Job, Opened, Say
from orca_cool.prediction.progress import progress_bar

if TYPE_CHECKING:
    from orca_cool.perturb.screen_local import Level

#: How the scores of several runs become one.
AGGREGATES: dict[str, Callable[..., Any]] = {"min": np.min, "mean": np.mean, "median": np.median}

STRANDS = ("both", "forward")

#: Settings that the paper's screen has and ours has not.
PRESETS = {"orca": {"module": "1M", "strands": "forward"}}


@dataclass(frozen=True, kw_only=True)
class LocalScreenJob(Job):
    """Score units of a genome by how much the contacts of their bin change without them.

    A unit's score: with b its bin, the mean over unmasked bins c of its window of
    \\|mutated[b, c] - reference[b, c]\\| in natural log of observed/expected.

    Attributes
    ----------
    output : what the names of the files begin with; None: nothing is written.
    regions : whose units are screened; with ``sites`` none is needed.
    module : of the model; None: its first. resolution : of the level, or its window, as text;
        None: the finest.
    unit : length of a unit in bp. width, step : units of another width every so many bp instead.
    per_sequence : units changed together in one sequence. runs : how often all of it is done.
    aggregate : of the runs: "min", "mean" or "median".
    replace : what stands in the place of a unit: one of
        :data:`orca_cool.perturb.screen_plan.REPLACEMENTS`.
    strands : "both" (the mean of their maps) or "forward".
    mask : BED of what is not to count in rows. sites : BED of the units themselves.
    seed : of all that is drawn.
    preset : "orca": the paper's settings where none are given (module 1M, forward strand).
    top, flank : how many of the strongest units are listed, with how many bp of sequence around.
    force : replace the files, and start anew.
    """

    output: str | None = None
    regions: tuple[str, ...] = ()
    module: str | None = None
    resolution: str | int | None = None
    unit: int = 10
    width: int | None = None
    step: int | None = None
    per_sequence: int = 20
    runs: int = 3
    aggregate: str = "min"
    replace: str = "sample"
    strands: str | None = None
    mask: str | None = None
    sites: str | None = None
    seed: int = 0
    preset: str | None = None
    top: int = 100
    flank: int = 50
    force: bool = False

    def check(self) -> None:
        """Raise what can be known to be wrong before model and genome are opened.

        Raises
        ------
        EditError, OutputError, ModelError, DeviceError, RegionError
        """
        super().check()
        for name, value, known in (
            ("--aggregate", self.aggregate, tuple(AGGREGATES)),
            ("--replace", self.replace, REPLACEMENTS),
            ("--strands", self.both_or_forward, STRANDS),
            ("--preset", self.preset, (None, *PRESETS)),
        ):
            if value not in known:
                raise EditError(
                    f"{name} {value!r} is not known; use one of {', '.join(filter(None, known))}"
                )
        for name in ("unit", "width", "step", "per_sequence", "runs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise EditError(f"--{name.replace('_', '-')} {value} is less than 1")
        if self.seed < 0:
            raise EditError(f"--seed {self.seed} is negative; give a whole number from 0")
        if not self.regions and self.sites is None:
            raise RegionError("there is nothing to screen: give a REGION or --sites BED")
        if self.sites is not None and (self.width is not None or self.step is not None):
            raise EditError("--width and --step tile a REGION; --sites has units of its own")
        self._check_deletion()
        if self.reencode:
            raise EditError("a screen re-uses encodings; --reencode means nothing to it")
        self.chosen(self.spec)
        if self.output is not None:
            json, *others = paths_of(self.output, self.names).values()
            check_output(json, self.force, others)
            import_pybigwig()

    def _check_deletion(self) -> None:
        if self.replace != "delete":
            return
        if self.per_sequence != 1:
            raise EditError(
                f"--replace delete moves what lies behind it, so that it needs one site a "
                f"sequence, not {self.per_sequence}: give --per-sequence 1"
            )
        if self.both_or_forward != "both":
            raise EditError("--replace delete is scored on both strands; leave out --strands")
        if self.edits:
            raise EditError("--replace delete is of the genome in its file; leave out --edit")

    @property
    def both_or_forward(self) -> str:
        """The strands, by option or preset."""
        return self.strands or PRESETS.get(self.preset or "", {}).get("strands", "both")

    @property
    def names(self) -> list[str]:
        """Columns of scores: the cell types that are wanted, "score" if there is but one."""
        several = self.spec.cell_types if self.cell_type is None else ()
        return list(several) if len(several) > 1 else [SCORE]

    @property
    def shape(self) -> tuple[int, int]:
        """Width of a tiled unit and the step between units, in bp."""
        width = self.width or self.unit
        return width, self.step or width

    def chosen(self, spec: ModelDescription) -> tuple[ModuleSpec, int]:
        """The module and the resolution of the level that is screened.

        Raises
        ------
        ModelError
            If the model has no such module or level, or the module reads several chromosomes.
        """
        name = self.module or PRESETS.get(self.preset or "", {}).get("module")
        return chosen_level(spec, name, self.resolution, "local")

    def check_inputs(self) -> None:
        """Raise what the model's header, the genome and the files tell, before torch is loaded."""
        super().check_inputs()
        if not self.edits:
            self.units(self.source)
        self.masked(self.source)

    def units(self, source: SequenceSource) -> list[Region]:
        """What is screened, in the genome's order.

        Raises
        ------
        RegionError, EditError
            If a region or site is not in the genome, two overlap, or a region is too short.
        """
        sizes = source.chromsizes
        wanted = [parse_region(text, sizes) for text in self.regions]
        wanted = merge_regions(wanted, sizes)
        width, step = self.shape
        if self.sites is None:
            found = tiled(wanted, width, step)
        else:
            found = self._sites(source, wanted)
        if self.per_sequence > 1:
            require_apart(found)
        module, resolution = self.chosen(self.spec)
        if self.replace != "delete":
            frames(self.spec, module, resolution, source, found)
        return found

    def _sites(self, source: SequenceSource, wanted: Sequence[Region]) -> list[Region]:
        file = TextFile(str(self.sites), "sites", RegionError)
        sizes = source.chromsizes
        found = [interval_of(row, sizes) for row in file.rows()]
        if wanted:
            found = [
                s
                for s in found
                if any(r.chrom == s.chrom and r.start <= s.start and s.end <= r.end for r in wanted)
            ]
        if not found:
            where = f" in {', '.join(self.regions)}" if wanted else ""
            raise file.error(f"holds no site{where}")
        order = {chrom: k for k, chrom in enumerate(sizes)}
        return sorted(found, key=lambda r: (order[r.chrom], r.start, r.end))

    def masked(self, source: SequenceSource) -> dict[str, np.ndarray]:
        """Masked intervals of each chromosome: (n, 2) starts and ends."""
        return read_mask(self.mask, source)

    def _written(self) -> list[str]:
        return [] if self.output is None else [self.output]

    @holding(_written)
    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> ScreenResult:
        """Screen, and write the files if an output is named.

        A killed run goes on where it was when the same job is run again.

        Parameters
        ----------
        opened : the job's model and genome, if they are open already.
        progress : show a progress bar. say : called with what the user should know, line by line.

        Raises
        ------
        OrcaCoolError
        """
        self.check()
        if opened is None:
            self.check_inputs()
        from orca_cool.perturb.screen_run import Screen

        several = len(self.names) > 1
        one = dataclasses.replace(self, cell_type=self.names[0]) if several else self
        opened = opened or one.open(say)
        source = opened.source
        screen = Screen(self, opened, self.units(source), self.masked(source))
        name = f"{opened.spec.name} {screen.level.module.name}"
        with progress_bar(progress, "sequence", name, screen.engine) as report:
            result = screen.run(report)
        for line in screen.told():
            say(line)
        if self.output is not None:
            write_files(result, self.output, source, screen.counts, self.top, self.flank)
            screen.forget()
        return result

    def settings(self, opened: Opened, level: Level) -> dict[str, Any]:
        """What the scores depend on: plain values."""
        width, step = self.shape
        sizes = repr(dict(opened.source.chromsizes)).encode()
        return {
            "orca_cool": __version__,
            "model": opened.spec.name,
            "model_digest": opened.model.digest,
            "genome": opened.source.name,
            "assembly": opened.file_assembly,
            "chromsizes_sha256": hashlib.sha256(sizes).hexdigest(),
            "cell_types": [] if self.names == [SCORE] else self.names,
            "module": level.module.name,
            "resolution": level.resolution,
            "regions": list(self.regions),
            "sites_sha256": None if self.sites is None else sha256(self.sites),
            "mask_sha256": None if self.mask is None else sha256(self.mask),
            "width": width,
            "step": step,
            "per_sequence": self.per_sequence,
            "runs": self.runs,
            "aggregate": self.aggregate,
            "replace": self.replace,
            "strands": level.strands,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class Drawn:
    """The units of one frame that can be changed, and what is put in their place.

    Attributes
    ----------
    job : whose settings count. source : the screened genome.
    units : all units of the screen. width : of the frame's window in bp; start : its first base.
    """

    job: LocalScreenJob
    source: SequenceSource
    frame: Frame
    units: Sequence[Region]
    start: int
    width: int

    @cached_property
    def codes(self) -> dict[int, np.ndarray]:
        """By number, the bases of the units without an N."""
        chrom = self.frame.chrom
        found = {
            k: self.source.fetch(chrom, self.units[k].start, self.units[k].end)
            for k in self.frame.units
        }
        return {k: codes for k, codes in found.items() if not (codes == GAP).any()}

    @cached_property
    def window(self) -> np.ndarray:
        """The bases A, C, G and T of the window."""
        codes = self.source.fetch(self.frame.chrom, self.start, self.start + self.width)
        return codes[codes != GAP]

    def sequences(self, run: int) -> Iterator[tuple[list[int], list[tuple[Region, np.ndarray]]]]:
        """The sequences of a run: the units of each, by number, and what replaces them."""
        job, frame = self.job, self.frame
        for together in sequences(list(self.codes), job.per_sequence, job.seed, frame, run):
            yield (
                together,
                [
                    (
                        self.units[k],
                        replacement(
                            self.codes[k],
                            job.replace,
                            self.window,
                            job.seed,
                            frame,
                            run,
                            self.units[k].start,
                        ),
                    )
                    for k in together
                ],
            )
