"""What training costs: a step of each stage at the human size, drawing its samples, several ranks;
and from these a human training.

    python scripts/bench/train.py [--device cpu] [--parts steps,draw,ranks,cost] [--stages
    1M,32M,256M] [--levels 1,2] [--through]

Orca's networks (modules 1M, 32M, 256M, 32 profiles) with random weights, made-up genomes and maps;
each measurement in a process of its own, whose peak memory is its own. Seconds are CPU seconds of
one thread on the CPU, elapsed ones on CUDA (there in bf16-mixed). What is frozen and linear in the
sequence (the encoder) is measured on ``--megabases``. A cascade is measured with its finest
``--levels`` levels; if those are not all, the rest is projected from the last two numbers: the six
levels of 32M need about 20 GB a sample in float32. The baseline of samples made with their tiles is
samples from the cache, that of ranks one process that takes the same parts of the batch in turn.
Hours on an H100 are counted work over an assumed share of its peak, not measured.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pandas as pd
import torch
from common import HG38, MB, Figures, apart, options_of, parser, peak, say
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from orca_cool.genome.open import open_genome
from orca_cool.genome.regions import n_bins
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.observed import TILE
from orca_cool.model.cascade import Orca
from orca_cool.model.horizontal import encode_blocks
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.orca_spec import orca_spec
from orca_cool.train.batch import Batch, Sample
from orca_cool.train.config import parse_config, trained_parts
from orca_cool.train.draw import draw_zoom
from orca_cool.train.loop import StageLoop
from orca_cool.train.net import StageNet, set_trained
from orca_cool.train.samples import TRAIN, StageData
from orca_cool.train.settings import Config
from orca_cool.train.setup import Run

PROFILES = 32
#: by stage: modules of the model, and batch, steps, resolution of the map, shift (Zhou 2022,
#: Methods)
STAGES: dict[str, tuple[tuple[str, ...], int, int, int, int]] = {
    "1M": (("1M",), 16, 480_000, 1000, 100),
    "32M": (("32M", "1M"), 4, 150_000, 4000, 1000),
    "256M": (("32M", "256M", "1M"), 4, 36_000, 32_000, 4000),
}
#: days on 4 V100 that the released model took, by stage
RELEASED = {"1M": 30, "32M": 20, "256M": 20}
#: assumed: peak of an H100 SXM in TFLOP/s, dense bfloat16 and plain float32, and the shares of it
#: that training reaches
BFLOAT16, FLOAT32, SHARES = 990.0, 67.0, (0.3, 0.1)


def human(name: str, folder: Path, device: str = "cpu", **changes: Any) -> Config:
    """Configuration of one stage at the human size; its files need not exist for steps."""
    modules, batch, steps, resolution, shift = STAGES[name]
    stage = {
        "name": name,
        "module": name,
        "steps": steps,
        "batch": batch,
        "resolution": resolution,
        "shift": shift,
        "average": "none",
    }
    data = {
        "name": "human",
        "genome": "g.fa",
        "maps": {"m": "m.cool"},
        "test": [],
        "validation": ["chrV"],
        "threads": 1,
        "workers": 0,
        "cache": "cache",
        "model": {"orca": "h1esc", "modules": list(modules)},
        "accelerator": device,
        "precision": "32-true" if device == "cpu" else "bf16-mixed",
        "stages": [{**stage, "schedule": "constant", "lr": 1e-5, **changes}],
    }
    return parse_config(data, folder)


class FromEncodings(StageNet):
    """A stage without its encoder: what it is given for sequence are encodings."""

    def _encode(self, batch: Batch) -> Tensor:
        return batch.codes.to(next(self.model.encoder.parameters()).device)


def part_of(name: str, levels: int = 9) -> ModuleSpec:
    """The stage's module, its finest ``levels`` levels alone."""
    module = orca_spec("h1esc", modules=STAGES[name][0]).module(name)
    return dataclasses.replace(module, resolutions=module.resolutions[-levels:])


def build(name: str, module: ModuleSpec, kind: type[StageNet]) -> StageNet:
    """The stage's network with random weights, on the default device."""
    spec = orca_spec("h1esc", modules=STAGES[name][0], profiles=PROFILES)
    model = Orca(spec)
    stage = human(name, Path(".")).stages[0]
    learning = set_trained(model, module, trained_parts(stage, module, spec))
    fine = ExpectedModel(4000, 0.1 / (1.0 + np.arange(8200)) ** 0.9)
    return kind(model, module, learning, [fine], positive=np.ones(PROFILES))


