"""What ``orca-cool predict`` does: regions or one zoom, edits, and the files beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.effects import companion_path, companions_folder
from orca_cool.effects.types_run import TypesRun
from orca_cool.errors import EditError, ModelError, OutputError, RegionError
from orca_cool.files import check_output
from orca_cool.genome.regions import Region, parse_position, parse_region, read_view
from orca_cool.locks import holding
from orca_cool.maps.bigwig import import_pybigwig
from orca_cool.maps.phasing import phasing_of
from orca_cool.prediction.chosen import chosen_levels
from orca_cool.prediction.job import Opened, Say
from orca_cool.prediction.parallel import only_helps
from orca_cool.prediction.shared_job import SharedJob
from orca_cool.prediction.tracks import (
    E1,
    PROFILES,
    chosen_tracks,
    profile_paths,
    require_profiles,
    track_path,
)
from orca_cool.prediction.zoom_job import predict_zoom
from orca_cool.profile import stage, staged

if TYPE_CHECKING:
    from orca_cool.model.estimate import Estimate
    from orca_cool.model.spec import ModelDescription
    from orca_cool.prediction.levels import Settings
    from orca_cool.prediction.parallel.ranks import Ranks


@dataclass(frozen=True, kw_only=True)
class PredictJob(SharedJob):
    """Predict contact maps and write them as files.

    Attributes
    ----------
    output : the .mcool; expected tables appear beside it.
    regions : UCSC strings of the predicted (edited) genome; none: all chromosomes, or those that
        the edits change. view : BED of more regions.
    at : predict one zoom around this position ("chr9:110,404,000"), as the released program does,
        instead of regions. snap : move it to the nearest base bin.
    levels, modules : see :func:`orca_cool.prediction.chosen.chosen_levels`.
    mode : "regularised" or "contact"; pseudo_depth : N of ``count = N * frequency``.
    fill_distance : bp out to which coarser levels fill finer ones; None: each level's own reach.
    trans : also contacts between chromosomes. strand_difference : write that column.
    assembly : name of the assembly in the file; None: the genome's, with a fingerprint of edits.
    lift_to_reference : also write the edited genome's map at the coordinates of the reference.
    copies : one of :data:`orca_cool.effects.COPIES`; None: the first of them.
    diff : also write ln(alternate / reference) at the coordinates of the reference.
    reference : the reference's prediction for ``diff``; None: it is made.
    tracks : of :data:`orca_cool.prediction.tracks.TRACKS`, written beside the output as bigWigs; a
        text has commas between them. phasing_track : bigWig or bedGraph that the track "e1" is
        oriented by; None: the share of G and C.
    profiles_beside : the output after which the files of profiles are named; None: ``output``.
    of_unfinished : the output may be there already: the
        job is one of several cell types', of which a killed run has finished some.
    force : replace outputs, and start anew.
    """

    output: str
    regions: tuple[str, ...] = ()
    view: str | None = None
    at: str | None = None
    snap: bool = False
    levels: str | None = None
    modules: str | None = None
    mode: str = "regularised"
    pseudo_depth: float = 1e5
    fill_distance: int | None = None
    trans: bool = False
    strand_difference: bool = False
    assembly: str | None = None
    lift_to_reference: bool = False
    copies: str | None = None
    diff: bool = False
    reference: str | None = None
    tracks: str | tuple[str, ...] | None = None
    phasing_track: str | None = None
    profiles_beside: str | None = None
    of_unfinished: bool = False
    force: bool = False

    @property
    def companions(self) -> list[Path]:
        """Maps that are written beside the output, from it."""
        output = Path(self.output)
        kinds = ["lifted"] * self.lift_to_reference + ["diff"] * self.diff
        return [companion_path(output, kind) for kind in kinds]

    @property
    def track_names(self) -> tuple[str, ...]:
        """The tracks that are written, checked; ModelError if one is not known."""
        return () if self.tracks is None else chosen_tracks(self.tracks)

    def track_paths(self, profiles: Sequence[str]) -> list[Path]:
        """Files of the tracks, by the names of the model's profiles; without these (or any of
        them) those of the others.
        """
        plain = [track_path(Path(self.output), t) for t in self.track_names if t != PROFILES]
        if PROFILES not in self.track_names:
            return plain
        return plain + profile_paths(Path(self.profiles_beside or self.output), profiles)

    def each_cell_type(self) -> list[PredictJob]:
        """As of any job; profiles, which are the same for all cell types, are the first one's, and
        named without its name. What a killed run of these jobs has finished is not made again.
        """
        first, *others = super().each_cell_type()
        if others and not self.force and TypesRun.of(self).is_unfinished():
            first, *others = (
                dataclasses.replace(job, of_unfinished=True) for job in (first, *others)
            )
        if not others or PROFILES not in self.track_names:
            return [first, *others]
        rest = tuple(name for name in self.track_names if name != PROFILES)
        return [
            dataclasses.replace(first, profiles_beside=self.output),
            *(dataclasses.replace(job, tracks=rest) for job in others),
        ]

    def _written(self) -> list[Path]:
        """All files that this process writes, but the expected tables."""
        output = Path(self.output)
        made = [companion_path(output, "reference")] * (self.diff and self.reference is None)
        arrays = [output.with_suffix(".npz")] * (self.at is not None)
        return [] if only_helps() else [output, *arrays, *self.companions, *made]

    def check(self) -> None:
        """Raise what can be known to be wrong before model and genome are opened.

        Raises
        ------
        OutputError, EditError, RegionError, DeviceError, ModelError
        """
        super().check()
        if Path(self.output).suffix != ".mcool":
            raise OutputError(f"the output {self.output!r} must end in .mcool")
        self._check_edit_options()
        if self.track_names:
            import_pybigwig()
        if self.phasing_track is not None and E1 not in self.track_names:
            raise ModelError(
                f"--phasing-track {self.phasing_track!r} orients E1; it needs --tracks e1"
            )
        if self.at is None:
            if self.snap:
                raise RegionError("--snap moves the position of --at; give --at too")
        else:
            without: dict[str, Any] = {
                "regions": self.regions,
                "--view": self.view,
                "--trans": self.trans,
                "--fill-distance": self.fill_distance,
                "--dask": self.dask,
                "--nproc": self.nproc > 1,
                "--lift-to-reference": self.lift_to_reference,
                "--diff": self.diff,
                "--tracks": self.tracks is not None,
            }
            if names := " and ".join(name for name, value in without.items() if value):
                raise RegionError(f"--at {self.at!r} predicts one zoom; leave out {names}")
        if not self.goes_on():
            check_output(Path(self.output), self.force)
        self._check_free([*self.companions, *self.track_paths(())])

    def check_tracks(self, spec: ModelDescription) -> None:
        """ModelError if the model has not what tracks ask for, OutputError if a file is there."""
        require_profiles(spec, self.track_names)
        self._check_free(self.track_paths(spec.profiles))

    def _check_free(self, beside: Sequence[Path]) -> None:
        """OutputError if one of the files beside the output is there and may not be replaced."""
        killed = self.of_unfinished or companions_folder(Path(self.output)).is_dir()
        for path in beside:
            check_output(path, self.force or killed)

    @staged("opening")
    def check_inputs(self) -> None:
        """Raise what the model's header and the genome tell, before torch is loaded."""
        super().check_inputs()
        chosen_levels(self.spec, self.levels, self.modules)
        self.check_tracks(self.spec)
        phasing_of(self.phasing_track)
        if not self.edits:  # places are those of the edited genome
            self._named(self.source.chromsizes)
            if self.at is not None:
                parse_position(self.at, self.source.chromsizes)

    def _named(self, chromsizes: Mapping[str, int]) -> list[Region]:
        """The regions that are asked for by name."""
        chosen = [parse_region(text, chromsizes) for text in self.regions]
        if self.view is not None:
            chosen += read_view(self.view, chromsizes)
        return chosen

    def _check_edit_options(self) -> None:
        for option, there in {
            "--lift-to-reference": self.lift_to_reference,
            "--diff": self.diff,
        }.items():
            if there and not self.edits:
                raise EditError(
                    f"{option} is about an edited genome; it needs --edit, --vcf or --seqstr"
                )
        if self.copies is not None and not (self.lift_to_reference or self.diff):
            raise EditError(f"--copies {self.copies!r} needs --lift-to-reference or --diff")
        if self.reference is not None and not self.diff:
            raise EditError(f"--reference {self.reference!r} needs --diff")
        if self.reencode and self.store is not None and self.diff and self.reference is None:
            raise EditError(
                f"with --reencode the store {self.store!r} is of the edited genome; for --diff "
                f"give the --reference's prediction"
            )

    def goes_on(self) -> bool:
        """The prediction is there, and at most files beside it are to be made: left by a run that
        was killed, or by one that was not asked for them.
        """
        beside = self.companions or self.track_names or self.of_unfinished
        return bool(beside) and Path(self.output).exists() and not self.force

    @holding(_written)
    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> list[Path]:
        """Predict, and write all files.

        A killed run goes on where it was when the same job is run again.

        Parameters
        ----------
        opened : the job's model and genome, if they are open already.
        progress : show progress bars. say : called with what the user should know, line by line.

        Returns
        -------
        Paths written.

        Raises
        ------
        OrcaCoolError
            If anything about it is wrong; nothing half-written is left.
        """
        self.check()
        if opened is None:
            self.check_inputs()
        with stage("libraries"):
            from orca_cool.effects.predict_run import PredictRun
            from orca_cool.prediction.parallel.ranks import Ranks

        ranks = Ranks.from_environment()
        if ranks is not None and ranks.rank > 0:
            say = _silent
        job = self.as_shared(ranks)
        if opened is None:
            opened = job.open(say)
        elif ranks is None:
            opened.choice.learn(self, say)
        settings = self.settings(opened)
        if self.at is not None:
            return predict_zoom(
                opened,
                settings,
                self.at,
                Path(self.output),
                snap=self.snap,
                edges=opened.zoom_edges,
                assembly=self.assembly or opened.file_assembly,
                force=self.force,
                progress=progress,
                say=say,
            )
        regions = self.chosen_regions(opened, say)
        return PredictRun(self, opened, settings, regions, ranks, progress, say).all()

    def as_shared(self, ranks: Ranks | None) -> PredictJob:
        """As of any job that is shared; a zoom is not."""
        if self.at is not None and ranks is not None:
            raise RegionError(f"--at {self.at!r} predicts one zoom; leave out torchrun")
        return super().as_shared(ranks)

    def estimate(self, *, say: Say = lambda line: None) -> Estimate:
        """What :meth:`run` will compute and take; the same OrcaCoolErrors. Nothing is written but
        the index of a FASTA that has none.
        """
        self.check()
        from orca_cool.effects.estimates import estimate_prediction

        return estimate_prediction(self, self.without_stores().open(say), say)

    def settings(self, opened: Opened) -> Settings:
        """Levels, modules and numbers, held against model and genome."""
        from orca_cool.prediction.levels import Settings

        levels, modules = chosen_levels(opened.spec, self.levels, self.modules)
        opened.require_long_enough(min(levels))
        how = self.mode, self.pseudo_depth, self.trans, self.strand_difference
        return Settings(levels, self.fill_distance, modules, *how)

    def chosen_regions(self, opened: Opened, say: Say) -> list[Region]:
        """The regions that are asked for, or those that make sense."""
        source = opened.source
        if chosen := self._named(source.chromsizes):
            return chosen
        if opened.edited is None:
            return [Region(c, 0, n) for c, n in source.chromsizes.items()]
        chosen = [Region(c, 0, source.chromsizes[c]) for c in opened.edited.genome.edited]
        if not chosen:
            raise EditError(
                "the edits change nothing: the sequence is the same; name REGIONs to predict it "
                "all the same"
            )
        names = ", ".join(r.chrom for r in chosen[:10])
        say(f"predicting what is edited, {names}; name REGIONs to predict others")
        return chosen


def _silent(line: str) -> None:
    """Tell nobody: of several ranks only the first speaks."""
