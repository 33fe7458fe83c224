"""What the benchmarks share: a genome and a released-size model that need no file, processes of
their own, and the file of figures from which docs are made (``table.py``).
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool import __version__

if TYPE_CHECKING:
    from orca_cool.model.bundle import Model

#: the plain formulation, against which everything is measured, lies with the tests that hold the
#: fast paths to it
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))

MB = 1_000_000
#: chromosomes of hg38, Mb: what the whole-genome time is worked out for
HG38 = [
    248.96,
    242.19,
    198.30,
    190.21,
    181.54,
    170.81,
    159.35,
    145.14,
    138.39,
    133.80,
    135.09,
    133.28,
    114.36,
    107.04,
    101.99,
    90.34,
]
HG38 += [83.26, 80.37, 58.62, 64.44, 46.71, 50.82, 156.04, 57.23]
#: Figures of all scripts, a file for each and each processor.
RESULTS = Path(__file__).resolve().parent / "results"
FORMAT = "orca-cool figures"
#: What matters of a processor's instructions, the most capable first, and the flag of Linux.
INSTRUCTIONS = {
    "AMX": "amx_bf16",
    "AVX512-BF16": "avx512_bf16",
    "AVX-512": "avx512f",
    "AVX2": "avx2",
}
#: Generations of processors whose name does not tell it (on virtual machines): maker, family and
#: model as Linux tells them.
GENERATIONS = {
    ("AuthenticAMD", 25, 1): "Zen 3",
    ("AuthenticAMD", 25, 17): "Zen 4",
    ("AuthenticAMD", 26, 2): "Zen 5",
}


class Random:
    """A genome drawn as it is read: pure function of position, no file."""

    name = "random"

    def __init__(self, **chromsizes: int):
        self.chromsizes = dict(chromsizes)

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        seed = list(self.chromsizes).index(chrom) + 1
        x = (np.arange(start, end).astype(np.uint64) + np.uint64(seed << 33)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        x ^= x >> np.uint64(29)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        codes = ((x >> np.uint64(40)) & np.uint64(3)).astype(np.uint8)
        inside = (np.arange(start, end) >= 0) & (np.arange(start, end) < self.chromsizes[chrom])
        return np.where(inside, codes, np.uint8(4))


def released_size() -> Model:
    """Orca's networks (modules 32M, 256M, 1M) with random weights whose maps are of order one, and
    power laws for expected_tables.
    """
    # here, so that what measures starting and writing loads no networks
    import torch

    from orca_cool.maps.expected_model import ExpectedModel
    from orca_cool.model.bundle import Model
    from orca_cool.model.cascade import Orca
    from orca_cool.model.orca_spec import orca_spec

    torch.manual_seed(0)
    model = Orca(orca_spec("h1esc")).eval()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape))
            elif key.endswith(("running_mean", "bias")):
                tensor.copy_(0.1 * torch.randn(tensor.shape))
            elif tensor.ndim > 1:
                tensor.copy_(torch.randn(tensor.shape) / tensor[0].numel() ** 0.5)
        # residual sums grow with random weights: the last layer brings maps back to order one or
        # less, for frequencies to be numbers
        x, distance, coarse = (
            torch.randn(1, 128, 64),
            -5 + torch.randn(1, 1, 64, 64),
            torch.randn(1, 1, 32, 32),
        )
        for decoder in [d for levels in model.decoders.values() for d in levels.values()] + [
            model.base_decoder
        ]:
            y = decoder(x) if decoder.spec.one_shot else decoder(x, distance, coarse)
            for tensor in decoder.final[3].parameters():
                tensor.div_(
                    1000 * y.std()
                )  # real encodings and maps give far larger ones than these
    fine = ExpectedModel(4000, 0.1 / (1.0 + np.arange(8200)) ** 0.9)
    coarse = ExpectedModel(32_000, 0.1 / (1.0 + 8 * np.arange(8200)) ** 0.9, 2e-5)
    return Model(model.spec, model, {4000: fine, 32_000: coarse}, "random", Path("random"))


def say(text: str) -> None:
    print(text, flush=True)


def peak() -> float:
    """GB of this process so far, at most."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e9 if sys.platform == "darwin" else 1e6)


