"""What the shipped yeast model says of edits of chrII, which it never saw: the centromere deleted,
moved, doubled; peaks knocked out.

    python scripts/yeast_edits.py [--genome example] [-o docs/yeast-edits.png] python
    scripts/yeast_edits.py --genome sacCer3.2bit --peaks cohesin_peaks.bed --peaks
    chipexo_peaks.bed.gz:3:Reb1

The first part prints, for each edit, the mean log observed/expected of pairs 20 to 100 kb apart
that span a place, in the map of the whole chromosome, and draws the maps. The second replaces 100
bp at every peak by a random order of the same bases, does the same at as many places without a peak
(at most 20 kb away from one, peak for peak), and prints the area under the ROC curve of the effects
at peaks against those at other places.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from orca_cool.effects.align import Reference, compare
from orca_cool.effects.scores import score
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Change, Edit
from orca_cool.genome.intervals import read_bed
from orca_cool.genome.open import open_genome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.contact_map import ContactMap
from orca_cool.model.bundle import load_bundle
from orca_cool.model.registry import resolve
from orca_cool.prediction.engine import Engine, make_engine

CHROM = "chrII"
#: CEN2 by its bases (SGD): it is looked up, since releases of the genome differ by a few bp
CEN2 = (
    "ATCATGTGACTTATTTATTTAATTATTATTAAGTAAAAAAGATTTTCTATTTAAATTTATTAATTAATTTTTTTTCTTAA"
    "ATAATTATTTTATGTTTTTGTTTTCCGAAAAAGAAAA"
)
MOVED = 200_000
SIZE = 100


def centromere(source: SequenceSource) -> tuple[int, int]:
    text = "".join("ACGTN"[k] for k in source.fetch(CHROM, 0, source.chromsizes[CHROM]))
    start = text.find(CEN2)
    if start < 0:
        raise SystemExit(f"CEN2 is not in {CHROM} of {source.name!r}")
    return start, start + len(CEN2)


def across(values: np.ndarray, start: int, resolution: int, place: int) -> float:
    """Mean of pairs of bins 20 to 100 kb apart, on both sides of a place and at most 60 kb
    from it.
    """
    middles = start + resolution * (np.arange(len(values)) + 0.5)
    left = np.flatnonzero((middles < place) & (middles > place - 60_000))
    right = np.flatnonzero((middles > place) & (middles < place + 60_000))
    apart = middles[right][None, :] - middles[left][:, None]
    return float(values[np.ix_(left, right)][(apart > 20_000) & (apart < 100_000)].mean())


def centromeres(engine: Engine, picture: str | None) -> None:
    """The centromere's depletion must go, move, double."""
    source = engine.source
    start, end = centromere(source)
    middle, target = (start + end) // 2, start + MOVED
    segment = (Segment(CHROM, start, end),)
    control = 338_206
    edits: dict[str, list[Change]] = {
        "as it is": [],
        "deleted": [Edit("del", CHROM, start, end)],
        "moved 200 kb": [
            Edit("del", CHROM, start, end),
            Edit("ins", CHROM, target, target, sequence=segment),
        ],
        "a second, 200 kb away": [Edit("ins", CHROM, target, target, sequence=segment)],
        "117 bp elsewhere deleted": [Edit("del", CHROM, control, control + len(CEN2))],
    }
    module = engine.spec.modules[0]
    maps = {}
    print(
        f"{source.name}, {CHROM}: CEN2 {start:,}-{end:,}; {module.resolutions[0]} bp, pairs 20 "
        f"to 100 kb apart"
    )
    print(f"{'':28}{'across CEN2':>14}{'200 kb on':>14}{'100 kb on':>14}")
    for name, changes in edits.items():
        edited = engine.for_genome(apply_edits(source, changes))
        found = edited.zoom(module, CHROM, middle, "real")[0]
        maps[name] = found
        numbers = [
            across(found.values, found.start, found.resolution, p)
            for p in (middle, target, control)
        ]
        print(f"{name:28}" + "".join(f"{x:14.3f}" for x in numbers))
    if picture is not None:
        names = list(maps)[:4]
        breakpoints = dict(zip(names, ([middle], [], [target], [middle, target])))
        draw({name: maps[name] for name in names}, breakpoints, source.chromsizes[CHROM], picture)


