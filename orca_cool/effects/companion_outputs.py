"""What lies beside a prediction: of an edited genome the same in the reference's coordinates, the
reference's own, and the difference; of any genome tracks.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cooler

from orca_cool.effects import companion_path, companions_folder
from orca_cool.effects.difference import difference
from orca_cool.effects.lift import lift_to_reference
from orca_cool.errors import CoolerError, OutputError
from orca_cool.files import replace_file
from orca_cool.genome.edited import EditedGenome
from orca_cool.maps.coolfile import read_layer
from orca_cool.prediction.plan import Plan
from orca_cool.profile import staged


def is_result_of(path: Path, whole: Plan, numbers: dict[str, str]) -> bool:
    """True if a file is what a plan leads to.

    Parameters
    ----------
    numbers : the choices that decide the numbers, wherever they are computed.
    """
    wanted = {
        **whole.identity,
        **numbers,
        "mode": whole.settings.mode,
        "pseudo_depth": whole.settings.pseudo_depth,
    }
    # told otherwise; of whoever computes
    sizes = wanted.pop("chromsizes")
    wanted = {k: v for k, v in wanted.items() if k not in ("device", "encodings", "trans")}
    try:
        uri = f"{path}::resolutions/{max(whole.settings.resolutions)}"
        found = read_layer(uri)[1]
        same_sizes = dict(cooler.Cooler(uri).chromsizes) == sizes
    except CoolerError:
        return False
    same_trans = (found["trans"] is not None) == whole.settings.trans
    return (
        same_sizes
        and same_trans
        and all(found.get(k) == v for k, v in json.loads(json.dumps(wanted)).items())
    )


def place_companions(output: Path, make: Callable[[Path], list[Path]]) -> list[Path]:
    """Make files in a folder, and put all of them beside ``output`` when the last one is whole.

    Parameters
    ----------
    make : called with the folder; it returns what it has made there.

    Returns
    -------
    Paths written.
    """
    scratch = companions_folder(output)
    made: list[Path] = []
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        made = make(scratch)
        for path in made:
            replace_file(path, output.parent / path.name)
    except OSError as error:
        raise OutputError(f"cannot write beside {output}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return [output.parent / path.name for path in made]


@staged("companions")
def lifted_and_difference(
    output: Path,
    folder: Path,
    genome: EditedGenome,
    assembly: str,
    copies: str,
    reference: Path | None,
    beside: Sequence[Path],
) -> list[Path]:
    """Make, of the files ``beside`` the prediction of an edited genome, that in the reference's
    coordinates, and its difference to ``reference``.
    """
    lifted = folder / companion_path(output, "lifted").name
    made = lift_to_reference(output, genome, lifted, assembly=assembly, copies=copies)
    if companion_path(output, "lifted") not in beside:
        made = []
    if reference is not None:
        made.append(difference(lifted, reference, folder / companion_path(output, "diff").name))
    return made