def apart(script: str, *arguments: object) -> dict[str, Any]:
    """Run a script in a process of its own, so that its peak memory is its own; the last line that
    it prints is JSON.
    """
    command = [sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def options_of(options: argparse.Namespace, *names: str) -> list[str]:
    """Options as they were given, for a process of its own."""
    return [text for name in names for text in (f"--{name}", str(getattr(options, name)))]


def parser(text: str | None) -> argparse.ArgumentParser:
    """Of a benchmark: its docstring is its help, and figures can be kept."""
    found = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument(
        "--json",
        type=Path,
        help="keep the figures in this file; of a folder: in SCRIPT.PROCESSOR.json there",
    )
    return found


class Figures:
    """Numbers of a run by name.

    Attributes
    ----------
    measured : what was seen in this run, and ratios of it. modelled : what is computed from that
        (projections, counted work, a simulated clock); tables tell it apart.
    """

    def __init__(self, script: str):
        self.script = Path(script).stem
        self.measured: dict[str, float] = {}
        self.modelled: dict[str, float] = {}

    def add(self, prefix: str, found: dict[str, Any]) -> None:
        """Numbers that were measured, each as ``PREFIX: NAME``."""
        self.measured |= {f"{prefix}: {name}": value for name, value in found.items()}

    def keep(self, path: Path | None) -> None:
        """Write them where ``--json`` says, if it was given."""
        if path is None:
            return
        known = about()
        if path.is_dir():
            path /= f"{self.script}.{slug(known)}.json"
        data = {"format": FORMAT, "version": 1, "script": self.script, "about": known}
        for kind in ("measured", "modelled"):
            data[kind] = {
                k: float(f"{v:.5g}") if isinstance(v, float) else int(v)
                for k, v in getattr(self, kind).items()
            }
        path.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")
        say(f"figures: {path}")


def about() -> dict[str, Any]:
    """What figures depend on: the machine, and what ran on it."""
    name, instructions = processor()
    torch = sys.modules.get("torch")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = torch.get_num_threads() if torch else os.environ.get("OMP_NUM_THREADS", cores)
    return {
        "processor": name,
        "instructions": instructions,
        "ONEDNN_MAX_CPU_ISA": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        "cores": cores,
        "threads": int(threads or 1),
        "load": round(os.getloadavg()[0], 1),
        "torch": importlib.metadata.version("torch"),
        "orca-cool": __version__,
        "date": datetime.date.today().isoformat(),
    }


def processor() -> tuple[str, list[str]]:
    """The processor's name, and what it has of :data:`INSTRUCTIONS`."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        line = ["sysctl", "-n", "machdep.cpu.brand_string"]
        with_name = subprocess.run(line, capture_output=True, text=True, check=False).stdout
        return with_name.strip() or platform.processor() or platform.machine(), []
    first = path.read_text().split("\n\n")[0]
    known = dict(re.findall(r"^([^\t:]+)\t*: ?(.*)$", first, re.MULTILINE))
    name = known.get("model name", platform.machine())
    if not re.search(r"\d", name) and "cpu family" in known:
        key = known.get("vendor_id", ""), int(known["cpu family"]), int(known["model"])
        name += f" ({GENERATIONS.get(key, f'family {key[1]}, model {key[2]}')})"
    flags = known.get("flags", "").split()
    return name, [kind for kind, flag in INSTRUCTIONS.items() if flag in flags]


def label(known: dict[str, Any]) -> str:
    """A processor as tables name it: with the best instructions that it has, or was told to use."""
    limit = known.get("ONEDNN_MAX_CPU_ISA")
    best = f"as {limit}" if limit else next(iter(known["instructions"]), "")
    return ", ".join(filter(None, (known["processor"], best)))


def slug(known: dict[str, Any]) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label(known).lower()).strip("-")
