"""The files of released models, as they are: state dicts (``models/*.statedict``) and expected
tables (``resources/*.npy``).
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from orca_cool.errors import BundleError
from orca_cool.model.cascade import Orca
from orca_cool.model.networks import empty_model, fill
from orca_cool.model.spec import ModelSpec

log = logging.getLogger(__name__)

#: Base bin of the released models: the decoder file ``d<L>`` belongs to the level of ``BIN * L``
#: bp.
BIN = 4000


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


def profiles_in(net0: dict[str, torch.Tensor]) -> int:
    """Chromatin profiles that ``net0`` predicts; 0 without a head for them."""
    head = net0.get("final_1d.3.weight")
    return 0 if head is None else len(head)


def read_networks(
    stem: Path, spec: ModelSpec, net0: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The tensors of all files of a model, under our names.

    Parameters
    ----------
    stem : what the names of its files begin with, such as ``models/orca_h1esc``.
    net0 : its file ``net0``, which was read already.

    Raises
    ------
    BundleError
        If a file is missing or damaged, or ``net0`` holds a tensor of an unknown name.
    """
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
    return state


def filled(spec: ModelSpec, state: dict[str, torch.Tensor], source: str) -> Orca:
    """The networks of a specification with the tensors of its files.

    The released programs load some files non-strictly, so they may hold more than the networks,
    which is logged; nothing may be missing.

    Parameters
    ----------
    source : for messages.

    Raises
    ------
    BundleError
        If a tensor is missing, of another shape or not finite.
    """
    model = empty_model(spec)
    more = sorted(set(state) - set(model.state_dict()))
    if more:
        log.warning(
            "%s: %d tensor(s) that the networks do not have are left out: %s ...",
            spec.name,
            len(more),
            ", ".join(more[:3]),
        )
    fill(model, {k: v for k, v in state.items() if k not in more}, source)
    return model


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


def hg38() -> dict[str, dict[str, int]]:
    """Lengths of hg38's chromosomes, by the assembly's name."""
    import bioframe

    return {"hg38": {str(k): int(v) for k, v in bioframe.assembly_info("hg38").chromsizes.items()}}
