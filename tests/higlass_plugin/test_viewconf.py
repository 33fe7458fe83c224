"""What HiGlass is told to show. That HiGlass takes it, and draws it, is tested in test_page.py."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from higlass_plugin.registry.breakpoints import Breakpoint
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.viewconf import default_viewconf, edit_viewconf
from higlass_plugin.server.viewconf_parts import MAX_MARKS, MISSING
from higlass_plugin.server.viewconf_reference import WHOLE_GENOME
from orca_cool.model.bundle import load_bundle, save_bundle

SIZES = {"a": 9_010, "b": 6_100, "c": 900}
SOURCE = Drawn(SIZES, ("b", 1_000, 1_415))


class File:
    """A real file's tileset, as far as a viewconf asks."""

    filetype, coord_system, description = "cooler", "drawn", ""

    def __init__(
        self,
        uid: str,
        datatype: str = "matrix",
        resolutions: tuple[int, ...] = (40, 80, 160),
        sizes: dict[str, int] | None = None,
    ):
        self.uid, self.name, self.datatype = uid, f"file {uid}", datatype
        self._info = {
            "chromsizes": [[c, n] for c, n in (sizes or SIZES).items()],
            "resolutions": list(resolutions),
        }

    def info(self) -> dict[str, Any]:
        return self._info

    def tiles(self, ids: Any) -> list[tuple[str, Any]]:
        return []


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = make_toy_spec()
    return load_bundle(
        save_bundle(
            tmp_path_factory.mktemp("models") / "toy", make_toy_model(spec), make_toy_expected(spec)
        )
    )


@pytest.fixture(scope="module")
def registry(bundle):
    """A model, and beside it a measured map, genes, and peaks."""
    with TilesetRegistry() as made:
        made.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
        for file in (File("measured"), File("genes", "gene-annotation"), File("peaks", "bedlike")):
            made.add(file)
        yield made


def tracks(view: dict[str, Any]) -> list[dict[str, Any]]:
    """All tracks of a view, those inside combined ones instead of these."""
    found = [track for place in view["tracks"].values() for track in place]
    return [inner for track in found for inner in track.get("contents", [track])]


def orca(view: dict[str, Any]) -> dict[str, Any]:
    return view["tracks"]["center"][0]["options"]["orca"]


def test_the_prediction_is_above_the_measured_map(registry):
    conf = default_viewconf(registry, server="https://here/api/v1")
    (view,) = conf["views"]
    above, below = view["tracks"]["center"][0]["contents"]
    predicted = registry.open_url("orca://toy/drawn")
    assert (above["tilesetUid"], above["options"]["extent"], above["options"]["dataTransform"]) == (
        predicted.uid,
        "upper-right",
        "weight",
    )
    assert (below["tilesetUid"], below["options"]["extent"]) == ("measured", "lower-left")
    assert below["options"]["backgroundColor"] == "transparent", (
        "what is drawn later must not hide what is below it"
    )
    assert above["options"]["colorRange"] == below["options"]["colorRange"]
    assert {track["server"] for track in tracks(view)} == {"https://here/api/v1"}
    assert conf["trackSourceServers"] == ["https://here/api/v1"]
    json.dumps(conf, allow_nan=False)

    assert [track["type"] for track in view["tracks"]["top"]] == [
        "horizontal-chromosome-labels",
        "horizontal-gene-annotations",
        "bedlike",
        "horizontal-bar",
        "horizontal-bar",
    ]
    scores = [
        registry.open_url(f"orca://toy/drawn?track={name}").uid
        for name in ("insulation", "compartments")
    ]
    assert [track["tilesetUid"] for track in view["tracks"]["top"]] == [
        predicted.uid,
        "genes",
        "peaks",
        *scores,
    ]
    assert view["initialXDomain"] == view["initialYDomain"] == [0, 16_010]
    assert orca(view) | {"values": None} == {
        "role": "reference",
        "shift": 0,
        "model": "toy",
        "genome": "drawn",
        "assembly": "drawn",
        "suggest": "genes",
        "search": [],
        "value": "weight",
        "chromsizes": [["a", 9_010], ["b", 6_100], ["c", 900]],
        "levels": [[r, 16 * r] for r in (640, 320, 160, 80, 40)],
        "values": None,
    }


