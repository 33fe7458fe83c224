"""What ``orca-cool evaluate`` does with predictions of any models."""

from __future__ import annotations

import json
from typing import Any

import orca_cool as oc
from orca_cool.cli.evaluate_options import PROTOCOL
from orca_cool.cli.options import JOB, echo, refuse_given
from orca_cool.errors import ModelError

#: Options that are about one prediction of a map, not about differences and not about Akita's.
OF_A_MAP = ("marks", "train", "features", "replicate", "no_ceiling", "insulation", "scc_smooth")


def is_ours(path: str) -> bool:
    """Whether a prediction is a file of this package, or nothing that can be read."""
    from pathlib import Path

    from orca_cool.maps.open import open_map

    name = path.partition("::")[0]
    if name.endswith((".npz", ".zarr", ".zarr.zip")) or Path(name).is_dir():
        return False
    return not Path(name).is_file() or open_map(path).predicted


def of_any(
    maps: tuple[str, ...],
    chroms: tuple[str, ...],
    options: dict[str, Any],
    as_json: bool,
    model: str | None,
    difference: bool,
    akita: tuple[str, ...],
) -> bool:
    """Evaluate predictions of any models, if that is what is asked for; False if it is not."""
    if akita:
        of_akita(maps, chroms, options, akita, difference, as_json)
        return True
    if difference:
        of_difference(maps, chroms, options, as_json)
        return True
    several = len(maps) > 2 or bool(options["marks"])
    if model is None and (several or (len(maps) == 2 and not is_ours(maps[0]))):
        of_several(maps, chroms, options, as_json)
        return True
    return False


def of_several(
    maps: tuple[str, ...], chroms: tuple[str, ...], options: dict[str, Any], as_json: bool
) -> None:
    """One table of several predictions, or of one that another program wrote."""
    from orca_cool.evaluate.several_report import several_json, several_table

    refuse_given((*JOB, *PROTOCOL), "needs --model; PREDICTED files are evaluated as they are")
    if len(maps) < 2:
        raise ModelError(f"{maps[0]!r}: a prediction and a measured map are needed")
    found = oc.evaluate_predictions(maps[:-1], maps[-1], chroms, **options)
    text = json.dumps(several_json(found), indent=2, allow_nan=False)
    echo(text if as_json else several_table(found))


def of_difference(
    maps: tuple[str, ...], chroms: tuple[str, ...], options: dict[str, Any], as_json: bool
) -> None:
    """The predicted difference of two cell types against the measured one."""
    from orca_cool.evaluate.several_report import differences_json, differences_table

    refuse_given((*JOB, *PROTOCOL, *OF_A_MAP), "means nothing with --difference")
    require_four(maps)
    found = oc.evaluate_difference(maps[:2], maps[2:], chroms, **options)
    text = json.dumps(differences_json(found), indent=2, allow_nan=False)
    echo(text if as_json else differences_table(found))


def require_four(maps: tuple[str, ...]) -> None:
    """ModelError unless there are the maps of a difference."""
    if len(maps) != 4:
        raise ModelError(
            f"--difference of {len(maps)} maps: two predictions and two measured maps are needed, "
            f"PREDICTED_A PREDICTED_B OBSERVED_A OBSERVED_B"
        )


def of_akita(
    maps: tuple[str, ...],
    chroms: tuple[str, ...],
    options: dict[str, Any],
    akita: tuple[str, ...],
    difference: bool,
    as_json: bool,
) -> None:
    """Beside Akita's windows, of one cell type or of the difference of two."""
    from orca_cool.evaluate.several_report import akita_json, akita_table

    refuse_given((*JOB, *PROTOCOL, *OF_A_MAP, "levels"), "means nothing with --akita")
    if difference:
        require_four(maps)
    elif len(maps) != 2:
        raise ModelError(
            f"--akita with {len(maps)} maps: one prediction and one measured map are needed"
        )
    wanted = 2 if difference else 1
    if len(akita) != wanted:
        raise ModelError(
            f"--akita {', '.join(map(repr, akita))}: "
            + (
                "with --difference it is given twice, of A and of B"
                if difference
                else "it is given once; of the difference of two cell types, with --difference, "
                "twice"
            )
        )
    options["ceiling"] = False
    found = oc.evaluate_beside_akita(maps[:wanted], akita, maps[wanted:], chroms, **options)
    text = json.dumps(akita_json(found), indent=2, allow_nan=False)
    echo(text if as_json else akita_table(found))
