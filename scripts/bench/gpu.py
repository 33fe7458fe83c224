"""What the package does on a GPU, measured by one command that writes one JSON.

    bash scripts/bench/gpu.sh [OUT.json] [--quick] [--parts parity,golden,...] [--device cuda|cpu]

    parity       every level of every module on the device against float32 on the CPU, TF32 off
    golden       the outputs of the original networks (../shared/golden), where they are at hand
    precision    what tf32, float16 and bfloat16 cost, and how fast they are
    steps        training steps of each stage: seconds, memory, with and without mixed precision
    end_to_end   windows a second of a prediction, its writer included
    stubbed      the same with networks stubbed out: what planning, merging and writing bear
    batches      windows in a batch, each root by itself and neighbouring roots together
    start        seconds of `predict --help` and of the example's prediction
    ddp          two processes train as one does in microbatches (NCCL; on a CPU gloo)
    repeat       equal seeds give equal bits; a resumed training equals one that was not stopped

Networks have the released size and random weights; genomes are drawn. ``--quick``, and the CPU form
without it, take toy networks where the released ones would take hours. What is not run is listed
with its reason; what fails is listed too, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import xml.etree.ElementTree
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from common import Random, released_size
from conftest import make_toy_expected, make_toy_model
from safetensors.torch import load_file
from start import HELP, PREDICT, seconds
from toy_training import toy_config
from windows import stubbed as stubbed_networks

from orca_cool import __version__
from orca_cool.genome.regions import Region
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import Model
from orca_cool.model.cascade import Orca
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.orca_spec import orca_spec
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.many_roots import RootWindows, decode_roots
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.to_file import predict_to_file
from orca_cool.prediction.windows import by_root, plan
from orca_cool.train.batch import Batch
from orca_cool.train.config import load_config, trained_parts
from orca_cool.train.net import StageNet, set_trained
from orca_cool.train.optimizer import make_optimizer
from orca_cool.train.run import train
from orca_cool.train.settings import Stage

ROOT = Path(__file__).resolve().parents[2]
#: tensors that are no parameters
RUNNING = re.compile(r"(running_mean|running_var|num_batches_tracked)$")
#: largest difference from the CPU, in standard deviations, as for the reference outputs
PARITY = 1e-3
#: training steps that are timed, after one that is not
STEPS = 10


class NotRun(Exception):
    """Why a part cannot be run here."""


@dataclasses.dataclass
class Bench:
    """Where and at which size things are measured."""

    device: torch.device
    quick: bool

    @property
    def gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def small(self) -> bool:
        """Toy networks: released ones would take hours."""
        return self.quick or not self.gpu

    def bundle(self) -> Model:
        if not self.small:
            return released_size()
        model = make_toy_model()
        return Model(model.spec, model, make_toy_expected(model.spec), "random", Path("random"))

    def genome(self) -> Random:
        """One chromosome; at the released size of a little more than two top windows of 32M."""
        return Random(chrA=6100, chrB=3000) if self.small else Random(chr1=68_000_000, chr2=10_000)

    def wait(self) -> None:
        if self.gpu:
            torch.cuda.synchronize()

    def seconds(self, function: Callable[[], Any]) -> float:
        self.wait()
        begun = time.perf_counter()
        function()
        self.wait()
        return time.perf_counter() - begun

    def memory(self) -> float | None:
        """GB of the GPU at most since the last call."""
        if not self.gpu:
            return None
        found = torch.cuda.max_memory_allocated() / 1e9
        torch.cuda.reset_peak_memory_stats()
        return found


def sd(exact: np.ndarray, other: np.ndarray) -> float:
    """Largest difference in standard deviations of the exact values."""
    return float(np.abs(exact.astype(float) - other).max() / exact.std(dtype=float))


def first_root(engine: OrcaEngine, module: ModuleSpec) -> tuple[str, list]:
    chrom, length = next(iter(engine.source.chromsizes.items()))
    return chrom, by_root(plan(length, module.resolutions, engine.spec.bins))[0]


# -- parts; each returns plain values


def parity(bench: Bench) -> dict[str, Any]:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    source, found = bench.genome(), {}
    here = OrcaEngine(bench.bundle(), source, str(bench.device))
    cpu = OrcaEngine(bench.bundle(), source, "cpu")
    for module in here.spec.modules:
        chrom, levels = first_root(here, module)
        down = [levels[-1][0]]
        for level in reversed(levels[:-1]):  # one window of each level, inside each other
            down.insert(0, next(w for w in level if w.start == down[0].parent))
        chain = [[w] for w in down]
        both = zip(cpu.windows(module, chrom, chain), here.windows(module, chrom, chain))
        found[module.name] = {str(a.window.resolution): sd(a.values, b.values) for a, b in both}
    if max(x for levels in found.values() for x in levels.values()) > PARITY:
        raise RuntimeError(f"more than {PARITY} standard deviations from the CPU: {found}")
    return {"largest difference in sd": found}


def golden(bench: Bench) -> dict[str, Any]:
    if bench.quick:
        raise NotRun("--quick")
    if not (ROOT.parent / "shared" / "golden").is_dir():
        raise NotRun("../shared/golden is not here")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        line = [sys.executable, "-m", "pytest", "-q", "tests/model/test_golden_networks.py"]
        subprocess.run([*line, f"--junitxml={report}"], cwd=ROOT, capture_output=True, check=False)
        cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    kinds = [c.tag for case in cases for c in case if c.tag in ("failure", "error", "skipped")]
    properties = {
        f"{case.get('name')}: {p.get('name')}": float(p.get("value") or "nan")
        for case in cases
        for p in case.iter("property")
    }
    out = {"tests": len(cases), **{kind: kinds.count(kind) for kind in sorted(set(kinds))}}
    if kinds.count("failure") + kinds.count("error"):
        raise RuntimeError(f"golden tests fail: {out}")
    return out | {"largest difference in sd": properties}


def precision(bench: Bench) -> dict[str, Any]:
    kinds = [("float32", "float32"), ("bfloat16", "float32")]
    if bench.gpu:
        kinds += [("tf32", "float32"), ("float32", "tf32"), ("float32", "float16")]
    source, found = bench.genome(), {}
    for dtype, encoder_dtype in kinds:
        engine = OrcaEngine(
            bench.bundle(), source, str(bench.device), dtype, encoder_dtype=encoder_dtype
        )
        module = engine.spec.modules[0]
        chrom, levels = first_root(engine, module)
        taken = [bench.seconds(partial(_all, engine, module, chrom, levels)) for _ in range(2)]
        errors = engine.approximation_error(module, chrom, levels)
        found[f"decoders {dtype}, encoder {encoder_dtype}"] = {
            "windows": sum(map(len, levels)),
            "seconds": taken[0],
            "seconds when encoded": taken[1],
            "GB": bench.memory(),
            "r and largest difference in sd": errors,
        }
    return found


def _all(engine: OrcaEngine, module: ModuleSpec, chrom: str, levels: list) -> None:
    for _ in engine.windows(module, chrom, levels):
        pass


def steps(bench: Bench) -> dict[str, Any]:
    """Ten steps of each stage; where the memory is not enough, that is told."""
    spec = bench.bundle().spec if bench.small else orca_spec("h1esc", profiles=32)
    found: dict[str, Any] = {}
    for module in spec.modules:
        for mixed in (False, True) if bench.gpu else (False,):
            name = f"{module.name}, {'bfloat16' if mixed else 'float32'}"
            try:
                found[name] = _steps(bench, spec, module, mixed)
            except torch.OutOfMemoryError as error:
                found[name] = {"out of memory": str(error).splitlines()[0]}
                torch.cuda.empty_cache()
    return found


def _steps(bench: Bench, spec: Any, module: ModuleSpec, mixed: bool) -> dict[str, Any]:
    torch.manual_seed(0)
    model = Orca(spec)
    stage = Stage(name="s", module=module.name, lr=1e-5, schedule="constant", average="none")
    learning = set_trained(model, module, trained_parts(stage, module, spec))
    fine = ExpectedModel(spec.base_bin, 0.1 / (1.0 + np.arange(1 << 16)) ** 0.9)
    net = StageNet(
        model, module, learning, [fine], positive=np.ones(max(1, len(spec.profiles)))
    ).to(bench.device)
    model.decoders.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    n, window, levels = spec.bins, spec.window(module.resolutions[0]), module.resolutions
    maps = {r: torch.randn(1, 1, n, n) for r in levels}
    batch = Batch(
        torch.randint(0, 4, (1, window), dtype=torch.uint8),
        ["made up"],
        torch.rand(1, len(spec.profiles), window // spec.base_bin).round()
        if spec.profiles
        else None,
        maps,
        {r: [0] for r in levels},
        maps if module.multi_chromosome else {},
    ).to(bench.device)
    optimizer = make_optimizer(stage, [p for p in net.parameters() if p.requires_grad])

    def step() -> None:
        net.train()
        optimizer.zero_grad()
        with torch.autocast(bench.device.type, torch.bfloat16, enabled=mixed):
            predicted, _ = net(batch)
            loss = sum((predicted[r].float() - batch.targets[r]).square().mean() for r in levels)
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()

    first = bench.seconds(step)
    bench.memory()
    taken = [bench.seconds(step) for _ in range(1 if bench.quick else STEPS)]
    return {
        "samples a step": 1,
        "first seconds": first,
        "seconds a step": float(np.median(taken)),
        "GB": bench.memory(),
    }


def end_to_end(bench: Bench) -> dict[str, Any]:
    engine = OrcaEngine(bench.bundle(), bench.genome(), str(bench.device))
    chrom, length = next(iter(engine.source.chromsizes.items()))
    module = engine.spec.modules[0]
    settings = Settings(tuple(sorted(module.resolutions)), modules=(module.name,))
    done = [0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mcool"
        taken = bench.seconds(
            lambda: predict_to_file(
                engine,
                [Region(chrom, 0, length)],
                settings,
                path,
                assembly="random",
                provenance={},
                progress=lambda n, total: done.__setitem__(0, n),
            )
        )
        size = path.stat().st_size
    return {
        "bp": length,
        "windows": done[0],
        "seconds": taken,
        "windows a second": done[0] / taken,
        "bytes": size,
        "GB": bench.memory(),
    }


def stubbed(bench: Bench) -> dict[str, Any]:
    length = 6100 if bench.small else 300_000_000
    windows, taken, profile, threads = stubbed_networks(bench.bundle(), str(bench.device), length)
    return {
        "bp": length,
        "windows": windows,
        "seconds": taken,
        "windows a second": windows / taken,
        "CPU ms a window": {s.name: 1000 * s.cpu / windows for s in profile.stages},
        "CPU ms a window, by thread": {name: 1000 * cpu / windows for name, cpu in threads.items()},
    }


def batches(bench: Bench) -> dict[str, Any]:
    """Decode a chromosome's windows with encodings at hand."""
    # a CPU decodes windows one by one: here in batches all the same
    few = {} if bench.gpu else {"windows_per_batch": 8, "concurrent": False}
    engine = type("Engine", (OrcaEngine,), few)(bench.bundle(), bench.genome(), str(bench.device))
    chrom, length = next(iter(engine.source.chromsizes.items()))
    module = engine.spec.modules[0]
    planned = by_root(plan(length, module.resolutions, engine.spec.bins))
    roots = [RootWindows(module, chrom, levels) for levels in planned]
    decode, sizes = engine.decode_windows, list[int]()

    def counted(requests: Any) -> Any:
        sizes.append(len(requests))
        return decode(requests)

    engine.decode_windows = counted  # type: ignore[method-assign]
    ways: dict[str, Callable[[], object]] = {
        "each root by itself": lambda: [list(decode_roots(engine, [root])) for root in roots],
        "together": lambda: list(decode_roots(engine, roots)),
    }
    ways["together"]()  # encodes, and makes the networks
    found: dict[str, Any] = {"roots": len(roots)}
    for name, work in ways.items():
        sizes.clear()
        taken = bench.seconds(work)
        mean = float(np.mean(sizes))
        found[name] = {"seconds": taken, "windows a batch": mean, "GB": bench.memory()}
    return found | {"times": found["each root by itself"]["seconds"] / found["together"]["seconds"]}


