"""Which figures of the benchmarks docs show, and in which words.

In a cell ``{name|format}`` is a figure; ``[...]`` is left out where a result lacks a figure in it.
"""

from __future__ import annotations

from typing import NamedTuple

ZEN4, ZEN3, AMX = "amd-epyc-zen-4-avx512-bf16", "amd-epyc-zen-3-avx2", "not-noted-amx"
#: Results of version 0.1 of which the processor was not noted.
OLD = "not-noted"


class Row(NamedTuple):
    """A row of docs/benchmarks.md.

    Attributes
    ----------
    overview : the processor whose cell stands in docs/accuracy-and-speed.md too, as files of
        results name it.
    """

    script: str
    what: str
    cell: str
    overview: str | None = None


def _decoder(which: str, kind: str) -> str:
    return f"{{decoder: {which} {kind}|.2f}} s[ ({{decoder: {which} {kind} ratio|.2f}} times)]"


def _stages(case: str) -> str:
    stages = ("first picture", "own resolution", "whole")
    return ", ".join(f"{{released: {case}, {stage}|.0f}}" for stage in stages) + " s"


ROWS = [
    Row(
        "engine",
        "released size, random weights: encoder, a Mb and strand",
        "plain {encoder: plain|.2f} s, here {encoder: fast|.2f} s: {encoder: ratio|.1f} times"
        "[; peak {encoder: plain peak|.2f} and {encoder: fast peak|.2f} GB]",
        ZEN4,
    ),
    Row(
        "engine",
        "encoder in bfloat16, against float32",
        "{encoder: bfloat16 of float32's time|.2g} times the time; "
        "r {encoder: bfloat16 r|.5f}, at most {encoder: bfloat16 sd|.2g} sd off",
    ),
    Row(
        "engine",
        "decoder of a level, a window and strand",
        f"plain {{decoder: level plain|.2f}} s, here {_decoder('level', 'float32')}",
    ),
    Row(
        "engine",
        "decoder of the finest level (Decoder + Decoder_1m), likewise",
        f"plain {{decoder: finest plain|.2f}} s, here {_decoder('finest', 'float32')}",
    ),
    Row(
        "engine",
        "these two in bfloat16, as version 0.1 had it",
        f"{_decoder('level', 'bfloat16 of 0.1')}; {_decoder('finest', 'bfloat16 of 0.1')}",
    ),
    Row(
        "engine",
        "a 32 Mb zoom, six levels, both strands, from nothing",
        "plain {series: plain seconds|.0f} s, here {series: first|.0f} s: "
        "{series: first ratio|.1f} times; peak {series: plain peak|.2f} and "
        "{series: peak|.2f} GB",
        ZEN4,
    ),
    Row(
        "engine",
        "a second one in the same sequence; with bfloat16 decoders",
        "{series: second|.1f} s, {series: second ratio|.1f} times; {series: bfloat16|.1f} s, "
        "{series: bfloat16 ratio|.0f} times",
        ZEN4,
    ),
    Row(
        "engine",
        "a 256 Mb zoom, four levels",
        "plain {wide: plain|,.0f} s, here {wide: seconds|.0f} s (of which {wide: projected|.0f} s "
        "projected): {wide: ratio|.1f} times; peak {wide: peak|.2f} GB",
    ),
    Row(
        "engine",
        "a 20 Mb region at six levels, 95 windows, 80 Mb of sequence, against a zoom for each of "
        "42 finest windows; with bfloat16 decoders",
        "plain {region: plain|,.0f} s, here {region: 20 seconds|.0f} s: {region: ratio|.0f} times; "
        "{region: bfloat16|.0f} s: {region: bfloat16 ratio|.0f} times; "
        "peak {region: 20 peak|.2f} GB",
        ZEN4,
    ),
    Row(
        "engine",
        "regions of 5, 10 and 20 Mb with encodings at hand",
        "{region: 5 Mb at hand|.0f}, {region: 10 Mb at hand|.0f}, {region: 20 Mb at hand|.0f} s: "
        "{region: at the start|.0f} s and {region: s/Mb|.1f} s a Mb, "
        "at most {region: off the line|.0%} off",
    ),
    Row(
        "engine",
        "the 20 Mb region by the networks' own rates, and what was measured of that",
        "{region: seconds|.0f} s; {region: factor|.2f} times",
    ),
    Row(
        "engine",
        "a human genome by these rates: windows; both strands, six levels; with bfloat16 decoders",
        "{region: genome windows|,.0f}; {region: genome h|.1f} h; "
        "{region: genome h, bfloat16|.1f} h",
    ),
    *(
        Row(
            "cores",
            f"{cores} cores on chromosome 1 of hg38, six levels, share of the time in which they "
            "decode: each root by itself (before); together; with threads that only wait",
            f"{{{cores} cores: by itself|.2f}}; {{{cores} cores: together|.2f}}; "
            f"{{{cores} cores: waiting|.2f}}",
            OLD if cores == 16 else None,
        )
        for cores in (8, 16, 32, 64)
    ),
    Row(
        "cores",
        "the model's seconds for four roots on two real cores, of those measured: together; each "
        "by itself",
        "{together: by the model of measured|.2f}"
        "[; {each root by itself: by the model of measured|.2f}]",
    ),
    Row(
        "windows",
        "windows a second, networks stubbed out: planned, merged, written on two cores; what the "
        "slowest thread bears where there are cores for all (goal on a GPU: 1,000)",
        "{stubbed: windows/s|,.0f}; {slowest thread: windows/s|,.0f}",
    ),
    Row(
        "windows",
        "CPU a window: all; merging; writing",
        "{ms of CPU a window: all|.1f} ms; {ms of CPU a window: merging|.1f} ms; "
        "{ms of CPU a window: writing|.1f} ms",
    ),
    Row(
        "processes",
        "1,000 SNVs of the yeast example (`yeast-deep`), variants a second: one thread; two "
        "processes of one (`-p 2`)",
        "{one thread: variants/s|.2f}; {-p 2: variants/s|.2f}, "
        "{-p 2 against one thread: times|.2f} times one thread",
        ZEN3,
    ),
    Row(
        "stored",
        "4 Mb at three levels, released size, with the window store: all of it there; one base "
        "changed; against predicting anew",
        "{with the filled one: seconds|.1f} s, {with the filled one: times|.0f} times; "
        "{one base changed: seconds|.0f} s, {one base changed: times|.1f} times",
        ZEN3,
    ),
    Row(
        "start",
        "`predict --help`, against commit cc96f86, before starting was looked at",
        "{predict --help: CPU s|.2f} s of CPU, {predict --help: baseline, CPU s|.2f} s before",
    ),
    Row(
        "start",
        "the example's prediction, against commit cc96f86, before starting was looked at; "
        "`import torch` alone",
        "{predict (example): CPU s|.2f} s of CPU, "
        "{predict (example): baseline, CPU s|.2f} s before; {import torch: CPU s|.2f} s",
        ZEN3,
    ),
    Row(
        "write",
        "pixels written per CPU second, with the column `level`, against stock "
        "`cooler.create_cooler`",
        "{ours: M pixels/CPU s|.1f} M, {ours: ratio|.1f}[ to {ours: highest ratio|.1f}] times",
        OLD,
    ),
    Row(
        "predict",
        "peak memory of predicting 2, 8, 32 Mb with a small model",
        "{2 Mb: peak|.2f}, {8 Mb: peak|.2f}, {32 Mb: peak|.2f} GB",
        OLD,
    ),
    Row(
        "predict",
        "against one zoom for every finest window",
        "{least times faster|.1f} to {most times faster|.1f} times faster",
    ),
    Row(
        "edits",
        "encodings of a 32 Mb window after an SNV; a deletion of whole bins; an inversion of "
        "40 kb, against encoding it anew",
        "{SNV: times|.0f}, {deletion of 400,000 bp (whole bins): times|.0f}, "
        "{inversion of 40,000 bp (whole bins): times|.0f} times faster",
        OLD,
    ),
    Row(
        "edits",
        "a table of SNVs as dense as 1,000 in 32 Mb (1M module; with bfloat16 decoders), against a "
        "full zoom for each",
        "{snvs: times full|.0f}, {snvs bfloat16: times full|.0f} times faster",
        OLD,
    ),
    Row(
        "serve",
        "50 clients panning for 60 s, edits made all the while: measured tiles, predicted tiles, "
        "95 % answered within; errors; peak memory",
        "{load: measured p95 ms|.0f} ms, {load: predicted p95 ms|.0f} ms; {load: errors|.0f}; "
        "{load: peak GB|.2f} GB",
        OLD,
    ),
    Row(
        "serve",
        "tiles a second from the cache, as JSON, against clodius on the predicted file",
        "{cache: cache|,.0f}, {cache: ratio|.1f} times",
    ),
    Row(
        "serve",
        "all tiles of a 400 kb view, yeast: from nothing; elsewhere; of an edit",
        "{view: 400 kb, from nothing|.2f}, {view: moved to another chromosome|.2f}, "
        "{view: 400 kb of an edit, map|.2f} s",
        OLD,
    ),
    Row(
        "serve",
        "of a 1 Mb view at 4 kb, released size, on two cores: from nothing; with stored encodings; "
        "moved by its width; after an SNV",
        "{released: 1 Mb, from nothing|.0f}, {released: 1 Mb, with stored encodings|.0f}, "
        "{released: moved by its width|.0f}, {released: 1 Mb, with a base substituted|.0f} s",
        OLD,
    ),
    Row(
        "serve",
        "the same view: a picture of all tiles (coarse levels at first); all levels on the forward "
        "strand; the whole; from nothing",
        _stages("1 Mb, from nothing"),
    ),
    Row(
        "serve",
        "the same with stored encodings; both strands at once, the whole",
        f"{_stages('1 Mb, stored encodings')}; "
        "{released: 1 Mb, stored encodings, no drafts, whole|.0f} s",
    ),
    Row(
        "serve",
        "the same moved by its width; after an SNV",
        f"{_stages('moved by its width')}; {_stages('1 Mb, with a base substituted')}",
    ),
    Row(
        "horizontal",
        "gradients through the released-size encoder: 2 Mb plain; in blocks of 800 kb, 2 and 32 Mb",
        "{2 Mb, plain: peak|.1f} GB; {2 Mb, blocks of 800 kb: peak|.1f} and "
        "{32 Mb, blocks of 800 kb: peak|.1f} GB, {2 Mb, blocks of 800 kb: times|.1f} times the "
        "time",
    ),
    Row(
        "train",
        "a human training on four H100, counted work at 30 % of the peak (the released models: 70 "
        "days on four V100)",
        "{H100 at 30%: h on four|.0f} h",
        OLD,
    ),
    Row(
        "quickstart",
        "prediction of chrI and chrII, three levels, both strands",
        "{CPU s|.0f} s of CPU",
        OLD,
    ),
]
