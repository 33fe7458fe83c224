"""Reads a training configuration: a YAML file becomes frozen settings. Every key is checked; the
error for an unknown one names the nearest that is known.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orca_cool.errors import TrainingError, missing_package, shown
from orca_cool.genome.regions import closest
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelSpec
from orca_cool.train.configs import config_file, which
from orca_cool.train.settings import TEACHER, Config, Stage, Transplants

#: A configuration is some kilobytes; a larger file is none.
LARGEST = 1 << 20

#: Whole numbers of a configuration are at most this.
MOST = 2**53

#: What numbers out of their bounds should be.
BOUNDED = {"int": f"a whole number of at most {MOST:,}", "float": "a finite number"}

#: What a stage's settings of these names may be.
CHOICES = {
    "optimizer": ("sgd", "adamw"),
    "schedule": ("plateau", "onecycle", "constant"),
    "average": ("swa", "ema", "none"),
    "norms": ("samples", "running"),
    "chromosomes": ("once", "by_length"),
    "missing_of": ("level", "map"),
    "loss_over": ("measured", "all"),
    "validation_zoom": ("random", "centre"),
    "score": ("pooled", "window"),
    "weights": ("best", "last"),
}


def trained_parts(stage: Stage, module: ModuleSpec | None, spec: ModelSpec) -> tuple[str, ...]:
    """What the stage trains, defaults filled in; TrainingError names a part that the model does not
    have.
    """
    if module is None:
        default: tuple[str, ...] = ("encoder", "profiles")
    elif module.decoder is None:
        default = (
            "encoder",
            "base_decoder",
            *(("profiles",) if spec.profiles and stage.profiles else ()),
        )
    else:
        default = (*module.pyramids[-1:], "decoders")
    known = {*spec.pyramids, "encoder"}
    known |= {"profiles"} if spec.profiles else set()
    known |= {"base_decoder"} if spec.base_decoder else set()
    known |= {"decoders"} if module is not None and module.decoder else set()
    parts = stage.train or default
    for part in parts:
        if part not in known:
            raise TrainingError(
                f"stage {stage.name!r} trains {part!r}, which the model does not have; it has: "
                f"{', '.join(sorted(known))}"
            )
    return parts


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file.

    Parameters
    ----------
    path : of the file, or the name of one of the package's
        (:func:`orca_cool.train.configs.config_file`).
    overrides : "key=value" with dots into mappings and lists ("stages.0.steps=10"); values are
        YAML.
    """
    try:
        import yaml
    except ImportError as error:
        raise TrainingError(missing_package("training", error, "train")) from error
    path, folder = config_file(path)
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise TrainingError(
                f"configuration {str(path)!r} has {size:,} bytes; at most {LARGEST:,} are read"
            )
        data = yaml.safe_load(path.read_text())
        values = [(item, *item.partition("=")) for item in overrides]
        parsed = [(item, key, sign, yaml.safe_load(value)) for item, key, sign, value in values]
    except OSError as error:
        said = f"configuration {str(path)!r} cannot be read: {error.strerror}"
        if isinstance(error, FileNotFoundError) and not path.suffix:
            said = f"configuration {str(path)!r} is no file, and none of the package; "
            said += which(path.name)
        raise TrainingError(said) from error
    except (yaml.YAMLError, ValueError) as error:  # a number of more than 4,300 digits, too
        reason = " ".join(str(error).split())[:300]
        raise TrainingError(f"configuration {str(path)!r} is not YAML: {reason}") from error
    except RecursionError:
        raise TrainingError(f"configuration {str(path)!r} is nested too deep") from None
    if not isinstance(data, dict):
        raise TrainingError(f"configuration {str(path)!r} is not a mapping of keys to values")
    for item, key, sign, value in parsed:
        if not sign:
            raise TrainingError(f"override {item!r} is not of the form key=value")
        _set(data, key.split("."), value, item)
    return parse_config(data, folder)


