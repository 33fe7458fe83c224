"""Training configuration: a YAML file to frozen settings; every key is checked, and a wrong one names the nearest right one."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orca_cool.errors import TrainingError
from orca_cool.model.spec import ModelSpec

#: Sources of map targets besides the names under ``maps``.
TEACHER = "teacher"


@dataclass(frozen=True)
class Transplants:
    """Label-moving augmentation with centromeres of the training chromosomes.

    Attributes
    ----------
    per_window : mean number of pasted centromeres in a profile window.
    decoys : mean number of pasted centromeres whose CDEIII is scrambled (label 0).
    replace : probability that a native centromere is overwritten: by random sequence with label 0 (profiles), by
        another functional centromere (measured maps).
    flank : up to this many bp beside the centromere are pasted with it.
    mutate : probability with which a base of CDEII is redrawn from A and T.
    """

    per_window: float = 1.0
    decoys: float = 0.5
    replace: float = 0.6
    flank: int = 150
    mutate: float = 0.08


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes
    ----------
    kind : "profiles" (encoder and profile head) or "maps" (pyramids and decoders on encodings of the frozen encoder).
    steps, batch, lr, weight_decay : AdamW with a one-cycle schedule that peaks at ``lr``.
    mix : of a maps stage, share of each source of targets: names under ``maps``, or "teacher".
    window, flank : of a profile stage, bp per sample that are scored, and bp beside them that are not.
    shift : maps stage: the sequence slides by up to this many bp against the bins.
    encoding_dropout : share of encoding channels set to zero, per sample, in a maps stage.
    substitute : share of bases redrawn at random.
    bank : number of encoded chromosomes held; ``refresh`` of them are redrawn at every step.
    ema : decay of the averaged weights, which are what is validated and kept.
    validate : steps between validations. ``patience`` : validations without a new best before the stage ends.
    """

    kind: str
    name: str = ""
    steps: int = 1000
    batch: int = 4
    lr: float = 1e-3
    weight_decay: float = 0.01
    mix: Mapping[str, float] = field(default_factory=dict)
    window: int = 128_000
    flank: int = 16_000
    shift: int = 400
    encoding_dropout: float = 0.0
    substitute: float = 0.0
    bank: int = 48
    refresh: float = 1.0
    ema: float = 0.99
    validate: int = 100
    patience: int = 1000


