"""Several models on one genome: what must be the same of them, so that what they say is of the same
sequences.
"""

from __future__ import annotations

from collections.abc import Sequence

from orca_cool.errors import ModelError
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription


def refuse_store(store: str | None) -> None:
    """ModelError if several models are to share a store of encodings, which are of one model."""
    if store is not None:
        raise ModelError(
            f"the store {store!r} holds the encodings of one model; leave it out with several"
        )


def require_together(
    specs: Sequence[ModelDescription],
    given: Sequence[str],
    levels: Sequence[tuple[ModuleSpec, int]],
) -> None:
    """Several models must have names of their own, one assembly, and the same windows.

    Parameters
    ----------
    specs : of the models. given : how the user names them.
    levels : the module and the resolution of each that are screened.

    Raises
    ------
    ModelError
        The message names the two that do not go together.
    """
    first, shown = specs[0], _windows(specs[0], *levels[0])
    known = {first.name: given[0]}
    for spec, model, level in zip(specs[1:], given[1:], levels[1:]):
        if spec.name in known:
            raise ModelError(
                f"the models {known[spec.name]!r} and {model!r} are both called {spec.name!r}, and "
                f"so would be their scores; give each model once"
            )
        known[spec.name] = model
        a, b = list(first.assemblies), list(spec.assemblies)
        if a and b and not {*a} & {*b}:
            raise ModelError(
                f"the models {first.name!r} ({', '.join(a)}) and {spec.name!r} ({', '.join(b)}) "
                f"are of different assemblies, so that they cannot score the same sequences"
            )
        if (found := _windows(spec, *level)) != shown:
            raise ModelError(
                f"the models {first.name!r} and {spec.name!r} see different windows: {shown} and "
                f"{found}; choose --module and --resolution so that they are the same"
            )


def _windows(spec: ModelDescription, module: ModuleSpec, resolution: int) -> str:
    """What decides where the windows of a screen lie, in words."""
    levels = module.resolutions[: module.resolutions.index(resolution) + 1]
    shown = ", ".join(f"{r:,}" for r in levels)
    return f"{spec.bins} bins of {shown} bp, placed {spec.placement!r}"
