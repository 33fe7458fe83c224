"""Import of the released Orca files (``models/*.statedict``, ``resources/*.npy``) into bundles.

Layout and names: github.com/jzhoulab/orca, ``resources_core.tar.gz`` of Zenodo record 6234936. The
weights are for academic use only; every bundle made here carries that licence in its specification.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from orca_cool.errors import BundleError, ModelError
from orca_cool.locks import locked_outputs
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import save_bundle
from orca_cool.model.networks import empty_model, fill
from orca_cool.model.orca_spec import orca_spec
from orca_cool.model.spec import ModelSpec

log = logging.getLogger(__name__)

#: Cell type -> accession in the names of the released background files.
ACCESSIONS = {"h1esc": "4DNFI9GMP2J8", "hff": "4DNFI643OYP9", "hctnoc": "4DNFILP99QJS.HCT_auxin6h"}

#: Base bin of the released models: the decoder file ``d<L>`` belongs to the level of ``BIN * L``
#: bp.
BIN = 4000


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
    force: bool = False,
) -> list[Path]:
    """Turn the folder of the released resources into bundles.

    Parameters
    ----------
    folder : holds ``models/`` and ``resources/``.
    out : folder of the bundles, one sub-folder a model.
    names : of "h1esc", "hff", "hctnoc"; each must then be complete. Default: every model, each with
        those modules whose files are all there (what is left out is logged).
    force : replace bundles that exist.

    Returns
    -------
    Folders of the bundles.

    Raises
    ------
    BundleError
        If files are missing (the message lists them), damaged or do not fit the networks.
    ModelError
        If a name is not one of the released models.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a folder with the released models and resources")
    for name in names or ():
        if name not in ACCESSIONS:
            raise ModelError(f"unknown released model {name!r}; known: {', '.join(ACCESSIONS)}")
    found, missing = [], []
    for name in names or ACCESSIONS:
        needs = files_of(name)
        absent = {f for files in needs.values() for f in files if not (folder / f).is_file()}
        missing += sorted(absent)
        modules = tuple(m for m, files in needs.items() if not absent.intersection(files))
        if modules:
            found.append((name, modules))
    if missing and (names or not found):
        raise BundleError(f"{folder} lacks {len(missing)} file(s): {', '.join(missing)}")
    if missing:
        log.warning(
            "%s lacks %d file(s), their modules are left out: %s",
            folder,
            len(missing),
            ", ".join(missing),
        )
    targets = {name: Path(out) / name for name, _ in found}
    with locked_outputs(*targets.values()):
        return [_import_one(folder, targets[name], name, modules, force) for name, modules in found]


def read_statedict(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """A released state dict without its ``module.`` prefixes; BundleError if it is anything but
    tensors by name.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BundleError(f"{path} is not a sound PyTorch state dict: {first}") from error
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()
    ):
        raise BundleError(f"{path} does not hold a state dict (tensors by name)")
    stripped = {}
    for key, value in state.items():
        while key.startswith("module."):
            key = key.removeprefix("module.")
        stripped[key] = value
    return stripped


def _import_one(
    folder: Path, target: Path, name: str, modules: tuple[str, ...], force: bool
) -> Path:
    stem = folder / "models" / f"orca_{name}"
    net0 = read_statedict(f"{stem}.net0.statedict")
    head = net0.get("final_1d.3.weight")
    spec = orca_spec(
        name,
        modules=modules,
        profiles=0 if head is None or name == "hctnoc" else len(head),
        assemblies=_hg38(),
    )
    state = _split_net(net0, spec, f"{stem}.net0.statedict")

    def add(prefix: str, path: str) -> None:
        state.update({f"{prefix}.{k}": v for k, v in read_statedict(path).items()})

    for pyramid in spec.pyramids:
        part = "_256m.net" if pyramid == "encoder3" else ".net"
        add(f"pyramids.{pyramid}", f"{stem}{part}.statedict")
    for module in spec.modules:
        for resolution in module.resolutions if module.decoder else ():
            part = f"{'_256m' if module.multi_chromosome else ''}.d{resolution // BIN}"
            add(f"decoders.{module.name}.{resolution}", f"{stem}{part}.statedict")
    model = empty_model(spec)
    # The released program loads HFF's files non-strictly, so they may hold more than the networks;
    # nothing may be missing.
    more = sorted(set(state) - set(model.state_dict()))
    if more:
        log.warning(
            "%s: %d tensor(s) that the networks do not have are left out: %s ...",
            name,
            len(more),
            ", ".join(more[:3]),
        )
    fill(
        model,
        {k: v for k, v in state.items() if k not in more},
        f"released model {name!r} in {folder}",
    )
    return save_bundle(target, model, _expected_tables(folder, name, modules), force=force)


def _split_net(
    net0: dict[str, torch.Tensor], spec: ModelSpec, path: str
) -> dict[str, torch.Tensor]:
    """Net (encoder, one-shot decoder and profile head under one set of names) to our names.

    Parts that the model does not use (hctnoc has neither decoder nor profiles) are dropped; an
    unknown name is an error.
    """
    parts: list[tuple[str, Callable[[str], bool], bool]] = [
        (
            "encoder",
            lambda k: (
                k.startswith(("lconv", "conv")) and not k.startswith(("lconvtwos", "convtwos"))
            ),
            True,
        ),
        (
            "base_decoder",
            lambda k: k.startswith(("lconvtwos.", "convtwos.", "final.")),
            spec.base_decoder is not None,
        ),
        ("final_1d", lambda k: k.startswith("final_1d."), bool(spec.profiles)),
    ]
    state = {}
    for key, value in net0.items():
        for prefix, mine, used in parts:
            if mine(key):
                if used:
                    state[f"{prefix}.{key.removeprefix('final_1d.')}"] = value
                break
        else:
            raise BundleError(f"{path} holds an unexpected tensor: {key}")
    return state


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


def read_table(path: str | os.PathLike[str]) -> np.ndarray:
    """A released table of expected frequencies ("background") by distance, float64 (n,).

    The files hold natural logs (``misc/process_expectation.py`` of jzhoulab/orca takes them for
    cis, mono and trans). A mean frequency is between 0 and 1, its log below 0: a table with a
    negative value is taken as logs, one without as frequencies, so that both forms of the 32 kb
    files are read right.

    Raises
    ------
    BundleError
        If the file is not a .npy of numbers, or holds no usable value.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BundleError(f"{path} is not a .npy of numbers: {error}") from error
    if (
        not isinstance(values, np.ndarray)
        or values.dtype.kind not in "fiu"
        or np.squeeze(values).ndim > 1
        or values.size == 0
    ):
        raise BundleError(
            f"{path}: expected one row of numbers, found "
            f"{getattr(values, 'dtype', type(values))} {np.shape(values)}"
        )
    table = np.atleast_1d(np.squeeze(values)).astype(np.float64)
    table[np.isinf(table)] = np.nan  # log of 0: not measured
    if np.isnan(table[0]):
        raise BundleError(f"{path}: the first value is not finite: {values.reshape(-1)[0]}")
    return np.exp(table) if np.nanmin(table) < 0 else table


def _hg38() -> dict[str, dict[str, int]]:
    import bioframe

    return {"hg38": {str(k): int(v) for k, v in bioframe.assembly_info("hg38").chromsizes.items()}}
