"""What edits cost at the released size (random weights), against encoding the edited window anew,
in the same run.

    python scripts/bench/edits.py [--device cpu] [--variants 100] [--parts encode,snvs,series]

``encode``: the encodings of a 32 Mb window of an edited genome, both strands, when the reference's
are at hand; the baseline is the same window encoded from nothing. ``snvs``: a table of scores of
SNVs with the 1M module, as dense as 1,000 in 32 Mb, from nothing at hand; the baseline is one full
zoom series (32 Mb, six levels) for each, timed once, with this package's own encoder and decoders
and, projected from its rates, with the plain formulation. ``series``: SNVs with all six levels of
the 32M module, after a first one that brings the reference's encodings. Every measurement is a
process of its own; the sequence is drawn, not read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import MB, Figures, Random, apart, options_of, parser, released_size

from orca_cool.effects.align import Reference
from orca_cool.effects.table import write_table
from orca_cool.effects.variant_rows import Scoring
from orca_cool.encodings.cache import EncodingCache
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Edit
from orca_cool.genome.segments import Segment
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.variants import Variant

WINDOW = 32 * MB
CENTRE = 40 * MB


def letters(n: int) -> tuple[Segment, ...]:
    return (
        Segment.letters("".join("ACGT"[k] for k in np.random.default_rng(0).integers(0, 4, n))),
    )


EDITS = {
    "SNV": Edit("sub", "chrR", CENTRE, CENTRE + 1, sequence=(Segment.letters("N"),)),
    "deletion of 400,000 bp (whole bins)": Edit("del", "chrR", CENTRE, CENTRE + 400_000),
    "deletion of 400,013 bp, in the middle": Edit("del", "chrR", CENTRE, CENTRE + 400_013),
    "deletion of 400,013 bp, a quarter from the end": Edit(
        "del", "chrR", CENTRE + 8 * MB, CENTRE + 8 * MB + 400_013
    ),
    "inversion of 40,000 bp (whole bins)": Edit("inv", "chrR", CENTRE, CENTRE + 40_000),
    "insertion of 4,000 bp": Edit("ins", "chrR", CENTRE, CENTRE, sequence=letters(4_000)),
}


def genome() -> Random:
    return Random(chrR=100 * MB)


def encode(options: argparse.Namespace) -> dict[str, float]:
    """Seconds and bp of the encodings of a window, both strands."""
    source = genome()
    engine = OrcaEngine(released_size(), source, options.device, fine_bytes=options.fine)
    cache, start = engine.encodings, CENTRE - WINDOW // 2

    def timed(cache: EncodingCache) -> tuple[float, int]:
        before, begin = cache.encoded, time.perf_counter()
        found = [
            cache.span("chrR", start, start + WINDOW, reverse=reverse) for reverse in (False, True)
        ]
        assert all(torch.isfinite(y).all() for y in found)
        return time.perf_counter() - begin, cache.encoded - before

    found: dict[str, float] = {}
    found["anew s"], found["anew bp"] = timed(cache)
    for side in (start - MB, start + WINDOW):  # what the windows of deletions reach
        for reverse in (False, True):
            cache.window("chrR", side // 4000, MB // 4000, reverse=reverse)
    for name, edit in EDITS.items():
        edited = engine.for_genome(apply_edits(source, [edit])).encodings
        found[f"{name} first"], _ = timed(edited)  # with its surroundings' fine outputs to be made
        found[f"{name} s"], found[f"{name} bp"] = timed(
            edited
        )  # with these at hand, as for the next variant nearby
    return found


def series(options: argparse.Namespace) -> dict[str, float]:
    """One zoom series from nothing, six levels, both strands."""
    engine = OrcaEngine(released_size(), genome(), options.device)
    begin = time.perf_counter()
    engine.zoom(engine.spec.module("32M"), "chrR", CENTRE, "real")
    return {"seconds": time.perf_counter() - begin}


def plain(options: argparse.Namespace) -> dict[str, float]:
    """The plain formulation's rates: 1 Mb encoded, one window of each kind decoded; projected to
    the series.
    """
    from reference import plain as reference

    bundle, source = released_size(), genome()
    model, module = bundle.model.to(options.device), bundle.spec.module("32M")
    codes = source.fetch("chrR", CENTRE, CENTRE + 2 * MB)
    begin = time.perf_counter()
    reference.encode(model.encoder, codes, options.device)
    encoding = (time.perf_counter() - begin) / 2 * 32
    x, coarse = (
        torch.randn(1, 128, 250, device=options.device),
        torch.randn(1, 1, 125, 125, device=options.device),
    )
    distance = torch.randn(1, 1, 250, 250, device=options.device)
    decoding = []
    for resolution in (8000, 4000):
        begin = time.perf_counter()
        with torch.inference_mode():
            model.decode(module, resolution, x, distance, coarse)
        decoding.append(time.perf_counter() - begin)
    return {"seconds": 2 * (encoding + 5 * decoding[0] + decoding[1])}


def table(
    options: argparse.Namespace, module: str, count: int, dtype: str = "float32", warm: bool = False
) -> dict[str, float]:
    """Seconds of a table of SNVs that lie as densely as 1,000 in 32 Mb; with ``warm`` after another
    SNV that brings the reference.
    """
    source = genome()
    engine = OrcaEngine(released_size(), source, options.device, dtype, fine_bytes=options.fine)
    random = np.random.default_rng(1)
    places = np.sort(CENTRE + random.integers(0, count * WINDOW // 1000, count))
    changes = [
        Edit("sub", "chrR", int(p), int(p) + 1, sequence=(Segment.letters("N"),)) for p in places
    ]
    variants = [
        Variant(str(k), str(k), "chrR", e.start, e.end, "SNV", (e,)) for k, e in enumerate(changes)
    ]
    chosen = engine.spec.module(module)

    def timed(variants: list[Variant]) -> float:
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            summary = write_table(
                Reference(engine, chosen),
                variants,
                Path(folder) / "t.tsv",
                Scoring(chosen.resolutions),
                identity={},
            )
        assert summary.scored == len(variants)
        return time.perf_counter() - begin

    first = timed(variants[:1]) if warm else 0.0
    return {"first": first, "seconds": timed(variants), "Mb": engine.encoded_bp / 2 / MB}


MEASUREMENTS = {
    "encode": encode,
    "series": series,
    "plain": plain,
    "snvs": lambda o: table(o, "1M", o.variants),
    "snvs bfloat16": lambda o: table(o, "1M", o.variants, "bfloat16"),
    "all levels": lambda o: table(o, "32M", max(4, o.variants // 25), warm=True),
}


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--device", default="cpu")
    given.add_argument("--variants", type=int, default=100)
    given.add_argument("--fine", type=int, default=2**30, help="bytes of first-tier outputs kept")
    given.add_argument("--parts", default="encode,snvs,series")
    given.add_argument("--run", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    options, figures = given.parse_args(), Figures(__file__)
    if options.run:
        print(json.dumps(MEASUREMENTS[options.run](options)))
        return
    arguments = options_of(options, "device", "variants", "fine")

    def measure(name: str) -> dict[str, float]:
        return apart(__file__, "--run", name, *arguments)

    parts = options.parts.split(",")
    if "encode" in parts:
        found = measure("encode")
        print(f"32 Mb window encoded anew, both strands: {found['anew s']:.1f} s", flush=True)
        for name in [k.removesuffix(" s") for k in found if k.endswith(" s") and k != "anew s"]:
            bp, first, again = found[f"{name} bp"], found[f"{name} first"], found[f"{name} s"]
            figures.add(name, {"first": first, "again": again, "times": found["anew s"] / first})
            print(
                f"  {name}: bins of {bp / 2e3:,.0f} kb a strand, {found['anew bp'] / bp:.0f} "
                f"times less; {first:.2f} s at first, "
                f"{again:.2f} s again nearby: {found['anew s'] / first:.0f} and "
                f"{found['anew s'] / again:.0f} times less",
                flush=True,
            )
    if "snvs" in parts or "series" in parts:
        full, slow = measure("series")["seconds"], measure("plain")["seconds"]
        print(
            f"one full series from nothing: {full:.1f} s; plain formulation {slow:.0f} s "
            f"(projected)",
            flush=True,
        )
        kinds = ["snvs", "snvs bfloat16"] * ("snvs" in parts) + ["all levels"] * ("series" in parts)
        for name in kinds:
            count = options.variants if name != "all levels" else max(4, options.variants // 25)
            found = measure(name)
            each = found["seconds"] / count
            figures.add(name, {"variants/s": 1 / each, "times full": full / each})
            figures.modelled[f"{name}: times plain"] = slow / each
            if found["first"]:
                print(f"{name}: the first variant in {found['first']:.0f} s")
            print(
                f"{name}: {count} variants in {found['seconds']:.0f} s, {found['Mb']:.1f} Mb "
                f"encoded: {1 / each:.3f} variants/s; "
                f"{full / each:.0f} times faster than full series ({slow / each:.0f} than plain "
                f"ones)",
                flush=True,
            )
    figures.keep(options.json)


if __name__ == "__main__":
    main()
