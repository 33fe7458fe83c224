"""Import of released models of several cell types, on made-up weights of their names and shapes
(the released files are not at hand), against plain computations on the tensors of the files.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from reference import plain

from orca_cool.cli import main
from orca_cool.errors import BundleError, ModelError
from orca_cool.model.bundle import Model, load_bundle
from orca_cool.model.import_orca import import_released

DILATIONS = (1, 2, 4, 8, 16, 32, 64) * 4
ONE_SHOT = (1,) + (2, 4, 8, 16, 32, 64) * 3
WIDTHS, POOLS = (64, 96, 128, 128, 128, 128, 128), (1, 4, 4, 5, 5, 5, 2)
LEVELS = (1, 2, 4, 8, 16, 32)
NAMES = ("late", "early")
#: Of the two released models, which cell types in which order: github.com/jzhoulab/orca_leukemia.
A = ["T-ALL_GSE134761", "THP1"]
B = ["GM12878", "NALM6", "Non-ETP_GSE146901", "ETP_GSE146901", "K562", "KBM7"]


class Drawn(dict):
    """A state dict with random numbers, layer by layer."""

    def __init__(self, seed: int):
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def convolution(self, name: str, a: int, b: int, kernel: tuple[int, ...]) -> None:
        weight = torch.randn(b, a, *kernel, generator=self.random)
        self[f"{name}.weight"] = weight / (a * np.prod(kernel)) ** 0.5
        self[f"{name}.bias"] = 0.1 * torch.randn(b, generator=self.random)

    def norm(self, name: str, width: int) -> None:
        self[f"{name}.weight"] = 0.7 + 0.4 * torch.rand(width, generator=self.random)
        self[f"{name}.running_var"] = 0.5 + torch.rand(width, generator=self.random)
        for part in ("bias", "running_mean"):
            self[f"{name}.{part}"] = 0.1 * torch.randn(width, generator=self.random)
        self[f"{name}.num_batches_tracked"] = torch.tensor(100)

    def pair(
        self, name: str, a: int, mid: int, b: int, kernel: tuple[int, ...], at: tuple[int, ...]
    ) -> None:
        """Two convolutions, each with its norm, at these numbers of a sequence."""
        self.convolution(f"{name}.{at[0]}", a, mid, kernel)
        self.norm(f"{name}.{at[1]}", mid)
        self.convolution(f"{name}.{at[2]}", mid, b, kernel)
        self.norm(f"{name}.{at[3]}", b)

    def linear(self, name: str, a: int, mid: int, b: int, *kernel: int, before: int = 0) -> None:
        """``before``: a pool or a dropout stands before it."""
        self.pair(name, a, mid, b, kernel, tuple(range(before, before + 4)))

    def relus(self, name: str, width: int, mid: int, *kernel: int) -> None:
        self.pair(name, width, mid, width, kernel, (0, 1, 3, 4))

    def stack(self, steps: int, first: int, maps: int, dropout: int) -> None:
        """What all decoders have: residual steps, and the last layers."""
        for i in range(steps):
            start = 0 if i else dropout
            self.linear(f"lconvtwos.{i}", 64 if i else first, 32, 64, 3, 3, before=start)
            self.relus(f"convtwos.{i}", 64, 32, 3, 3)
        head = max(5, maps)
        self.convolution("final.0", 64, head, (1, 1))
        self.norm("final.1", head)
        self.convolution("final.3", head, maps, (1, 1))


def net0(maps: int, seed: int = 1) -> Drawn:
    """Encoder, one-shot decoder and profiles under one set of names."""
    state, a = Drawn(seed), 4
    for s, width in enumerate(WIDTHS, 1):
        state.linear(f"lconv{s}", a, width, width, 9, before=int(s > 1))
        state.relus(f"conv{s}", width, width, 9)
        a = width
    state.stack(len(ONE_SHOT), 128, maps, 1)
    state.convolution("final_1d.0", 128, 128, (1,))
    state.norm("final_1d.1", 128)
    state.convolution("final_1d.3", 128, 4, (1,))
    return state


def net(seed: int = 2) -> Drawn:
    state = Drawn(seed)
    for s in range(5):
        state.linear(f"lblocks.{s}", 128, 128, 128, 9, before=1)
        state.relus(f"blocks.{s}", 128, 128, 9)
    return state


def decoder(maps: int, seed: int) -> Drawn:
    state = Drawn(seed)
    state.stack(len(DILATIONS), 64, maps, 1)
    state.linear("lcombinerD", 128 + maps, 64, 64, 3, 3)
    state.relus("combinerD", 64, 64, 3, 3)
    state.linear("lcombiner", 64 + maps, 64, 64, 3, 3, before=1)
    state.relus("combiner", 64, 64, 3, 3)
    return state


def frequencies(k: int) -> np.ndarray:
    return (0.1 + 0.01 * k) / (1.0 + np.arange(8100)) ** (0.7 + 0.05 * k)


def release(folder: Path, name: str, maps: int) -> dict[str, Drawn]:
    """Write the networks' files of a model; what they hold."""
    states = {"net0": net0(maps), "net": net()}
    states |= {f"d{level}": decoder(maps, 10 + level) for level in LEVELS}
    (folder / "models").mkdir(parents=True)
    (folder / "resources").mkdir()
    for part, state in states.items():
        torch.save(
            {f"module.{k}": v for k, v in state.items()},
            folder / "models" / f"orca_{name}.{part}.statedict",
        )
    return states