def draw(
    maps: dict[str, ContactMap], breakpoints: dict[str, list[int]], length: int, path: str
) -> None:
    """A panel each; triangles above it mark centromeres."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), dpi=150)
    panels = figure.subplots(
        1,
        len(maps),
        gridspec_kw={"left": 0.05, "right": 0.9, "bottom": 0.15, "top": 0.85, "wspace": 0.2},
    )
    for axes, (name, m) in zip(panels, maps.items()):
        extent = (m.start / 1e3, m.end / 1e3, m.end / 1e3, m.start / 1e3)
        image = axes.imshow(m.values, extent=extent, cmap="coolwarm", vmin=-0.6, vmax=0.6)
        axes.set(xlim=(0, length / 1e3), ylim=(length / 1e3, 0), xlabel=f"{CHROM} (kb)")
        for mark in breakpoints[name]:
            axes.annotate(
                "\u25bc",
                (mark / 1e3, 0),
                xytext=(0, 1),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        axes.set_title(name, fontsize=9, pad=12)
        axes.tick_params(labelsize=7)
    bar = figure.colorbar(image, cax=figure.add_axes((0.92, 0.2, 0.012, 0.6)))
    bar.set_label("ln (observed / expected)", fontsize=8)
    figure.savefig(path)
    print(path)


def area(a: np.ndarray, b: np.ndarray) -> float:
    """Under the ROC curve: the chance that one of a exceeds one of b."""
    return float(((a[:, None] > b[None]) + 0.5 * (a[:, None] == b[None])).mean())


def knockouts(engine: Engine, files: Sequence[str]) -> None:
    source = engine.source
    length = source.chromsizes[CHROM]
    centre = sum(centromere(source)) // 2
    reference = Reference(engine, engine.spec.modules[0])
    finest = engine.spec.modules[0].resolutions[-1]

    def effects(places: Sequence[int], seed: int) -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        genomes = []
        for place in places:
            codes = random.permutation(source.fetch(CHROM, place - SIZE // 2, place + SIZE // 2))
            new = (Segment.letters("".join("ACGTN"[k] for k in codes)),)
            genomes.append(
                apply_edits(
                    source, [Edit("sub", CHROM, place - SIZE // 2, place + SIZE // 2, sequence=new)]
                )
            )
        rows = [
            score(found[0])
            for k in range(0, len(genomes), 8)
            for found in compare(reference, genomes[k : k + 8], keep=[finest])
        ]
        return {
            name: np.array([row[name] for row in rows])
            for name in ("log_fold_change", "mse", "insulation")
        }

    for text in files:
        path, *rest = text.split(":")
        column, kind = (int(rest[0]), rest[1]) if rest else (None, "peak")
        peaks = [
            p for p in read_bed(path, column, kind, [CHROM]) if column is None or p.kind == kind
        ]
        places = sorted({(p.start + p.end) // 2 for p in peaks})
        places = [p for p in places if 5_000 < p < length - 5_000 and abs(p - centre) > 5_000]
        away = max(
            500, *(p.end - p.start for p in peaks)
        )  # of a peak known to 2 kb, say, another is not nearer than that
        random = np.random.default_rng(1)
        others = []
        for p in places:
            for _ in range(1000):
                q = p + int(random.integers(-20_000, 20_000))
                if (
                    5_000 < q < length - 5_000
                    and abs(q - centre) > 5_000
                    and min(abs(q - x) for x in places) > away
                ):
                    others.append(q)
                    break
        at, beside = effects(places, 0), effects(others, 1)
        print(f"{text}: {len(places)} peaks on {CHROM}, {len(others)} other places")
        for name in at:
            a, b = at[name], beside[name]
            medians = f"median {np.median(a):.3g} at peaks, {np.median(b):.3g} elsewhere"
            print(f"  {name:18} {medians}; area under the ROC curve {area(a, b):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="yeast-metaphase")
    parser.add_argument("--genome", default="example")
    parser.add_argument("--peaks", action="append", default=[], metavar="BED[:COLUMN:KIND]")
    parser.add_argument("-o", "--output", metavar="PNG")
    options = parser.parse_args()
    engine = make_engine(
        load_bundle(resolve(options.model)), open_genome(options.genome), "cpu", fine_bytes=2**29
    )
    centromeres(engine, options.output)
    knockouts(engine, options.peaks)


if __name__ == "__main__":
    main()