def start(bench: Bench) -> dict[str, Any]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        device = ["--device", str(bench.device), "-o", f"{folder}/x.mcool"]
        for name, line in (("predict --help", HELP), ("example", [*PREDICT, *device])):
            at = time.perf_counter()
            used, _ = seconds(line)
            found[name] = {"CPU seconds": used, "seconds": time.perf_counter() - at}
    return found


def _configuration(bench: Bench, folder: Path, **changes: Any) -> Path:
    """A toy training of one stage, on the device."""
    data = toy_config(folder)
    data["stages"] = [{**data["stages"][1], "average": "none", **changes}]
    data["accelerator"] = "gpu" if bench.gpu else "cpu"
    model = copy.deepcopy(data["model"])
    for part in (*model["modules"], model):  # ranks draw their own masks of dropout
        for key in ("decoder", "base_decoder"):
            if isinstance(part.get(key), dict):
                part[key]["dropout"] = 0.0
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump({**data, "model": model}))
    return path


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model" / "weights.safetensors")


def _largest(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """Largest difference; what is not known in both is equal."""
    found = 0.0
    for name, tensor in a.items():
        one, two = tensor.double(), b[name].double()
        if not torch.equal(one.isnan(), two.isnan()):
            raise RuntimeError(f"{name}: NaN in one of the two alone")
        found = max(found, float((one - two).nan_to_num().abs().max()) if one.numel() else 0.0)
    return found


def ddp(bench: Bench) -> dict[str, Any]:
    if bench.gpu and torch.cuda.device_count() < 2:
        raise NotRun("one card: two processes need two (NCCL)")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        path = _configuration(bench, folder, batch=4, validate=2, steps=2)
        train(load_config(path, ["stages.0.microbatch=2"]), folder / "one")
        line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        line += ["2", "-m", "orca_cool", "train", "run", str(path), "--devices", "2", "-o"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        taken = bench.seconds(
            lambda: subprocess.run(
                [*line, str(folder / "two")], check=True, capture_output=True, env=environment
            )
        )
        # running statistics are those of the first process's samples alone
        one = {k: v for k, v in _weights(folder / "one").items() if not RUNNING.search(k)}
        difference = _largest(one, _weights(folder / "two"))
    if difference > 1e-4:
        raise RuntimeError(f"two processes end {difference:.2g} from one")
    return {
        "backend": "nccl" if bench.gpu else "gloo",
        "seconds": taken,
        "largest difference of weights": difference,
    }


def repeat(bench: Bench) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        path = _configuration(bench, folder, steps=2, validate=1)
        config = load_config(path, ["keep_checkpoints=9"])
        for name in ("one", "two"):
            train(config, folder / name)
        shutil.copytree(folder / "one", folder / "resumed")
        shutil.rmtree(folder / "resumed" / "model")
        for last in sorted((folder / "resumed" / "checkpoints").iterdir())[1:]:
            last.unlink()  # as if it had been stopped after its first validation
        train(config, folder / "resumed", resume=True)
        one, two, resumed = (_weights(folder / name) for name in ("one", "two", "resumed"))
    return {
        "equal seeds, largest difference of weights": _largest(one, two),
        "resumed, largest difference of weights": _largest(one, resumed),
    }


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    part.__name__: part
    for part in (parity, golden, precision, steps, end_to_end, stubbed, batches, start, ddp, repeat)
}
#: What a CPU form leaves out of a part that it runs.
CPU_FORM = {
    "parity": "on CUDA; here the CPU against itself, toy networks",
    "precision": "tf32, float16 and time on CUDA; toy networks",
    "steps": "on CUDA, with mixed precision; toy networks",
    "end_to_end": "on CUDA; toy networks",
    "stubbed": "maps that lie on CUDA; toy sizes",
    "batches": "on CUDA; toy networks",
    "start": "with CUDA to be started",
    "ddp": "NCCL; here gloo",
    "repeat": "on CUDA",
}


def about(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = {
        "orca-cool": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "threads": torch.get_num_threads(),
        "device": str(bench.device),
        "size": "toy" if bench.small else "released",
    }
    if bench.gpu:
        card = torch.cuda.get_device_properties(bench.device)
        found |= {"card": card.name, "GB": card.total_memory / 1e9}
        found |= {"cards": torch.cuda.device_count(), "cuda": torch.version.cuda}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", nargs="?", default="gpu.json", help="[default: gpu.json]")
    parser.add_argument("--quick", action="store_true", help="toy networks, a few steps")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    wanted = options.parts.split(",")
    if unknown := [name for name in wanted if name not in PARTS]:
        parser.error(f"--parts {','.join(unknown)}: known are {', '.join(PARTS)}")
    bench = Bench(torch.device(options.device), options.quick)
    result: dict[str, Any] = {"about": about(bench), "parts": {}, "not run": {}, "failed": {}}
    for name in PARTS:
        if name not in wanted:
            result["not run"][name] = "not asked for (--parts)"
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        begun = time.perf_counter()
        try:
            found = PARTS[name](bench)
            result["parts"][name] = found | {"took": time.perf_counter() - begun}
            if not bench.gpu and name in CPU_FORM:
                result["not run"][name] = CPU_FORM[name]
        except NotRun as reason:
            result["not run"][name] = str(reason)
        except Exception as error:  # the other parts are worth having all the same
            traceback.print_exc()
            result["failed"][name] = f"{type(error).__name__}: {error}"
        Path(options.output).write_text(json.dumps(result, indent=1) + "\n")
    for name, reason in result["not run"].items():
        print(f"not run: {name}: {reason}", file=sys.stderr)
    print(options.output)
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
