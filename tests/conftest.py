"""Shared fixtures: the reference outputs, the devices of this machine, and a toy model that runs in
milliseconds.
"""

from __future__ import annotations

import fcntl
import functools
import importlib.util
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import Model, load_bundle, save_bundle
from orca_cool.model.cascade import Orca
from orca_cool.model.import_orca import import_released
from orca_cool.model.network_spec import DecoderSpec, EncoderSpec, ModuleSpec, PyramidSpec
from orca_cool.model.spec import ModelSpec

#: Facts, reference outputs and data lie next to the repository; they are no part of it.
SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests that CI leaves out")


#: Folders of the tests of the public API and of the command line.
_TRACED = {"api", "cli"}


#: What a test module says if it drives a browser.
_BROWSES = re.compile(r"^from (?:browser|jupyter) import", re.MULTILINE)


@functools.cache
def _browses(path: Path) -> bool:
    """Whether a test module drives a browser."""
    return _BROWSES.search(path.read_text(encoding="utf-8")) is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked ``long`` unless ``--long`` asks for it; trace lines only in the tests
    of what is traced, since it takes a quarter more time; and mark what drives a browser, which
    needs the cores for itself (``scripts/test.sh``).
    """
    for item in items:
        if _browses(item.path):
            item.add_marker("browser")
        if item.path.parent.name not in _TRACED:
            item.add_marker("no_cover")
    if config.getoption("--long"):
        return
    long = [item for item in items if "long" in item.keywords]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if "long" not in item.keywords]


DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder ``../shared``; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no folder {SHARED.name!r} next to the repository")
    return SHARED


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """Folder of the reference outputs."""
    if not (shared / "golden" / "keys.json").is_file():
        pytest.skip("no reference outputs (../shared/golden)")
    return shared / "golden"


@pytest.fixture(scope="session")
def golden_weights(golden: Path) -> ModuleType:
    """The module that draws the reference weights: ``named_weights(module, tag)``."""
    spec = importlib.util.spec_from_file_location("golden_weights", golden / "weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reference_state(
    golden: Path, golden_weights: ModuleType, network: str, tag: str
) -> dict[str, torch.Tensor]:
    """Reference weights of a network of ``keys.json``, under the released names: none of our
    modules takes part.
    """
    shapes = json.loads((golden / "keys.json").read_text())[network]
    blank = {
        k: torch.zeros(s, dtype=torch.long if k.endswith("num_batches_tracked") else torch.float32)
        for k, s in shapes.items()
    }
    return golden_weights.named_weights(SimpleNamespace(state_dict=lambda: blank), tag)


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """A folder that ``make`` fills, once for all workers of a run. Tests only read in it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of all workers
    folder = base / name
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            begun = Path(tempfile.mkdtemp(prefix=name, dir=base))
            make(begun)
            begun.rename(folder)
    return folder


@pytest.fixture(scope="session")
def released_folder(
    golden: Path, golden_weights: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The released resources in their own form (h1esc 1M, 32M, 256M; hctnoc 32M), filled with the
    reference weights.
    """
    return made_once(
        tmp_path_factory, "released", lambda folder: _release(folder, golden, golden_weights)
    )


def _release(folder: Path, golden: Path, golden_weights: ModuleType) -> None:
    """Write the released resources."""
    (folder / "models").mkdir()
    (folder / "resources").mkdir()

    def put(name: str, state: dict[str, torch.Tensor], prefix: str = "module.") -> None:
        torch.save(
            {prefix + k: v for k, v in state.items()}, folder / "models" / f"orca_{name}.statedict"
        )

    def draw(network: str, tag: str) -> dict[str, torch.Tensor]:
        return reference_state(golden, golden_weights, network, tag)

    # The references hold the tag golden.net0 in the encoder and golden.h1esc.net0 in the cascade's
    # Decoder_1m.
    put(
        "h1esc.net0",
        draw("Net", "golden.net0") | draw("Decoder_1m", "golden.h1esc.net0"),
        "module.module.",
    )
    put("h1esc.net", draw("Encoder2", "golden.h1esc.net"))
    put("h1esc_256m.net", draw("Encoder3", "golden.h1esc_256m.net"))
    put("hctnoc.net0", draw("Encoder", "golden.net0"))
    put("hctnoc.net", draw("Encoder2b", "golden.hctnoc.net"))
    for part, levels in {
        "h1esc": (1, 2, 4, 8, 16, 32),
        "hctnoc": (1, 2, 4, 8, 16, 32),
        "h1esc_256m": (32, 64, 128, 256),
    }.items():
        for level in levels:
            put(f"{part}.d{level}", draw("Decoder", f"golden.{part}.d{level}"))
    expected = np.load(golden / "expected_log_4kb.npy")
    wide = np.load(golden / "expected_32kb.npz")
    for accession in ("4DNFI9GMP2J8", "4DNFILP99QJS.HCT_auxin6h"):
        stem = f"{folder}/resources/{accession}.rebinned.mcool.expected.res"
        np.save(f"{stem}4000.npy", expected)
        np.save(
            f"{stem}1000.npy", np.interp(np.arange(1100) / 4, np.arange(len(expected)), expected)
        )
        np.save(f"{stem}32000.mono.npy", np.log(wide["cis"]))
        np.save(f"{stem}32000.trans.npy", np.log(wide["trans"]))


@pytest.fixture(scope="session")
def reference_bundles(
    released_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The bundles that the import makes of the released form, by name (h1esc, hctnoc)."""
    folder = made_once(
        tmp_path_factory, "bundles", lambda folder: import_released(released_folder, folder)
    )
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium, for the tests of a module: Playwright keeps an event loop running meanwhile, in
    which other tests could not start theirs.
    """
    from browser import FLAGS, STATIC, chromium

    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if chromium() is None:
        pytest.skip("there is no Chromium")
    if not (STATIC / "page.js").is_file():
        pytest.skip("the page is not built: scripts/build_page.sh")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device of this machine; on CUDA convolutions in full float32 (TF32 rounds to 10
    bits).
    """
    if request.param == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device(request.param)


def make_toy_spec(name: str = "toy", **changes) -> ModelSpec:
    """16 bins a map, base bin 40 bp; module "S": 160, 80, 40 bp; assembly module "G": 640, 320, 160
    bp; module "B": 40 bp.
    """
    decoder = DecoderSpec(channels=8, width=8, bottleneck=4, dilations=(1, 2, 4), head=3)
    values = {
        "name": name,
        "bins": 16,
        "encoder": EncoderSpec(widths=(8, 8, 8), pools=(1, 5, 8), kernel=5, block=1600, flank=400),
        "pyramids": {
            "p1": PyramidSpec(steps=2, width=8, kernel=5),
            "p2": PyramidSpec(steps=2, width=8, kernel=5),
        },
        "base_decoder": DecoderSpec(
            channels=8, width=8, bottleneck=4, dilations=(1, 2), head=3, one_shot=True
        ),
        "modules": (
            ModuleSpec("S", (160, 80, 40), ("p1",), decoder, base_decoder=True),
            ModuleSpec("G", (640, 320, 160), ("p1", "p2"), decoder, multi_chromosome=True),
            ModuleSpec("B", (40,), base_decoder=True),
        ),
        "profiles": ("a", "b"),
        "profile_width": 8,
        "organism": "toy",
        "cell_type": "toy",
        "licence": "MIT",
    }
    return ModelSpec(**(values | changes))


def make_toy_model(spec: ModelSpec | None = None, seed: int = 1) -> Orca:
    """Random weights, with running statistics and scales drawn so that maps are of order one and
    not constant.
    """
    model = Orca(spec or make_toy_spec()).eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith("num_batches_tracked"):
                continue
            if key.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=random))
            elif key.endswith("running_mean") or key.endswith("bias"):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=random))
            elif tensor.ndim == 1:
                tensor.copy_(0.7 + 0.4 * torch.rand(tensor.shape, generator=random))
            else:
                tensor.copy_(torch.randn(tensor.shape, generator=random) / tensor[0].numel() ** 0.5)
    return model


