"""EncodedZoom series as pictures: which axes there are, what they show and where, and `orca-cool
plot` that predicts what it draws.
"""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET
from itertools import chain

import cooler
import matplotlib
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from PIL import Image

from orca_cool.cli import main
from orca_cool.effects import figure as figure_module
from orca_cool.effects.align import Reference, compare
from orca_cool.effects.columns import Column, Map, compared, diamond_side
from orca_cool.effects.figure import SQUARE, draw_columns
from orca_cool.effects.figure_axes import LITERAL_COLOUR, SEGMENT_COLOURS
from orca_cool.effects.gene_track import GAP
from orca_cool.effects.maps_file import save_maps
from orca_cool.effects.read_maps import read_maps
from orca_cool.effects.sites import around, site_at, sites
from orca_cool.errors import CoolerError, EditError, OutputError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Adjacency, Breakend, Contig, Edit
from orca_cool.genome.gene_models import COLUMNS
from orca_cool.genome.open import open_genome
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.maps.metrics import insulation_score
from orca_cool.maps.panels import observed_panel
from orca_cool.maps.picture import picture_paths
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.engine import make_engine
from orca_cool.variants.variant import of_changes

SIZES = {"a": 12_000, "b": 6_000, "c": 900}
LEVELS = (160, 80, 40)  # windows of 2,560, 1,280 and 640 bp

#: An inversion and, close by, 80 bp of literal sequence: the finest windows hold both.
LOCAL = (
    Edit("inv", "a", 5_000, 5_160),
    Edit("ins", "a", 5_200, 5_200, sequence=(Segment.letters("ACGT" * 20),)),
)
#: More than a window: its sides are seen in two windows of the reference.
DELETION = (Edit("del", "a", 3_000, 5_600),)
#: Positions of either chromosome would lie in the other's window too.
TRANSLOCATION = (Adjacency(Breakend("a", 1_500, "+"), Breakend("b", 1_000, "-")),)
SHORT = (Edit("inv", "c", 100, 300),)

#: Windows of LOCAL: 5,120 is the multiple of 80 (an eighth of the finest window) next to the middle
#: of the breakpoints, and each level's window begins a whole number of coarser bins into the
#: coarser one.
LOCAL_WINDOWS = [(3_840, 6_400), (4_480, 5_760), (4_800, 5_440)]