@dataclass(frozen=True)
class Config:
    """Everything a run depends on. Paths are relative to the YAML file.

    Attributes
    ----------
    genome : .2bit or FASTA. ``assembly`` : its name in the model's list of known genomes.
    maps : measured maps by name (.cool, or .mcool with the base bin); ``target`` is the one the model predicts.
    peaks : BED whose fourth column names a factor; factors with ``min_peaks`` or more become profiles.
    extra_peaks : further BED files, one profile each. ``features`` : BED with the feature type in the seventh column.
    test, validation : chromosomes never read, and chromosomes only validated on.
    cutoff : of adaptive coarse-graining (cooltools). ``missing`` : a coarser pixel with a larger share of missing fine
        pixels is missing.
    centromere_weight : weight of the centromere profile in the profile loss, the others together being 1.
    """

    name: str
    genome: str
    maps: Mapping[str, str]
    target: str
    model: Mapping[str, Any]
    stages: tuple[Stage, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...]
    assembly: str = ""
    peaks: str = ""
    min_peaks: int = 300
    extra_peaks: Mapping[str, str] = field(default_factory=dict)
    features: str = ""
    feature_types: tuple[str, ...] = ("centromere", "ARS", "tRNA_gene", "LTR_retrotransposon")
    transplants: Transplants = Transplants()
    cutoff: float = 5.0
    missing: float = 0.5
    centromere_weight: float = 1.0
    seed: int = 1
    threads: int = 2
    precision: str = "bf16-mixed"
    folder: Path = Path(".")

    def path(self, text: str) -> Path:
        """A path of the configuration, made absolute."""
        return self.folder / Path(text).expanduser()

    def spec(self, profiles: Sequence[str], assemblies: Mapping[str, Mapping[str, int]]) -> ModelSpec:
        """The model to train."""
        return ModelSpec.from_json({"name": self.name, **self.model, "profiles": list(profiles), "assemblies": dict(assemblies)})

    def digest(self) -> str:
        """What a checkpoint must agree with: everything but the folder and the number of threads."""
        plain = dataclasses.asdict(self)
        for key in ("folder", "threads"):
            plain.pop(key)
        return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file.

    Parameters
    ----------
    overrides : "key=value" with dots into mappings and lists ("stages.0.steps=10"); values are YAML.
    """
    try:
        import yaml
    except ImportError as error:
        raise TrainingError(f"training needs {error.name!r}: pip install 'orca-cool[train]'") from error
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise TrainingError(f"configuration {str(path)!r} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise TrainingError(f"configuration {str(path)!r} is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise TrainingError(f"configuration {str(path)!r} is not a mapping of keys to values")
    for item in overrides:
        key, sign, value = item.partition("=")
        if not sign:
            raise TrainingError(f"override {item!r} is not of the form key=value")
        _set(data, key.split("."), yaml.safe_load(value), item)
    return parse_config(data, path.parent)


def parse_config(data: Mapping[str, Any], folder: Path) -> Config:
    """Checked settings from plain data; ``folder`` is what relative paths start from."""
    plain = dict(data)
    stages = plain.get("stages")
    if not isinstance(stages, list) or not stages:
        raise TrainingError(f"key 'stages' must be a list of stages, not {stages!r}")
    plain["stages"] = tuple(_build(Stage, item, f"stages[{k}]") for k, item in enumerate(stages))
    plain["transplants"] = _build(Transplants, plain.get("transplants") or {}, "transplants")
    plain["folder"] = folder
    config: Config = _build(Config, plain, "the configuration")
    for k, stage in enumerate(config.stages):
        known = (*config.maps, TEACHER)
        if stage.kind not in ("profiles", "maps"):
            raise TrainingError(f"stages[{k}].kind is {stage.kind!r}; known kinds: profiles, maps")
        if stage.kind == "maps" and not stage.mix:
            raise TrainingError(f"stages[{k}] has no 'mix'; sources of targets: {', '.join(known)}")
        for source in stage.mix:
            if source not in known:
                raise TrainingError(f"stages[{k}].mix names an unknown source {source!r}; known: {', '.join(known)}")
        if stage.steps < 1 or stage.batch < 1:
            raise TrainingError(f"stages[{k}]: steps {stage.steps} and batch {stage.batch} must be 1 or more")
    if config.target not in config.maps:
        raise TrainingError(f"target {config.target!r} is not among the maps: {', '.join(config.maps)}")
    both = set(config.test) & set(config.validation)
    if both:
        raise TrainingError(f"chromosome {min(both)!r} is listed both under test and under validation")
    return config


def _build(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise TrainingError(f"{where} must be a mapping, not {data!r}")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in data:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.0)
            raise TrainingError(f"unknown key {key!r} in {where}; the nearest known key is {near[0]!r}")
    for name, f in fields.items():
        if name not in data and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise TrainingError(f"key {name!r} is missing in {where}")
    values = {}
    for key, value in data.items():
        wanted = str(fields[key].type)
        try:
            if wanted == "float":
                value = float(value)
            elif wanted == "int" and (isinstance(value, bool) or int(value) != value):
                raise ValueError
            elif wanted.startswith("tuple") and isinstance(value, list):
                value = tuple(value)
            elif wanted.startswith("tuple") and not isinstance(value, tuple):
                raise ValueError
        except (TypeError, ValueError) as error:
            raise TrainingError(f"{where}: {key} must be {wanted}, not {value!r}") from error
        values[key] = value
    return kind(**values)


def _set(data: Any, keys: list[str], value: Any, item: str) -> None:
    try:
        for key in keys[:-1]:
            data = data[int(key)] if isinstance(data, list) else data[key]
        if isinstance(data, list):
            data[int(keys[-1])] = value
        else:
            data[keys[-1]] = value
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise TrainingError(f"override {item!r} names nothing in the configuration") from error
