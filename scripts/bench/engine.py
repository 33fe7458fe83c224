"""Time and memory of the engine at the released size (random weights) against the plain
formulation, in the same run.

    python scripts/bench/engine.py [--device cpu] [--megabases 2] [--region 20] [--wide
    part|full|none] [--parts networks,series,region]

The baseline is ``tests/reference/plain.py``: nothing shared, nothing folded, 800 kb blocks with 112
kb of sequence on both sides. Every measurement is a process of its own, so that its peak memory is
its own; the sequence is drawn, not read. Where a baseline would take hours it is worked out from
its measured parts, and the line says "projected".
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import HG38, MB, Figures, Random, apart, options_of, parser, peak, released_size, say
from reference import plain

from orca_cool.genome.regions import Region
from orca_cool.model.cascade import Orca
from orca_cool.model.fast.decoder import FastCascade
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.to_file import predict_to_file
from orca_cool.prediction.windows import plan, zoom_top, zoom_windows

#: bfloat16 decoders as version 0.1 has them.
UNPHASED = "bfloat16 of 0.1"
#: chromosome of the 32 Mb series: whole blocks, a little more than the window
SERIES = 33_600_000


def seconds(function: Callable[[], object], device: torch.device) -> float:
    begin = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def sd(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.cpu().double() - b.cpu().double()).abs().max() / a.double().std())


# measurements; each runs in a process of its own and returns plain numbers


def encoder(options: argparse.Namespace, device: torch.device, kind: str) -> dict[str, float]:
    """Alternating runs of the plain block-wise encoder and of the fast one; ``kind`` alone, for its
    memory.
    """
    bundle, genome, size = released_size(), Random(chrR=400 * MB), int(options.megabases * MB)
    net = bundle.model.encoder.to(device)
    codes = genome.fetch("chrR", 0, size)
    fast = FastEncoder(net, device)

    def slow() -> torch.Tensor:
        return plain.encode(net, codes, device)

    def quick() -> torch.Tensor:
        return fast.span(lambda a, b: codes[a:b], 0, size, ends=(True, True))

    if kind != "both":
        (slow if kind == "plain" else quick)()
        return {"peak": peak()}
    found: dict[str, float] = {"difference": sd(slow(), quick())}
    runs = [(seconds(slow, device), seconds(quick, device)) for _ in range(options.repeats)]
    found |= {"plain": statistics.median(a for a, _ in runs) / options.megabases}
    found |= {"fast": statistics.median(b for _, b in runs) / options.megabases}
    found |= {"ratio": statistics.median(a / b for a, b in runs)}
    kinds = {"tf32", "float16"} if device.type == "cuda" else {"bfloat16"}
    for dtype in sorted(kinds & set(options.types.split(","))):
        rough = FastEncoder(net, device, dtype)
        y = rough.span(lambda a, b: codes[a:b], 0, size, ends=(True, True))
        found[f"{dtype} sd"] = sd(quick(), y)
        found[f"{dtype} r"] = float(np.corrcoef(quick().cpu().flatten(), y.cpu().flatten())[0, 1])
        found[dtype] = (
            seconds(
                lambda rough=rough: rough.span(lambda a, b: codes[a:b], 0, size, ends=(True, True)),
                device,
            )
            / options.megabases
        )
    return found


def unphased(model: Orca, name: str, resolutions: tuple[int, ...]) -> FastCascade:
    """Decoders of a module in bfloat16 on the CPU as they were in version 0.1: convolutions as they
    are, not by phase.
    """
    cascade = FastCascade(model, "cpu", "bfloat16")
    for key in (*((name, r) for r in resolutions), None):
        decoder = cascade._fast(key)
        net = model.base_decoder if key is None else model.decoders[name][str(key[1])]
        decoder._linear, decoder._convs = (
            [decoder._pair(m, d) for m, d in zip(modules, decoder.spec.dilations)]
            for modules in (net.lconvtwos, net.convtwos)
        )
        decoder._phased = []
    return cascade


def decoder(options: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """Per window and strand: a level with a coarse map, and the finest (Decoder + Decoder_1m)."""
    bundle = released_size()
    model, module = bundle.model.to(device), bundle.spec.module("32M")
    torch.manual_seed(1)
    many = 16 if device.type == "cuda" else 1
    x, coarse = (
        torch.randn(many, 128, 250, device=device),
        torch.randn(many, 1, 125, 125, device=device),
    )
    distance = torch.randn(1, 1, 250, 250, device=device)
    found: dict[str, float] = {}
    asked = options.types.split(",")
    kinds = ["float32", *(["bfloat16"] if "bfloat16" in asked else [])]
    kinds += ["tf32"] if device.type == "cuda" and "tf32" in asked else []
    cascades = {dtype: FastCascade(model, device, dtype) for dtype in kinds}
    if device.type == "cpu" and "bfloat16" in asked:
        kinds.append(UNPHASED)
        cascades[UNPHASED] = unphased(model, module.name, (8000, 4000))
    for name, resolution in (("level", 8000), ("finest", 4000)):
        runs: dict[str, list[float]] = {"plain": [], **{k: [] for k in kinds}}
        prepared = {k: c.prepare(module, resolution, distance) for k, c in cascades.items()}

        def slow(resolution: int = resolution) -> torch.Tensor:
            with torch.inference_mode():
                return model.decode(module, resolution, x, distance, coarse)

        def quick(
            kind: str, resolution: int = resolution, prepared: dict = prepared
        ) -> torch.Tensor:
            with torch.inference_mode():
                return cascades[kind].decode(module, resolution, x, prepared[kind], coarse)

        exact = slow()
        for kind in kinds:
            found[f"{name} {kind} sd"] = sd(exact, quick(kind))
            found[f"{name} {kind} r"] = float(
                np.corrcoef(exact.cpu().flatten().numpy(), quick(kind).cpu().flatten().numpy())[
                    0, 1
                ]
            )
        for _ in range(options.repeats):
            runs["plain"].append(seconds(slow, device) / many)
            for kind in kinds:
                runs[kind].append(seconds(lambda kind=kind: quick(kind), device) / many)
        found |= {f"{name} {kind}": statistics.median(values) for kind, values in runs.items()}
        found |= {
            f"{name} {k} ratio": statistics.median(a / b for a, b in zip(runs["plain"], runs[k]))
            for k in kinds
        }
    return found


def series_plain(options: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """One 32 Mb zoom series, six levels, both strands."""
    bundle, genome = released_size(), Random(chrR=SERIES)
    model, module = bundle.model.to(device), bundle.spec.module("32M")
    background = bundle.expected(module)
    logs = {
        r: torch.from_numpy(np.log(background.expected_matrix(r, 250)).astype(np.float32)).to(
            device
        )[None, None]
        for r in module.resolutions
    }
    top = zoom_top(14 * MB, SERIES, 32 * MB, module.resolutions[0])
    starts = zoom_windows(14 * MB, top, module.resolutions, 250)
    codes = genome.fetch("chrR", top, top + 32 * MB)
    maps: dict[int, torch.Tensor] = {}
    taken = seconds(lambda: maps.update(plain.zoom(model, module, codes, logs, starts)), device)
    np.save(
        Path(options.folder) / "plain.npy",
        np.stack([maps[r].cpu().numpy() for r in module.resolutions]),
    )
    return {"seconds": taken, "peak": peak()}


def series_fast(options: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """The same series from nothing, a second one elsewhere in the same sequence, that with real
    flanks, and with bfloat16 decoders.
    """
    engine = OrcaEngine(released_size(), Random(chrR=SERIES), str(device))
    module = engine.spec.module("32M")
    found: dict[str, float] = {}
    maps: dict[str, list] = {}
    for name, position, edges in (
        ("first", 14 * MB, "zero-padded"),
        ("second", 22 * MB, "zero-padded"),
        ("real", 22 * MB, "real"),
    ):
        found[name] = seconds(
            lambda n=name, p=position, e=edges: maps.update({n: engine.zoom(module, "chrR", p, e)}),
            device,
        )
    reference = np.load(Path(options.folder) / "plain.npy")
    found["difference"] = max(
        sd(torch.from_numpy(a), torch.from_numpy(m.values))
        for a, m in zip(reference, maps["first"])
    )
    for padded, real in zip(maps["second"], maps["real"]):
        found[f"edges {padded.resolution}"] = sd(
            torch.from_numpy(padded.values), torch.from_numpy(real.values)
        )
    found["peak"] = peak()
    rough = OrcaEngine(engine.bundle, engine.source, str(device), "bfloat16")
    rough.encodings = engine.encodings
    found["bfloat16"] = seconds(
        lambda: maps.update(rough=rough.zoom(module, "chrR", 22 * MB)), device
    )
    if device.type == "cpu":
        both = OrcaEngine(engine.bundle, engine.source, "cpu", "bfloat16", encoder_dtype="bfloat16")
        found["bfloat16 both"] = seconds(
            lambda: maps.update(both=both.zoom(module, "chrR", 14 * MB)), device
        )
        for exact, m in zip(maps["first"], maps["both"]):
            found[f"both {m.resolution}"] = sd(
                torch.from_numpy(exact.values), torch.from_numpy(m.values)
            )
    for exact, m in zip(maps["second"], maps["rough"]):
        found[f"bfloat16 {m.resolution}"] = sd(
            torch.from_numpy(exact.values), torch.from_numpy(m.values)
        )
    return found


def series_wide(options: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """One 256 Mb series, four levels, both strands; in part: 32 Mb of sequence, the rest N, which
    is encoded once.
    """
    sizes = {"chr1": 200 * MB, "chr2": 120 * MB} if options.wide == "full" else {"chr1": 32 * MB}
    engine = OrcaEngine(released_size(), Random(**sizes), str(device))
    taken = seconds(lambda: engine.zoom(engine.spec.module("256M"), "chr1", 10 * MB), device)
    return {"seconds": taken, "encoded": engine.encoded_bp / 2 / MB, "peak": peak()}


def region(options: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """A region at all six levels into a file: from nothing; smaller ones with all encodings at
    hand; that one with bfloat16 decoders.
    """
    exact = OrcaEngine(released_size(), Random(chrR=250 * MB), str(device))
    rough = OrcaEngine(exact.bundle, exact.source, str(device), "bfloat16")
    rough.encodings = exact.encodings
    spent = {"encode": 0.0}
    span = exact.encodings.encoder.encoder.span

    def timed(*arguments: object, **options: object) -> torch.Tensor:
        out: list[torch.Tensor] = []
        spent["encode"] += seconds(lambda: out.append(span(*arguments, **options)), device)  # type: ignore[arg-type]
        return out[0]

    exact.encodings.encoder.encoder.span = timed  # type: ignore[method-assign]
    resolutions = exact.spec.module("32M").resolutions
    settings = Settings(tuple(sorted(resolutions)), modules=("32M",))
    found: dict[str, float] = {}
    start, path = 100 * MB, Path(options.folder) / "region.mcool"
    sizes = [options.region, options.region / 2, options.region / 4]
    for engine, size in [(exact, size) for size in sizes] + [(rough, options.region)]:
        spent["encode"], before = 0.0, exact.encoded_bp
        end = start + int(size * MB)
        taken = seconds(
            lambda p=engine, end=end: predict_to_file(
                p,
                [Region("chrR", start, end)],
                settings,
                path,
                assembly="random",
                provenance={},
                force=True,
            ),
            device,
        )
        windows = plan(250 * MB, resolutions, 250, start, end)
        name = f"{size:g}" if engine is exact else "bfloat16"
        found |= {
            f"{name} seconds": taken,
            f"{name} windows": sum(map(len, windows)),
            f"{name} finest": len(windows[-1]),
        }
        found |= {
            f"{name} encode": spent["encode"],
            f"{name} encoded": (exact.encoded_bp - before) / 2 / MB,
        }
        found |= {f"{name} peak": peak()}
    return found


MEASURES: dict[str, Callable[..., dict[str, float]]] = {
    "encoder": encoder,
    "decoder": decoder,
    "series_plain": series_plain,
    "series_fast": series_fast,
    "series_wide": series_wide,
    "region": region,
}


def measure(options: argparse.Namespace, name: str, *arguments: str) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    given = options_of(
        options, "folder", "device", "megabases", "repeats", "region", "wide", "types"
    )
    return apart(__file__, "--measure", ",".join([name, *arguments]), *given)


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--device", default="cpu")
    given.add_argument(
        "--megabases", type=float, default=2, help="sequence of the encoder's benchmark"
    )
    given.add_argument("--repeats", type=int, default=3)
    given.add_argument(
        "--types",
        default="float32,bfloat16,tf32,float16",
        help="of the networks' benchmarks; float32 alone is fast where bfloat16 is slow",
    )
    given.add_argument("--region", type=float, default=20, help="Mb")
    given.add_argument(
        "--wide", default="part", choices=["part", "full", "none"], help="the 256 Mb series"
    )
    given.add_argument("--parts", default="networks,series,region")
    given.add_argument("--measure", help=argparse.SUPPRESS)
    given.add_argument("--folder", help=argparse.SUPPRESS)
    options, figures = given.parse_args(), Figures(__file__)
    device = torch.device(options.device)
    if options.measure:
        name, *arguments = options.measure.split(",")
        print(json.dumps(MEASURES[name](options, device, *arguments)))
        return
    parts = options.parts.split(",")
    say(f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as options.folder:
        report(options, parts, figures)
    figures.keep(options.json)


def report(options: argparse.Namespace, parts: list[str], figures: Figures) -> None:
    e = measure(options, "encoder", "both")
    figures.add("encoder", e)
    say(
        f"encoder: plain {e['plain']:.2f} s/Mb, fast {e['fast']:.2f} s/Mb: {e['ratio']:.1f} "
        f"times; differ by {e['difference']:.0e} sd"
    )
    for dtype in ("tf32", "float16", "bfloat16"):
        if dtype in e:
            say(
                f"encoder, {dtype}: {e[dtype]:.3f} s/Mb ({e['fast'] / e[dtype]:.2f} times as fast "
                f"as float32), off by {e[dtype + ' sd']:.0e} sd, r {e[dtype + ' r']:.5f}"
            )
            figures.add("encoder", {f"{dtype} of float32's time": e[dtype] / e["fast"]})
    if "networks" in parts:
        a, b = (measure(options, "encoder", kind)["peak"] for kind in ("plain", "fast"))
        say(f"encoder, peak memory: plain {a:.2f} GB, fast {b:.2f} GB")
        figures.add("encoder", {"plain peak": a, "fast peak": b})
    d = measure(options, "decoder")
    figures.add("decoder", d)
    for level in ("level", "finest"):
        text = ", ".join(
            f"{kind} {d[f'{level} {kind}']:.3f} s ({d[f'{level} {kind} ratio']:.2f} times, off "
            f"by {d[f'{level} {kind} sd']:.0e} sd, "
            f"r {d[f'{level} {kind} r']:.5f})"
            for kind in ("float32", "tf32", "bfloat16", UNPHASED)
            if f"{level} {kind}" in d
        )
        say(f"decoder, {level}, per window and strand: plain {d[f'{level} plain']:.3f} s, {text}")
        if f"{level} {UNPHASED}" in d:
            phased = d[f"{level} bfloat16"]
            figures.add("decoder", {f"{level} by phase": d[f"{level} {UNPHASED}"] / phased})
            say(
                f"decoder, {level}: bfloat16 {d[f'{level} {UNPHASED}'] / phased:.2f} times as fast "
                f"as {UNPHASED}, {d[f'{level} float32'] / phased:.2f} times as float32"
            )
    p = {"seconds": 2 * (32 * e["plain"] + 5 * d["level plain"] + d["finest plain"])}
    if "series" in parts:
        p = measure(options, "series_plain")
        say(f"32 Mb series: plain {p['seconds']:.1f} s, {p['peak']:.2f} GB")
        f = measure(options, "series_fast")
        figures.add("series", {f"plain {key}": value for key, value in p.items()} | f)
        ways = ("first", "second", "bfloat16", "bfloat16 both")
        figures.add("series", {f"{k} ratio": p["seconds"] / f[k] for k in ways if k in f})
        say(
            f"32 Mb series: first {f['first']:.1f} s ({p['seconds'] / f['first']:.1f} times), "
            f"second in the same sequence "
            f"{f['second']:.1f} s ({p['seconds'] / f['second']:.1f} times), with bfloat16 "
            f"decoders {f['bfloat16']:.1f} s "
            f"({p['seconds'] / f['bfloat16']:.1f} times); {f['peak']:.2f} GB; off by "
            f"{f['difference']:.0e} sd"
        )
        for what, prefix in (
            ("real flanks instead of zero padding at its ends", "edges"),
            ("bfloat16 decoders", "bfloat16"),
            ("bfloat16 encoder and decoders", "both"),
        ):
            levels = ", ".join(
                f"{key.split()[1]} bp {value:.2g}"
                for key, value in f.items()
                if key.startswith(prefix + " ") and key.split()[1].isdigit()
            )
            if levels:
                say(f"a series with {what}: at most so many sd off: {levels}")
        if "bfloat16 both" in f:
            say(
                f"32 Mb series from nothing, bfloat16 encoder and decoders: "
                f"{f['bfloat16 both']:.1f} s ({p['seconds'] / f['bfloat16 both']:.1f} times plain, "
                f"{f['first'] / f['bfloat16 both']:.2f} times float32)"
            )
        if options.wide != "none":
            w = measure(options, "series_wide")
            rest = 256 * 2 * e["fast"] * (1 - w["encoded"] / 256)
            slow = 256 * 2 * e["plain"] + 8 * d["level plain"]
            how = (
                ""
                if options.wide == "full"
                else f" (of which {rest:.0f} s projected: {256 - w['encoded']:.0f} Mb at the "
                f"encoder's rate)"
            )
            total = w["seconds"] + (0 if options.wide == "full" else rest)
            figures.add("wide", {"peak": w["peak"]})
            told = {"plain": slow, "seconds": total, "ratio": slow / total, "projected": rest}
            figures.modelled |= {f"wide: {key}": value for key, value in told.items()}
            say(
                f"256 Mb series: {total:.0f} s{how}, {w['peak']:.2f} GB; plain {slow:.0f} s "
                f"(projected): {slow / total:.1f} times"
            )
    if "region" in parts:
        region_report(options, e, d, p, figures)


def region_report(
    options: argparse.Namespace,
    e: dict[str, float],
    d: dict[str, float],
    p: dict[str, float],
    figures: Figures,
) -> None:
    r = measure(options, "region")
    figures.add("region", r)
    slow = r[f"{options.region:g} finest"] * p["seconds"]
    name = f"{options.region:g}"
    w = {key.split()[1]: value for key, value in r.items() if key.startswith(name + " ")}
    rough = w["encode"] + r["bfloat16 seconds"]
    say(
        f"{name} Mb region, six levels: {w['seconds']:.0f} s ({w['encoded']:.0f} Mb encoded in "
        f"{w['encode']:.0f} s, {w['windows']:.0f} "
        f"windows); with bfloat16 decoders {rough:.0f} s; {w['peak']:.2f} GB; plain, one series "
        f"for each of {w['finest']:.0f} finest "
        f"windows, {slow:.0f} s (projected): {slow / w['seconds']:.0f} times, with bfloat16 "
        f"{slow / rough:.0f} times"
    )
    sizes = sorted(
        float(key.split()[0])
        for key in r
        if key.endswith(" seconds") and not key.startswith("bfloat16")
    )
    times = [r[f"{size:g} seconds"] - r[f"{size:g} encode"] for size in sizes]
    slope, offset = np.polyfit(sizes, times, 1)
    off = max(abs(offset + slope * s - t) / t for s, t in zip(sizes, times))
    known = ", ".join(f"{s:g} Mb {t:.0f} s" for s, t in zip(sizes, times))
    say(
        f"with encodings at hand: {known}; line {offset:.0f} s + {slope:.1f} s/Mb, at most "
        f"{off:.0%} off"
    )

    def model(megabases: float, windows: float, finest: float, kind: str = "float32") -> float:
        return 2 * (
            megabases * e["fast"]
            + (windows - finest) * d[f"level {kind}"]
            + finest * d[f"finest {kind}"]
        )

    expected = model(w["encoded"], w["windows"], w["finest"])
    factor = w["seconds"] / expected
    figures.add("region", {"bfloat16": rough, "s/Mb": slope, "at the start": offset})
    figures.add("region", {f"{s:g} Mb at hand": t for s, t in zip(sizes, times)})
    figures.add("region", {"off the line": off})
    told = {"plain": slow, "ratio": slow / w["seconds"], "bfloat16 ratio": slow / rough}
    told |= {"seconds": expected, "factor": factor}
    say(
        f"model (the encoder's and the decoders' own rates): {expected:.0f} s, measured "
        f"{w['seconds']:.0f} s: {factor:.2f} times"
    )
    windows = finest = 0
    for length in HG38:
        levels = plan(int(length * MB), [4000 * 2**k for k in range(5, -1, -1)], 250)
        windows, finest = windows + sum(map(len, levels)), finest + len(levels[-1])
    hours = [
        model(sum(HG38), windows, finest, kind) * factor / 3600 for kind in ("float32", "bfloat16")
    ]
    say(
        f"a human genome by this model, times that factor: {windows} windows, {hours[0]:.1f} h, "
        f"with bfloat16 decoders {hours[1]:.1f} h"
    )
    told |= {"genome windows": windows, "genome h": hours[0], "genome h, bfloat16": hours[1]}
    figures.modelled |= {f"region: {key}": value for key, value in told.items()}


if __name__ == "__main__":
    main()
