"""From a configuration to a trained model: checks genome, maps, split and marks against each other,
then runs the stages.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orca_cool.errors import GenomeError, OutputError, TrainingError
from orca_cool.genome.intervals import Interval, PeakLabels, read_intervals
from orca_cool.genome.open import open_genome
from orca_cool.genome.regions import suggestion
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.expected_files import load_expected
from orca_cool.maps.expected_fit import fit_expected
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.observed import ObservedMap, banded_expected, block_mean, log_ratio
from orca_cool.maps.positional import Chromosome, Positional
from orca_cool.model.bundle import choose_table, load_bundle, save_bundle
from orca_cool.model.cascade import Orca
from orca_cool.model.spec import ModelSpec, ModuleSpec
from orca_cool.train import checkpoint
from orca_cool.train.config import TEACHER, Config, Stage, trained_parts
from orca_cool.train.loop import StageLoop
from orca_cool.train.net import StageNet, set_trained
from orca_cool.train.progress import best_score
from orca_cool.train.samples import StageData
from orca_cool.train.transplants import TrainingGenome

log = logging.getLogger(__name__)

#: Profile made of the features: the middle between a gene on + and the next on -.
CONVERGENT = "convergent"


def train(config: Config, folder: str | Path, resume: bool = False) -> Path | None:
    """Run every stage of ``config``.

    ``folder`` gets checkpoints, logs, pictures, TensorBoard events, the cache of tiles, and at the
    end the bundle ``model``.

    Returns
    -------
    The bundle's folder; None on all processes but the first.
    """
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.loggers import TensorBoardLogger
        from lightning.fabric.utilities.exceptions import MisconfigurationException
    except ImportError as error:
        raise TrainingError(
            f"training needs {error.name!r}: pip install 'orca-cool[train]'"
        ) from error
    folder = Path(folder)
    last = checkpoint.newest(folder / "checkpoints")
    if last is not None and not resume:
        raise TrainingError(
            f"{str(folder)!r} already holds a run; continue it with --resume or choose another "
            f"folder"
        )
    if last is None and resume:
        raise TrainingError(
            f"{str(folder)!r} holds no checkpoint to resume from; start without --resume"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"folder {str(folder)!r} cannot be made: {error.strerror or error}"
        ) from error
    torch.set_num_threads(config.threads)
    # torchrun says how many it started; Lightning's "auto" is one on a CPU, and each rank would
    # train alone, all into the same folder
    wanted = (
        os.environ.get("LOCAL_WORLD_SIZE", "auto") if config.devices == "auto" else config.devices
    )
    devices = int(wanted) if wanted.isdigit() else wanted
    try:
        fabric = Fabric(
            accelerator=config.accelerator,
            devices=devices,
            num_nodes=config.nodes,
            strategy=config.strategy,
            precision=config.precision,  # type: ignore[arg-type]
            loggers=TensorBoardLogger(folder / "tensorboard", name=""),
        )
        fabric.launch()
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as error:
        raise TrainingError(
            f"devices {config.devices!r}, accelerator {config.accelerator!r}: {error}"
        ) from error
    started = int(os.environ.get("WORLD_SIZE", fabric.world_size))
    if started != fabric.world_size:  # each would train alone, all into the same folder
        wanted = f"devices {config.devices!r} and nodes {config.nodes}"
        raise TrainingError(
            f"{wanted} make {fabric.world_size} processes, the launcher started {started}"
        )
    if not fabric.is_global_zero:
        logging.getLogger("orca_cool").setLevel(logging.WARNING)  # one process tells what all do
    run = Run(config, folder, open_genome(config.path(config.genome)))
    torch.manual_seed(config.seed)
    model = run.model()
    begin = int(last.name.split("-")[0]) if last else 0
    datas = [
        run.data(k) for k in range(len(config.stages))
    ]  # what is wrong with a later stage is said before the first
    for k, stage in enumerate(config.stages):
        if k < begin:
            continue
        data, parts = datas[k], run.parts(stage)
        learning = set_trained(model, data.module, parts)
        expected_model = data.expected_tables.get(config.target)
        options: dict[str, Any] = {
            "flank": stage.flank,
            "encoding_dropout": stage.encoding_dropout,
            "positive": run.positive(stage),
        }
        net = StageNet(model, data.module, learning, expected_model, **options).to(fabric.device)
        model.decoders.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on CPUs, usual on CUDA
        loop = StageLoop(fabric, config, net, data, folder, run.profile_weights())
        loop.run(last if k == begin else None)
        last = None
    model.requires_grad_(False).cpu().float().eval()
    path = folder / "model"
    if fabric.is_global_zero:
        text = "; ".join(f"{s.name}: {s.steps} steps" for s in config.stages)
        about = f"{text}; test {', '.join(config.test)} never read; validation {', '.join(config.validation)}"
        scores = {s.name: best_score(folder, s.name) for s in config.stages}
        metrics = {
            **model.spec.metrics,
            "validation": {**dict(model.spec.metrics.get("validation", {})), **scores},
        }
        training_data = "; ".join(t for t in (run.spec.training_data, about) if t)
        model.spec = dataclasses.replace(model.spec, training_data=training_data, metrics=metrics)
        used = [choose_table(run.tables, m, run.spec.base_bin) for m in run.spec.modules]
        save_bundle(path, model, {t.resolution: t for t in used if t is not None}, force=True)
    fabric.barrier()
    return path if fabric.is_global_zero else None


class Run:
    """Genome, maps, peaks and expected tables of a configuration, checked.

    Attributes
    ----------
    training : chromosomes to train on: all of the genome but test, validation and excluded ones.
    spec : of the model. tables : expected_tables of the model by resolution, filled as stages ask for
        them.
    """

    def __init__(self, config: Config, folder: Path, source: SequenceSource):
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
        self.start = load_bundle(config.path(config.start)) if config.start else None
        self.tables: dict[int, ExpectedModel] = (
            dict(self.start.expected_tables) if self.start else {}
        )
        if config.expected:
            self.tables |= load_expected(config.path(config.expected))
        self.intervals = self._intervals()
        self.profiles = self._profiles()
        self.spec: ModelSpec = config.spec(
            self.profiles, {config.assembly: dict(source.chromsizes)} if config.assembly else {}
        )
        if self.start:
            old = self.start.spec
            self.spec = dataclasses.replace(
                self.spec,
                training_data=old.training_data,
                licence=self.spec.licence or old.licence,
                metrics=old.metrics,
            )
        self._maps: dict[tuple[str, int], ObservedMap] = {}
        self._teachers: dict[str, Positional] = {}
        self._genome: TrainingGenome | None = None

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
        module, parts = self._module(stage), self.parts(stage)
        observed: dict[str, ObservedMap] = {}
        expected_tables: dict[str, ExpectedModel] = {}
        teacher = None
        if module is not None:
            for name in {
                config.target,
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
            target=config.target,
            observed=observed,
            expected_tables=expected_tables,
            block_missing=config.block_missing,
            marks=self._marks((*self.training, *config.validation))
            if "profiles" in parts
            else None,
            genome=self._transplants(teacher is not None),
            teacher=teacher,
        )

    def parts(self, stage: Stage) -> tuple[str, ...]:
        """What a stage trains."""
        return trained_parts(stage, self._module(stage), self.spec)

    def _module(self, stage: Stage) -> ModuleSpec | None:
        return self.spec.module(stage.module) if stage.module else None

    # -- maps
    # ---------------------------------------------------------------------------------------------------

    def _map(self, name: str, stage: Stage, module: ModuleSpec) -> ObservedMap:
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
            cache = config.path(config.cache) if config.cache else self.folder / "cache"
            unread = {*config.test, *config.exclude}
            m = ObservedMap(path, resolution, config.cutoff, cache=cache, exclude=unread)
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
                cache=cache,
                exclude=unread | (set(m.chromsizes) - measured),
            )
            for kind, chroms in (("training", self.training), ("validation", config.validation)):
                if not measured & set(chroms) and (kind == "training" or name == config.target):
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
        """Expected of a map; that of the target is the model's. Other maps have their own: what is
        learnt is relative to distance.
        """
        chroms = [c for c in self.training if c in m.chromsizes]
        options: dict[str, Any] = {"trans": module.multi_chromosome, "keep": self.config.keep}
        if name != self.config.target:
            return fit_expected(m.cooler, chroms, **options)
        found = choose_table(self.tables, module, self.spec.base_bin)
        if found is None:
            log.info("fitting expected by distance of %s", m.path)
            found = fit_expected(m.cooler, chroms, **options)
            if found.resolution in self.tables:
                kind = "with" if module.multi_chromosome else "without"
                raise TrainingError(
                    f"module {module.name!r} needs an expected table {kind} a trans value, and the "
                    f"model has another one of "
                    f"{found.resolution} bp: set the stage's 'resolution' to that of another "
                    f"level of the map"
                )
            self.tables[found.resolution] = found
            if choose_table(self.tables, module, self.spec.base_bin) is not found:
                raise TrainingError(
                    f"module {module.name!r} needs another expected table than one of "
                    f"{found.resolution} bp: set 'expected'"
                )
        return found

    # -- marks
    # --------------------------------------------------------------------------------------------------

    def _intervals(self) -> list[Interval]:
        """PeakLabels of the training and validation chromosomes; those of test chromosomes are never
        kept.
        """
        config = self.config
        found: list[Interval] = []
        if config.features:
            features = self._read(config.features, 6, "")
            found += [i for i in features if i.kind in config.feature_types]
            if CONVERGENT in config.feature_types:
                found += convergent(i for i in features if i.kind == "gene")
        for kind, path in config.peaks.items():
            found += self._read(path, None, kind)
        if config.factors:
            peaks = self._read(config.factors, 3, "")
            count = Counter(i.kind for i in peaks if i.chrom in self.training)
            found += [i for i in peaks if count[i.kind] >= config.min_peaks]
        return found

    def _read(self, path: str, column: int | None, kind: str) -> list[Interval]:
        """A file's intervals on training and validation chromosomes; an error if its names are not
        the genome's.
        """
        table = read_intervals(
            self.config.path(path), chroms=self.source.chromsizes, column=column, kind=kind
        )
        table = table[table["chrom"].isin([*self.training, *self.config.validation])]
        return [Interval(*row) for row in table.itertuples(index=False)]

    def _profiles(self) -> list[str]:
        """Profile names: features in their order, named peaks, then factors by name; all have marks
        on the training chromosomes.
        """
        config = self.config
        there = {i.kind for i in self.intervals if i.chrom in self.training}
        first = [k for k in (*config.feature_types, *config.peaks) if k in there]
        for k in (*config.feature_types, *config.peaks):
            if k not in there:
                raise TrainingError(f"profile {k!r} has no interval on the training chromosomes")
        names = first + sorted(there - set(first))
        for k in config.profile_weights:
            if k not in names:
                raise TrainingError(
                    f"profile_weights names {k!r}, which is no profile; there are: "
                    f"{', '.join(names) or 'none'}"
                )
        return names

    def _marks(self, chroms: Sequence[str]) -> PeakLabels:
        sizes = {c: self.source.chromsizes[c] for c in chroms}
        return PeakLabels([i for i in self.intervals if i.chrom in sizes], self.profiles, sizes)

    def positive(self, stage: Stage) -> np.ndarray | None:
        """(profiles,) weight of positives."""
        if not self.profiles:
            return None
        frequency = self._marks(self.training).frequency(self.spec.base_bin)
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
        """(profiles,) of the loss: those that are named, and the rest with a weight of 1 among
        them.
        """
        given = self.config.profile_weights
        rest = max(1, len(self.profiles) - len(given))
        return np.array([given.get(p, 1 / rest) for p in self.profiles], dtype=float)

    # -- small genomes
    # ------------------------------------------------------------------------------------------

    def _centromeres(self) -> list[Interval]:
        if not self.config.features:
            return []
        return [
            i
            for i in self._read(self.config.features, 6, "")
            if i.kind == "centromere" and i.chrom in self.training
        ]

    def _transplants(self, needed: bool) -> TrainingGenome | None:
        t = self.config.transplants
        if not (needed or t.replace or t.per_window or t.decoys):
            return None
        if self._genome is None:
            self._genome = TrainingGenome(self.source, self.training, self._centromeres(), t)
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


def convergent(genes: Iterable[Interval]) -> list[Interval]:
    """One base between each gene on + and the next gene if that is on -."""
    chroms: dict[str, list[Interval]] = {}
    for i in genes:
        chroms.setdefault(i.chrom, []).append(i)
    found = []
    for chrom, mine in chroms.items():
        mine.sort(key=lambda i: i.start)
        for a, b in zip(mine, mine[1:]):
            if a.strand == "+" and b.strand == "-":
                middle = (a.end + b.start) // 2
                found.append(Interval(chrom, middle, middle + 1, CONVERGENT))
    return found