def test_every_track_has_a_name_of_its_own_and_views_are_named_without_dots(registry):
    conf = edit_viewconf(registry, registry.edit(["a:2000-2400 del"]))
    for view in conf["views"]:
        names = [track["uid"] for track in tracks(view)]
        assert len(set(names)) == len(names)
        assert "." not in view["uid"], "HiGlass locks values by VIEW.TRACK"


def test_log_observed_over_expected_has_a_scale_of_both_signs_and_a_lower_half_if_there_is_one(
    registry,
):
    values = orca(default_viewconf(registry)["views"][0])["values"]
    assert {name: value["label"] for name, value in values.items()} == {
        "weight": "contact frequency",
        "logoe": "log observed/expected",
    }
    (alone,) = values["logoe"]["contents"]
    options = alone["options"]
    assert (options["extent"], options["dataTransform"], options["heatmapValueScaling"]) == (
        "full",
        "logoe",
        "linear",
    )
    assert options["valueScaleMin"] == -options["valueScaleMax"] < 0
    assert len(options["colorRange"]) % 2 == 1, "zero has a colour of its own"

    registry.observed_over_expected = File("ratio")
    try:
        above, below = orca(default_viewconf(registry)["views"][0])["values"]["logoe"]["contents"]
    finally:
        registry.observed_over_expected = None
    assert (above["options"]["extent"], below["tilesetUid"], below["options"]["extent"]) == (
        "upper-right",
        "ratio",
        "lower-left",
    )
    assert [below["options"][key] for key in ("valueScaleMin", "valueScaleMax")] == [
        -options["valueScaleMax"],
        options["valueScaleMax"],
    ]


@pytest.mark.parametrize(
    ("resolutions", "zoom"),
    [((40, 80, 160), 2), ((10, 20, 40, 80), 1), ((100, 200), None)],
    ids=["the same", "finer, too: not shown", "others"],
)
def test_one_colour_scale_is_for_bins_of_one_size(bundle, resolutions, zoom):
    """The toy model's finest bins are 40 bp. Both halves have them, or each half has a scale of its
    own.
    """
    with TilesetRegistry() as made:
        made.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
        made.add(File("measured", resolutions=resolutions))
        conf = default_viewconf(made)
    below = conf["views"][0]["tracks"]["center"][0]["contents"][1]
    assert below["options"].get("maxZoom") == zoom
    locked = conf["valueScaleLocks"]["locksByViewUid"]
    assert locked == (
        {}
        if zoom is None
        else dict.fromkeys(
            ("reference.predicted-weight", "reference.measured-weight"), "orca-values"
        )
    )
    if zoom is not None:
        (group,) = conf["valueScaleLocks"]["locksDict"].values()
        assert group["reference.measured-weight"] == {
            "view": "reference",
            "track": "measured-weight",
        }


def test_without_a_model_and_without_anything():
    with TilesetRegistry() as made:
        (view,) = default_viewconf(made)["views"]
        assert view["tracks"]["center"] == []
        made.add(File("measured"))
        (view,) = default_viewconf(made)["views"]
        (alone,) = view["tracks"]["center"][0]["contents"]
        assert (
            alone["tilesetUid"],
            alone["options"]["extent"],
            alone["options"]["backgroundColor"],
        ) == ("measured", "full", MISSING)
        assert "model" not in orca(view)
        assert list(orca(view)["values"]) == ["weight"]


def test_of_a_large_genome_one_window_is_shown_away_from_the_ends():
    sizes = {"small": WHOLE_GENOME, "large": 3 * WHOLE_GENOME}
    with TilesetRegistry() as made:
        made.add(File("measured", resolutions=(4_000, 8_000), sizes=sizes))
        (view,) = default_viewconf(made)["views"]
    start = WHOLE_GENOME + 3 * WHOLE_GENOME // 4
    assert view["initialXDomain"] == [start, start + 256 * 4_000]


