"""Models as files: our bundle (a folder with ``model.json`` and ``weights.safetensors``).

A bundle holds no pickle and no path; ``model.json`` names the format and its version, the
specification, size and SHA-256 of the weights, and a digest of all that decides numbers, so that a
damaged or changed copy is recognised before anything is computed with it.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Mapping, Sequence
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
from orca_cool.model.expected_tables import choose_table
from orca_cool.model.header import (
    FORMAT,
    SPEC_FILE,
    WEIGHTS_FILE,
    check_tables,
    check_weights,
    is_bundle,
    numbers_digest,
    read_header,
    version_for,
)
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.networks import empty_model, fill, is_counter, reduce_spec, same_names
from orca_cool.model.spec import ModelSpec
from orca_cool.model.window_model import DIFFERENTIABLE, ENCODE

logger = logging.getLogger(__name__)


@dataclass
class Model:
    """A model ready to run: its networks, and the expected contact frequencies that their maps are
    relative to.

    Attributes
    ----------
    spec : specification of the modules that were loaded (all, unless fewer were asked for).
    model : the networks, in eval mode, on the CPU, float32.
    expected_tables : expected contact frequency by distance, by resolution of the table in bp; of a
        model of several cell types that of the chosen one.
    digest : SHA-256 of the weights file in hexadecimal: what names the model in stores and files.
    path : folder of the bundle.
    by_cell_type : of a model of several cell types, the expected tables of each.

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
    by_cell_type: Mapping[str, dict[int, ExpectedModel]] = dataclasses.field(default_factory=dict)

    def for_cell_type(self, name: str) -> Model:
        """The same model with the maps of one of its :attr:`cell_types`; networks are shared.

        Raises
        ------
        ModelError
            If it has no such cell type; the message lists those it has.

        Examples
        --------
        >>> orca_cool.load_model("extrusion").for_cell_type("a").spec.cell_type
        'a'
        """
        spec = dataclasses.replace(self.spec, cell_type=self.spec.check_cell_type(name))
        if not self.by_cell_type:
            return self
        return dataclasses.replace(self, spec=spec, expected_tables=self.by_cell_type[name])

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
        return self.spec.known_cell_types

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
        return self.spec.encoder.context

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Maps of windows at the coarsest resolution of a module, from one strand, by the plain
        networks; finer levels need the map above them, which an engine hands down.

        Parameters
        ----------
        codes : uint8, shape (n, width), codes 0 to 4; the width, ``bins * resolution + 2 *
            context``, says which resolution is meant.

        Returns
        -------
        float32, shape (n, bins, bins): log observed/expected, of the chosen cell type.

        Raises
        ------
        ModelError
            If no module that reads a single chromosome has such a window at its top, or the model
            has several cell types and none is chosen.
        """
        number = self.spec.map_number
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
            tables = [t.expected_matrix(top, spec.bins) for t in self.every_expected(module)]
            log = np.log(np.stack(tables)).astype(np.float32)
            distance = torch.from_numpy(log).to(device)[None]
            maps: torch.Tensor = self.model.decode(module, top, x, distance, None)
        return maps[:, number].cpu().numpy()

    def expected(self, module: ModuleSpec) -> ExpectedModel:
        """The expected table that a module's levels are relative to (:func:`choose_table`).

        Raises
        ------
        BundleError
            If the bundle has no such table.
        ModelError
            If the model has several cell types and none is chosen.
        """
        return self.every_expected(module)[self.spec.map_number]

    def every_expected(self, module: ModuleSpec) -> list[ExpectedModel]:
        """:meth:`expected` of every map that the networks make, in order: of every cell type."""
        tables = self.by_cell_type.values() or (self.expected_tables,)
        return [self._chosen(t, module) for t in tables]

    def _chosen(self, tables: Mapping[int, ExpectedModel], module: ModuleSpec) -> ExpectedModel:
        table = choose_table(tables, module, self.spec.base_bin)
        if table is None:
            wanted = {
                True: "a table with a trans value",
                False: f"a table at {self.spec.base_bin} bp",
            }[module.multi_chromosome]
            if module.decoder is None:
                wanted = f"a table that averages to {module.resolutions[-1]} bp"
            raise BundleError(
                f"{self.path}: module {module.name!r} needs {wanted}; the bundle has tables at "
                f"{sorted(tables)} bp"
            )
        return table


def save_bundle(
    folder: str | os.PathLike[str],
    model: Orca,
    expected_tables: Mapping[int, ExpectedModel] | None = None,
    *,
    by_cell_type: Mapping[str, Mapping[int, ExpectedModel]] | None = None,
    force: bool = False,
) -> Path:
    """Write a bundle; the folder appears whole or not at all.

    Parameters
    ----------
    folder : to be made; its parent is made if need be.
    expected_tables : by resolution in bp.
    by_cell_type : in its place, for a model of several cell types: the same of each of them.
    force : replace a bundle that is already there.

    Raises
    ------
    OutputError
        If the folder exists (without ``force``; or is no bundle), or cannot be written.
    ModelError
        If the tables are not those of the model's cell types.
    """
    folder = Path(folder)
    if folder.exists() and not (force and is_bundle(folder)):
        hint = (
            "--force replaces it"
            if is_bundle(folder)
            else "and is not a model bundle: choose another name"
        )
        raise OutputError(f"{folder} exists; {hint}")
    named = _named_tables(expected_tables or {}, by_cell_type or {})
    tables = check_tables([entry for entry, _ in named], model.spec.cell_types)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(folder, replace=force) as temporary:
            weights = temporary / WEIGHTS_FILE
            save_file(_tensors(model, named), weights)
            header: dict[str, Any] = {
                "format": FORMAT,
                "version": version_for(model.spec.to_json()),
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


def _named_tables(
    tables: Mapping[int, ExpectedModel], by_cell_type: Mapping[str, Mapping[int, ExpectedModel]]
) -> list[tuple[dict[str, Any], ExpectedModel]]:
    """Expected tables, each with its entry in ``model.json``."""
    named: list[tuple[dict[str, Any], ExpectedModel]] = []
    for cell_type, own in by_cell_type.items() or (("", tables),):
        for resolution, table in sorted(own.items()):
            entry: dict[str, Any] = {
                "resolution": int(resolution),
                "bins": len(table.cis),
                "trans": table.trans is not None,
            }
            named.append((entry | ({"cell_type": cell_type} if cell_type else {}), table))
    return named


def _tensor_name(entry: Mapping[str, Any], kind: str, prefix: str = "expected") -> str:
    """Name of an expected table's tensor, of ``kind`` "cis" or "trans"."""
    cell_type = f"{entry['cell_type']}." if "cell_type" in entry else ""
    return f"{prefix}.{kind}.{cell_type}{entry['resolution']}"