def make_toy_expected(spec: ModelSpec | None = None) -> dict[int, ExpectedModel]:
    """Power laws: at the base bin without trans, at the finest bin of the assembly module with
    trans.
    """
    spec = spec or make_toy_spec()
    tables = {spec.base_bin: ExpectedModel(spec.base_bin, 0.1 / (1.0 + np.arange(4000)) ** 0.9)}
    for module in spec.modules:
        if module.multi_chromosome:
            r = module.resolutions[-1]
            cis = 0.1 / (1.0 + np.arange(1000) * r / spec.base_bin) ** 0.9
            cis[900:] = np.nan  # as in the released tables: not measured at the end
            tables[r] = ExpectedModel(r, cis, 2e-5)
    return tables


def save_model_of_two_cell_types(folder: Path, **changes) -> None:
    """The model "two" in a folder: a map for each of the cell types x and y, whose expected differ
    by a factor of 2.
    """
    spec = make_toy_spec("two", cell_types=("x", "y"), cell_type="", **changes)
    tables = {
        name: {r: ExpectedModel(r, t.cis * k, t.trans) for r, t in make_toy_expected(spec).items()}
        for k, name in enumerate(("x", "y"), start=1)
    }
    save_bundle(folder / "two", make_toy_model(spec), by_cell_type=tables)


@pytest.fixture
def toy_spec():
    """Maker of a small specification: ``toy_spec(**changes)``."""
    return make_toy_spec


@pytest.fixture(scope="session")
def saved_toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the toy model; tests only read in it."""
    model = make_toy_model()
    folder = tmp_path_factory.mktemp("saved") / "toy"
    return save_bundle(folder, model, make_toy_expected(model.spec))


@pytest.fixture
def toy_bundle(saved_toy: Path, tmp_path: Path) -> Model:
    """A saved and loaded bundle of the toy model, at ``tmp_path / "models" / "toy"``."""
    return load_bundle(shutil.copytree(saved_toy, tmp_path / "models" / "toy"))


class Chromosomes:
    """Chromosomes in memory, {name: codes}."""

    name = "drawn"

    def __init__(self, **codes: np.ndarray):
        self.codes = codes
        self.chromsizes = {c: len(x) for c, x in codes.items()}

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        out = np.full(end - start, 4, np.uint8)
        a, b = max(start, 0), min(end, self.chromsizes[chrom])
        if a < b:
            out[a - start : b - start] = self.codes[chrom][a:b]
        return out


class Drawn(Chromosomes):
    """Random chromosomes in memory, always the same for the same sizes.

    Parameters
    ----------
    gap : (chromosome, start, end) that is N.
    """

    def __init__(self, chromsizes: dict[str, int], gap: tuple[str, int, int]):
        random = np.random.default_rng(3)
        codes = {c: random.integers(0, 4, n).astype(np.uint8) for c, n in chromsizes.items()}
        chrom, start, end = gap
        codes[chrom][start:end] = 4
        super().__init__(**codes)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ``runs.py``: a model and a genome whose prediction is small, to interrupt and
    to share.
    """
    import runs  # which imports this module

    return runs.make_place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def engine(place: Path):
    """The model of ``place`` on its genome."""
    import runs

    return runs.engine(place)
