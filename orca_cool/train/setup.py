"""What a training run reads: genome, maps, peaks and expected tables, checked against each
other.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.errors import GenomeError, TrainingError
from orca_cool.genome.intervals import Interval, PeakLabels
from orca_cool.genome.regions import suggestion
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.expected_files import load_expected
from orca_cool.maps.expected_fit import fit_expected
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.observed import ObservedMap, banded_expected, block_mean, log_ratio
from orca_cool.maps.positional import Chromosome, Positional
from orca_cool.model.bundle import load_bundle
from orca_cool.model.cascade import Orca
from orca_cool.model.expected_tables import choose_table
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.registry import known, resolve
from orca_cool.model.spec import ModelSpec
from orca_cool.train.blacklist import Blacklist
from orca_cool.train.checks import check_blacklist, check_eps, check_stage
from orca_cool.train.config import trained_parts
from orca_cool.train.dots import loops_of
from orca_cool.train.kept_encodings import keeps_encodings
from orca_cool.train.peaks import blacklisted, centromeres, negatives, profile_names, read_peaks
from orca_cool.train.samples import StageData
from orca_cool.train.settings import TEACHER, Config, Stage
from orca_cool.train.transplants import TrainingGenome

log = logging.getLogger(__name__)


def start_folder(config: Config) -> Path:
    """The folder of the model that a run begins with: a path of the configuration, or where there
    is none, the model of that name.

    Raises
    ------
    ModelError
        If the model of that name is to be fetched first.
    """
    folder = config.path(config.start)
    return folder if folder.exists() or config.start not in known() else resolve(config.start)


class Run:
    """Genome, maps, peaks and expected tables of a configuration, checked against each other.

    Parameters
    ----------
    folder : of the run, where tiles of the maps are kept, unless the configuration names another
        one, or ``keep`` is False.

    Attributes
    ----------
    training : chromosomes to train on: all of the genome but test, validation and excluded ones.
    intervals : peaks and features on training and validation chromosomes.
    profiles : names of the profiles.
    spec : of the model.
    tables : by name of each predicted map, expected tables of the model by resolution; a stage that
        needs another adds it.
    """

    def __init__(self, config: Config, folder: Path, source: SequenceSource, keep: bool = True):
        self.keep = keep
        self.config, self.folder, self.source = config, folder, source
        for key in ("test", "validation"):
            for chrom in getattr(config, key):
                if chrom not in source.chromsizes:
                    hint = suggestion(chrom, source.chromsizes)
                    raise TrainingError(
                        f"{key} chromosome {chrom!r} is not in genome {source.name!r}; {hint}"
                    )
        held_out = {*config.test, *config.validation, *config.exclude}
        self.training = tuple(c for c in source.chromsizes if c not in held_out)
        if not self.training:
            raise TrainingError(
                f"no chromosome of genome {source.name!r} is left to train on: all are test, "
                f"validation or excluded"
            )
        self.start = load_bundle(start_folder(config)) if config.start else None
        self.tables = self._known_tables()
        self.intervals = read_peaks(config, source, self.training)
        self.loops = loops_of(config, source.chromsizes, self.training)
        self.blacklist = Blacklist(blacklisted(config, source))
        self.profiles = profile_names(config, self.intervals, self.training)
        self.spec: ModelSpec = config.spec(
            self.profiles, {config.assembly: dict(source.chromsizes)} if config.assembly else {}
        )
        if self.start:
            old = self.start.spec
            check_eps(self.spec, old, str(self.start.path))
            self.spec = dataclasses.replace(
                self.spec,
                training_data=old.training_data,
                licence=self.spec.licence or old.licence,
                metrics=old.metrics,
            )
        check_blacklist(config, self.spec)
        self._maps: dict[tuple[str, int], ObservedMap] = {}
        self._teachers: dict[str, Positional] = {}
        self._genome: TrainingGenome | None = None

    def _known_tables(self) -> dict[str, dict[int, ExpectedModel]]:
        """Expected tables that the model brings, or that are given."""
        config, start = self.config, self.start
        if config.cell_types:
            kept = start.by_cell_type if start else {}
            return {name: dict(kept.get(name, {})) for name in config.cell_types}
        tables = dict(start.expected_tables) if start else {}
        if config.expected:
            tables |= load_expected(config.path(config.expected))
        return {config.target: tables}

    def model(self) -> Orca:
        """A fresh model, or one that begins with the networks of ``start``."""
        model = Orca(self.spec)
        if self.start is None:
            return model
        mine, theirs = model.state_dict(), self.start.model.state_dict()
        shared = [k for k in mine if k in theirs]
        for k in shared:
            if mine[k].shape != theirs[k].shape:
                shapes = f"{tuple(theirs[k].shape)}, expected {tuple(mine[k].shape)}"
                raise TrainingError(f"model {str(self.start.path)!r}: {k} has shape {shapes}")
        if not shared:
            raise TrainingError(
                f"model {str(self.start.path)!r} has no network of the model to train"
            )
        model.load_state_dict({**mine, **{k: theirs[k] for k in shared}})
        log.info("beginning with %d tensors of %s", len(shared), self.start.path)
        return model

    def data(self, number: int) -> StageData:
        """Everything that the samples of a stage are drawn from."""
        config, stage = self.config, self.config.stages[number]
        module, parts = self.module(stage), self.parts(stage)
        check_stage(stage, module, bool(self.loops))
        observed: dict[str, ObservedMap] = {}
        expected_tables: dict[str, ExpectedModel] = {}
        teacher = None
        if module is not None:
            for name in {
                *config.predicted,
                *(n for n, share in stage.mix.items() if n != TEACHER and share),
            }:
                observed[name] = self._map(name, stage, module)
                expected_tables[name] = self._expected(name, module, observed[name])
            if stage.mix.get(TEACHER):
                if module.name not in self._teachers:
                    self._teachers[module.name] = self._teacher(
                        module, observed[config.target], expected_tables[config.target]
                    )
                teacher = self._teachers[module.name]
        return StageData(
            seed=config.seed,
            number=number,
            stage=stage,
            spec=self.spec,
            module=module,
            genome_path=config.path(config.genome),
            chromsizes=dict(self.source.chromsizes),
            training=self.training,
            validation=config.validation,
            predicted=config.predicted,
            observed=observed,
            expected_tables=expected_tables,
            block_missing=config.block_missing,
            peaks=self._peak_labels((*self.training, *config.validation))
            if "profiles" in parts
            else None,
            intervals=self._intervals_around() if stage.around else (),
            genome=self._transplants(teacher is not None),
            teacher=teacher,
            teacher_lengths=self.config.teacher_lengths,
            loops=self.loops if stage.dots else {},
            blacklist=self.blacklist,
            anew=config.coarse_graining == "windows",
            encodings_kept=module is not None
            and self._transplants(teacher is not None) is None
            and keeps_encodings(
                stage,
                self.spec,
                parts,
                module.multi_chromosome,
                observed[config.predicted[0]].resolution,
            ),
        )

    def parts(self, stage: Stage) -> tuple[str, ...]:
        """What a stage trains."""
        return trained_parts(stage, self.module(stage), self.spec)

    def module(self, stage: Stage) -> ModuleSpec | None:
        """The module that a stage trains; None: profiles alone."""
        return self.spec.module(stage.module) if stage.module else None

    # -- maps

    def _map(self, name: str, stage: Stage, module: ModuleSpec) -> ObservedMap:
        """A measured map, opened at the resolution that a stage needs; test chromosomes are never
        read.
        """
        config = self.config
        resolution = stage.resolution or (
            module.resolutions[-1] if module.multi_chromosome else self.spec.base_bin
        )
        if module.resolutions[-1] % resolution:
            raise TrainingError(
                f"stage {stage.name!r}: levels of {module.resolutions[-1]} bp cannot be averaged "
                f"from bins of {resolution}"
            )
        if (name, resolution) not in self._maps:
            path = config.path(config.maps[name])
            kept = config.path(config.cache) if config.cache else self.folder / "cache"
            cache = kept if self.keep else None
            unread = {*config.test, *config.exclude}
            treated: dict[str, Any] = {"cache": cache, "clr_weight_name": config.clr_weight_name}
            m = ObservedMap(path, resolution, config.cutoff, exclude=unread, **treated)
            for chrom in config.exclude:  # a scaffold may be in one of the two alone
                if chrom not in self.source.chromsizes and chrom not in m.cooler.chromnames:
                    both = f"genome {self.source.name!r} nor in map {m.path!r}"
                    raise TrainingError(
                        f"excluded chromosome {chrom!r} is neither in {both}; "
                        f"{suggestion(chrom, self.source.chromsizes)}"
                    )
            self._agree(m)
            measured = set(m.measured())
            m = ObservedMap(
                path,
                resolution,
                config.cutoff,
                exclude=unread | (set(m.chromsizes) - measured),
                **treated,
            )
            for kind, chroms in (("training", self.training), ("validation", config.validation)):
                if not measured & set(chroms) and (kind == "training" or name in config.predicted):
                    raise TrainingError(
                        f"map {str(path)!r} has no contacts on any {kind} chromosome "
                        f"({', '.join(chroms) or 'none'})"
                    )
            self._maps[name, resolution] = m
        return self._maps[name, resolution]

    def _agree(self, m: ObservedMap) -> None:
        """GenomeError if the map's chromosomes are not the genome's; it names both."""
        sizes = self.source.chromsizes
        for chrom, length in m.chromsizes.items():
            if chrom not in sizes:
                raise GenomeError(
                    f"map {m.path!r} has chromosome {chrom!r}, genome {self.source.name!r} does "
                    f"not; {suggestion(chrom, sizes)}; "
                    "or list it under 'exclude'"
                )
            if length != sizes[chrom]:
                raise GenomeError(
                    f"{chrom} is {length:,} bp in map {m.path!r}, {sizes[chrom]:,} bp in genome "
                    f"{self.source.name!r}"
                )

    def _expected(self, name: str, module: ModuleSpec, m: ObservedMap) -> ExpectedModel:
        """Expected of a map by distance. Those of the predicted maps become the model's; every
        other map has its own, since what is learnt is relative to it.
        """
        chroms = [c for c in self.training if c in m.chromsizes]
        options: dict[str, Any] = {"trans": module.multi_chromosome, "keep": self.config.keep}
        if name not in self.tables:
            return fit_expected(m.cooler, chroms, **options)
        tables = self.tables[name]
        found = choose_table(tables, module, self.spec.base_bin)
        if found is None:
            log.info("fitting expected by distance of %s", m.path)
            found = fit_expected(m.cooler, chroms, **options)
            if found.resolution in tables:
                kind = "with" if module.multi_chromosome else "without"
                raise TrainingError(
                    f"module {module.name!r} needs an expected table {kind} a trans value, and the "
                    f"model has another one of "
                    f"{found.resolution} bp: set the stage's 'resolution' to that of another "
                    f"level of the map"
                )
            tables[found.resolution] = found
            if choose_table(tables, module, self.spec.base_bin) is not found:
                raise TrainingError(
                    f"module {module.name!r} needs another expected table than one of "
                    f"{found.resolution} bp: set 'expected'"
                )
        return found

    # -- profiles

    def _peak_labels(self, chroms: Sequence[str]) -> PeakLabels:
        """Labels of the profiles on some chromosomes."""
        sizes = {c: self.source.chromsizes[c] for c in chroms}
        return PeakLabels([i for i in self.intervals if i.chrom in sizes], self.profiles, sizes)

    def _intervals_around(self) -> tuple[tuple[Interval, ...], ...]:
        """Of each profile, the intervals on training chromosomes."""
        found: dict[str, list[Interval]] = {profile: [] for profile in self.profiles}
        for i in self.intervals:
            if i.chrom in self.training:
                found[i.kind].append(i)
        return tuple(map(tuple, found.values()))

    def positive(self, stage: Stage) -> np.ndarray | None:
        """(profiles,) weight of a positive in the profiles' loss; None without profiles."""
        if not self.profiles:
            return None
        frequency = self._peak_labels(self.training).frequency(self.spec.base_bin)
        if "centromere" in self.profiles and not stage.module and stage.window:
            # transplants are the commoner kind
            k = self.profiles.index("centromere")
            frequency[k] = max(
                frequency[k],
                self.config.transplants.per_window
                * self.spec.base_bin
                / (stage.window + 2 * stage.flank),
            )
        frequency = np.clip(frequency, 1e-3, 0.5)
        return ((1 - frequency) / frequency) ** self.config.emphasis

    def profile_weights(self) -> np.ndarray:
        """(profiles,) weights of the profiles in the loss: as given by name; the others share a
        weight of 1.
        """
        given = self.config.profile_weights
        rest = max(1, len(self.profiles) - len(given))
        return np.array([given.get(p, 1 / rest) for p in self.profiles], dtype=float)

    # -- small genomes

    def _centromeres(self) -> list[Interval]:
        """Centromeres of the training chromosomes."""
        return centromeres(self.config, self.source, self.training)

    def _transplants(self, needed: bool) -> TrainingGenome | None:
        """Training sequence in memory, if transplants are on or it is ``needed``."""
        t = self.config.transplants
        if not (needed or t.replace or t.per_window or t.decoys):
            return None
        if self._genome is None:
            self._genome = TrainingGenome(
                self.source,
                self.training,
                self._centromeres(),
                t,
                negatives(self.config, self.source, self.training),
            )
        return self._genome

    def _teacher(
        self, module: ModuleSpec, m: ObservedMap, expected_model: ExpectedModel
    ) -> Positional:
        """Boosted trees on positions, fitted to the measured training chromosomes."""
        where = {i.chrom: (i.start + i.end) // 2 for i in self._centromeres()}
        bins = self.spec.bins
        pairs = []
        for chrom in self.training:
            if chrom in m.chromsizes and chrom in where:
                fine = m.dense(Segment(chrom, 0, m.chromsizes[chrom]))
                levels = {}
                for r in module.resolutions:
                    mean = block_mean(fine, r // m.resolution, self.config.block_missing)
                    levels[r] = log_ratio(
                        mean,
                        banded_expected(expected_model, r, bins, len(mean)),
                        expected_model.eps(r, bins),
                    )
                pairs.append((Chromosome(m.chromsizes[chrom], where[chrom]), levels))
        if not pairs:
            raise TrainingError(
                "the teacher needs 'features' with centromeres on measured training chromosomes; "
                "there is none"
            )
        return Positional(True, bins).fit(pairs)
