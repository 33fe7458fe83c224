"""From a configuration to a trained model: reads the data, checks the split, runs the stages."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from orca_cool.background import Background
from orca_cool.errors import TrainingError
from orca_cool.genome import SequenceSource, open_genome
from orca_cool.model.cascade import Orca
from orca_cool.positional import Chromosome, Positional
from orca_cool.train.config import TEACHER, Config
from orca_cool.train.loop import Material, Trainer
from orca_cool.train.sequence import Interval, ProfileSampler, TrainingGenome, read_bed
from orca_cool.train.targets import TargetMaps, expected_by_distance

log = logging.getLogger(__name__)


def train(config: Config, folder: str | Path, resume: bool = False) -> tuple[Orca, Background]:
    """Run every stage of ``config``; checkpoints, the log and cached targets go to ``folder``.

    Returns
    -------
    The averaged model at the last stage's best validation, and its background.
    """
    try:
        from lightning.fabric import Fabric
    except ImportError as error:
        raise TrainingError(f"training needs {error.name!r}: pip install 'orca-cool[train]'") from error
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not resume and (folder / "last.ckpt").exists():
        raise TrainingError(f"{str(folder)!r} already holds a run; continue it with --resume or choose another folder")
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    fabric = Fabric(accelerator="auto", devices=1, precision=config.precision)  # type: ignore[arg-type]
    source = open_genome(config.path(config.genome))
    model, material = prepare(config, source, folder / "cache")
    trained = Trainer(config, model, material, folder, fabric).run(resume)
    return trained.cpu().float().eval(), material.background


def chromosomes(config: Config, source: SequenceSource) -> list[str]:
    """The training chromosomes: all of the genome but test, validation and chrM; TrainingError names a chromosome the genome lacks."""
    for chrom in (*config.test, *config.validation):
        if chrom not in source.chromsizes:
            raise TrainingError(f"chromosome {chrom!r} of the split is not in the genome, which has: {', '.join(source.chromsizes)}")
    held_out = {*config.test, *config.validation, "chrM"}
    return [c for c in source.chromsizes if c not in held_out]


def prepare(config: Config, source: SequenceSource, cache: Path | None) -> tuple[Orca, Material]:
    """A fresh model and all that its stages read."""
    training = chromosomes(config, source)
    intervals = _intervals(config, training)
    centromeres = [i for i in intervals if i.kind == "centromere"]
    profiles = _profiles(config, intervals)
    spec = config.spec(profiles, {config.assembly: dict(source.chromsizes)} if config.assembly else {})
    model = Orca(spec)
    genome = TrainingGenome(source, training, centromeres, config.transplants)
    sampler = ProfileSampler(genome, intervals, profiles, spec.base_bin) if profiles else None
    wanted = {config.target} | {name for s in config.stages for name in s.mix if name != TEACHER}
    maps, targets = {}, {}
    reference: TargetMaps | None = None
    background: Background | None = None
    module = spec.modules[0]
    for name in sorted(wanted, key=lambda n: n != config.target):
        m = TargetMaps(config.path(config.maps[name]), spec.base_bin, config.cutoff, (*config.test, "chrM"), cache)
        mine = expected_by_distance((v for c, v in m.maps.items() if c in training), spec.base_bin)
        if name == config.target:
            reference, background = m, mine
        maps[name] = m
        # each map against its own expected: the decoders learn what is relative to distance, whatever the experiment
        targets[name] = {c: m.levels(c, mine, module.resolutions, spec.bins, config.missing) for c in m.maps}
    assert background is not None
    assert reference is not None
    where = {i.chrom: (i.start + i.end) // 2 for i in centromeres}
    teacher = None
    if any(TEACHER in s.mix for s in config.stages):
        teacher = Positional(True, spec.bins).fit(
            (Chromosome(reference.lengths[c], where[c]), targets[config.target][c]) for c in reference.maps if c in training and c in where
        )
    kept = {c: source.fetch(c, 0, source.chromsizes[c]) for c in config.validation}
    # for the validation's centromere rank alone; the samplers never see these intervals
    marks = read_bed(config.path(config.features), 6, "", config.validation) if config.features else []
    middle = {i.chrom: (i.start + i.end) // 2 for i in marks if i.kind == "centromere"}
    return model, Material(genome, sampler, maps, targets, background, teacher, kept, middle)


def _intervals(config: Config, training: Iterable[str]) -> list[Interval]:
    training = list(training)
    found: list[Interval] = []
    if config.features:
        found += read_bed(config.path(config.features), 6, "", training)
    for kind, path in config.extra_peaks.items():
        found += read_bed(config.path(path), None, kind, training)
    if config.peaks:
        peaks = read_bed(config.path(config.peaks), 3, "", training)
        count = Counter(i.kind for i in peaks)
        found += [i for i in peaks if count[i.kind] >= config.min_peaks]
    return found


def _profiles(config: Config, intervals: list[Interval]) -> list[str]:
    """Profile names: features first, then peaks by name. Only marks that the training chromosomes have."""
    kinds = {i.kind for i in intervals}
    first = [k for k in config.feature_types if k in kinds or (k == "convergent" and "gene" in kinds)]
    features = {"gene", "gene_dubious", "ARS", "tRNA_gene", "snoRNA_gene", "LTR_retrotransposon", "rRNA_gene", "centromere"}
    return first + sorted(kinds - set(first) - features)


def describe(config: Config) -> dict[str, Any]:
    """What goes into the model's ``training_data`` and ``notes``."""
    stages = "; ".join(f"{s.name or s.kind}: {s.steps} steps" for s in config.stages)
    return {"test": list(config.test), "validation": list(config.validation), "stages": stages}
