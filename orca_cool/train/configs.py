"""Configurations that come with the package, to begin one's own with."""

from __future__ import annotations

from pathlib import Path

from orca_cool.errors import TrainingError
from orca_cool.files import atomic_write, check_output
from orca_cool.genome.regions import closest
from orca_cool.model.registry import DATA

#: Short names, and what they stand for.
SHORT = {"yeast": "yeast-metaphase-first"}


def known_configs() -> dict[str, Path]:
    """Name -> file of each configuration, the short names too."""
    paths = {path.stem: path for path in (DATA / "configs").glob("*.yaml")}
    paths |= {short: paths[name] for short, name in SHORT.items()}
    return dict(sorted(paths.items()))


def which(name: str) -> str:
    """The configuration of the package that was probably meant, and all that there are."""
    configs = known_configs()
    near = closest(name, configs)
    meant = "" if near is None else f"did you mean {near!r}? "
    return f"{meant}there are: {', '.join(configs)}"


def config_file(text: str | Path) -> tuple[Path, Path]:
    """The file of a configuration, and the folder that its paths are relative to.

    Parameters
    ----------
    text : a file, relative to whose folder its paths are; or, where there is no such file, the name
        of a configuration that comes with the package, whose paths are relative to where one is.
    """
    path, shipped = Path(text), known_configs()
    if not path.exists() and str(text) in shipped:
        return shipped[str(text)], Path()
    return path, path.parent


def write_config(name: str, output: Path, *, force: bool = False) -> Path:
    """Copy a configuration to where it can be edited.

    Parameters
    ----------
    name : one of :func:`known_configs`. output : the file to write.

    Raises
    ------
    TrainingError
        If there is no such configuration; the message lists those there are.
    OutputError
        If the output exists (without ``force``), or cannot be written.
    """
    configs = known_configs()
    if name not in configs:
        raise TrainingError(f"there is no configuration {name!r}; {which(name)}")
    check_output(output, force)
    atomic_write(output, configs[name].read_bytes())
    return output