GENES = pd.DataFrame(
    [("a", 4_900, 5_100, "one", "+"), ("a", 5_170, 5_300, "two", "-"), ("b", 100, 200, "far", "+")],
    columns=COLUMNS,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the model ``toy``, the genome ``toy.fa``, genes and a measured map."""
    folder = tmp_path_factory.mktemp("place")
    random = np.random.default_rng(5)
    with open(folder / "toy.fa", "w") as out:
        for chrom, n in SIZES.items():
            text = "".join(random.choice(list("ACGT"), n))
            if chrom == "b":
                text = text[:2_000] + "N" * 1_000 + text[3_000:]
            out.write(f">{chrom}\n{text}\n")
    spec = make_toy_spec(assemblies={"toyAsm": SIZES})
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    (folder / "genes.bed").write_text(
        "".join(
            f"{g.chrom}\t{g.start}\t{g.end}\t{g.name}\t0\t{g.strand}\n" for g in GENES.itertuples()
        )
    )
    bins = cooler.binnify(pd.Series(SIZES), 80)
    starts = bins.groupby("chrom", sort=False, observed=True).indices
    pixels = []
    for index in starts.values():
        i, j = np.triu_indices(len(index))
        pixels.append(
            pd.DataFrame(
                {
                    "bin1_id": index[i],
                    "bin2_id": index[j],
                    "count": random.poisson(200 / (1 + j - i)) + 1,
                }
            )
        )
    cooler.create_cooler(str(folder / "measured.cool"), bins, pd.concat(pixels), ordered=True)
    return folder


@pytest.fixture(scope="module")
def engine(place):
    return make_engine(load_bundle(place / "toy"), open_genome(place / "toy.fa"), "cpu")


@pytest.fixture(scope="module")
def reference(engine):
    return Reference(engine, engine.spec.module("S"))


@pytest.fixture(scope="module")
def columns(engine, reference):
    """Columns of the first place of some changes."""

    def of(changes):
        genome = apply_edits(engine.source, changes)
        return compared(reference, genome, sites(genome, engine.spec, reference.module)[0], LEVELS)

    return of


def axes_of(figure):
    """{label: axes}, in the order of drawing."""
    out = {axes.get_label(): axes for axes in figure.axes}
    assert len(out) == len(figure.axes)
    return out


def labels(*rows):
    """Labels of (row, names of its axes)."""
    return [
        text
        for row, names in rows
        for text in [*(f"{row} {r} {name}" for r in LEVELS for name in names), f"{row} scale"]
    ]


def shown(axes):
    """Data of the only image, NaN where it is masked; its extent as (first, last), which must be
    square.
    """
    (image,) = axes.images
    first, last, bottom, top = image.get_extent()
    assert (bottom, top) == (last, first)
    return np.ma.filled(image.get_array().astype(float), np.nan), (first, last)


def upright(axes):
    """x of vertical lines."""
    return sorted(
        {
            float(line.get_xdata()[0])
            for line in axes.lines
            if line.get_xdata()[0] == line.get_xdata()[1]
        }
    )


def level(axes):
    """y of horizontal lines."""
    return sorted(
        {
            float(line.get_ydata()[0])
            for line in axes.lines
            if line.get_ydata()[0] == line.get_ydata()[1]
        }
    )


def box(axes):
    """Edges of the outline of the next window: (left, right, top, bottom); None without."""
    found = [p.get_bbox() for p in axes.patches if p.get_label() == "next window"]
    assert len(found) <= 1
    return (found[0].x0, found[0].x1, found[0].y0, found[0].y1) if found else None


def limits(axes):
    (image,) = axes.images
    return image.norm.vmin, image.norm.vmax, image.get_cmap().name


def assert_one_scale(axes, columns, rows):
    """One symmetric scale for all predicted and measured maps, which the predictions alone decide;
    another for the difference.
    """
    values = np.concatenate([m.values[np.isfinite(m.values)] for c in columns for m in c.maps])
    high = max(np.percentile(np.abs(values), 98), 0.1)
    changes = [c.difference[np.isfinite(c.difference)] for c in columns if c.difference is not None]
    most = max(np.percentile(np.abs(np.concatenate(changes)), 99.5), 0.01) if changes else None
    for row in rows:
        end, colours = (most, "RdBu_r") if row.startswith("alternate minus") else (high, "coolwarm")
        for r in LEVELS:
            assert limits(axes[f"{row} {r} map"]) == (
                pytest.approx(-end),
                pytest.approx(end),
                colours,
            )
        assert axes[f"{row} scale"].get_ylim() == pytest.approx((-end, end))


def bars(axes):
    """(start, end, colour, hatch) of a strip's pieces and (x, text) of its letters."""
    pieces = [
        (p.get_x(), p.get_x() + p.get_width(), p.get_facecolor(), p.get_hatch())
        for p in axes.patches
    ]
    return pieces, [(t.get_position()[0], t.get_text()) for t in axes.texts]


def coloured(*pieces):
    return [(a, b, to_rgba(colour), hatch) for a, b, colour, hatch in pieces]


A, B, C, D = SEGMENT_COLOURS[:4]


# reference alone


@pytest.fixture(scope="module")
def plain(engine, reference, place):
    """Around a:6,040, with a measured map; columns and axes."""
    series = engine.zoom(reference.module, "a", 6_040, "real")
    found = [Column.of_zoom(m, engine.source) for m in series]
    return (
        series,
        found,
        axes_of(draw_columns(found, observed=place / "measured.cool", title="a $1")),
    )


def test_axes_without_an_edit(plain):
    series, found, axes = plain
    assert list(axes) == labels(
        ("reference", ["map", "insulation"]), ("measured", ["map", "insulation"])
    )
    windows = [(4_760, 7_320), (5_400, 6_680), (5_720, 6_360)]
    for m, (start, end), inner in zip(series, windows, [*windows[1:], None]):
        values, extent = shown(axes[f"reference {m.resolution} map"])
        np.testing.assert_array_equal(values, m.values)
        assert extent == (start, end)
        for row in ("reference", "measured"):
            for name in ("map", "insulation"):
                assert axes[f"{row} {m.resolution} {name}"].get_xlim() == (start, end)
            assert axes[f"{row} {m.resolution} map"].get_ylim() == (end, start)
            assert box(axes[f"{row} {m.resolution} map"]) == (
                None if inner is None else (*inner, *inner)
            )
            assert upright(axes[f"{row} {m.resolution} map"]) == []
    assert_one_scale(axes, found, ["reference", "measured"])
    assert axes["reference 40 insulation"].get_xlabel() == "a (kb)"
    figure = axes["reference scale"].figure
    texts = [text.get_text() for text in figure.texts]
    assert "a $1" in texts
    assert "2.56 kb window, 160 bp bins" in texts
    assert not any("Dashed" in text or "Strips" in text for text in texts)
    assert any(
        "Outlined" in text and "mean contacts across each bin (diamond of 2 bins)" in text
        for text in texts
    )


def test_the_measured_map_is_the_cooler_in_its_own_bins(plain, place):
    _, _, axes = plain
    # bins of 80 bp at every level: all that overlap the window
    places = [
        (4_760, 7_320, 4_720, 7_360),
        (5_400, 6_680, 5_360, 6_720),
        (5_720, 6_360, 5_680, 6_400),
    ]
    for r, (start, end, first, last) in zip(LEVELS, places):
        values, extent = shown(axes[f"measured {r} map"])
        assert extent == (first, last)
        np.testing.assert_array_equal(
            values, observed_panel(place / "measured.cool", Region("a", start, end), r).values
        )
        assert len(values) == (last - first) // 80
        assert [t.get_text() for t in axes[f"measured {r} map"].texts] == [
            "measured: measured.cool, 80 bp, raw"
        ]


def test_insulation_is_that_of_contact_frequency(plain):
    series, found, axes = plain
    for m, column in zip(series, found):
        frequency = np.exp(m.values.astype(float)) * (m.expected + m.eps)
        # a diamond of 2 bins without its pixels nearer than 2: the one pixel from the bin before to
        # the bin after
        log = np.log2(frequency[np.arange(14), np.arange(2, 16)])
        expected = np.array([np.nan, *(log - log.mean()), np.nan])
        np.testing.assert_allclose(column.references[0].insulation, expected, atol=1e-9)
        line = axes[f"reference {m.resolution} insulation"].lines[-1]
        np.testing.assert_allclose(line.get_ydata(), expected, atol=1e-9)
        np.testing.assert_allclose(line.get_xdata(), m.start + m.resolution * (np.arange(16) + 0.5))
        assert line.get_label() == "reference"


def test_insulation_has_the_pseudocount_of_the_maps(plain, engine):
    m = dataclasses.replace(
        plain[0][0],
        expected=np.random.default_rng(2).random((16, 16)),
        values=np.zeros((16, 16)),
        eps=0.5,
    )
    track = Column.of_zoom(m, engine.source).references[0].insulation
    log = np.log2(m.expected[np.arange(14), np.arange(2, 16)] + 0.5)
    np.testing.assert_allclose(track[1:15], log - log.mean(), atol=1e-9)


def test_insulation_by_hand():
    domains = np.kron(np.eye(2), np.ones((8, 8))) + 0.25
    track = insulation_score(domains, 3)
    assert np.isnan(track[[0, 1, 14, 15]]).all()
    # bin 5 sees its own domain alone; the pixels across bin 7, (6, 8), (5, 7), (5, 8), (5, 9), (6,
    # 9), (7, 9): one of 1.25, five of 0.25
    assert track[5] - track[7] == pytest.approx(np.log2(1.25) - np.log2((1.25 + 5 * 0.25) / 6))
    assert np.nanmean(track) == pytest.approx(0)
    assert np.isnan(insulation_score(np.zeros((8, 8)), 2)).all()
    assert [diamond_side(n) for n in (16, 40, 80, 250)] == [2, 5, 10, 10]


def test_gaps_and_what_lies_outside_the_chromosome_are_blank(engine, reference):
    gap = Column.of_zoom(engine.zoom(reference.module, "b", 3_000, "real")[0], engine.source)
    # N from 2,000 to 3,000: a quarter of the bin 1,880 to 2,040, all of the six from there
    assert (gap.references[0].start, gap.references[0].end) == (1_720, 4_280)
    blank = np.isin(np.arange(16), range(2, 8))
    np.testing.assert_array_equal(np.isnan(gap.references[0].values), blank[:, None] | blank)
    short = Column.of_zoom(engine.zoom(reference.module, "c", 450, "real")[0], engine.source)
    blank = np.arange(16) >= 6  # 800 to 960 is more than half in the chromosome of 900 bp
    np.testing.assert_array_equal(np.isnan(short.references[0].values), blank[:, None] | blank)
    assert np.isnan(short.references[0].insulation[6:]).all()


# an edit that one window of the reference shows


@pytest.fixture(scope="module")
def local(columns):
    found = columns(LOCAL)
    return found, axes_of(draw_columns(found, genes=GENES))


def test_axes_with_an_edit(local):
    found, axes = local
    assert list(axes) == labels(
        ("reference", ["strip", "map", "insulation", "genes"]),
        ("alternate", ["strip", "map", "insulation", "genes"]),
        ("alternate minus reference", ["map", "insulation"]),
    )
    assert_one_scale(axes, found, ["reference", "alternate", "alternate minus reference"])
    for c, window, inner in zip(found, LOCAL_WINDOWS, [*LOCAL_WINDOWS[1:], None]):
        wanted = {
            "reference": c.references[0].values,
            "alternate": c.alternate.values,
            "alternate minus reference": c.difference,
        }
        for row, values in wanted.items():
            data, extent = shown(axes[f"{row} {c.resolution} map"])
            np.testing.assert_array_equal(data, values)
            assert extent == window
            assert box(axes[f"{row} {c.resolution} map"]) == (
                None if inner is None else (*inner, *inner)
            )


def test_maps_are_those_of_the_comparison(local, engine, reference):
    genome = apply_edits(engine.source, LOCAL)
    (wanted,) = compare(Reference(engine, reference.module), [genome])
    for c, w in zip(local[0], wanted, strict=True):
        np.testing.assert_array_equal(c.alternate.values, w.alternate.values)
        np.testing.assert_array_equal(c.references[0].values, w.references[0].values)
        np.testing.assert_array_equal(c.aligned, w.reference.values)
        alternate, reference = (m.values.astype(float) for m in (w.alternate, w.reference))
        np.testing.assert_array_equal(c.difference, alternate - reference)
        # what came from no window of the reference cannot be compared: 5,200 to 5,280 is given
        # sequence
        middles = w.alternate.start + w.resolution * np.arange(16) + w.resolution // 2
        unknown = np.isnan(c.difference).all(axis=0)
        given = (middles - w.resolution // 2 >= 5_200) & (middles + w.resolution // 2 <= 5_280)
        assert unknown[given].all()
        assert not np.isfinite(c.difference[given]).any()
    assert np.isnan(local[0][2].difference[10:12]).all()  # 4,800 + 10 x 40


def test_lines_at_breakpoints_and_where_their_sides_came_from(local):
    found, axes = local
    for c in found:
        assert c.breaks() == [5_000, 5_160, 5_200, 5_280]
        assert c.origins() == [("a", 5_000), ("a", 5_160), ("a", 5_200)]
        for row, at in [
            ("reference", [5_000, 5_160, 5_200]),
            ("alternate", [5_000, 5_160, 5_200, 5_280]),
            ("alternate minus reference", [5_000, 5_160, 5_200, 5_280]),
        ]:
            axis = axes[f"{row} {c.resolution} map"]
            assert upright(axis) == level(axis) == at
            assert upright(axes[f"{row} {c.resolution} insulation"]) == at


def test_strips_of_an_inversion_and_given_sequence(local):
    _, axes = local
    for r, (start, end) in zip(LEVELS, LOCAL_WINDOWS):
        pieces, letters = bars(axes[f"reference {r} strip"])
        assert pieces == coloured(
            (start, 5_000, A, None),
            (5_000, 5_160, B, None),
            (5_160, 5_200, C, None),
            (5_200, end, D, None),
        )
        assert (
            [text for _, text in letters] == ["A", "B", "C", "D"] if r < 160 else ["A", "B", "D"]
        )  # no room for 40 of 2,560 bp
        pieces, letters = bars(axes[f"alternate {r} strip"])
        assert pieces == coloured(
            (start, 5_000, A, None),
            (5_000, 5_160, B, None),
            (5_160, 5_200, C, None),
            (5_200, 5_280, LITERAL_COLOUR, None),
            (5_280, end, D, None),
        )
        inverted = "<B" if r == 160 else "B"
        assert [text for _, text in letters] == (
            ["A", inverted, "D"] if r == 160 else ["A", inverted, "C", "D"]
        )
        assert dict((text, x) for x, text in letters)[inverted] == 5_080
        # a longer one is full of arrow heads, all within it
        heads = [x for line in axes[f"alternate {r} strip"].lines for x in line.get_xdata()]
        assert (len(heads) > 0) == (r < 160)
        assert all(5_000 < x < 5_160 for x in heads)
        assert not axes[f"reference {r} strip"].lines
    figure = axes["reference scale"].figure
    (note,) = [
        text.get_text().replace("\n", " ")
        for text in figure.texts
        if "Insulation" in text.get_text()
    ]
    assert "Dashed: breakpoints." in note
    assert ", < inverted, black: literal sequence." in note
    assert "crossed out" not in note


def test_insulation_that_two_windows_know_is_the_first_ones(columns):
    coarse, *_ = columns([Edit("del", "a", 3_000, 3_800)])
    # windows from 1,680 (around 2,960) and 2,560 (around 3,840) overlap; of each the first and last
    # bins are not known
    left, right = coarse.references
    assert (left.start, right.start, coarse.alternate.start) == (1_680, 2_560, 1_680)
    middles = 1_680 + 160 * np.arange(16) + 80
    origins = np.where(middles < 3_000, middles, middles + 800)
    expected = np.full(16, np.nan)
    for m in (right, left):
        index = (origins - m.start) // 160
        inside = (index > 0) & (index < 15)
        expected[inside] = m.insulation[index[inside]]
    np.testing.assert_array_equal(coarse.aligned_insulation, expected)
    assert (
        np.isfinite(expected).sum() == 14
    )  # all but the first of the one and the last of the other


def test_insulation_of_reference_and_alternate_share_an_axis(local):
    found, axes = local
    for c in found:
        both = axes[f"alternate {c.resolution} insulation"]
        lines = {
            line.get_label(): line.get_ydata() for line in both.lines if len(line.get_xdata()) == 16
        }
        np.testing.assert_array_equal(lines["alternate"], c.alternate.insulation)
        np.testing.assert_array_equal(lines["reference"], c.aligned_insulation)
        assert both.get_ylim() == axes[f"reference {c.resolution} insulation"].get_ylim()
        (change,) = [
            line
            for line in axes[f"alternate minus reference {c.resolution} insulation"].lines
            if len(line.get_xdata()) == 16
        ]
        np.testing.assert_array_equal(
            change.get_ydata(), c.alternate.insulation - c.aligned_insulation
        )
        low, high = axes[f"alternate minus reference {c.resolution} insulation"].get_ylim()
        assert -low == pytest.approx(high)


def test_genes_below_the_reference_and_where_they_went(local):
    _, axes = local
    for r in LEVELS:
        assert sorted(t.get_text() for t in axes[f"reference {r} genes"].texts) == ["one", "two"]
        assert sorted(t.get_text() for t in axes[f"alternate {r} genes"].texts) == [
            "one (part)",
            "one (part)",
            "two",
        ]
    # names stand 0.03 inches behind their bars: the track knows how wide it is
    for row, end in [("reference", 5_300), ("alternate", 5_380)]:
        (name,) = [t for t in axes[f"{row} 160 genes"].texts if t.get_text() == "two"]
        assert name.get_position()[0] == pytest.approx(end + GAP * 2_560 / SQUARE)
    (shapes,) = axes["alternate 40 genes"].collections
    spans = sorted(
        (path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in shapes.get_paths()
    )
    # its right half turns (p becomes 10,160 - p); 80 bp are put into the other
    assert spans == [(4_900, 5_000), (5_060, 5_160), (5_170, 5_380)]


# edits that two windows of the reference show


@pytest.fixture(scope="module")
def deleted(columns, place):
    found = columns(DELETION)
    return found, draw_columns(found, observed=place / "measured.cool")


def test_axes_of_a_large_deletion(deleted):
    found, figure = deleted
    axes = axes_of(figure)
    two = ["map", "insulation"]
    assert list(axes) == labels(
        ("reference, left", ["strip", *two]),
        ("reference, right", ["strip", *two]),
        ("alternate", ["strip", *two]),
        ("alternate minus reference", two),
        ("measured, left", two),
        ("measured, right", two),
    )
    rows = [
        "reference, left",
        "reference, right",
        "alternate",
        "alternate minus reference",
        "measured, left",
        "measured, right",
    ]
    assert_one_scale(axes, found, rows)
    # 2,999 is nearest to 37 x 80, 5,600 is 70 x 80
    left, right = (
        [(1_680, 4_240), (2_320, 3_600), (2_640, 3_280)],
        [(4_320, 6_880), (4_960, 6_240), (5_280, 5_920)],
    )
    for c, first, last in zip(found, left, right):
        lefts, rights = (
            axes[f"reference, {side} {c.resolution} map"] for side in ("left", "right")
        )
        for axis, m, window, at in [
            (lefts, c.references[0], first, 3_000),
            (rights, c.references[1], last, 5_600),
        ]:
            values, extent = shown(axis)
            np.testing.assert_array_equal(values, m.values)
            assert extent == window
            assert upright(axis) == [at]
        # measured bins of 80 bp begin at multiples of 80, as these windows do
        for side, window, at in [("left", first, 3_000), ("right", last, 5_600)]:
            assert shown(axes[f"measured, {side} {c.resolution} map"])[1] == window
            assert upright(axes[f"measured, {side} {c.resolution} map"]) == [at]
        assert shown(axes[f"alternate {c.resolution} map"])[1] == first
        assert upright(axes[f"alternate {c.resolution} map"]) == [3_000]


def test_strips_of_a_large_deletion(deleted):
    axes = axes_of(deleted[1])
    # the middle of three stretches is in no window of the alternate
    assert bars(axes["reference, left 160 strip"])[0] == coloured(
        (1_680, 3_000, A, None), (3_000, 4_240, B, "xxxxx")
    )
    assert bars(axes["reference, right 160 strip"])[0] == coloured(
        (4_320, 5_600, B, "xxxxx"), (5_600, 6_880, C, None)
    )
    pieces, letters = bars(axes["alternate 160 strip"])
    assert pieces == coloured((1_680, 3_000, A, None), (3_000, 4_240, C, None))
    assert letters == [(2_340, "A"), (3_620, "C")]


def rendered(figure):
    """RGB pixels by position: ``at(axes, x, y)`` in data coordinates."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)

    def at(axes, x, y):
        a, b = axes.transData.transform((x, y))
        return pixels[len(pixels) - 1 - int(b), int(a)]

    return at


def test_where_nothing_can_be_compared_the_difference_is_blank(deleted):
    found, figure = deleted
    at = rendered(figure)
    for c in found:
        # each side of the breakpoint is known from one window: not their contacts with one another
        left = c.alternate.start + c.resolution * np.arange(16) + c.resolution // 2 < 3_000
        known = left[:, None] == left
        axis = axes_of(figure)[f"alternate minus reference {c.resolution} map"]
        values, (start, _) = shown(axis)
        np.testing.assert_array_equal(np.isfinite(values), known)
        ground = np.array(
            [
                at(axis, start + c.resolution * (i + 0.3), start + c.resolution * (15 - i + 0.6))
                for i in range(16)
            ]
        )
        blank = ~known[np.arange(16), np.arange(15, -1, -1)]
        assert blank.sum() >= 14
        assert (np.ptp(ground[blank], axis=1) == 0).all()  # grey
        assert ground[blank].min() >= 220
    middle = found[2]
    near = np.abs(middle.difference[np.isfinite(middle.difference)])
    assert near.max() > 0


def test_a_translocation(columns, engine, reference):
    found = columns(TRANSLOCATION)
    axes = axes_of(draw_columns(found))
    assert [r.chrom for r in found[0].references] == ["a", "b"]
    assert {c.alternate.chrom for c in found} == {"der_a"}
    assert all(c.breaks() == [1_500] and c.origins() == [("a", 1_500), ("b", 1_000)] for c in found)
    assert list(axes) == labels(
        ("reference, left", ["strip", "map", "insulation"]),
        ("reference, right", ["strip", "map", "insulation"]),
        ("alternate", ["strip", "map", "insulation"]),
        ("alternate minus reference", ["map", "insulation"]),
    )
    for r in LEVELS:
        assert upright(axes[f"reference, left {r} map"]) == [1_500]
        assert upright(axes[f"reference, right {r} map"]) == [1_000]
    assert axes["reference, right 160 insulation"].get_xlabel() == "b (kb)"
    assert axes["alternate 160 insulation"].get_xlabel() == "der_a (kb)"
    # a: A up to 1,500 and B; b: C up to 1,000 and D. Neither B nor C is in der_a
    start, end = found[0].alternate.start, found[0].alternate.end
    assert bars(axes["alternate 160 strip"])[0] == coloured(
        (start, 1_500, A, None), (1_500, end, D, None)
    )
    hatches = [
        hatch
        for side in ("left", "right")
        for _, _, _, hatch in bars(axes[f"reference, {side} 160 strip"])[0]
    ]
    assert hatches == [None, "xxxxx", "xxxxx", None]
    genome = apply_edits(engine.source, TRANSLOCATION)
    one, two = sites(genome, engine.spec, reference.module)
    assert (one.contig, two.contig) == ("der_a", "der_b")
    # the windows are centred on 1,520, the multiple of 80 next to 1,500, and on 960
    assert around(genome, one, 500) == [
        ("a", 1_020, 2_020),
        ("b", 460, 1_460),
        ("a", 1_020, 1_500),
        ("b", 1_000, 1_520),
    ]


# what a pixel's colour says


def crafted(values, start=1_000, size=100):
    n = len(values)
    return Column(size, (Map("x", start, start + n * size, values, np.zeros(n)),))


@pytest.mark.parametrize("triangles", [False, True])
def test_every_pixel_is_where_its_pair_of_bins_is(triangles):
    n, start, size = 16, 1_000, 100
    values = np.random.default_rng(8).uniform(
        -1, 1, (n, n)
    )  # not symmetric: rows go down, columns to the right
    values[3, 9] = values[9, 3] = 1.0
    values[2, 7] = values[7, 2] = values[10, 12] = np.nan
    figure = draw_columns([crafted(values)], triangles=triangles, vmax=1.0)
    at = rendered(figure)
    axes = axes_of(figure)["reference 100 map"]
    colours = matplotlib.colormaps["coolwarm"]
    checked = 0
    for i in range(n):
        for j in range(n):
            x, y = start + size * (j + 0.5), start + size * (i + 0.5)
            if triangles:
                # above the middle of the two, at half their distance; up to half the window's
                # distance
                if not 0 < x - y < n * size / 2:
                    continue
                x, y = (x + y) / 2, (x - y) / 2
            found = at(axes, x, y)
            if np.isnan(values[i, j]):
                assert np.ptp(found) == 0
                assert found.min() >= 220
            else:
                wanted = 255 * np.array(colours((values[i, j] + 1) / 2)[:3])
                assert np.abs(found - wanted).max() <= 3, (i, j)
            checked += 1
    # of 16 bins the pairs at distances 1 to 7
    assert checked == (sum(n - d for d in range(1, 8)) if triangles else n * n)
    if triangles:
        assert axes.get_ylim() == (0, n * size / 4)
        assert np.array_equal(at(axes, start + 30, 300), [255, 255, 255])  # outside of the triangle


def test_triangles_have_lines_and_the_next_window_along_the_diagonals(columns):
    found = columns(LOCAL)
    axes = axes_of(draw_columns(found[:2], triangles=True))
    # from 5,000, which is 1,160 bp from the window's start and 1,400 bp from its end: up to half of
    # the room, at most 640
    lines = [(line.get_xdata(), line.get_ydata()) for line in axes["reference 160 map"].lines]
    ends = {(float(x[0]), float(x[1]), float(y[0]), float(y[1])) for x, y in lines}
    assert {
        (5_000, 5_640, 0, 640),
        (5_000, 4_420, 0, 580),
        (5_160, 5_780, 0, 620),
        (5_160, 4_520, 0, 640),
    } <= ends
    assert len(ends) == 6
    (inner,) = [p for p in axes["alternate 160 map"].patches if p.get_label() == "next window"]
    assert inner.get_xy().tolist() == [[4_480, 0], [5_120, 640], [5_760, 0]]
    assert not [p for p in axes["alternate 80 map"].patches if p.get_label() == "next window"]


def test_nothing_to_draw_and_scales_that_are_given():
    with pytest.raises(CoolerError, match="nothing to draw"):
        draw_columns([crafted(np.full((16, 16), np.nan))])
    axes = axes_of(draw_columns([crafted(np.full((16, 16), 0.01))]))
    assert limits(axes["reference 100 map"])[:2] == (-0.1, 0.1)  # no narrower


# breakpoints and where they came from


def column(genome, contig, start, end, breakpoints=()):
    n = (end - start) // 100
    blank = np.zeros((n, n))
    return Column(
        100,
        (Map("a", start, end, blank, blank[0]),),
        Map(contig, start, end, blank, blank[0]),
        blank,
        blank[0],
        breakpoints,
        genome,
    )


@pytest.mark.parametrize(
    ("changes", "breaks", "origins"),
    [
        ([Edit("del", "a", 3_000, 3_500)], [3_000], [("a", 3_000), ("a", 3_500)]),
        # left of 3,000 as it was; right of it the base that was last
        ([Edit("inv", "a", 3_000, 3_500)], [3_000, 3_500], [("a", 3_000), ("a", 3_500)]),
        # the end of the first copy meets the beginning of the second
        ([Edit("dup", "a", 3_000, 3_500)], [3_500], [("a", 3_500), ("a", 3_000)]),
        ([Edit("dup", "a", 3_000, 3_500, 3)], [3_500, 4_000], [("a", 3_500), ("a", 3_000)]),
        ([Edit("dup", "a", 3_000, 3_500, 2, True)], [3_500, 4_000], [("a", 3_500), ("a", 3_000)]),
        # both sides of an insertion came from one place
        (
            [Edit("ins", "a", 3_000, 3_000, sequence=(Segment.letters("A" * 200),))],
            [3_000, 3_200],
            [("a", 3_000)],
        ),
        (
            [Edit("ins", "a", 3_000, 3_000, sequence=(Segment("b", 500, 700, "-"),))],
            [3_000, 3_200],
            [("a", 3_000), ("b", 700), ("b", 500)],
        ),
        (
            [Edit("del", "a", 3_000, 3_500), Edit("del", "a", 9_000, 9_500)],
            [3_000],
            [("a", 3_000), ("a", 3_500)],
        ),
    ],
)
def test_breaks_and_origins(engine, changes, breaks, origins):
    genome = apply_edits(engine.source, changes)
    found = column(genome, "a", 2_000, 5_000, tuple(genome.junctions("a")))
    assert found.breaks() == breaks
    assert found.origins() == origins
    assert found.edited


def test_ends_of_chromosomes_as_breaks(engine):
    turned = apply_edits(engine.source, [Contig("c", (Segment("c", 0, 900, "-"),))])
    found = column(turned, "c", 0, 900, (450,))
    assert (found.breaks(), found.origins()) == ([], [])  # no breakpoint: the mark is its middle
    # a chromosome that lost its beginning has an end that the reference has not
    cut = apply_edits(engine.source, [Edit("del", "a", 0, 2_000)])
    found = column(cut, "a", 0, 3_000, (0,))
    assert (found.breaks(), found.origins()) == ([0], [("a", 2_000)])
    other = column(cut, "b", 0, 3_000, (10, 20))
    assert not other.edited
    assert (other.breaks(), other.origins()) == ([10, 20], [("b", 10), ("b", 20)])
    assert column(None, "a", 0, 3_000, (10, 5_000)).breaks() == [
        10
    ]  # of a file without segments; those in the window
    alone = Column(100, found.references)
    assert (alone.breaks(), alone.origins(), alone.difference, alone.places()) == (
        [],
        [],
        None,
        [("a", 0, 3_000)],
    )


def test_a_breakpoint_within_an_inverted_piece(engine):
    pieces = (Segment("a", 0, 3_000), Segment("a", 3_000, 3_500, "-"), Segment("a", 3_200, 12_000))
    genome = apply_edits(engine.source, [Contig("a", pieces)])
    found = column(genome, "a", 2_000, 5_000)
    assert found.origins() == [("a", 3_000), ("a", 3_500), ("a", 3_200)]
    axes = axes_of(draw_columns([found]))
    # A up to 3,000, B to 3,200, C to 3,500, D: turned, C comes before B, and what follows repeats C
    strip, letters = bars(axes["alternate 100 strip"])
    assert sorted(strip) == coloured(
        (2_000, 3_000, A, None),
        (3_000, 3_300, C, None),
        (3_300, 3_500, B, None),
        (3_500, 3_800, C, None),
        (3_800, 5_000, D, None),
    )
    assert sorted(letters) == [
        (2_500, "A"),
        (3_150, "C"),
        (3_400, "<B"),
        (3_650, "C"),
        (4_400, "D"),
    ]


def test_many_junctions_are_not_all_marked(engine):
    snvs = [
        Edit("sub", "a", 2_000 + 100 * k, 2_001 + 100 * k, sequence=(Segment.letters("N"),))
        for k in range(13)
    ]
    genome = apply_edits(engine.source, snvs)
    assert column(genome, "a", 1_000, 5_000, (2_100, 2_101)).breaks() == [2_100, 2_101]  # of 26
    assert (
        len(column(genome, "a", 1_000, 3_150, (2_100, 2_101)).breaks()) == 24
    )  # those that the window has


def test_the_place_of_a_base_of_the_reference(engine):
    def at(changes, *where):
        site = site_at(apply_edits(engine.source, changes), *where)
        return site.contig, site.breakpoints, site.position, site.references

    # 1,000 bp are gone before it; windows are centred to 40 bp of the reference
    deletion = [Edit("del", "a", 3_000, 4_000)]
    assert at(deletion, "a", 5_013, 40) == ("a", (3_000,), 4_000, (("a", 5_000),))
    assert at(deletion, "a", 5_013) == ("a", (3_000,), 4_013, (("a", 5_013),))
    assert at(deletion, "a", 2_999, 40) == ("a", (3_000,), 2_960, (("a", 2_960),))
    # p becomes 8,000 - p: between 3,240 and its left neighbour lies 4,760
    assert at([Edit("inv", "a", 3_000, 5_000)], "a", 3_253, 40) == (
        "a",
        (5_000,),
        4_760,
        (("a", 3_240),),
    )
    # of two copies the first
    assert at([Edit("dup", "a", 3_000, 4_000)], "a", 3_500) == (
        "a",
        (4_000,),
        3_500,
        (("a", 3_500),),
    )
    assert at(TRANSLOCATION, "b", 1_500) == ("der_a", (1_500,), 2_000, (("b", 1_500),))
    with pytest.raises(EditError, match="leave nothing of a:3,500; choose another place"):
        at(deletion, "a", 3_500)
    with pytest.raises(EditError, match="change nothing on b, where b:100 is; they change a"):
        at(deletion, "b", 100)


# files of maps


@pytest.fixture(scope="module")
def files(engine, reference, tmp_path_factory):
    """For some edits the file, and what is in it: {name: (path, columns of each place)}."""
    folder = tmp_path_factory.mktemp("maps")
    out = {}
    for name, changes in {"local": LOCAL, "short": SHORT, "translocation": TRANSLOCATION}.items():
        genome = apply_edits(engine.source, changes)
        (found,) = compare(reference, [genome])
        save_maps(folder / f"{name}.npz", of_changes(changes, "edit 1", name), genome, found)
        by_site = {}
        for c in found:
            by_site.setdefault(str(c.site), []).append(Column.of_comparison(c, genome))
        out[name] = folder / f"{name}.npz", list(by_site.values())
    return out


@pytest.mark.parametrize("name", ["local", "short", "translocation"])
def test_a_file_of_maps_holds_what_was_compared(files, name):
    path, wanted = files[name]
    title, pages = read_maps(path)
    assert title.startswith(f"{name}: ")
    assert len(pages) == len(wanted) == (2 if name == "translocation" else 1)
    for ours, theirs in zip(chain(*pages), chain(*wanted), strict=True):
        assert ours.resolution == theirs.resolution
        assert ours.of_ratio
        assert ours.breakpoints == theirs.breakpoints
        assert (ours.breaks(), ours.origins()) == (theirs.breaks(), theirs.origins())
        assert ours.places() == theirs.places()
        np.testing.assert_allclose(ours.aligned, theirs.aligned, rtol=1e-6)  # float32
        for a, b in zip(ours.maps, theirs.maps, strict=True):
            assert (a.chrom, a.start, a.end) == (b.chrom, b.start, b.end)
            known = np.isfinite(b.values)
            np.testing.assert_array_equal(a.values[known], b.values[known])
            if name != "translocation":  # its b has a gap, of which the file knows nothing
                np.testing.assert_array_equal(np.isfinite(a.values), known)
    if name == "short":
        (coarse, *_), ends = (
            pages[0],
            np.arange(16) >= 6,
        )  # bins of 160 bp whose middle is beyond 900
        assert np.isnan(coarse.alternate.values[ends]).all()
        assert np.isfinite(coarse.alternate.values[np.ix_(~ends, ~ends)]).all()
        assert np.isnan(coarse.references[0].insulation[ends]).all()


def test_what_is_no_file_of_maps(files, tmp_path):
    other = tmp_path / "other.npz"
    np.savez(other, values=np.zeros(3))
    text = tmp_path / "text.npz"
    text.write_text("nonsense")
    old = tmp_path / "old.npz"
    np.savez(old, about=np.array('{"format": "orca-cool.maps", "format_version": 7}'))
    cut = tmp_path / "cut.npz"
    whole = files["short"][0].read_bytes()
    cut.write_bytes(whole[:3000])
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(whole[:200] + bytes(100) + whole[300:])
    array = tmp_path / "array.npz"
    with array.open("wb") as stream:
        np.save(stream, np.zeros(3))
    for path, words in [
        (other, "not a file of maps"),
        (text, "not a file of maps"),
        (old, "version 7"),
        (cut, "or is damaged"),
        (damaged, "or is damaged"),
        (array, "not a file of maps"),
        (tmp_path / "none.npz", "there is no file"),
    ]:
        with pytest.raises(EditError, match=words) as caught:
            read_maps(path)
        assert repr(str(path)) in str(caught.value)
    empty = tmp_path / "empty.npz"
    about = '{"format": "orca-cool.maps", "format_version": 1, "segments": {}, "chromsizes": {}, "maps": []}'
    np.savez(empty, about=np.array(about))
    with pytest.raises(EditError, match="holds no map"):
        read_maps(empty)


def test_names_of_pictures(tmp_path):
    out = tmp_path / "fig.png"
    assert picture_paths(out, 1) == [out]
    assert picture_paths(out, 2) == [tmp_path / "fig.1.png", tmp_path / "fig.2.png"]
    assert picture_paths(tmp_path / "fig.pdf", 2) == [tmp_path / "fig.pdf"]
    (tmp_path / "fig.2.png").write_text("x")
    assert picture_paths(out, 1) == [out]
    with pytest.raises(OutputError, match=r"fig\.2\.png' exists"):
        picture_paths(out, 2)
    assert len(picture_paths(out, 2, force=True)) == 2


# the command line


@pytest.fixture
def call(place, tmp_path):
    """Runs the verb in a model and genome; the output is ``tmp_path / output``. Returns the paths
    that it says.
    """

    def run(*extra, output, predicting=True):
        line = ["plot", *map(str, extra), "-o", str(tmp_path / output)]
        if predicting:
            line += [
                "--model",
                str(place / "toy"),
                "--genome",
                str(place / "toy.fa"),
                "--device",
                "cpu",
            ]
        return CliRunner().invoke(main, line)

    def written(*extra, **how):
        result = run(*extra, **how)
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return result.stdout.split()

    run.written = written
    return run


EDIT = "a:5,000-5,160 inv"


def texts(path):
    """All text of an SVG."""
    return [
        "".join(element.itertext()).strip()
        for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")
    ]


def pages(path):
    """Page objects of a PDF."""
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", path.read_bytes()))


def test_an_edit_as_svg_with_genes_and_one_level(call, place, tmp_path):
    out = tmp_path / "fig.svg"
    assert call.written(
        "--edit", EDIT, "--genes", place / "genes.bed", "--levels", "40", output="fig.svg"
    ) == [str(out)]
    assert list(tmp_path.iterdir()) == [out]
    found = texts(out)
    assert "toy: a:5,000-5,160 inv, mean of both strands" in found
    assert "640 bp window, 40 bp bins" in found
    assert not any("160 bp bins" in text for text in found)
    assert found.count("one") == 1
    assert found.count("one (part)") == 2
    assert {"reference", "alternate", "a (kb)"} <= set(found)


def test_several_places_as_png_and_as_pages(call, tmp_path):
    edit = "a:4,000(+)::b:1,000(-)"
    assert call.written("--edit", edit, "--levels", "40", output="fig.png") == [
        str(tmp_path / f"fig.{k}.png") for k in (1, 2)
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fig.1.png", "fig.2.png"]
    for k in (1, 2):
        with Image.open(tmp_path / f"fig.{k}.png") as image:
            image.load()
            assert image.format == "PNG"
            assert min(image.size) > 500
    assert call.written("--edit", edit, "--levels", "40", output="fig.pdf") == [
        str(tmp_path / "fig.pdf")
    ]
    assert (tmp_path / "fig.pdf").read_bytes()[:5] == b"%PDF-"
    assert pages(tmp_path / "fig.pdf") == 2


def test_at_a_place_and_the_levels_that_hold_a_region(call, tmp_path):
    # without an edit: the nearest base bin; 1,281 bp fit the widest window alone
    assert call.written("--region", "a:5,000-6,281", output="r.svg") == [str(tmp_path / "r.svg")]
    found = texts(tmp_path / "r.svg")
    assert "toy: a:5,640, mean of both strands" in found  # the middle, 5,640.5
    assert [text for text in found if "window," in text] == ["2.56 kb window, 160 bp bins"]
    assert call.written("--at", "a:5,679", "--levels", "80,40", "--triangles", output="at.svg")
    found = texts(tmp_path / "at.svg")
    assert "toy: a:5,640, mean of both strands" in found
    assert [text for text in found if "window," in text] == [
        "1.28 kb window, 80 bp bins",
        "640 bp window, 40 bp bins",
    ]
    assert "alternate" not in found
    assert "reference" in found


def test_at_a_place_of_an_edit_from_a_vcf(call, place, tmp_path, monkeypatch):
    pytest.importorskip(
        "cyvcf2", reason="cyvcf2 is not installed (pip install orca-cool[variants])"
    )
    base = "ACGT"[open_genome(place / "toy.fa").fetch("a", 2_999, 3_000)[0]]
    vcf = tmp_path / "in.vcf"
    vcf.write_text(
        '##fileformat=VCFv4.2\n##contig=<ID=a,length=12000>\n##INFO=<ID=END,Number=1,Type=Integer,Description="">\n'
        '##INFO=<ID=SVTYPE,Number=1,Type=String,Description="">\n##ALT=<ID=DEL,Description="">\n'
        f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\na\t3000\t.\t{base}\t<DEL>\t.\t.\tSVTYPE=DEL;END=3400\n"
    )
    drawn = []
    monkeypatch.setattr(
        figure_module,
        "draw_columns",
        lambda columns, **style: drawn.extend(columns) or draw_columns(columns, **style),
    )
    assert call.written("--vcf", vcf, "--at", "a:3,480", "--levels", "40", output="v.svg")
    found = texts(tmp_path / "v.svg")
    assert "toy: a:3,000-3,400 del, mean of both strands" in found
    assert "alternate" in found
    # 3,480 of the reference is 3,080 now
    (column_,) = drawn
    assert [(m.chrom, m.start, m.end) for m in column_.maps] == [
        ("a", 3_160, 3_800),
        ("a", 2_760, 3_400),
    ]


def test_a_file_of_maps_is_drawn(call, files, tmp_path):
    path, _ = files["translocation"]
    assert call.written(path, "--levels", "640", output="maps.pdf", predicting=False) == [
        str(tmp_path / "maps.pdf")
    ]
    assert pages(tmp_path / "maps.pdf") == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "maps.pdf"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--at", "a:100", "--genome", "x.fa"], ["nothing to draw", "--model and --genome"]),
        ([], ["nothing to draw", "PREDICTED"]),
        (
            ["MAPS", "--edit", EDIT],
            [f"--edit {EDIT!r}: nothing is predicted", "local.npz", "leave out one"],
        ),
        (["MAPS", "--region", "a:1-10"], ["--region", "local.npz"]),
        (["MAPS", "--levels", "41"], ["level '41'", "160, 80, 40"]),
        (["maps.mcool", "--triangles"], ["--triangles", "maps.mcool"]),
        (["MAPS", "--observed", "none.mcool"], ["none.mcool"]),
    ],
)
def test_what_cannot_be_drawn(call, files, tmp_path, arguments, words):
    arguments = [str(files["local"][0]) if text == "MAPS" else text for text in arguments]
    refused(call(*arguments, output="fig.png", predicting=False), words)
    assert list(tmp_path.iterdir()) == []


def refused(result, words):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--at, --region or --edit"]),
        (["--at", "a:100", "--region", "a:1-1000"], ["'a:100'", "'a:1-1000'", "give one"]),
        (["--at", "a"], ["position 'a'", "chr9:110,404,000"]),
        (["--at", "a:1-10"], ["position 'a:1-10'"]),
        (["--at", "a:12,000"], ["outside a", "12,000 bp"]),
        (["--at", "d:1"], ["no chromosome 'd'"]),
        (["--region", "a:1,000-3,561"], ["'a:1,000-3,561'", "2,560 bp"]),
        (["--region", "a:1,000-1,641", "--levels", "40"], ["'a:1,000-1,641'", "640 bp"]),
        (["--at", "a:100", "--contact"], ["--contact", "only for an .mcool"]),
        (["--edit", EDIT, "--levels", "640,41"], ["41"]),
        (["--edit", "a:5,000-20,000 del"], ["a:5,000-20,000"]),
        (["--edit", EDIT, "--at", "b:100"], ["change nothing on b"]),
        (["--edit", "a:4,000-6,000 del", "--at", "a:5,000"], ["leave nothing of a:5,000"]),
        (["--edit", EDIT, "--genes", "none.gtf"], ["'none.gtf'", "No such file"]),
    ],
)
def test_what_cannot_be_predicted(call, tmp_path, arguments, words):
    refused(call(*arguments, output="fig.png"), words)
    assert list(tmp_path.iterdir()) == []


def test_an_edit_that_changes_nothing(call, place, tmp_path):
    same = "".join("ACGT"[k] for k in open_genome(place / "toy.fa").fetch("a", 100, 110))
    refused(
        call("--edit", f"a:100-110 sub {same}", output="fig.png"),
        [f"'a:100-110 sub {same}'", "changes nothing"],
    )
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be(call, tmp_path):
    refused(call("--edit", EDIT, output="fig.xyz"), ["fig.xyz", ".png, .pdf, .svg"])
    refused(call("--edit", EDIT, output="none/fig.png"), ["no folder"])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "fig.png").write_text("mine")
    refused(call("--edit", EDIT, output="fig.png"), ["fig.png' exists", "--force"])
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("fig.png", "mine")]
    assert call.written("--edit", EDIT, "--levels", "40", "--force", output="fig.png") == [
        str(tmp_path / "fig.png")
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["fig.png"]
    with Image.open(tmp_path / "fig.png") as image:
        assert image.format == "PNG"
