"""Settings of a training run, as frozen data classes; :mod:`orca_cool.train.config` reads them from
a file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orca_cool.errors import TrainingError
from orca_cool.model.orca_spec import orca_spec
from orca_cool.model.spec import ModelSpec

#: Source of map targets besides the names under ``maps``.
TEACHER = "teacher"


@dataclass(frozen=True)
class Transplants:
    """Label-moving augmentation with point centromeres of the training chromosomes (budding
    yeasts); off unless given.

    Attributes
    ----------
    per_window : mean number of pasted centromeres in a window of profiles alone.
    decoys : mean number of pasted centromeres whose CDEIII is scrambled (label 0).
    replace : probability that a native centromere is overwritten: by random sequence with label 0
        (profiles), by another functional centromere (measured maps).
    flank : up to this many bp beside the centromere are pasted with it.
    mutate : probability with which a base of CDEII is redrawn from A and T.
    negatives : share of the profile windows, and of the teacher's chromosomes, that hold one of
        the places of ``Config.negatives``.
    """

    per_window: float = 0.0
    decoys: float = 0.0
    replace: float = 0.0
    flank: int = 150
    mutate: float = 0.08
    negatives: float = 0.0


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    A default is what a key meant before it could be chosen, not what the paper did: the
    configurations of the paper's stages (``h1esc-1M``, ``h1esc-32M``, ``h1esc-256M``) spell out
    every value.

    Attributes
    ----------
    name : of the stage; no two stages may have the same.
    module : the module whose levels are learnt; empty: profiles alone.
    train : what is trained: "encoder", "profiles", "base_decoder", "decoders", or a pyramid's name.
        All else is frozen, running statistics too. Empty: encoder, base_decoder and profiles of a
        one-shot module (1M); the last pyramid and the decoders of a cascade (32M, 256M); encoder
        and profiles without a module.
    steps : of the optimiser.
    batch : samples a step, over all devices.
    microbatch : samples at once on a device; 0: all of its share of the batch.
    optimizer : "sgd" (with ``momentum``) or "adamw".
    lr, momentum, weight_decay : of the optimiser.
    clip : largest norm of the gradient; 0: none.
    schedule : of the learning rate: "plateau" (times ``factor`` after ``plateau`` validations
        without a new best), "onecycle" or "constant".
    threshold : with "plateau", a score is a new best if it is above the best one by this share of
        it.
    average : of the weights that are validated and kept: "swa" (equal weights of all steps from the
        share ``average_from`` on), "ema" (exponential, with ``decay``), or "none".
    average_restart : with "swa", the optimiser begins anew where averaging begins: momentum
        forgotten, ``lr`` and schedule as at the first step.
    norms : with "swa", where the running statistics of the averaged networks' batch norms come
        from. "samples": before each validation they are computed anew, as plain means over
        ``norm_samples`` samples. "running": after each step the averaged networks also read the
        step's samples in training mode.
    norm_samples : see ``norms``.
    resolution : bin of the measured map in bp; 0: the base bin, or the finest level of a module of
        several chromosomes (256M).
    mix : share of each source of targets: names under ``maps``, or "teacher"
        (:mod:`orca_cool.train.teacher`). Empty: the target map.
    window : bp scored in a sample of profiles alone; with a module, that of its top level.
    flank : bp of real sequence on either side of the window, encoded and then cropped, so that
        windows do not end in zero padding; 0 as in the paper.
    one_pass : a trained encoder reads windows of at most so many of its blocks in one pass, and
        longer ones block by block. In training mode every block is a batch of its own to batch
        norm, so that the two differ.
    shift : the sequence is shifted by up to this many bp against the bins.
    shift_each : of several chromosomes laid end to end, each has a shift of its own.
    half_open : the last of the possible shifts and zooms is left out: the sequence is shifted by
        ``-shift`` to ``shift - 1`` bp, and a window begins at one of the first ``bins / 2`` bins
        of the one above it, not of ``bins / 2 + 1``.
    chromosomes : how those of a window of several are drawn. "once": each as likely as another,
        none twice. "by_length": each time by length, whatever has been drawn, until the window is
        full; validation then has validation chromosomes alone.
    overhang : share of a window that may lie past a chromosome's end.
    missing : windows with a larger share of missing pixels are rejected; pixels outside the
        chromosomes do not count.
    missing_of : which pixels are counted for ``missing`` and ``validation_missing``. "level":
        those of the target at the top level. "map": those of the map at its own resolution.
    loss_over : the squared errors of a level are added over measured pixels and divided by the
        number of these ("measured") or of all pixels ("all"), so that windows of few measured
        pixels weigh less.
    batch_eps : in training, the eps of a level is the smallest expected of all the step's windows,
        and not of each one. For modules whose ``eps`` is "window".
    profiles : weight of the profiles' loss in a stage with maps.
    around : share of the windows of profiles alone that are drawn around an interval: first a
        profile, each as likely as another, then one of its intervals. Motifs that a thousandth of
        all bins hold are learnt from such windows in a fraction of the steps.
    dots : weight of the loss of the strengths of dots at ``Config.loops``, beside that of all
        pixels (:func:`orca_cool.train.dots.dot_sums`); 0: none.
    fewer : share of the windows of several chromosomes that hold one to three of them and N behind,
        as windows of genomes that have no more; of the pixels there some have the target 0.
    substitute : share of bases redrawn at random.
    encoding_dropout : share of encoding channels set to zero, drawn for each sample.
    validate : steps between validations, each with a checkpoint.
    validation : samples of one validation, spread evenly over the chromosomes.
    validation_zoom : where the windows of validation samples lie within those above them: at
        "random" (always the same), or in the "centre".
    validation_missing : validation samples with a larger share of missing pixels do not count.
    score : what chooses learning rate and weights, the mean over levels of "pooled": Pearson's r
        of the pixels of all samples, two bins apart or more; or of "window": the mean of Pearson's
        r of each sample, all pixels. Both are in the log.
    weights : which are kept: those of the "best" validation, or the "last".
    patience : validations without a new best before the stage ends; 0: it never ends early.
    """

    name: str
    module: str = ""
    train: tuple[str, ...] = ()
    steps: int = 1000
    batch: int = 4
    microbatch: int = 0
    optimizer: str = "sgd"
    lr: float = 1e-3
    momentum: float = 0.98
    weight_decay: float = 0.0
    clip: float = 1.0
    schedule: str = "plateau"
    factor: float = 0.9
    plateau: int = 10
    average: str = "swa"
    average_from: float = 0.667
    decay: float = 0.99
    norm_samples: int = 64
    resolution: int = 0
    mix: Mapping[str, float] = field(default_factory=dict)
    window: int = 0
    flank: int = 0
    shift: int = 0
    overhang: float = 0.0
    missing: float = 0.5
    profiles: float = 1.0
    around: float = 0.0
    fewer: float = 0.0
    dots: float = 0.0
    substitute: float = 0.0
    encoding_dropout: float = 0.0
    validate: int = 1000
    validation: int = 64
    patience: int = 0
    threshold: float = 1e-4
    average_restart: bool = False
    norms: str = "samples"
    one_pass: int = 1
    shift_each: bool = False
    half_open: bool = False
    chromosomes: str = "once"
    missing_of: str = "level"
    loss_over: str = "measured"
    batch_eps: bool = False
    validation_zoom: str = "random"
    validation_missing: float = 1.0
    score: str = "pooled"
    weights: str = "best"