def parse_config(data: Mapping[str, Any], folder: Path) -> Config:
    """Checked settings from plain data; ``folder`` is what relative paths start from."""
    plain = dict(data)
    if "background" in plain:  # its name in version 0.1
        plain.setdefault("expected", plain.pop("background"))
    stages = plain.get("stages")
    if not isinstance(stages, list) or not stages:
        raise TrainingError(f"key 'stages' must be a list of stages, not {shown(stages)}")
    plain["stages"] = tuple(_build(Stage, item, f"stages[{k}]") for k, item in enumerate(stages))
    plain["transplants"] = _build(Transplants, plain.get("transplants") or {}, "transplants")
    plain["folder"] = folder
    if not isinstance(plain.get("maps"), Mapping) or not plain["maps"]:
        raise TrainingError(
            f"key 'maps' must name at least one contact map, not {shown(plain.get('maps'))}"
        )
    several = plain.get("cell_types") or ()
    first = next(iter(several)) if isinstance(several, (list, tuple)) and several else None
    plain.setdefault("target", first or next(iter(plain["maps"])))
    config: Config = _build(Config, plain, "the configuration")
    if config.target not in config.maps:
        raise TrainingError(
            f"target {config.target!r} is not among the maps: {', '.join(config.maps)}"
        )
    if config.cell_types:
        _check_cell_types(config)
    _check_values(config)
    names = [s.name for s in config.stages]
    if len(set(names)) < len(names):
        raise TrainingError(f"stages must have different names, not {', '.join(names)}")
    for k, stage in enumerate(config.stages):
        _check_stage(config, stage, f"stages[{k}]")
    return config


def _check_values(config: Config) -> None:
    """TrainingError if chromosomes are listed twice, or a value is out of its range."""
    for a, b in (("test", "validation"), ("test", "exclude"), ("validation", "exclude")):
        both = set(getattr(config, a)) & set(getattr(config, b))
        if both:
            raise TrainingError(f"chromosome {min(both)!r} is listed both under {a} and under {b}")
    for key, least in (
        ("threads", 1),
        ("workers", 0),
        ("keep_checkpoints", 1),
        ("nodes", 1),
        ("min_peaks", 1),
        ("keep", 0),
    ):
        if getattr(config, key) < least:
            raise TrainingError(f"{key} must be {least} or more, not {getattr(config, key)}")
    if config.coarse_graining not in ("tiles", "windows"):
        raise TrainingError(f"coarse_graining is {config.coarse_graining!r}; known: tiles, windows")
    lengths = config.teacher_lengths
    if len(lengths) != 2 or not 0 < lengths[0] < lengths[1]:
        raise TrainingError(
            f"teacher_lengths must be the smallest and the largest length in bp, not {lengths}"
        )


def _check_cell_types(config: Config) -> None:
    """TrainingError unless the maps of the cell types are known, and nothing is asked that is only
    there for a single map.
    """
    for name in config.cell_types:
        if name not in config.maps:
            raise TrainingError(
                f"cell type {name!r} is not among the maps: {', '.join(config.maps)}"
            )
    if config.target != config.cell_types[0]:
        raise TrainingError(
            f"target {config.target!r}: a model of several cell types predicts all of them; leave "
            f"it out"
        )
    if config.expected:
        raise TrainingError(
            "expected: of several cell types it is fitted to the map of each; leave it out"
        )
    for k, stage in enumerate(config.stages):
        if stage.mix:
            raise TrainingError(
                f"stages[{k}].mix: samples of several cell types are always of all their maps; "
                f"leave it out"
            )


