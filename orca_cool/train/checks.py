"""Settings that a stage's module, the files given, or the model to begin with cannot follow."""

from __future__ import annotations

from orca_cool.errors import TrainingError
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.registry import known
from orca_cool.model.spec import ModelSpec
from orca_cool.train.settings import Config, Stage


def check_files(config: Config) -> None:
    """TrainingError if a file or folder of the configuration does not exist; it names the key, and
    how to set it.
    """
    named = {"genome": config.genome, "expected": config.expected, "start": config.start}
    named |= {"factors": config.factors, "features": config.features}
    named |= {"negatives": config.negatives, "blacklist": config.blacklist}
    for key in ("maps", "peaks", "loops"):
        named |= {f"{key}.{name}": path for name, path in getattr(config, key).items()}
    for key, text in named.items():
        path = config.path(text.partition("::")[0])
        if key == "start" and text in known():
            continue  # a model's name
        if text and not path.exists():
            raise TrainingError(
                f"{key} {str(path)!r} does not exist; set the key in the configuration, or give "
                f"--set {key}=PATH"
            )


def check_stage(stage: Stage, module: ModuleSpec | None, loops: bool) -> None:
    """TrainingError if a stage has a setting that its module, or the files given, cannot follow.

    Parameters
    ----------
    loops : whether the configuration names any.
    """
    several = module is not None and module.multi_chromosome
    of_several = {
        "fewer": stage.fewer,
        "shift_each": "true" if stage.shift_each else "",
        "chromosomes": stage.chromosomes if stage.chromosomes != "once" else "",
        "batch_eps": "true" if stage.batch_eps else "",
    }
    for key, value in of_several.items():
        if value and not several:
            raise TrainingError(
                f"stage {stage.name!r} has {key}: {value}, which is for modules that read "
                f"several chromosomes (multi_chromosome: true)"
            )
    if stage.batch_eps and module is not None and module.eps != "window":
        raise TrainingError(
            f"stage {stage.name!r} has batch_eps: true, which is for modules with eps: window; "
            f"module {module.name!r} has eps: {module.eps}"
        )
    if stage.dots and (module is None or module.multi_chromosome):
        raise TrainingError(
            f"stage {stage.name!r} has dots: {stage.dots}, which is for modules of maps of a "
            f"single chromosome"
        )
    if stage.dots and not loops:
        raise TrainingError(
            f"stage {stage.name!r} has dots: {stage.dots}, and the configuration has no loops"
        )


def check_blacklist(config: Config, spec: ModelSpec) -> None:
    """TrainingError if there is a blacklist and no stage that heeds it."""
    modules = [spec.module(stage.module) for stage in config.stages if stage.module]
    if config.blacklist and all(m.multi_chromosome for m in modules):
        raise TrainingError(
            f"blacklist: {config.blacklist!r} is for stages with maps of one chromosome; no stage "
            f"is one, leave it out"
        )


def check_eps(spec: ModelSpec, start: ModelSpec, path: str) -> None:
    """TrainingError if a module that reads several chromosomes has another eps in the model to
    begin with (``start``, from ``path``), whose maps are relative to it.
    """
    theirs = {m.name: m.eps for m in start.modules if m.multi_chromosome}
    for m in spec.modules:
        if m.eps != theirs.get(m.name, m.eps):
            raise TrainingError(
                f"model {path!r}: module {m.name!r} has eps: {theirs[m.name]}, the configuration "
                f"has eps: {m.eps}; set the key 'eps' of the module (of a released model: "
                f"model: {{orca: ..., eps: {theirs[m.name]}}})"
            )
