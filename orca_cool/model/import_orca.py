"""Import of the released Orca files (``models/*.statedict``, ``resources/*.npy``) into bundles.

Layout and names: github.com/jzhoulab/orca, ``resources_core.tar.gz`` of Zenodo record 6234936. The
weights are for academic use only; every bundle made here carries that licence in its specification.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from orca_cool.errors import BundleError, ModelError
from orca_cool.genome.regions import few
from orca_cool.locks import locked_outputs
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import save_bundle
from orca_cool.model.header import SPEC_FILE
from orca_cool.model.import_cell_types import SEVERAL, several_maps
from orca_cool.model.orca_spec import orca_spec
from orca_cool.model.released_files import (
    filled,
    hg38,
    profiles_in,
    read_networks,
    read_statedict,
    read_table,
)

log = logging.getLogger(__name__)

#: Cell type -> accession in the names of the released background files.
ACCESSIONS = {"h1esc": "4DNFI9GMP2J8", "hff": "4DNFI643OYP9", "hctnoc": "4DNFILP99QJS.HCT_auxin6h"}


def files_of(name: str) -> dict[str, list[str]]:
    """Files that each module of a released model needs, relative to the folder of the resources."""
    stem, table = f"models/orca_{name}", f"resources/{ACCESSIONS[name]}.rebinned.mcool.expected.res"
    shared = [f"{stem}.net0.statedict", f"{stem}.net.statedict"]
    modules = {
        "32M": [
            *shared,
            *(f"{stem}.d{level}.statedict" for level in (1, 2, 4, 8, 16, 32)),
            f"{table}4000.npy",
        ]
    }
    if name != "hctnoc":
        wide = [f"{stem}_256m.{part}.statedict" for part in ("net", "d32", "d64", "d128", "d256")]
        modules["256M"] = [*shared, *wide, f"{table}32000.mono.npy", f"{table}32000.trans.npy"]
        modules["1M"] = [shared[0], f"{table}1000.npy"]
    return modules


def import_released(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    *,
    cell_types: Sequence[str] = (),
    expected: Mapping[str, str | os.PathLike[str]] | None = None,
    force: bool = False,
) -> list[Path]:
    """Turn the folder of the released resources into bundles.

    Parameters
    ----------
    folder : holds ``models/`` and ``resources/``.
    out : folder of the bundles, one sub-folder a model.
    names : of "h1esc", "hff", "hctnoc", "leukemiaA", "leukemiaB"; each must then be complete.
        Default: every model that the folder has; of h1esc, hff and hctnoc those modules whose files
        are all there. What is left out is logged.
    cell_types : of one other model of several cell types, ``names[0]``, in the order of its maps.
    expected : the files of expected tables by cell type, where they are not those that are known;
        logs of frequencies by distance at 4 kb, or frequencies (:func:`read_table`).
    force : replace bundles that exist.

    Returns
    -------
    Folders of the bundles.

    Raises
    ------
    BundleError
        If files are missing (the message lists them), damaged or do not fit the networks.
    ModelError
        If a name is not one of the released models, or cell types are wrong or not known.

    Examples
    --------
    >>> import_released("orca_leukemia", "models", ["leukemiaA"])
    [PosixPath('models/leukemiaA')]
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a folder with the released models and resources")
    found, missing = _found(folder, names, cell_types, expected)
    if missing and (names or not found):
        raise BundleError(
            f"{folder} lacks {len(missing)} file(s): {few(missing, 12)}; give the folder of the "
            f"released resources or of a model, which has a {SPEC_FILE}"
        )
    if missing:
        log.warning(
            "%s lacks %d file(s), their modules are left out: %s",
            folder,
            len(missing),
            ", ".join(missing),
        )
    targets = {name: Path(out) / name for name in found}
    with locked_outputs(*targets.values()):
        return [write(targets[name], force) for name, write in found.items()]


def _found(
    folder: Path,
    names: Sequence[str] | None,
    cell_types: Sequence[str],
    expected: Mapping[str, str | os.PathLike[str]] | None,
) -> tuple[dict[str, Callable[[Path, bool], Path]], list[str]]:
    """For each model that is there, what writes its bundle; and the files that are missing."""
    if (cell_types or expected) and len(names or ()) != 1:
        raise ModelError(
            f"cell types and expected tables are of one model, not of "
            f"{', '.join(names or ()) or 'all'}; give its name: NAME of models/orca_NAME.*"
        )
    found: dict[str, Callable[[Path, bool], Path]] = {}
    missing: list[str] = []
    nothing: list[str] = []  # files of models of which the folder has not one
    for name in dict.fromkeys(names or [*ACCESSIONS, *SEVERAL]):
        if cell_types or expected or name in SEVERAL:
            tables = {c: Path(file) for c, file in (expected or {}).items()}
            model = several_maps(folder, name, cell_types, tables)
            if not names and not Path(f"{model.stem}.net0.statedict").is_file():
                continue
            missing += (absent := model.missing())
            if not absent:
                found[name] = model.write
        elif name in ACCESSIONS:
            needs = files_of(name)
            lacking = {f for files in needs.values() for f in files if not (folder / f).is_file()}
            whole = lacking == {f for files in needs.values() for f in files}
            (nothing if whole and not names else missing).extend(sorted(lacking))
            modules = tuple(m for m, files in needs.items() if not lacking.intersection(files))
            if modules:
                found[name] = partial(import_one, folder, name, modules)
        else:
            known = ", ".join([*ACCESSIONS, *SEVERAL])
            raise ModelError(f"unknown released model {name!r}; known: {known}")
    return found, missing or ([] if found else nothing)


def import_one(
    folder: Path, name: str, modules: tuple[str, ...], target: Path, force: bool
) -> Path:
    stem = folder / "models" / f"orca_{name}"
    net0 = read_statedict(f"{stem}.net0.statedict")
    spec = orca_spec(
        name,
        modules=modules,
        profiles=0 if name == "hctnoc" else profiles_in(net0),
        assemblies=hg38(),
    )
    state = read_networks(stem, spec, net0)
    model = filled(spec, state, f"released model {name!r} in {folder}")
    return save_bundle(target, model, _expected_tables(folder, name, modules), force=force)


def _expected_tables(folder: Path, name: str, modules: tuple[str, ...]) -> dict[int, ExpectedModel]:
    stem = folder / "resources" / f"{ACCESSIONS[name]}.rebinned.mcool.expected.res"
    tables = {}
    if "1M" in modules:
        tables[1000] = ExpectedModel(1000, read_table(f"{stem}1000.npy"))
    if "32M" in modules:
        tables[4000] = ExpectedModel(4000, read_table(f"{stem}4000.npy"))
    if "256M" in modules:
        trans = read_table(f"{stem}32000.trans.npy")
        if trans.size != 1:
            raise BundleError(f"{stem}32000.trans.npy holds {trans.size} values, expected one")
        tables[32000] = ExpectedModel(32000, read_table(f"{stem}32000.mono.npy"), float(trans[0]))
    return tables