def _check_stage(config: Config, stage: Stage, where: str) -> None:
    """TrainingError if a setting of a stage is out of its range; ``where`` names the stage."""
    known = (*config.maps, TEACHER)
    for source, share in stage.mix.items():
        if source not in known:
            raise TrainingError(
                f"{where}.mix names an unknown source {source!r}; known: {', '.join(known)}"
            )
        if not isinstance(share, (int, float)) or not 0 <= share <= MOST:
            raise TrainingError(
                f"{where}.mix: the share of {source!r} must be a number from 0 on, not "
                f"{shown(share)}"
            )
    if stage.mix and sum(stage.mix.values()) <= 0:
        raise TrainingError(f"{where}.mix has no share above 0: {dict(stage.mix)}")
    for key, choices in CHOICES.items():
        if getattr(stage, key) not in choices:
            raise TrainingError(
                f"{where}.{key} is {getattr(stage, key)!r}; known: {', '.join(choices)}"
            )
    for key in ("steps", "batch", "validate", "validation", "one_pass"):
        if getattr(stage, key) < 1:
            raise TrainingError(f"{where}.{key} must be 1 or more, not {getattr(stage, key)}")
    for key in (
        "lr",
        "flank",
        "shift",
        "clip",
        "overhang",
        "substitute",
        "microbatch",
        "window",
        "norm_samples",
        "dots",
        "threshold",
    ):
        if getattr(stage, key) < 0:
            raise TrainingError(f"{where}.{key} must not be negative, not {getattr(stage, key)}")
    for key in ("around", "fewer", "validation_missing"):
        if not 0 <= getattr(stage, key) <= 1:
            raise TrainingError(
                f"{where}.{key} must be a share from 0 to 1, not {getattr(stage, key)}"
            )
    _check_together(stage, where)
    if stage.around and stage.module:
        raise TrainingError(
            f"{where}.around is for stages of profiles alone; this one learns maps of module "
            f"{stage.module!r}"
        )
    if not stage.module and stage.window < 1:
        raise TrainingError(
            f"{where} has no module, so it needs 'window', the bp of a sample of profiles"
        )


def _check_together(stage: Stage, where: str) -> None:
    """TrainingError if settings of a stage exclude each other."""
    if stage.fewer and stage.chromosomes == "by_length":
        raise TrainingError(
            f"{where} has fewer: {stage.fewer} and chromosomes: by_length, which fills every "
            f"window; leave one of them out"
        )
    for key in ("average_restart", "norms"):
        if getattr(stage, key) not in (False, "samples") and stage.average != "swa":
            raise TrainingError(
                f"{where}.{key} is for average: swa; this stage has average: {stage.average}"
            )


def _build(kind: type, data: Any, where: str) -> Any:
    """A data class from plain data, whose keys and types are checked; ``where`` names the data."""
    if not isinstance(data, Mapping):
        raise TrainingError(f"{where} must be a mapping, not {shown(data)}")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in data:
        if key not in fields:
            near = closest(key, fields) if isinstance(key, str) else None
            hint = f"did you mean {near!r}?" if near else f"known keys: {', '.join(fields)}"
            raise TrainingError(f"unknown key {shown(key)} in {where}; {hint}")
    for name, f in fields.items():
        if (
            name not in data
            and f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
        ):
            raise TrainingError(f"key {name!r} is missing in {where}")
    return kind(**{key: _checked(key, v, str(fields[key].type), where) for key, v in data.items()})


def _checked(key: str, value: Any, wanted: str, where: str) -> Any:
    """A setting in the type that its data class names; TrainingError if it is of another, or out of
    bounds.
    """
    try:
        if wanted == "float":
            value = float(value)
            if not math.isfinite(value):
                raise ValueError
        elif wanted == "int" and not _whole(value):
            raise ValueError
        elif wanted == "bool" and not isinstance(value, bool):
            raise ValueError
        elif wanted == "str":
            if isinstance(value, float) or not (isinstance(value, str) or _whole(value)):
                raise ValueError
            value = str(value)
        elif wanted.startswith("tuple") and isinstance(value, list):
            value = tuple(value)
        elif wanted.startswith("tuple") and not isinstance(value, tuple):
            raise ValueError
        elif wanted.startswith("Mapping") and not isinstance(value, Mapping):
            raise ValueError
        if wanted == "tuple[str, ...]" and not all(isinstance(v, str) or _whole(v) for v in value):
            raise ValueError
        if wanted == "Mapping[str, str]" and not all(isinstance(v, str) for v in value.values()):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        noun = BOUNDED.get(wanted, wanted) if number else wanted
        raise TrainingError(f"{where}: {key} must be {noun}, not {shown(value)}") from error
    return value


def _whole(value: Any) -> bool:
    """Whether it is a whole number within the bounds."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) <= MOST
        and int(value) == value
    )


def _set(data: Any, keys: list[str], value: Any, item: str) -> None:
    """Set an entry of nested mappings and lists, in place; ``item`` is the override, for the
    error.
    """
    try:
        for key in keys[:-1]:
            data = data[int(key)] if isinstance(data, list) else data[key]
        if isinstance(data, list):
            data[int(keys[-1])] = value
        else:
            data[keys[-1]] = value
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise TrainingError(f"override {item!r} names nothing in the configuration") from error
