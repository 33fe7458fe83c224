"""Models as files: our bundle (a folder with ``model.json`` and ``weights.safetensors``).

A bundle holds no pickle and no path; ``model.json`` names the format and its version, the
specification, size and SHA-256 of the weights, and a digest of all that decides numbers, so that a
damaged or changed copy is recognised before anything is computed with it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from orca_cool.errors import BundleError, ModelError, OutputError
from orca_cool.files import atomic_folder, sha256
from orca_cool.genome.source import one_hot
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.cascade import Orca
from orca_cool.model.header import (
    FORMAT,
    SPEC_FILE,
    VERSION,
    WEIGHTS_FILE,
    check_weights,
    is_bundle,
    numbers_digest,
    read_header,
)
from orca_cool.model.spec import ModelSpec, ModuleSpec
from orca_cool.model.window_model import DIFFERENTIABLE, ENCODE


@dataclass
class Model:
    """A model ready to run: its networks, and the expected contact frequencies that their maps are
    relative to.

    Attributes
    ----------
    spec : specification of the modules that were loaded (all, unless fewer were asked for).
    model : the networks, in eval mode, on the CPU, float32.
    expected_tables : expected contact frequency by distance, by resolution of the table in bp.
    digest : SHA-256 of the weights file in hexadecimal: what names the model in stores and files.
    path : folder of the bundle.

    Examples
    --------
    >>> model = orca_cool.load_model("yeast-metaphase")
    >>> model.modules, model.levels
    (('1024k',), (2000, 4000, 8000))
    """

    spec: ModelSpec
    model: Orca
    expected_tables: dict[int, ExpectedModel]
    digest: str
    path: Path

    @property
    def name(self) -> str:
        """The model's name, as in ``orca-cool models list``."""
        return self.spec.name

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules, each a cascade of levels ("1M", "32M", "256M" in the released
        models).
        """
        return tuple(module.name for module in self.spec.modules)

    @property
    def levels(self) -> tuple[int, ...]:
        """Resolutions in bp that the modules predict, finest first."""
        return self.spec.resolutions

    @property
    def cell_types(self) -> tuple[str, ...]:
        """Cell types whose maps the model predicts; empty if the model names none."""
        return (self.spec.cell_type,) if self.spec.cell_type else ()

    @property
    def profiles(self) -> tuple[str, ...]:
        """Names of the chromatin profiles that the model predicts beside maps; empty if none."""
        return self.spec.profiles

    @property
    def licence(self) -> str:
        """Terms under which the weights may be used."""
        return self.spec.licence

    @property
    def assemblies(self) -> tuple[str, ...]:
        """Names of the genome assemblies that the model was made for."""
        return tuple(self.spec.assemblies)

    @property
    def capabilities(self) -> frozenset[str]:
        """See :class:`orca_cool.model.window_model.WindowModel`, which this is."""
        return frozenset({ENCODE, DIFFERENTIABLE})

    @property
    def context(self) -> int:
        """Sequence in bp that base encodings depend on, on either side: whole base bins."""
        base = self.spec.base_bin
        return -(-self.spec.encoder.half_receptive_field // base) * base

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Maps of windows at the coarsest resolution of a module, from one strand, by the plain
        networks; finer levels need the map above them, which an engine hands down.

        Parameters
        ----------
        codes : uint8, shape (n, width), codes 0 to 4; the width, ``bins * resolution + 2 *
            context``, says which resolution is meant.

        Returns
        -------
        float32, shape (n, bins, bins): log observed/expected.

        Raises
        ------
        ModelError
            If no module that reads a single chromosome has such a window at its top.
        """
        spec, margin = self.spec, self.context // self.spec.base_bin
        width = codes.shape[1] - 2 * self.context
        fits = [
            m
            for m in spec.modules
            if spec.window(m.resolutions[0]) == width and not m.multi_chromosome
        ]
        if not fits:
            raise ModelError(
                f"model {spec.name!r} has no module whose top window and its context are "
                f"{codes.shape[1]:,} bp"
            )
        module, top = fits[0], fits[0].resolutions[0]
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            bases = self.model.encoder(torch.stack([one_hot(c, device) for c in codes]))
            x = self.model.encodings(module, bases[..., margin:-margin])[top]
            log = np.log(self.expected(module).expected_matrix(top, spec.bins)).astype(np.float32)
            distance = torch.from_numpy(log).to(device)[None, None]
            maps: torch.Tensor = self.model.decode(module, top, x, distance, None)
        return maps[:, 0].cpu().numpy()

    def expected(self, module: ModuleSpec) -> ExpectedModel:
        """The expected table that a module's levels are relative to (:func:`choose_table`).

        Raises
        ------
        BundleError
            If the bundle has no such table.
        """
        table = choose_table(self.expected_tables, module, self.spec.base_bin)
        if table is None:
            wanted = {
                True: "a table with a trans value",
                False: f"a table at {self.spec.base_bin} bp",
            }[module.multi_chromosome]
            if module.decoder is None:
                wanted = f"a table that averages to {module.resolutions[-1]} bp"
            raise BundleError(
                f"{self.path}: module {module.name!r} needs {wanted}; the bundle has tables at "
                f"{sorted(self.expected_tables)} bp"
            )
        return table


