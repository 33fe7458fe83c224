"""``check`` passes what we write and names every planted damage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cooler
import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from planted import BAND, RESOLUTIONS, Planted, band_of, plant, write

from orca_cool.cli import main
from orca_cool.errors import CoolerError
from orca_cool.genome.regions import Region
from orca_cool.maps.check import check_mcool
from orca_cool.maps.check_rules import has_weights, is_multires
from orca_cool.maps.coolfile import Layer, RowBlock, write_mcool
from orca_cool.maps.expected import table_path, write_expected


@pytest.fixture(scope="module")
def planted() -> Planted:
    return plant()


@pytest.fixture(scope="module")
def path(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(planted, tmp_path_factory.mktemp("check") / "out.mcool")


def failures(path: Path) -> dict[str, str]:
    return {
        f"{r.resolution}: {r.name}": r.detail
        for r in check_mcool(path).results
        if r.passed is False
    }


def test_what_we_write_is_valid(path: Path) -> None:
    report = check_mcool(path)
    assert report.valid
    assert len(report.results) == 1 + 11 * len(RESOLUTIONS)
    assert all(r.passed for r in report.results)


def test_uses(path: Path) -> None:
    uses = check_mcool(path).uses
    assert list(uses) == list(RESOLUTIONS)
    assert uses[32_000]["largest_insulation_window"] == BAND // 2 * 32_000
    assert uses[32_000]["eigenvectors"] == "views"
    assert uses[32_000]["largest_view"] == BAND * 32_000
    # 16 Mb is 251 bins of 64 kb, one more than the band; 12 Mb is 188
    assert uses[64_000]["whole_chromosomes"] == ["chrB"]
    assert uses[128_000]["eigenvectors"] == "whole chromosomes"
    assert uses[128_000]["max_expected_distance"] == 125 * 128_000
    assert all(u["trans"] for u in uses.values())


def test_contact_mode_and_no_trans_and_spread_are_valid(planted: Planted, tmp_path: Path) -> None:
    report = check_mcool(
        write(
            planted,
            tmp_path / "c.mcool",
            mode="contact",
            trans=False,
            strand_difference=True,
            precision_bits=12,
        )
    )
    # planted layers know a trans expected, so its table is there even where no trans map was asked
    # for
    assert report.valid
    assert not any(u["trans"] for u in report.uses.values())


def first_masked(group: h5py.Group) -> int:
    return int(np.flatnonzero(np.isnan(group["bins/weight"][:]))[0])


def swap(group: h5py.Group) -> None:
    group["pixels/bin2_id"][10:12] = group["pixels/bin2_id"][10:12][::-1]


def lower(group: h5py.Group) -> None:
    group["pixels/bin2_id"][len(group["pixels/bin2_id"]) - 1] = 0


def put_on_mask(group: h5py.Group) -> None:
    weight = group["bins/weight"][:]
    weight[3] = np.nan
    group["bins/weight"][:] = weight


def unmask(group: h5py.Group) -> None:
    group["bins/weight"][first_masked(group)] = 1 / np.sqrt(1e5)


def garble(group: h5py.Group) -> None:
    group["pixels/count"].id.write_direct_chunk((0,), b"not a zlib stream")


def name_unknown_region(group: h5py.Group) -> None:
    group.attrs["metadata"] = json.dumps(
        json.loads(group.attrs["metadata"]) | {"regions": ["chrZ:0-5"]}
    )


def rename_mode(group: h5py.Group) -> None:
    group.attrs["metadata"] = json.dumps(json.loads(group.attrs["metadata"]) | {"mode": "raw"})


def set_at(name: str, index: int, value: float) -> Callable[[h5py.Group], None]:
    def damage(group: h5py.Group) -> None:
        group[name][index] = value

    return damage


def set_attr(name: str, value: object, dataset: str | None = None) -> Callable[[h5py.Group], None]:
    def damage(group: h5py.Group) -> None:
        attrs = group.attrs if dataset is None else group[dataset].attrs
        if value is None:
            del attrs[name]
        else:
            attrs[name] = value

    return damage


def drop(name: str) -> Callable[[h5py.Group], None]:
    def damage(group: h5py.Group) -> None:
        del group[name]

    return damage


@pytest.mark.parametrize(
    ("damage", "check", "words"),
    [
        (set_attr("storage-mode", None), "attributes", "'storage-mode' is None"),
        (set_attr("nnz", 7), "index", "'nnz' is"),
        (set_attr("sum", 7.0), "finite counts", "'sum' is"),
        (set_attr("metadata", "{}"), "metadata", "not a prediction of orca-cool"),
        (set_attr("genome-assembly", "other"), "same genome", "'other' differs from 'planted1'"),
        (
            set_attr("ignore_diags", None, "bins/weight"),
            "weights",
            "lacks the attributes ignore_diags",
        ),
        (rename_mode, "metadata", "mode 'raw'"),
        (drop("orca_cool/expected"), "metadata", "orca_cool/expected"),
        (drop("bins/weight"), "weights", "bins/weight is missing"),
        (drop("indexes/bin1_offset"), "cooler", "bin1_offset"),
        (set_at("chroms/length", 1, 12_000_001), "same genome", "chrB:12000001 differ"),
        (set_at("bins/end", 250, 16_000_301), "bins", "bin 250 is 16000301, not 16000300"),
        (set_at("bins/weight", 0, 0.5), "weights", "weight of bin 0 is"),
        (set_at("pixels/count", 5, -1.0), "finite counts", "pixel 5"),
        (set_at("pixels/count", 5, np.nan), "finite counts", "pixel 5"),
        (set_at("indexes/bin1_offset", 3, 10**6), "index", "does not rise"),
        (set_at("indexes/bin1_offset", 3, 5), "index", "does not rise"),
        (set_at("indexes/chrom_offset", 1, 3), "index", "chrom_offset"),
        (swap, "sorted pixels", "pixel 11"),
        (lower, "sorted pixels", "sorted, unique, upper triangle"),
        (put_on_mask, "no masked pixels", "lies on a masked bin"),
        (garble, "pixels", "cannot be read"),
        (name_unknown_region, "cooler", "chrZ"),
        (unmask, "whole band", "pairs of unmasked bins"),
    ],
)
def test_planted_damage_is_found(
    path: Path, tmp_path: Path, damage: Callable, check: str, words: str
) -> None:
    for source in path.parent.iterdir():
        shutil.copy(source, tmp_path)
    copy = tmp_path / path.name
    with h5py.File(copy, "r+") as file:
        damage(file["resolutions/64000"])
    found = failures(copy)
    assert f"64000: {check}" in found, found
    assert words in found[f"64000: {check}"]
    assert all(key.startswith("64000") for key in found)


def test_tables_missing_or_of_another_file(path: Path, tmp_path: Path) -> None:
    for source in path.parent.iterdir():
        shutil.copy(source, tmp_path)
    copy = tmp_path / path.name
    table_path(copy, 32_000).unlink()
    shutil.copy(table_path(copy, 256_000), table_path(copy, 128_000))
    table = pd.read_table(table_path(copy, 64_000))
    table["balanced.avg"] *= 1.001
    table.to_csv(table_path(copy, 64_000), sep="\t", index=False)
    found = failures(copy)
    assert list(found) == [f"{r}: expected tables" for r in (32_000, 64_000, 128_000)]
    assert "there is no expected table" in found["32000: expected tables"]
    assert "does not hold the expected" in found["64000: expected tables"]
    assert "mismatch" in found["128000: expected tables"]


def measured(folder: Path) -> Path:
    """A small measured-like map, zoomified by cooler: integer counts, balanced at no level."""
    rng = np.random.default_rng(0)
    bins = cooler.util.binnify(pd.Series({"a": 50_000, "b": 30_500}), 1000)
    i, j = np.triu_indices(len(bins))
    pixels = pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": rng.integers(1, 9, len(i))})
    cooler.create_cooler(str(folder / "m.cool"), bins, pixels)
    cooler.zoomify_cooler(str(folder / "m.cool"), str(folder / "m.mcool"), [1000, 2000], 10_000)
    return folder / "m.mcool"


def test_measured_file_fails_with_clear_words_only(tmp_path: Path) -> None:
    found = failures(measured(tmp_path))
    assert {k.split(": ")[1] for k in found} <= {"multires", "metadata", "weights"}
    assert "not a prediction of orca-cool" in found["1000: metadata"]
    assert "bins/weight is missing" in found["1000: weights"]


def test_predicates_switch(path: Path) -> None:
    with h5py.File(path) as file:
        assert is_multires(file)
    with h5py.File(path.with_name("x.h5"), "w") as file:
        file.create_group("resolutions")
        assert not is_multires(file)
        with pytest.raises(CoolerError, match="'format' is None"):
            is_multires(file, raise_errors=True)
    assert callable(has_weights)


def test_command(path: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["check", str(path)])
    assert done.exit_code == 0, done.output
    assert f"{path}: valid" in done.output
    assert "insulation windows up to 4 Mb" in done.output
    done = CliRunner().invoke(main, ["check", "--json", str(path)])
    assert json.loads(done.output)["valid"] is True
    done = CliRunner().invoke(main, ["check", str(measured(tmp_path))])
    assert done.exit_code == 1
    assert "NOT valid" in done.output


@pytest.mark.parametrize("kind", ["absent", "text", "cool", "truncated", "folder"])
def test_bad_input_exits_with_2(path: Path, tmp_path: Path, kind: str) -> None:
    bad = tmp_path / "bad.mcool"
    if kind == "text":
        bad.write_text("no HDF5")
    elif kind == "cool":
        measured(tmp_path)
        bad = tmp_path / "m.cool"
    elif kind == "truncated":
        bad.write_bytes(path.read_bytes()[:5000])
    elif kind == "folder":
        bad.mkdir()
    done = CliRunner().invoke(main, ["check", str(bad)])
    assert done.exit_code == 2, done.output
    assert str(bad) in done.output
    assert done.output.count("\n") == 1


@pytest.mark.parametrize("lost", [None, (2, 3), (7, 8)])
def test_pairs_between_regions_may_be_absent(tmp_path: Path, lost: tuple[int, int] | None) -> None:
    """Two predicted regions that share bin 5, which is the first one's: pairs within each must be
    there, pairs between need not.
    """
    region = np.array([0] * 6 + [1] * 4)
    dense = np.where(region[:, None] == region, 0.0, np.nan)
    if lost:
        dense[lost] = np.nan
    y = band_of(dense, 4)
    row_block, layer = (
        RowBlock("a", 0, y, np.full(y.shape, 1000, np.int32)),
        Layer(1000, np.full(4, 1e-3), 1e-5, 4, None, {}),
    )
    path, metadata = (
        tmp_path / "x.mcool",
        {"model": "m", "regions": ["a:0-5,500", "a:5,500-10,000"]},
    )
    write_mcool(
        path,
        chromsizes={"a": 10_000},
        assembly="x",
        layers=[layer],
        row_blocks=lambda _: [row_block],
        metadata=metadata,
    )
    view = [Region("a", 0, 5500, "p"), Region("a", 5500, 10_000, "q")]
    write_expected(path, [layer], {"a": 10_000}, view, "regularised", 1e5)
    assert list(failures(path)) == (["1000: whole band"] if lost else [])
