"""Files of HDF5 that name other files as a part of themselves, or whose links lead in circles, are
refused by every reader of maps, and those whose links are sound are read.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from orca_cool.cli import main
from orca_cool.errors import CoolerError
from orca_cool.maps.check import check_mcool
from orca_cool.maps.hdf5 import MAX_DEPTH, check_self_contained
from orca_cool.maps.open import open_map

CASES = Path(__file__).parents[1] / "data" / "cases"


def external_link(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["bins/weight"]
        file["bins/weight"] = h5py.ExternalLink("/etc/secret.h5", "/weight")


def external_link_of_a_group(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["other"] = h5py.ExternalLink("elsewhere.cool", "/")


def external_storage(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        n = len(file["bins/weight"])
        del file["bins/weight"]
        file["bins"].create_dataset(
            "weight", shape=(n,), dtype="f8", external=[(str(path.with_name("raw")), 0, n * 8)]
        )
    path.with_name("raw").write_bytes(np.ones(n).tobytes())


def virtual(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        n = len(file["bins/weight"])
        del file["bins/weight"]
        layout = h5py.VirtualLayout((n,), "f8")
        layout[:] = h5py.VirtualSource(str(CASES / "plain.cool"), "bins/weight", (n,))
        file["bins"].create_virtual_dataset("weight", layout)


def soft_loop(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")


def soft_link_up(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["bins/again"] = h5py.SoftLink("/")


def hard_link_up(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["bins/again"] = file["/"]


def dangling(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["resolutions"] = h5py.SoftLink("/nowhere")


def deep(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.create_group("/".join("x" * (MAX_DEPTH + 1)))


BAD = {
    external_link: "external link, /bins/weight, to the file '/etc/secret.h5'",
    external_link_of_a_group: "external link, /other, to the file 'elsewhere.cool'",
    external_storage: "external storage, /bins/weight",
    virtual: "a virtual data set, /bins/weight",
    soft_loop: "/a to '/b', that leads nowhere or in a circle",
    soft_link_up: "lead in a circle: /bins/again",
    hard_link_up: "lead in a circle: /bins/again",
    dangling: "/resolutions to '/nowhere', that leads nowhere or in a circle",
    deep: "nested more than",
}


@pytest.mark.parametrize("damage", BAD, ids=lambda f: f.__name__)
def test_every_reader_refuses_the_file(damage, tmp_path):
    path = tmp_path / "map.cool"
    shutil.copy(CASES / "plain.cool", path)
    damage(path)
    # the file is one that HDF5 itself opens
    with h5py.File(path, "r"):
        pass
    for read in (check_self_contained, open_map, check_mcool):
        with pytest.raises(CoolerError) as caught:
            read(path)
        assert BAD[damage] in str(caught.value)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    if importlib.util.find_spec("clodius"):
        from higlass_plugin.files.chromosomes import FileError
        from higlass_plugin.files.open import open_file

        with pytest.raises(FileError) as caught:
            open_file(path, uid="u", folder=tmp_path / "maps")
        assert BAD[damage] in str(caught.value)
        assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize("damage", [external_link, soft_loop], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "FILE", str(CASES / "plain.cool"), "--chrom", "chrII"],
        ["evaluate", str(CASES / "plain.cool"), "FILE", "--chrom", "chrII"],
        ["expected", "FILE", "-o", "OUT"],
        ["plot", "FILE", "-o", "OUT.png"],
        ["check", "FILE"],
    ],
    ids=lambda c: "-".join(x for x in c[:2] if "/" not in x),
)
def test_every_verb_says_so_in_one_line(damage, command, tmp_path):
    path = tmp_path / "map.cool"
    shutil.copy(CASES / "plain.cool", path)
    damage(path)
    names = {"FILE": str(path), "OUT": str(tmp_path / "out"), "OUT.png": str(tmp_path / "o.png")}
    done = CliRunner().invoke(main, [names.get(word, word) for word in command])
    assert done.exit_code == 2, done.output
    if command[:2] != ["evaluate", str(CASES / "plain.cool")]:  # there PREDICTED is no prediction
        assert "link" in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["map.cool"]


def test_links_within_a_file_are_read(tmp_path):
    path = tmp_path / "map.mcool"
    with h5py.File(CASES / "plain.cool", "r") as old, h5py.File(path, "w") as file:
        old.copy(old["/"], file, "data/wt")
        file["resolutions/4000"] = h5py.SoftLink("/data/wt")
        file["names"] = h5py.SoftLink("/data/wt/chroms/name")
    check_self_contained(path)
    found = open_map(f"{path}::resolutions/4000")
    assert found.resolutions == (4000,)
    np.testing.assert_array_equal(
        found.fetch("chrI").values, open_map(CASES / "plain.cool").fetch("chrI").values
    )


def test_many_names_of_few_groups_are_looked_at_once(tmp_path):
    """Links that would be followed 10 ** 20 times, one after another."""
    path = tmp_path / "map.cool"
    shutil.copy(CASES / "plain.cool", path)
    with h5py.File(path, "r+") as file:
        below = file.create_group("g0")
        for k in range(1, 21):
            group = file.create_group(f"g{k}")
            for j in range(10):
                group[f"link{j}"] = below
            below = group
    assert open_map(path).resolutions == (4000,)


def test_a_truncated_file_is_told(tmp_path):
    path = tmp_path / "map.cool"
    path.write_bytes((CASES / "plain.cool").read_bytes()[:30_000])
    with pytest.raises(CoolerError, match="cannot be read as HDF5"):
        open_map(path)