def test_an_edit_is_beside_its_reference(registry):
    edited = registry.edit(["a:2000-2400 del"])
    conf = edit_viewconf(registry, edited)
    reference, own, difference = conf["views"]
    assert [view["uid"] for view in conf["views"]] == [
        "reference",
        f"edit-{edited.id}",
        f"difference-{edited.id}",
    ]
    assert [view["layout"]["x"] for view in conf["views"]] == [0, 4, 8]
    assert [orca(view)["role"] for view in conf["views"]] == ["reference", "edit", "difference"]

    # the tracks' URLs are those of the edit's tilesets, in its coordinates or in the reference's
    def opened(track: dict[str, Any]) -> str:
        data = track["data"]
        assert (data["filetype"], "tilesetUid" in track) == ("orca", False)
        return registry.open_url(data["url"], data["coordSystem"]).uid

    named = {track["uid"]: opened(track) for track in tracks(own) if "data" in track}
    assert named == {
        "labels-top": edited.tilesets["map"],
        "labels-left": edited.tilesets["map"],
        "insulation": edited.tilesets["insulation"],
        "compartments": edited.tilesets["compartments"],
        "edited-weight": edited.tilesets["map"],
    }
    named = {track["uid"]: opened(track) for track in tracks(difference) if "data" in track}
    frame = edited.tilesets["lifted"]
    assert named == {
        "labels-top": frame,
        "labels-left": frame,
        "difference": edited.tilesets["difference"],
        "insulation": edited.tilesets["insulation-difference"],
        "compartments": edited.tilesets["compartments-difference"],
    }

    rows = [[(t["uid"], t["height"]) for t in view["tracks"]["top"]] for view in conf["views"]]
    assert rows[0] == rows[1] == rows[2], "the maps of all views stand at one height"
    assert reference["tracks"]["whole"] == difference["tracks"]["whole"], "breakpoints in all views"

    marks = [
        (track["type"], track.get("x", track.get("y")))
        for track in tracks(own)
        if track["type"].endswith("rule")
    ]
    assert marks == [("vertical-rule", 2000), ("horizontal-rule", 2000)]
    marks = [
        (track["type"], track.get("x", track.get("y")))
        for track in tracks(difference)
        if track["type"].endswith("rule")
    ]
    assert marks == [
        (f"{way}-rule", at) for at in (2000, 2400) for way in ("vertical", "horizontal")
    ]

    assert orca(own)["shift"] == orca(difference)["shift"] == 0
    assert (
        reference["initialXDomain"]
        == own["initialXDomain"]
        == difference["initialXDomain"]
        == [0, 16_010]
    ), "cut to the genome"
    group = conf["locationLocks"]["locksDict"]["orca-place"]
    assert (
        set(group) - {"uid"}
        == set(conf["zoomLocks"]["locksByViewUid"])
        == {view["uid"] for view in conf["views"]}
    )
    values = conf["valueScaleLocks"]
    names = (
        "reference.predicted-weight",
        "reference.measured-weight",
        f"edit-{edited.id}.edited-weight",
    )
    scores = "reference.insulation", f"edit-{edited.id}.insulation"
    assert values["locksByViewUid"] == dict.fromkeys(names, "orca-values") | dict.fromkeys(
        scores, "orca-insulation"
    )
    assert {uid: set(group) - {"uid"} for uid, group in values["locksDict"].items()} == {
        "orca-values": {*names},
        "orca-insulation": {*scores},
    }
    json.dumps(conf, allow_nan=False)