def made_up(net: StageNet, name: str, count: int) -> Batch:
    """Random samples: encodings, or sequence where the encoder learns and is there."""
    module, n, window = part_of(name), net.model.spec.bins, int(name[:-1]) * MB
    assert net.module is not None
    rng = np.random.default_rng(0)
    if isinstance(net, FromEncodings):
        codes = torch.randn(
            count, net.model.spec.encoder.widths[-1], window // net.model.spec.base_bin
        )
    else:
        codes = torch.randint(0, 4, (count, window), dtype=torch.uint8)
    levels = net.module.resolutions
    starts = [draw_zoom(rng, levels, n, (0, window)) for _ in range(count)]
    return Batch(
        codes,
        ["made up"] * count,
        torch.rand(count, PROFILES, n).round() if module.decoder is None else None,
        {r: torch.randn(count, 1, n, n) for r in levels},
        {r: [s[r] for s in starts] for r in levels},
        {r: torch.randn(count, 1, n, n) for r in levels} if module.multi_chromosome else {},
    )


def clock(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def used(device: str) -> float:
    """GB at the most so far."""
    return peak() if device == "cpu" else torch.cuda.max_memory_allocated() / 1e9


# measurements; each runs in a process of its own and returns plain numbers


def step(options: argparse.Namespace, name: str, levels: str) -> dict[str, float]:
    """Seconds a sample of a training step as the loop takes it (forward, backward, clipping,
    optimiser).
    """
    from lightning.fabric import Fabric

    torch.manual_seed(0)
    count, folder = options.microbatch, Path(options.folder)
    config = human(name, folder, options.device, batch=count)
    fabric = Fabric(accelerator=options.device, devices=1, precision=config.precision)  # type: ignore[arg-type]
    module = part_of(name, int(levels))
    net = build(name, module, StageNet if name == "1M" else FromEncodings).to(fabric.device)
    net.model.decoders.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in training
    data = StageData(
        seed=1,
        number=0,
        stage=config.stages[0],
        spec=net.model.spec,
        module=module,
        genome_path=folder,
        chromsizes={},
        training=(),
        validation=(),
        predicted=("m",),
        observed={},
        expected_tables={},
        block_missing=0.5,
    )
    loop = StageLoop(fabric, config, net, data, folder, np.full(PROFILES, 1 / PROFILES))
    wrapped, optimizer = fabric.setup(net, loop.optimizer)
    batch = made_up(net, name, count).to(fabric.device)
    before, taken = used(options.device), []
    for _ in range(options.repeats + 1):
        begin = clock(options.device)
        loop._update(wrapped, optimizer, batch)
        taken.append((clock(options.device) - begin) / count)
    return {"seconds": float(np.median(taken[1:])), "peak": used(options.device), "before": before}


def batch_of(codes: torch.Tensor) -> Batch:
    """A batch of sequence alone."""
    return Batch(codes, ["made up"], None, {}, {}, {})


def frozen(options: argparse.Namespace) -> dict[str, float]:
    """Seconds per Mb of a frozen encoder."""
    net = build("32M", part_of("32M"), StageNet).to(options.device)
    codes = torch.randint(0, 4, (int(options.megabases * MB),), dtype=torch.uint8)[None]
    net._encode(batch_of(codes[:, :400_000]))
    before, begin = used(options.device), clock(options.device)
    net._encode(batch_of(codes))
    return {
        "seconds": (clock(options.device) - begin) / options.megabases,
        "peak": used(options.device),
        "before": before,
    }


def through(options: argparse.Namespace) -> dict[str, float]:
    """Seconds per Mb of an encoder that learns, in blocks that are run twice; whole blocks, their
    flanks included as in a long sequence.
    """
    net = build("1M", part_of("1M"), StageNet).to(options.device)
    encoder, spec = net.model.encoder.train(), net.model.spec.encoder
    codes = torch.randint(0, 4, (1, 2 * spec.block + 2 * spec.flank), dtype=torch.uint8)
    encode_blocks(encoder, codes[:, :400_000]).sum().backward()
    begin = clock(options.device)
    with torch.autocast(options.device, enabled=options.device != "cpu"):
        y = encode_blocks(encoder, codes)
    y.sum().backward()
    # three blocks, the last of two flanks' length: what was encoded, to what a block of a long
    # sequence encodes
    size, reach = codes.shape[1], range(0, codes.shape[1], spec.block)
    encoded = sum(min(a + spec.block + spec.flank, size) - max(a - spec.flank, 0) for a in reach)
    rate = (clock(options.device) - begin) / encoded * MB
    return {
        "seconds": rate * (spec.block + 2 * spec.flank) / spec.block,
        "peak": used(options.device),
    }


def draw(options: argparse.Namespace, name: str) -> dict[str, float]:
    """CPU seconds of drawing samples while tiles are made, then the same ones from the cache, and a
    worker's memory.
    """
    folder, unit = Path(options.folder) / name, STAGES[name][3]
    folder.mkdir()
    sizes = {
        "1M": {"chr1": 10},
        "32M": {"chr1": options.chromosome},
        "256M": {f"chr{k}": 80 for k in range(1, 5)},
    }[name]
    chromsizes = {chrom: megabases * MB for chrom, megabases in {**sizes, "chrV": 1}.items()}
    write_genome(folder / "g.fa", chromsizes, 50)
    write_map(folder / "m.cool", chromsizes, unit, unit * 300 / 4000)
    config = human(name, folder)
    run = Run(config, folder, open_genome(folder / "g.fa"))
    expected = ExpectedModel(
        unit, 0.1 / (1.0 + np.arange(10_000)) ** 0.9, 1e-4 if name == "256M" else None
    )
    run._expected = lambda *_: expected  # type: ignore[method-assign]
    data = run.data(0)
    observed, made = data.observed["m"], []
    compute = observed._compute

    def timed(*key: Any) -> np.ndarray:
        begin = time.process_time()
        tile = compute(*key)
        made.append(time.process_time() - begin)
        return tile

    observed._compute = timed  # type: ignore[assignment, method-assign]
    taken = []
    for _ in range(2):
        begin = time.process_time()
        for k in range(options.samples):
            sample = data[TRAIN, 0, k]
            assert isinstance(sample, Sample), sample
        taken.append((time.process_time() - begin) / options.samples)
    files = list((folder / "cache").rglob("*.npy"))
    return {
        "first": taken[0],
        "cached": taken[1],
        "tile": float(np.mean(made)),
        "tiles": len(made),
        "bytes": sum(f.stat().st_size for f in files) / len(files),
        "peak": peak(),
    }


def write_genome(path: Path, chromsizes: dict[str, int], line: int) -> None:
    """Random sequence in lines of ``line`` letters, of which every length is a multiple, with its
    index.
    """
    rng, index = np.random.default_rng(0), []
    with open(path, "wb") as out:
        for chrom, size in chromsizes.items():
            out.write(f">{chrom}\n".encode())
            index.append(f"{chrom}\t{size}\t{out.tell()}\t{line}\t{line + 1}\n")
            text = np.full((size // line, line + 1), ord("\n"), dtype=np.uint8)
            text[:, :line] = np.frombuffer(b"ACGT", dtype=np.uint8)[
                rng.integers(0, 4, (size // line, line), dtype=np.uint8)
            ]
            out.write(text.tobytes())
    path.with_name(path.name + ".fai").write_text("".join(index))


def write_map(path: Path, chromsizes: dict[str, int], resolution: int, depth: float) -> None:
    """A balanced map with ``depth`` contacts a pixel at the diagonal, falling with distance, and
    one between chromosomes at 32 kb.
    """
    bins = cooler.binnify(pd.Series(chromsizes), resolution)
    chrom, n = bins["chrom"].cat.codes.to_numpy(), len(bins)
    rng, trans = np.random.default_rng(1), (resolution / 32_000) ** 2

    def chunks() -> Iterator[pd.DataFrame]:
        for a in range(0, n, 250):
            i = np.arange(a, min(a + 250, n))
            j = np.arange(a, n)
            rate = depth / (1 + np.abs(i[:, None] - j[None]))
            rate = np.where(chrom[i][:, None] == chrom[j][None], rate, trans)
            count = np.triu(rng.poisson(rate))
            y, x = np.nonzero(count)
            yield pd.DataFrame({"bin1_id": i[y], "bin2_id": j[x], "count": count[y, x]})

    cooler.create_cooler(
        str(path), bins.assign(weight=0.01), chunks(), dtypes={"count": int}, ordered=True
    )


def rank(options: argparse.Namespace, number: str, steps: str) -> dict[str, float]:
    """CPU seconds of all processes of a run with so many ranks, the losses it logged, and its own
    rate over its second half.
    """
    folder = Path(options.folder) / f"{number}-{steps}"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", number]
    command = [
        sys.executable,
        *(launcher if number != "1" else []),
        "-m",
        "orca_cool",
        "train",
        str(folder.parent / "small.json"),
    ]
    command += [
        "-o",
        str(folder),
        "--devices",
        number,
        "--set",
        f"stages.0.steps={steps}",
        "--set",
        f"stages.0.validate={int(steps) // 2}",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    subprocess.run(
        command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(folder / "log-small.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "seconds": used.ru_utime + used.ru_stime,
        "loss": float(rows[-1]["loss"]),
        "rate": float(rows[-1]["rate"]),
    }


def write_small(folder: Path, batch: int) -> None:
    """Genome, map and configuration of a scaled-down cascade, all of it learning; no dropout, for
    ranks draw masks of their own.
    """
    chromsizes = {"c1": 800_000, "c2": 400_000}
    write_genome(folder / "g.fa", chromsizes, 50)
    write_map(folder / "m.cool", chromsizes, 400, 300)
    decoder = {
        "channels": 32,
        "width": 16,
        "bottleneck": 8,
        "dilations": [1, 2, 4, 8, 16],
        "dropout": 0.0,
    }
    model = {
        "bins": 100,
        "encoder": {
            "widths": [8, 16, 32, 32],
            "pools": [1, 4, 10, 10],
            "block": 80_000,
            "flank": 8000,
        },
        "pyramids": {"p": {"steps": 2, "width": 32}},
        "modules": [
            {"name": "160k", "resolutions": [1600, 800, 400], "pyramids": ["p"], "decoder": decoder}
        ],
    }
    stage = {
        "name": "small",
        "module": "160k",
        "train": ["encoder", "p", "decoders"],
        "batch": batch,
        "microbatch": 1,
        "lr": 0.01,
        "momentum": 0.9,
        "average": "none",
        "schedule": "constant",
        "validation": batch,
    }
    config = {
        "name": "small",
        "genome": "g.fa",
        "maps": {"m": "m.cool"},
        "test": [],
        "validation": ["c2"],
        "keep": 40_000,
        "threads": 1,
        "workers": 0,
        "accelerator": "cpu",
        "cache": "cache",
        "model": model,
        "stages": [stage],
    }
    (folder / "small.json").write_text(json.dumps(config))  # which is YAML too


# counted, not measured


def work(name: str) -> dict[str, float]:
    """TFLOP of one sample (two per multiplication and addition), counted on tensors without data.

    ``frozen`` : of the encoder where it does not learn, each base once, in the plain formulation.
    ``learning`` : forward and backward of the rest, and of the encoder in blocks, run twice, where
    it does. ``through`` : of the encoder over the whole window if it learnt.
    """
    with torch.device("meta"):
        net = build(name, part_of(name), FromEncodings).to("meta").train()
        batch = made_up(net, name, 1)
        batch = dataclasses.replace(batch, codes=batch.codes.requires_grad_(name == "1M"))
        with FlopCounterMode(display=False) as counter:
            maps, logits = net(batch)
            total = torch.stack([y.sum() for y in maps.values()]).sum()
            (total if logits is None else total + logits.sum()).backward()
        rest = counter.get_total_flops() / 1e12
        encoder, spec, window = (
            net.model.encoder.requires_grad_(True).train(),
            net.model.spec.encoder,
            int(name[:-1]) * MB,
        )
        mean = sum(
            min(a + spec.block + spec.flank, window) - max(a - spec.flank, 0)
            for a in range(0, window, spec.block)
        )
        x = torch.empty(1, 4, spec.block)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            encoder(x)
        once = counter.get_total_flops() / 1e12 / spec.block
        with FlopCounterMode(display=False) as counter:
            encoder(x).sum().backward()
        twice = once + counter.get_total_flops() / 1e12 / spec.block
    learns = name == "1M"
    return {
        "frozen": 0.0 if learns else once * window,
        "through": twice * mean,
        "learning": rest + (twice * mean if learns else 0.0),
    }


def human_tiles() -> dict[str, int]:
    """Tiles of a human map that each stage asks for: a band of them within chromosomes, for 256M
    all, cis and trans.
    """
    found = {}
    for name in STAGES:
        unit = STAGES[name][3]
        counts = [n_bins(n_bins(int(size * MB), unit), TILE) for size in HG38]
        reach = n_bins(int(name[:-1]) * MB // unit, TILE)
        cis = sum(
            1
            for n in counts
            for i in range(n)
            for j in range(i, n)
            if name == "256M" or j - i <= reach
        )
        trans = sum(a * b for k, a in enumerate(counts) for b in counts[k + 1 :])
        found[name] = cis + (trans if name == "256M" else 0)
    return found


# report


def measure(options: argparse.Namespace, *arguments: str) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    names = ("folder", "device", "megabases", "microbatch", "repeats", "samples", "chromosome")
    return apart(__file__, "--measure", ",".join(arguments), *options_of(options, *names))


def steps_report(options: argparse.Namespace) -> None:
    encoder = measure(options, "frozen") if set(options.stages) & {"32M", "256M"} else {}
    if encoder:
        say(
            f"frozen encoder: {encoder['seconds']:.2f} s/Mb, {encoder['peak']:.2f} GB "
            f"({encoder['before']:.2f} GB before)"
        )
    for name in options.stages:
        whole = len(part_of(name).resolutions)
        levels = sorted({min(int(k), whole) for k in options.levels.split(",")})
        runs = {k: measure(options, "step", name, str(k)) for k in levels}
        last = runs[levels[-1]]
        for k, r in runs.items():
            say(
                f"{name}, {k} of {whole} levels: {r['seconds']:.1f} s a sample, {r['peak']:.2f} "
                f"GB ({r['before']:.2f} GB before)"
            )
        if levels[-1] < whole and len(levels) > 1:
            more = (whole - levels[-1]) / (levels[-1] - levels[-2])
            last = {
                key: last[key] + more * (last[key] - runs[levels[-2]][key])
                for key in ("seconds", "peak")
            }
        elif levels[-1] < whole:
            say(f"{name}: two numbers of levels are needed to project the rest")
            continue
        megabases = 0 if name == "1M" else int(name[:-1])
        encode = megabases * encoder["seconds"] if megabases else 0.0
        part = levels[-1] < whole or megabases not in (0, options.megabases)
        kind = " (projected)" if part else ""
        total = encode + last["seconds"]
        say(
            f"{name}, whole{kind}: {total:.1f} s a sample ({encode:.0f} s of it the frozen "
            f"encoder), {last['peak']:.1f} GB"
        )
        whole_sample = {f"{name}: s a sample": total, f"{name}: GB": last["peak"]}
        (options.figures.modelled if kind else options.figures.measured).update(whole_sample)
        if megabases == 32 and options.through:
            t = measure(options, "through")
            full = 32 * t["seconds"] + last["seconds"]
            say(
                f"{name}, the encoder trained through (projected): {full:.0f} s, "
                f"{full / total:.1f} times; its blocks {t['peak']:.2f} GB"
            )


def draw_report(options: argparse.Namespace) -> None:
    tiles = human_tiles()
    for name in options.stages:
        d = measure(options, "draw", name)
        say(
            f"drawing {name}: {d['cached']:.2f} s from the cache, {d['first']:.2f} s while "
            f"{d['tiles']:.0f} tiles were made for "
            f"{options.samples} samples ({d['first'] / d['cached']:.1f} times); {d['tile']:.2f} "
            f"s and {d['bytes'] / 1e6:.1f} MB a tile; "
            f"{d['peak']:.2f} GB; a human map has {tiles[name]} tiles: "
            f"{tiles[name] * d['tile'] / 3600:.1f} h, "
            f"{tiles[name] * d['bytes'] / 1e9:.0f} GB, "
            f"{tiles[name] * d['bytes'] / sum(HG38) / 1e6:.1f} MB/Mb"
        )
        options.drawn[name] = d["cached"]
        options.figures.add(f"drawing {name}", d)


def ranks_report(options: argparse.Namespace) -> None:
    write_small(Path(options.folder), 4)
    few, many = options.steps
    alone: dict[str, float] = {}
    for number in (1, 2, 4):
        a, b = (measure(options, "rank", str(number), str(k)) for k in (few, many))
        r = {
            "seconds": (b["seconds"] - a["seconds"]) / (many - few) / 4,
            "early": a["loss"],
            "loss": b["loss"],
            "rate": b["rate"] * 4,
        }
        alone = alone or r
        say(
            f"{number} rank(s): {r['seconds']:.3f} CPU s a sample "
            f"({r['seconds'] / alone['seconds']:.2f} times), {r['rate']:.1f} "
            f"samples/s; loss off one rank's by {abs(r['early'] / alone['early'] - 1):.0e} after "
            f"{few} steps ({r['early']:.5f}), "
            f"{abs(r['loss'] / alone['loss'] - 1):.0e} after {many}"
        )
        options.figures.add(f"{number} ranks", {k: r[k] for k in ("seconds", "rate")})


def cost_report(options: argparse.Namespace) -> None:
    total = {share: np.zeros(2) for share in SHARES}
    for name, (_, batch, steps, *_) in STAGES.items():
        w, samples = work(name), batch * steps
        say(
            f"{name}: {w['frozen']:.1f} TFLOP a sample frozen, {w['learning']:.1f} learning, "
            f"{samples / 1e6:.2f} M samples"
        )
        for share in SHARES:  # encoders that are frozen run in float32
            second = (w["frozen"] + w["learning"]) / (share * BFLOAT16)
            plain = w["frozen"] / (share * FLOAT32) + w["learning"] / (share * BFLOAT16)
            total[share] += np.array([plain, second]) * samples / 3600
            workers = (
                [options.drawn[name] / s for s in (plain, second)] if name in options.drawn else []
            )
            text = (
                f"; loader workers a GPU {', '.join(f'{w:.1f}' for w in workers)}"
                if workers
                else ""
            )
            hours, fewer = plain * samples / 3600, second * samples / 3600
            say(
                f"  at {share:.0%}: {1 / plain:.1f} samples/s, {hours:.0f} h on one H100, "
                f"{hours / 4:.0f} h on four (released: "
                f"{24 * RELEASED[name]} h on four V100); a frozen encoder in bfloat16 too: "
                f"{1 / second:.1f} samples/s, {fewer:.0f} h and "
                f"{fewer / 4:.0f} h{text}"
            )
        if name == "32M":
            say(
                f"  the encoder trained through: "
                f"{(w['through'] + w['learning']) / (w['frozen'] + w['learning']):.1f} times the "
                f"work"
            )
    for share, (hours, fewer) in total.items():
        say(
            f"all at {share:.0%}: {hours:.0f} h on one H100, {hours / 4:.0f} h on four; "
            f"{fewer:.0f} h and {fewer / 4:.0f} h"
        )
        options.figures.modelled[f"H100 at {share:.0%}: h on four"] = hours / 4


MEASURES: dict[str, Callable[..., dict[str, float]]] = {
    "step": step,
    "frozen": frozen,
    "through": through,
    "draw": draw,
    "rank": rank,
}


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="of the steps")
    given.add_argument("--parts", default="steps,draw,ranks,cost")
    given.add_argument("--stages", default="1M,32M,256M", type=lambda text: text.split(","))
    given.add_argument(
        "--levels", default="1,2", help="levels of a cascade that are measured; 9: all, in one"
    )
    given.add_argument(
        "--through", action="store_true", help="also train the encoder through 32 Mb"
    )
    given.add_argument("--megabases", type=float, default=2, help="sequence of the frozen encoder")
    given.add_argument("--microbatch", type=int, default=1, help="samples at once")
    given.add_argument(
        "--repeats",
        type=int,
        default=1,
        help="steps after the first, which is not counted; the median is told",
    )
    given.add_argument(
        "--chromosome",
        type=int,
        default=40,
        help="Mb of the made-up chromosome that 32 Mb windows are drawn from",
    )
    given.add_argument("--samples", type=int, default=6, help="drawn in each stage")
    given.add_argument(
        "--steps",
        default="4,20",
        type=lambda text: list(map(int, text.split(","))),
        help="of the two runs of ranks",
    )
    given.add_argument("--measure", help=argparse.SUPPRESS)
    given.add_argument("--folder", help=argparse.SUPPRESS)
    options = given.parse_args()
    torch.set_num_threads(1)
    if options.measure:
        name, *arguments = options.measure.split(",")
        print(json.dumps(MEASURES[name](options, *arguments)))
        return
    options.drawn, options.figures = {}, Figures(__file__)
    parts = options.parts.split(",")
    say(
        f"torch {torch.__version__}, {options.device}, one thread, {os.getloadavg()[0]:.1f} "
        f"processes running on {os.cpu_count()} cores"
    )
    with tempfile.TemporaryDirectory() as options.folder:
        if "steps" in parts:
            if options.device == "cuda" and not torch.cuda.is_available():
                say("steps on cuda: not available")
            else:
                steps_report(options)
        if "draw" in parts:
            draw_report(options)
        if "ranks" in parts:
            ranks_report(options)
        if "cost" in parts:
            cost_report(options)
    options.figures.keep(options.json)


if __name__ == "__main__":
    main()