@pytest.fixture(scope="module")
def custom(tmp_path_factory) -> tuple[Path, dict[str, Drawn]]:
    """A model "mine" of two maps, with expected tables of names of its own."""
    folder = tmp_path_factory.mktemp("custom")
    states = release(folder, "mine", 2)
    for k, name in enumerate(NAMES):
        np.save(folder / f"{name}.npy", np.log(frequencies(k)))
    return folder, states


def options(folder: Path, names=NAMES) -> list[str]:
    found = []
    for name in names:
        found += ["--cell-type", name, "--expected", f"{name}={folder / name}.npy"]
    return found


def invoke(*arguments: object):
    return CliRunner().invoke(main, ["models", "import", *map(str, arguments)])


def level(states: Mapping[str, Drawn], number: int, *inputs: torch.Tensor) -> torch.Tensor:
    """A level's maps as the released program makes them."""
    y = plain.decoder(states[f"d{number}"], DILATIONS, *inputs, nearest=True)
    return y + plain.decoder(states["net0"], ONE_SHOT, inputs[0]) if number == 1 else y


def same_numbers(bundle: Model, states: Mapping[str, Drawn], maps: int) -> None:
    """Every network of a bundle against what the files hold, on windows of 16 bins (networks of
    convolutions have no size of their own).
    """
    model, module = bundle.model, bundle.spec.module("32M")
    random = torch.Generator().manual_seed(4)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random)

    with torch.inference_mode():
        bases = torch.nn.functional.one_hot(torch.arange(8000) ** 2 % 7 % 4, 4).T[None].float()
        wanted = plain.encoder(states["net0"], bases, POOLS)
        torch.testing.assert_close(model.encoder(bases), wanted)
        base = draw(1, 128, 64)
        wanted = plain.pyramid(states["net"], base, 5)
        for r, found in model.encodings(module, base).items():
            torch.testing.assert_close(found, wanted[(r // 4000).bit_length() - 1])
        for number in LEVELS:
            inputs = [draw(1, 128, 16), draw(1, maps, 16, 16)]
            coarse = None if number == 32 else draw(1, maps, 8, 8)
            inputs += [] if coarse is None else [coarse]
            y = level(states, number, *inputs)
            found = model.decode(module, 4000 * number, inputs[0], inputs[1], coarse)
            assert found.shape == (1, maps, 16, 16)
            assert float((found - y).abs().max() / y.std()) <= 1e-4, number


def test_two_cell_types(custom, tmp_path: Path):
    folder, states = custom
    result = invoke(folder, "--name", "mine", *options(folder), "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert "academic use only" in result.stderr
    bundle = load_bundle(tmp_path / "mine")
    assert (bundle.name, bundle.cell_types, bundle.modules) == ("mine", NAMES, ("32M",))
    assert bundle.levels == tuple(4000 * n for n in LEVELS)
    assert len(bundle.profiles) == 4
    assert bundle.spec.assemblies["hg38"]["chr1"] == 248_956_422
    for k, name in enumerate(NAMES):
        assert set(bundle.by_cell_type[name]) == {4000}
        table = bundle.by_cell_type[name][4000]
        np.testing.assert_allclose(table.cis, frequencies(k))
    same_numbers(bundle, states, 2)
    shown = CliRunner().invoke(main, ["models", "info", str(tmp_path / "mine")])
    assert "cell types    late, early" in shown.output
    assert "4000 bp of late, 4000 bp of early" in shown.output


def test_the_order_of_names_is_that_of_maps(custom, tmp_path: Path):
    """Named the other way round, the same map has the other name, and its table."""
    folder, _ = custom
    tables = {name: folder / f"{name}.npy" for name in NAMES}
    (path,) = import_released(folder, tmp_path, ["mine"], cell_types=NAMES[::-1], expected=tables)
    bundle = load_bundle(path)
    assert bundle.cell_types == ("early", "late")
    first, second = bundle.every_expected(bundle.spec.module("32M"))
    np.testing.assert_allclose(first.cis, frequencies(1))
    np.testing.assert_allclose(second.cis, frequencies(0))
    assert bundle.for_cell_type("late").spec.map_number == 1


def test_released_names(tmp_path: Path):
    """Six maps, known by name: cell types and files of their tables as the released program has
    them, out of a folder and out of a tar.
    """
    folder = tmp_path / "release"
    states = release(folder, "leukemiaB", 6)
    accessions = {
        "4DNFIXP4QG5B.mcool.rebinned.mcool": 0,
        "NALM6.hg38.no_filter.1000.mcool": 1,
        "GSE146901_T_ALL_NonETP.hg38.no_filter.1000.mcool": 2,
        "GSE146901_T_ALL_ETP.hg38.no_filter.1000.mcool": 3,
        "GSE63525_K562.hg38.no_filter.1000.mcool": 4,
        "GSE63525_KBM7.hg38.no_filter.1000.mcool": 5,
    }
    for stem, k in accessions.items():
        np.save(folder / "resources" / f"{stem}.expected.res4000.npy", np.log(frequencies(k)))
    (path,) = import_released(folder, tmp_path / "out")  # the models that are there
    assert path.name == "leukemiaB"
    bundle = load_bundle(path)
    assert list(bundle.cell_types) == B
    for k, name in enumerate(B):
        np.testing.assert_allclose(bundle.by_cell_type[name][4000].cis, frequencies(k))
    same_numbers(bundle, states, 6)
    assert bundle.model.base_decoder.final[0].weight.shape == (6, 64, 1, 1)
    with tarfile.open(tmp_path / "release.tar", "w") as archive:
        archive.add(folder, "orca_leukemia")
    result = invoke(tmp_path / "release.tar", "--name", "leukemiaB", "-o", tmp_path / "other")
    assert result.exit_code == 0, result.output
    assert load_bundle(tmp_path / "other" / "leukemiaB").digest == bundle.digest


def test_maps_that_are_not_as_many(custom, tmp_path: Path):
    folder, _ = custom
    names = (*NAMES, "third")
    np.save(tmp_path / "third.npy", np.log(frequencies(2)))
    arguments = [*options(folder), "--cell-type", "third"]
    arguments += ["--expected", f"third={tmp_path / 'third.npy'}"]
    result = invoke(folder, "--name", "mine", *arguments, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "makes 2 map(s), but 3 cell types are named: late, early, third" in result.stderr
    tables = {n: folder / f"{n}.npy" for n in NAMES} | {"third": tmp_path / "third.npy"}
    with pytest.raises(BundleError, match=r"orca_mine\.\w+\.statedict makes 2 map.*but 3 cell"):
        import_released(folder, tmp_path / "out", ["mine"], cell_types=names, expected=tables)
    assert not (tmp_path / "out" / "mine").exists()


def test_one_decoder_of_another_number_of_maps(custom, tmp_path: Path):
    folder, _ = custom
    (tmp_path / "models").mkdir()
    for file in (folder / "models").iterdir():
        (tmp_path / "models" / file.name).symlink_to(file)
    odd = tmp_path / "models" / "orca_mine.d8.statedict"
    odd.unlink()
    torch.save(dict(decoder(3, 5)), odd)
    tables = {n: folder / f"{n}.npy" for n in NAMES}
    with pytest.raises(BundleError, match=r"orca_mine\.d8\.statedict makes 3 map.*2 cell types"):
        import_released(tmp_path, tmp_path / "out", ["mine"], cell_types=NAMES, expected=tables)


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["--name", "mine", "--cell-type", "late"], ["two or more different names", "['late']"]),
        (["--name", "mine", "--cell-type", "a/b", "--cell-type", "c"], ["'a/b'"]),
        (["--name", "mine", "--cell-type", "a", "--cell-type", "a"], ["['a', 'a']"]),
        (
            ["--name", "mine", "--cell-type", "late", "--cell-type", "early"],
            ["no expected table is known of late, early", "--expected late=FILE"],
        ),
        (["--cell-type", "a", "--cell-type", "b"], ["are of one model, not of all"]),
        (["--name", "x", "--name", "y", "--cell-type", "a"], ["one model, not of x, y"]),
        (["--name", "../x", "--cell-type", "a", "--cell-type", "b"], ["'../x'"]),
        (["--name", "mine", "--expected", "late=a.npy"], ["'mine'", "must be named"]),
        (["--name", "mine", "--expected", "late"], ["NAME=FILE, not 'late'"]),
        (["--name", "mine", "--expected", "a=1", "--expected", "a=2"], ["'1' and '2'"]),
        (["--name", "mine"], ["unknown released model 'mine'", "leukemiaA, leukemiaB"]),
        (
            ["--name", "leukemiaA", "--cell-type", A[1], "--cell-type", A[0]],
            ["in order, of T-ALL_GSE134761, THP1, not of THP1, T-ALL_GSE134761"],
        ),
        (
            ["--name", "leukemiaA", "--expected", "K562=a.npy"],
            ["'a.npy' is of cell type 'K562', which is none of T-ALL_GSE134761, THP1"],
        ),
        (
            ["--name", "leukemiaA"],
            ["lacks 10 file(s)", "orca_leukemiaA.net0.statedict", "resources/THP1.hg38"],
        ),
    ],
)
def test_what_is_refused(custom, tmp_path: Path, arguments, messages):
    result = invoke(custom[0], *arguments, "-o", tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    for message in messages:
        assert message in result.stderr
    assert not list(tmp_path.rglob("model.json"))


def test_a_table_that_is_not_there(custom, tmp_path: Path):
    folder, _ = custom
    with pytest.raises(BundleError, match=r"lacks 1 file\(s\): .*absent\.npy"):
        import_released(
            folder,
            tmp_path,
            ["mine"],
            cell_types=NAMES,
            expected={"late": tmp_path / "absent.npy", "early": folder / "early.npy"},
        )


def test_a_bundle_names_its_cell_types_itself(toy_bundle: Model, tmp_path: Path):
    result = invoke(toy_bundle.path, "--cell-type", "a", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "--cell-type a" in result.stderr
    assert json.loads((toy_bundle.path / "model.json").read_text())["version"] == 2
    with pytest.raises(ModelError, match="are of one model"):
        import_released(tmp_path, tmp_path / "out", expected={"a": "b.npy"})