def save_bundle(
    folder: str | os.PathLike[str],
    model: Orca,
    expected_tables: Mapping[int, ExpectedModel],
    *,
    force: bool = False,
) -> Path:
    """Write a bundle; the folder appears whole or not at all.

    Parameters
    ----------
    folder : to be made; its parent is made if need be.
    expected_tables : by resolution in bp.
    force : replace a bundle that is already there.

    Raises
    ------
    OutputError
        If the folder exists (without ``force``; or is no bundle), or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not (force and is_bundle(folder)):
        hint = (
            "--force replaces it"
            if is_bundle(folder)
            else "and is not a model bundle: choose another name"
        )
        raise OutputError(f"{folder} exists; {hint}")
    tables = [
        {"resolution": int(r), "bins": len(t.cis), "trans": t.trans is not None}
        for r, t in sorted(expected_tables.items())
    ]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(folder, replace=force) as temporary:
            weights = temporary / WEIGHTS_FILE
            save_file(_tensors(model, expected_tables), weights)
            header: dict[str, Any] = {
                "format": FORMAT,
                "version": VERSION,
                "spec": model.spec.to_json(),
                "weights": {
                    "file": WEIGHTS_FILE,
                    "sha256": sha256(weights),
                    "bytes": weights.stat().st_size,
                },
                "expected": tables,
            }
            header["digest"] = numbers_digest(header)
            (temporary / SPEC_FILE).write_text(json.dumps(header, indent=1) + "\n", "utf-8")
    except (OSError, SafetensorError) as error:
        raise OutputError(f"model bundle {folder} could not be written: {error}") from error
    return folder


def _tensors(model: Orca, expected_tables: Mapping[int, ExpectedModel]) -> dict[str, torch.Tensor]:
    """Networks and expected tables as the named tensors of a weights file."""
    tensors = {
        k: v.detach().to("cpu").contiguous().clone()
        for k, v in model.state_dict().items()
        if not _counter(k)
    }
    for resolution, table in sorted(expected_tables.items()):
        tensors[f"expected.cis.{resolution}"] = torch.from_numpy(
            np.array(table.cis, dtype=np.float64)
        )
        if table.trans is not None:
            tensors[f"expected.trans.{resolution}"] = torch.tensor(
                [table.trans], dtype=torch.float64
            )
    return tensors


def load_bundle(folder: str | os.PathLike[str], *, modules: Sequence[str] | None = None) -> Model:
    """Read a bundle.

    Parameters
    ----------
    modules : names of the modules to load, in the specification's order; default all. Only their
        tensors are read.

    Raises
    ------
    BundleError
        If a file is missing, truncated or damaged, of a newer version, or its tensors do not fit
        the specification.
    ModelError
        If the model lacks a module that is asked for.
    """
    folder = Path(folder)
    header = read_header(folder)
    path = check_weights(folder, header)
    whole: ModelSpec = header["spec"]
    spec = whole if modules is None else reduce_spec(whole, modules)
    expected = empty_model(whole).state_dict()
    prefix = "background" if header["version"] == 1 else "expected"
    names = {f"{prefix}.cis.{b['resolution']}" for b in header["expected"]}
    names |= {f"{prefix}.trans.{b['resolution']}" for b in header["expected"] if b["trans"]}
    model = empty_model(spec)
    mine = model.state_dict().keys()
    try:
        with safe_open(path, framework="pt") as file:
            present = set(file.keys())
            _same_names(path, present, {k for k in expected if not _counter(k)} | names)
            state = {k: file.get_tensor(k) for k in present if k in mine}
            tables = {k: file.get_tensor(k).numpy().astype(np.float64) for k in names}
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path} is not a sound safetensors file: {error}") from error
    fill(model, state, path)
    expected_tables = {}
    for b in header["expected"]:
        resolution = b["resolution"]
        cis = tables[f"{prefix}.cis.{resolution}"]
        if cis.shape != (b["bins"],):
            raise BundleError(
                f"{path}: {prefix}.cis.{resolution} has shape {cis.shape}, expected ({b['bins']},)"
            )
        if not np.isfinite(cis[0]) or np.isinf(cis).any() or (cis < 0).any():
            raise BundleError(f"{path}: {prefix}.cis.{resolution} holds what are no frequencies")
        trans = float(tables[f"{prefix}.trans.{resolution}"].reshape(-1)[0]) if b["trans"] else None
        expected_tables[resolution] = ExpectedModel(resolution, cis, trans)
    return Model(spec, model, expected_tables, header["weights"]["sha256"], folder)


def reduce_spec(spec: ModelSpec, modules: Sequence[str]) -> ModelSpec:
    """The specification with only some modules, and only the networks that they need."""
    wanted = {spec.module(name).name for name in modules}
    kept = tuple(m for m in spec.modules if m.name in wanted)
    used = {p for m in kept for p in m.pyramids}
    return dataclasses.replace(
        spec,
        modules=kept,
        pyramids={k: p for k, p in spec.pyramids.items() if k in used},
        base_decoder=spec.base_decoder if any(m.base_decoder for m in kept) else None,
    )


def empty_model(spec: ModelSpec) -> Orca:
    """The networks of a specification without storage ("meta" device): names and shapes, no random
    draws.
    """
    try:
        with torch.device("meta"):
            return Orca(spec).eval()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # a module called "keys"
        raise ModelError(f"model {spec.name!r} cannot be made: {error}") from error


def fill(model: Orca, state: Mapping[str, torch.Tensor], source: object) -> None:
    """Put tensors into an empty model, in place; BundleError names ``source`` and the first tensors
    that do not fit.
    """
    expected = model.state_dict()
    _same_names(
        source, {k for k in state if not _counter(k)}, {k for k in expected if not _counter(k)}
    )
    ready = {}
    for key, blank in expected.items():
        if _counter(key):
            ready[key] = torch.zeros(
                (), dtype=torch.long
            )  # batches seen in training: inference never reads it
            continue
        tensor = state[key]
        if tensor.shape != blank.shape:
            raise BundleError(
                f"{source}: {key} has shape {tuple(tensor.shape)}, expected {tuple(blank.shape)}"
            )
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise BundleError(
                f"{source}: {key} holds values that are not finite numbers ({tensor.dtype})"
            )
        ready[key] = tensor.to(torch.float32).clone(memory_format=torch.contiguous_format)
    model.load_state_dict(ready, strict=True, assign=True)
    model.eval()


def _counter(key: str) -> bool:
    return key.endswith("num_batches_tracked")


def _same_names(source: object, found: set[str], expected: set[str]) -> None:
    def few(names: Iterable[str]) -> str:
        names = sorted(names)
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    if expected - found:
        raise BundleError(f"{source} lacks tensors: {few(expected - found)}")
    if found - expected:
        raise BundleError(f"{source} holds unexpected tensors: {few(found - expected)}")


def choose_table(
    tables: Mapping[int, ExpectedModel], module: ModuleSpec, base_bin: int
) -> ExpectedModel | None:
    """The table that a module's levels are relative to, None if there is none.

    A module of several chromosomes (256M) has the coarsest table that carries a trans value; a
    one-shot module (1M) the finest that averages to its bin (1 kb in the released models); any
    other the table at the base bin.
    """
    if module.multi_chromosome:
        fits = [
            r for r, b in tables.items() if b.trans is not None and module.resolutions[-1] % r == 0
        ]
        return tables[max(fits)] if fits else None
    if module.decoder is None:
        fits = [r for r in tables if module.resolutions[-1] % r == 0]
        return tables[min(fits)] if fits else None
    return tables.get(base_bin)
