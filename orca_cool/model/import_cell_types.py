"""Import of released models that predict maps of several cell types (OrcaLeukemia).

Layout and names: github.com/jzhoulab/orca_leukemia, ``orca_leukemia.tar.gz`` of Zenodo record
7600893. The files themselves were never seen here: all of this was tried on made-up weights of
their shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from orca_cool.errors import BundleError, ModelError
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import save_bundle
from orca_cool.model.orca_spec import orca_spec
from orca_cool.model.registry import check_name
from orca_cool.model.released_files import (
    BIN,
    filled,
    hg38,
    profiles_in,
    read_networks,
    read_statedict,
    read_table,
)

#: Released models of several cell types: these, in the order of their maps, and the file of each
#: one's expected table below ``resources/``.
SEVERAL: Mapping[str, Mapping[str, str]] = {
    "leukemiaA": {
        "T-ALL_GSE134761": "GSE134761_TALL_all.hg38.no_filter.1000.mcool.expected.res4000.npy",
        "THP1": "THP1.hg38.no_filter.1000.mcool.expected.res4000.npy",
    },
    "leukemiaB": {
        "GM12878": "4DNFIXP4QG5B.mcool.rebinned.mcool.expected.res4000.npy",
        "NALM6": "NALM6.hg38.no_filter.1000.mcool.expected.res4000.npy",
        "Non-ETP_GSE146901": (
            "GSE146901_T_ALL_NonETP.hg38.no_filter.1000.mcool.expected.res4000.npy"
        ),
        "ETP_GSE146901": "GSE146901_T_ALL_ETP.hg38.no_filter.1000.mcool.expected.res4000.npy",
        "K562": "GSE63525_K562.hg38.no_filter.1000.mcool.expected.res4000.npy",
        "KBM7": "GSE63525_KBM7.hg38.no_filter.1000.mcool.expected.res4000.npy",
    },
}

#: The modules that these models have.
MODULES = ("32M",)


@dataclass(frozen=True)
class SeveralMaps:
    """A released model of several cell types, and where its files are.

    Attributes
    ----------
    name : its files are ``models/orca_NAME.*``.
    cell_types : in the order of the maps.
    tables : for each cell type, the file of its expected table.
    """

    folder: Path
    name: str
    cell_types: tuple[str, ...]
    tables: Mapping[str, Path]

    @property
    def stem(self) -> Path:
        """What the names of the networks' files begin with."""
        return self.folder / "models" / f"orca_{self.name}"

    def missing(self) -> list[str]:
        """Files that are not there, relative to the folder where they should be below it."""
        parts = ["net0", "net", *(f"d{level}" for level in (1, 2, 4, 8, 16, 32))]
        files = [Path(f"{self.stem}.{part}.statedict") for part in parts] + [*self.tables.values()]
        inside = self.folder
        return [
            str(f.relative_to(inside) if f.is_relative_to(inside) else f)
            for f in files
            if not f.is_file()
        ]

    def write(self, target: Path, force: bool) -> Path:
        """Make the bundle.

        Raises
        ------
        BundleError
            If a file is damaged or does not fit the networks, or a decoder makes more or fewer maps
            than there are cell types.
        """
        net0 = read_statedict(f"{self.stem}.net0.statedict")
        spec = orca_spec(
            self.name,
            modules=MODULES,
            profiles=profiles_in(net0),
            assemblies=hg38(),
            cell_types=self.cell_types,
        )
        state = read_networks(self.stem, spec, net0)
        self._check_maps(state)
        model = filled(spec, state, f"released model {self.name!r} in {self.folder}")
        tables = {c: {BIN: ExpectedModel(BIN, read_table(self.tables[c]))} for c in self.cell_types}
        return save_bundle(target, model, by_cell_type=tables, force=force)

    def _check_maps(self, state: Mapping[str, torch.Tensor]) -> None:
        """BundleError unless each decoder's last layer makes a map for each cell type."""
        for key, tensor in state.items():
            decoder = key.removesuffix(".final.3.weight")
            maps = tensor.shape[0] if tensor.ndim else 0
            if decoder == key or maps == len(self.cell_types):
                continue
            level = decoder.rpartition(".")[2]
            part = "net0" if level == "base_decoder" else f"d{int(level) // BIN}"
            raise BundleError(
                f"{self.stem}.{part}.statedict makes {maps} map(s), but {len(self.cell_types)} "
                f"cell types are named: {', '.join(self.cell_types)}"
            )


def several_maps(
    folder: Path,
    name: str,
    cell_types: Sequence[str] = (),
    expected: Mapping[str, Path] | None = None,
) -> SeveralMaps:
    """A released model of several cell types, of what is told about it and what is known.

    Parameters
    ----------
    folder : holds ``models/orca_NAME.*`` and, unless all are given, ``resources/``.
    cell_types : in the order of the maps; default: those of the released model of that name.
    expected : of cell types whose expected table is not the known file, where it is.

    Raises
    ------
    ModelError
        If a name cannot be used, or the cell types or the expected table of one are not known.
    """
    known, given = SEVERAL.get(check_name(name), {}), expected or {}
    names = tuple(cell_types) or tuple(known)
    if not names:
        raise ModelError(
            f"model {name!r}: its cell types must be named, in the order of its maps; they are "
            f"known of {', '.join(SEVERAL)} alone"
        )
    if names != tuple(known) and set(names) == set(known):
        raise ModelError(
            f"model {name!r}: its maps are, in order, of {', '.join(known)}, not of "
            f"{', '.join(names)}"
        )
    orca_spec(name, modules=MODULES, cell_types=names)  # ModelError if a name cannot be used
    tables = {c: folder / "resources" / known[c] for c in names if c in known}
    for cell_type, file in given.items():
        if cell_type not in names:
            raise ModelError(
                f"expected table {str(file)!r} is of cell type {cell_type!r}, which is none of "
                f"{', '.join(names)}"
            )
        tables[cell_type] = Path(file)
    without = [c for c in names if c not in tables]
    if without:
        raise ModelError(
            f"model {name!r}: no expected table is known of {', '.join(without)}; say which file "
            f"it is: --expected {without[0]}=FILE"
        )
    return SeveralMaps(folder, name, names, tables)
