"""A small prediction to interrupt and to share: model, genome, command line, and what it means that
two files are the same.
"""

import os
import sys
from pathlib import Path

import h5py
import numpy as np
from conftest import make_toy_expected, make_toy_model, make_toy_spec

from orca_cool.genome.open import open_genome
from orca_cool.genome.regions import Region
from orca_cool.maps.expected import table_path
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.engine import Engine, make_engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.to_file import predict_to_file

SIZES = {"a": 9010, "b": 6100, "c": 900}
LEVELS = (40, 80, 160, 320, 640)


def make_place(folder: Path) -> Path:
    """A folder with the model ``toy`` and the genome ``toy.fa``."""
    rng = np.random.default_rng(7)
    with open(folder / "toy.fa", "w") as out:
        out.write(
            "".join(
                f">{c}\n{''.join(rng.choice(list('ACGTN'), n, p=[0.24] * 4 + [0.04]))}\n"
                for c, n in SIZES.items()
            )
        )
    spec = make_toy_spec()
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    open_genome(
        folder / "toy.fa"
    )  # makes the index, so that processes do not make it at the same time
    return folder


def engine(place: Path) -> Engine:
    """The model on the genome, on the CPU."""
    return make_engine(load_bundle(place / "toy"), open_genome(place / "toy.fa"), "cpu")


def settings(**changes) -> Settings:
    """Two modules, contacts between chromosomes and strand differences: every kind of step and of part."""
    return Settings(
        **(
            {"resolutions": LEVELS, "modules": ("S", "G"), "trans": True, "strand_difference": True}
            | changes
        )
    )


def regions() -> list[Region]:
    return [Region(c, 0, n) for c, n in SIZES.items()]


def write(place: Path, output: Path, *, engine_: Engine | None = None, **arguments) -> list[Path]:
    """Predict the whole genome from Python."""
    return predict_to_file(
        engine_ or engine(place),
        regions(),
        settings(),
        output,
        assembly="toy",
        provenance={"model_name": "toy"},
        **arguments,
    )


def arguments(place: Path, output: Path) -> list[str]:
    """The same on the command line, after the name of the program."""
    line = [
        "predict",
        "-q",
        "--model",
        str(place / "toy"),
        "--genome",
        str(place / "toy.fa"),
        "-o",
        str(output),
        "--device",
        "cpu",
    ]
    return [
        *line,
        "--module",
        "S,G",
        "--levels",
        ",".join(map(str, LEVELS)),
        "--trans",
        "--strand-difference",
    ]


def command(place: Path, output: Path) -> list[str]:
    return [sys.executable, "-m", "orca_cool", *arguments(place, output)]


def environment() -> dict[str, str]:
    """Of a subprocess: the package and these helpers can be imported; one thread, as everywhere in
    these tests.
    """
    here = Path(__file__).resolve().parent
    paths = [str(here.parent), str(here), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def contents(path: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Every dataset's type, shape and bytes."""
    found: dict[str, tuple[str, tuple[int, ...], bytes]] = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            value = np.asarray(item[()])
            found[name] = (str(item.dtype), item.shape, value.tobytes())

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def assert_same(one: Path, two: Path) -> None:
    """All datasets byte for byte, and the bytes of the expected tables."""
    a, b = contents(one), contents(two)
    assert len(a) > 50
    assert [name for name in {*a, *b} if a.get(name) != b.get(name)] == []
    for kind, resolution in [*(("expected", r) for r in LEVELS), ("expected-trans", LEVELS[-1])]:
        assert (
            table_path(one, resolution, kind).read_bytes()
            == table_path(two, resolution, kind).read_bytes()
        )