#: Keys of a stage that came later. Where they have their defaults, checkpoints of runs from before
#: belong to the configuration.
LATER = (
    "around",
    "fewer",
    "dots",
    "threshold",
    "average_restart",
    "norms",
    "one_pass",
    "shift_each",
    "half_open",
    "chromosomes",
    "missing_of",
    "loss_over",
    "batch_eps",
    "validation_zoom",
    "validation_missing",
    "score",
    "weights",
)


@dataclass(frozen=True)
class Config:
    """Everything a run depends on. Paths are relative to the YAML file.

    Attributes
    ----------
    name : of the model.
    genome : .2bit or FASTA.
    maps : measured maps by name (.cool or .mcool).
    model : keys of a specification, or ``{orca: h1esc, modules: [1M]}`` for a released one, with
        ``eps: window`` if its module of several chromosomes is to have the eps of the released one
        (:class:`~orca_cool.model.network_spec.ModuleSpec`), and ``organism`` and ``cell_type`` if
        it learns others.
    stages : in the order in which they run.
    test : chromosomes that are never read.
    validation : chromosomes that are only validated on.
    target : the map that the model predicts; empty: the first.
    cell_types : in its place, two or more of ``maps``, each of a cell type or condition: the model
        predicts all of them at once (:class:`~orca_cool.model.spec.ModelDescription`).
    exclude : chromosomes left out altogether.
    assembly : name of the genome in the model's list of known assemblies.
    expected : folder written by ``orca-cool expected``; empty: fitted to the training chromosomes
        of the target.
    keep : bp up to which a fitted expected is not smoothed.
    start : folder of a trained model; networks that it has under the same name begin as they are
        there.
    peaks : by profile, a BED, narrowPeak or bigBed file.
    factors : a BED whose fourth column names the profile.
    min_peaks : profiles of ``factors`` with fewer peaks on the training chromosomes are left out.
    features : BED with the feature type in the seventh column.
    feature_types : types of features that become profiles.
    emphasis : positives of a profile with frequency f weigh ((1 - f) / f) ** emphasis; 0 as in the
        paper.
    profile_weights : weight of a profile's loss, by name; the others share a weight of 1.
    transplants : see :class:`Transplants`.
    negatives : a BED of places that an earlier model took for a centromere and that are none
        (``scripts/yeast_centromeres.py`` finds them); those on training chromosomes are shown
        more often, see :class:`Transplants`.
    teacher_lengths : smallest and largest length in bp of the chromosomes that the teacher
        (:mod:`orca_cool.train.teacher`) makes.
    loops : by name of a map, a BEDPE file of its loops; those on training chromosomes are learnt as
        dots in stages with ``dots``.
    clr_weight_name : column of balancing weights of the maps.
    cutoff : of adaptive coarse-graining (cooltools).
    coarse_graining : of the maps. "tiles": on a fixed grid of the chromosomes, each tile once,
        pooled at most 8 times. "windows": of each window anew, on a grid that begins with it,
        pooled at most 12 times; much slower.
    block_missing : a pixel with a larger share of missing fine pixels is missing; with 1, a pixel
        needs a single one.
    blacklist : a BED; windows of maps of one chromosome that overlap any of its intervals are
        neither trained nor validated on. Windows of several chromosomes do not heed it.
    seed : of all random draws.
    workers : processes that draw samples.
    threads : of the process that trains, on a CPU.
    keep_checkpoints : how many of the newest checkpoints are kept.
    devices, nodes, accelerator, strategy, precision : of Lightning Fabric.
    cache : folder of coarse-grained tiles; empty: inside the run's folder.
    folder : of the YAML file.
    """

    name: str
    genome: str
    maps: Mapping[str, str]
    model: Mapping[str, Any]
    stages: tuple[Stage, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...]
    target: str = ""
    cell_types: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    assembly: str = ""
    expected: str = ""
    keep: int = 1_600_000
    start: str = ""
    peaks: Mapping[str, str] = field(default_factory=dict)
    factors: str = ""
    min_peaks: int = 300
    features: str = ""
    feature_types: tuple[str, ...] = ()
    emphasis: float = 0.0
    profile_weights: Mapping[str, float] = field(default_factory=dict)
    transplants: Transplants = Transplants()
    negatives: str = ""
    teacher_lengths: tuple[int, int] = (270_000, 850_000)
    loops: Mapping[str, str] = field(default_factory=dict)
    clr_weight_name: str = "weight"
    cutoff: float = 5.0
    coarse_graining: str = "tiles"
    block_missing: float = 0.5
    blacklist: str = ""
    seed: int = 1
    threads: int = 2
    workers: int = 2
    keep_checkpoints: int = 2
    devices: str = "auto"
    nodes: int = 1
    accelerator: str = "auto"
    strategy: str = "auto"
    precision: str = "32-true"
    cache: str = ""
    folder: Path = Path(".")

    @property
    def predicted(self) -> tuple[str, ...]:
        """Names of the maps that the model predicts."""
        return self.cell_types or (self.target,)

    def path(self, text: str) -> Path:
        """A path of the configuration, made absolute."""
        return self.folder / Path(text).expanduser()

    def spec(
        self, profiles: Sequence[str], assemblies: Mapping[str, Mapping[str, int]]
    ) -> ModelSpec:
        """The model to train."""
        if "orca" in self.model:
            options = dict(self.model)
            spec = orca_spec(
                str(options.pop("orca")),
                modules=tuple(options.pop("modules", ("32M", "256M", "1M"))),
            )
            eps = options.pop("eps", "table")
            told = {
                key: str(options.pop(key)) for key in ("organism", "cell_type") & options.keys()
            }
            if options:
                raise TrainingError(
                    f"model {self.model['orca']!r} is a released one: beside it 'modules', "
                    f"'eps', 'organism' and 'cell_type' alone, not {min(options)!r}"
                )
            modules = [
                dataclasses.replace(m, eps=eps) if m.multi_chromosome else m for m in spec.modules
            ]
            spec = dataclasses.replace(spec, modules=tuple(modules))
            data = {**spec.to_json(), **told, "licence": ""}
        else:
            data = dict(self.model)
        data |= {"name": self.name, "profiles": list(profiles), "assemblies": dict(assemblies)}
        if self.cell_types:
            data["cell_types"] = list(self.cell_types)
        return ModelSpec.from_json(data)

    def digest(self) -> str:
        """What a checkpoint must agree with: everything that decides the numbers. Files count by
        their names.
        """
        plain = dataclasses.asdict(self)
        free = (
            "folder",
            "threads",
            "workers",
            "keep_checkpoints",
            "devices",
            "nodes",
            "accelerator",
            "strategy",
            "cache",
        )
        for key in free:
            plain.pop(key)
        for key in ("genome", "expected", "start", "factors", "features", "blacklist"):
            plain[key] = Path(plain[key]).name
        for key in ("maps", "peaks", "loops"):
            plain[key] = {k: Path(v).name for k, v in plain[key].items()}
        for stage in plain["stages"]:
            stage.pop("microbatch")
            defaults = {f.name: f.default for f in dataclasses.fields(Stage)}
            for key in LATER:
                if stage[key] == defaults[key]:
                    stage.pop(key)
        # as before there was a choice
        if not plain["loops"]:
            plain.pop("loops")
        fields = {f.name: f.default for f in dataclasses.fields(self)}
        later = ("clr_weight_name", "negatives", "teacher_lengths", "cell_types")
        for key in (*later, "coarse_graining", "blacklist"):
            if plain[key] == fields[key]:
                plain.pop(key)
        if not plain["transplants"]["negatives"]:
            plain["transplants"].pop("negatives")
        return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[
            :16
        ]