@pytest.mark.parametrize(
    ("edit", "shift"),
    [
        ("b:3000-3400 del", 0),  # what lies before it is where it was
        ("a:100-500 del; b:3000-3400 del", 0),
        ("b:3000 ins ACGTACGT", 0),
        ("b:3000 ins b:1500-1900", 0),  # where the copy came from, nothing is changed
        ("b:3000 ins b:5000-5400", 0),
        ("b:3000 ins a:1500-1900", 0),
        ("a:2000-2400 inv", 0),
        ("b:3000(+)::a:4000(+)", None),
        ("new = a:1000-3000, b:2000-5000(-)", None),
        ("b = a:1000-9010", None),
        ("a::b", None),
    ],
)
def test_the_first_breakpoint_is_at_one_place_in_all_views(registry, edit, shift):
    edited = registry.edit([edit])
    conf = edit_viewconf(registry, edited)
    own = conf["views"][1]
    found = orca(own)["shift"]
    assert shift is None or found == shift
    assert [b - a for a, b in zip(conf["views"][0]["initialXDomain"], own["initialXDomain"])] == [
        found,
        found,
    ]
    assert conf["locationLocks"]["locksDict"]["orca-place"][own["uid"]] == [found, found, 1]
    json.dumps(conf, allow_nan=False)


@settings(deadline=None, max_examples=300)
@given(lengths=st.lists(st.integers(10, 10**9), min_size=1, max_size=5), data=st.data())
def test_shift_domain_and_marks_of_any_edit(lengths, data):
    """Whatever is cut where: the view is aligned at the first breakpoint, which is in view, and few
    lines are drawn.
    """
    sizes = {f"c{n}": length for n, length in enumerate(lengths)}
    contigs = {
        chrom: data.draw(st.integers(10, 10**9))
        for chrom in data.draw(st.permutations(sorted(sizes)))
    }
    names = st.sampled_from(sorted(sizes))
    within = st.integers(1, 9)
    breakpoints = data.draw(
        st.lists(st.builds(Breakpoint, names, within, names, within), max_size=50)
    )
    places = {
        chrom: sorted({b.reference for b in breakpoints if b.chrom == chrom})
        for chrom in sizes
        if any(b.chrom == chrom for b in breakpoints)
    }
    junctions = {chrom: [b.position for b in breakpoints if b.contig == chrom] for chrom in contigs}
    edited = SimpleNamespace(
        id="e",
        name="e",
        url="orca://m/g?edit=x",
        assembly="g.e",
        model="m",
        genome="g",
        contigs=contigs,
        junctions=junctions,
        places=places,
        breakpoints=breakpoints,
        tilesets={"map": "", "difference": "", "lifted": ""},
        cell_type="",
    )
    spec = SimpleNamespace(window=lambda resolution: 64 * resolution)
    served = SimpleNamespace(
        listed=list,
        models=lambda: [("m", "g")],
        observed_over_expected=None,
        open_url=lambda url: File(url, resolutions=(40,), sizes=sizes),
        served=SimpleNamespace(
            predicted=lambda address: SimpleNamespace(
                engine=SimpleNamespace(spec=spec), assignment=SimpleNamespace(resolutions=(40,))
            )
        ),
    )
    conf = edit_viewconf(served, edited)
    reference, own, difference = conf["views"]
    for view in conf["views"]:
        rules = [track for track in tracks(view) if track["type"].endswith("rule")]
        assert len(rules) <= 2 * MAX_MARKS
        assert all(track.get("x", track.get("y")) for track in rules), "HiGlass draws no rule at 0"
    start, end = reference["initialXDomain"]
    assert 0 <= start < end <= sum(lengths)
    assert difference["initialXDomain"] == [start, end]
    if breakpoints:
        first = breakpoints[0]
        at, there = (
            sum(list(of.values())[: list(of).index(chrom)]) + position
            for of, chrom, position in (
                (sizes, first.chrom, first.reference),
                (contigs, first.contig, first.position),
            )
        )
        assert start <= at <= end
        assert at + orca(own)["shift"] == there
        assert orca(own)["stops"][0] == [at, there]
    assert len(orca(own)["stops"]) == len(breakpoints)