def _tensors(
    model: Orca, named: Sequence[tuple[dict[str, Any], ExpectedModel]]
) -> dict[str, torch.Tensor]:
    """Networks and expected tables as the named tensors of a weights file."""
    tensors = {
        k: v.detach().to("cpu").contiguous().clone()
        for k, v in model.state_dict().items()
        if not is_counter(k)
    }
    for entry, table in named:
        cis = np.array(table.cis, dtype=np.float64)
        tensors[_tensor_name(entry, "cis")] = torch.from_numpy(cis)
        if table.trans is not None:
            tensors[_tensor_name(entry, "trans")] = torch.tensor([table.trans], dtype=torch.float64)
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
    if header["digest"] is None:
        logger.warning(
            "%s was written by orca-cool 0.1, without a digest of what decides its numbers: "
            "whether it was changed cannot be told; `orca-cool models import` adds one",
            folder / SPEC_FILE,
        )
    whole: ModelSpec = header["spec"]
    spec = whole if modules is None else reduce_spec(whole, modules)
    model = empty_model(spec)
    mine = model.state_dict().keys()
    every = mine if spec is whole else empty_model(whole).state_dict().keys()
    prefix = "background" if header["version"] == 1 else "expected"
    names = {_tensor_name(b, "cis", prefix) for b in header["expected"]}
    names |= {_tensor_name(b, "trans", prefix) for b in header["expected"] if b["trans"]}
    try:
        # by numpy: in a quarter of the time of framework="pt", for a thousand small tensors
        with safe_open(path, framework="np") as file:
            present = set(file.keys())
            same_names(path, present, {k for k in every if not is_counter(k)} | names)
            state = {k: torch.from_numpy(file.get_tensor(k)) for k in present if k in mine}
            tables = {k: file.get_tensor(k).astype(np.float64) for k in names}
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path} is not a sound safetensors file: {error}") from error
    except TypeError as error:
        raise BundleError(f"{path} holds numbers of a type that no bundle has: {error}") from error
    fill(model, state, path, copy=False)
    by_cell_type: dict[str, dict[int, ExpectedModel]] = {c: {} for c in spec.cell_types or ("",)}
    for b in header["expected"]:
        found = _read_table(path, tables, b, prefix)
        by_cell_type[b.get("cell_type", "")][b["resolution"]] = found
    digest = header["weights"]["sha256"]
    if not spec.cell_types:
        return Model(spec, model, by_cell_type[""], digest, folder)
    return Model(spec, model, {}, digest, folder, by_cell_type)


def _read_table(
    path: Path, tables: Mapping[str, np.ndarray], entry: Mapping[str, Any], prefix: str
) -> ExpectedModel:
    """The expected table of an entry of ``model.json``; BundleError if it is none."""
    name = _tensor_name(entry, "cis", prefix)
    cis = tables[name]
    if cis.shape != (entry["bins"],):
        raise BundleError(f"{path}: {name} has shape {cis.shape}, expected ({entry['bins']},)")
    if not np.isfinite(cis[0]) or np.isinf(cis).any() or (cis < 0).any():
        raise BundleError(f"{path}: {name} holds what are no frequencies")
    trans = tables[_tensor_name(entry, "trans", prefix)] if entry["trans"] else None
    return ExpectedModel(
        entry["resolution"], cis, None if trans is None else float(trans.reshape(-1)[0])
    )
