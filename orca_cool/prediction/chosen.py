"""What the texts of options choose of a model: levels, modules, and files of cell types."""

from __future__ import annotations

from pathlib import Path

from orca_cool.errors import ModelError
from orca_cool.model.spec import ModelDescription


def output_of_cell_type(output: str, cell_type: str) -> str:
    """ "X.a.mcool" for "X.mcool" and cell type "a"; standard output ("-") has no name to change.

    Raises
    ------
    ModelError
        If the output is standard output.
    """
    if output == "-":
        raise ModelError(
            f"the tables of several cell types cannot all go to standard output; choose one with "
            f"--cell-type {cell_type}, or give a file"
        )
    path = Path(output)
    suffix = path.suffix
    if suffix in (".gz", ".bgz"):
        suffix = Path(path.stem).suffix + suffix
    return str(path.with_name(f"{path.name.removesuffix(suffix)}.{cell_type}{suffix}"))


def chosen_levels(
    spec: ModelDescription, levels: str | None, modules: str | None
) -> tuple[tuple[int, ...], tuple[str, ...] | None]:
    """Levels and modules by the texts of ``--levels`` and ``--module``.

    Parameters
    ----------
    levels : comma-separated resolutions ("4000") or windows ("1M"); None: all of the modules.
    modules : comma-separated names of modules; None: whatever the levels need.

    Returns
    -------
    resolutions : in bp, finest first. names : of the modules, or None.

    Raises
    ------
    ModelError
        If the model has no such level or module, or none of the modules has the level.
    """
    names = None
    if modules:
        names = tuple(spec.module(name.strip()).name for name in modules.split(","))
    offered = {r for m in spec.modules if names is None or m.name in names for r in m.resolutions}
    if levels is None:
        return tuple(sorted(offered)), names
    wanted = {spec.parse_level(text) for text in levels.split(",")}
    for resolution in sorted(wanted - offered):
        raise ModelError(
            f"level {resolution} ({spec.label(resolution)}) is not of module "
            f"{', '.join(names or ())}; levels there: {sorted(offered)}"
        )
    return tuple(sorted(wanted)), names
