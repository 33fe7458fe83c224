"""The track of an attribution has the numbers of ``oc.attribute.gradient``, and computes no more
than is looked at.
"""

from __future__ import annotations

import base64
import time

import numpy as np
import pytest
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from higlass_plugin.compute.attribution_units import (
    ATTRIBUTION,
    BASES,
    AttributionUnit,
    MutagenesisUnit,
)
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.app import create_app
from higlass_plugin.tiles import VECTOR_BINS, UnknownTileset
from higlass_plugin.tilesets.mutagenesis import MOST
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.source import codes_to_letters
from orca_cool.model.bundle import load_bundle, save_bundle

#: Chromosome b, of which the window of 2,560 bp is a part, does not begin at a multiple of a bin.
SIZES = {"a": 3_333, "b": 9_007}
#: Two blocks of the encoder (1,600 bp).
OBJECTIVE = "rect b:4,000-4,200 b:4,900-5,100"
EDIT = "b:4,401-4,410 del"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attribution-tiles")
    spec = make_toy_spec()
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    rng = np.random.default_rng(6)
    text = ""
    for name, length in SIZES.items():
        text += f">{name}\n" + "".join(rng.choice(list("ACGT"), length)) + "\n"
    (folder / "g.fa").write_text(text)
    return folder


@pytest.fixture(scope="module")
def predictor(folder):
    return oc.Predictor(
        str(folder / "toy"), str(folder / "g.fa"), any_genome=True, progress=False, device="cpu"
    )


def new_registry(folder, predictor, **limits):
    registry = TilesetRegistry(limits=Limits(**limits))
    registry.add_model(
        "toy", load_bundle(folder / "toy"), "g", predictor.genome.source, "g", device="cpu"
    )
    return registry


@pytest.fixture(scope="module")
def registry(folder, predictor):
    with new_registry(folder, predictor) as registry:
        yield registry


def url(objective=OBJECTIVE, more=""):
    return f"orca://toy/g?track=attribution&objective={objective}{more}".replace(" ", "%20")


def values_of(registry, tileset, zoom, x):
    text = f"{tileset.uid}.{zoom}.{x}"
    tile = registry.tiles([text], wait=None)[text]
    assert "error" not in tile, tile["error"]
    return np.frombuffer(base64.b64decode(tile["dense"]), "<f4")


def along(registry, tileset, resolution):
    """The values of all tiles of a level along the axis."""
    zoom = tileset.resolutions.index(resolution)
    tiles = range(tileset.axis.tiles(resolution, VECTOR_BINS))
    return np.concatenate([values_of(registry, tileset, zoom, x) for x in tiles])


def mutagenesis(registry, tileset, region, status=200):
    """What the server says of the bases of a region, when all of it is there."""
    client = create_app(registry, hosts=None).test_client()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = client.get(f"/api/v1/mutagenesis/?d={tileset.uid}&region={region}")
        assert answer.status_code == status, answer.get_data(as_text=True)
        found = answer.get_json()
        if status != 200 or found["ready"]:
            return found
        assert found["known"] <= len(found["changes"])
        time.sleep(0.02)
    raise AssertionError("the mutagenesis is never ready")


def blocks_computed(registry):
    return sum(isinstance(unit, AttributionUnit) for unit in registry.units._kept)


@pytest.mark.parametrize("edit", ["", EDIT])
def test_it_has_the_numbers_of_the_gradient(registry, predictor, edit):
    tileset = registry.open_url(url(more=f"&edit={edit}" if edit else ""))
    reach = tileset.asked.reach
    assert len(reach) == 2_560
    assert reach.start > 0
    asked = predictor.edit(edit) if edit else predictor
    wanted = oc.attribute.gradient(asked, str(reach), OBJECTIVE).projected
    scale = np.abs(wanted).max()
    assert scale > 1e-5
    before = SIZES["a"]
    assert tileset.axis.offsets["b"] == before
    at = np.arange(reach.start, reach.end)
    for resolution in (1, 16, tileset.native[-1]):
        found = along(registry, tileset, resolution)
        exact = np.full(len(found), np.nan)
        # bins begin anew with each chromosome
        bins = at // resolution + before // resolution
        exact[np.unique(bins)] = 0
        np.add.at(exact, bins, wanted if resolution == 1 else np.abs(wanted))
        np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-5 * scale)
    assert tileset.native[-1] == 128  # 20 bins; of 256 bp there would be 10


@pytest.mark.parametrize("edit", ["", EDIT])
def test_mutagenesis_has_the_numbers_of_ism(registry, predictor, edit):
    tileset = registry.open_url(url(more=f"&edit={edit}" if edit else ""))
    region = "b:4,395-4,411"
    found = mutagenesis(registry, tileset, region)
    asked = predictor.edit(edit) if edit else predictor
    wanted = oc.attribute.ism(asked, region, OBJECTIVE)
    scale = np.abs(wanted.scores).max()
    assert scale > 1e-6
    np.testing.assert_allclose(found["changes"], wanted.scores, rtol=1e-3, atol=1e-4 * scale)
    np.testing.assert_allclose(found["contributes"], wanted.projected, rtol=1e-3, atol=1e-4 * scale)
    assert (found["region"], found["known"]) == ("b:4,395-4,411", 16)
    # the base that is there changes nothing, and the others something
    letters = "".join("ACGT"[row.index(0.0)] for row in found["changes"])
    source = asked.genome.source if not edit else tileset.predicted.genome
    assert letters == codes_to_letters(source.fetch("b", 4_395, 4_411)).decode()


def test_mutagenesis_is_of_what_is_looked_at_and_of_nothing_twice(folder, predictor):
    with new_registry(folder, predictor) as registry:
        tileset = registry.open_url(url())
        mutagenesis(registry, tileset, "b:4,401-4,409")

        def computed():
            return sum(isinstance(unit, MutagenesisUnit) for unit in registry.units._kept)

        assert computed() == 9 // BASES + 1
        before = registry.scheduler.computed
        mutagenesis(registry, tileset, "b:4,403-4,409")
        assert registry.scheduler.computed == before
        # bases from which the objective is not predicted have no numbers, and are not computed
        start = tileset.asked.reach.start
        edge = mutagenesis(registry, tileset, f"b:{start - 4}-{start + 2}")
        assert edge["contributes"][:4] == [None] * 4
        assert None not in edge["contributes"][4:]
        assert edge["changes"][0] == [None] * 4
        far = mutagenesis(registry, tileset, "a:100-110")
        assert far["contributes"] == [None] * 10
        assert registry.scheduler.computed <= before + 2
        # it goes with its attribution
        registry._close_tilesets({tileset.uid})
        assert computed() == 0


def test_wrong_questions_of_mutagenesis_are_one_line_and_400(registry):
    tileset = registry.open_url(url())
    for where, message in (
        (f"b:4,000-{4_001 + MOST:,}", f"substitutions of at most {MOST} are predicted"),
        ("c:1-2", "'c'"),
        ("", "''"),
    ):
        assert message in mutagenesis(registry, tileset, where, 400)["error"]
    other = registry.listed()[0]
    assert "is no attribution" in mutagenesis(registry, other, "b:1-2", 400)["error"]


def test_a_close_view_computes_a_block_and_elsewhere_nothing(folder, predictor):
    with new_registry(folder, predictor) as registry:
        tileset = registry.open_url(url())
        zoom = tileset.resolutions.index(1)
        assert np.isnan(values_of(registry, tileset, zoom, 0)).all()
        assert registry.scheduler.computed == 0
        reach = tileset.asked.reach
        x = (SIZES["a"] + reach.start) // VECTOR_BINS
        assert np.isfinite(values_of(registry, tileset, zoom, x)).any()
        assert blocks_computed(registry) == 1
        assert registry.scheduler.computed == 2
        along(registry, tileset, tileset.native[-1])
        assert blocks_computed(registry) == 2
        assert registry.scheduler.computed == 3  # nothing twice


def test_the_level_is_that_of_the_address(registry, predictor):
    objective = "pixel b:4,000 b:4,300"
    fine, coarse = (registry.open_url(url(objective, f"&resolution={r}")) for r in (40, 160))
    assert fine.uid != coarse.uid
    assert coarse.asked.placed.resolution == 160
    found = along(registry, coarse, 1)
    reach = coarse.asked.reach
    wanted = oc.attribute.gradient(predictor, str(reach), objective, resolution=160).projected
    at = SIZES["a"] + np.arange(reach.start, reach.end)
    np.testing.assert_allclose(found[at], wanted, rtol=1e-3, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (url("loop b:1 b:2"), "'loop b:1 b:2' is not understood; it is one of: pixel"),
        (url("pixel b:1"), "write it as 'pixel POSITION POSITION'"),
        (url("pixel c:1 c:2"), "there is no chromosome 'c'"),
        (url("pixel b:1 b:9,000", "&resolution=160"), "is beyond the reach"),
        (url("pixel a:1 b:9,000"), "is between chromosomes, and a track of attribution is of one"),
        (url("row b:4,000"), "gradient is zero at the reference"),
        (url("profile z b:4,000 " + "x" * 600), "at most 500 are read"),
        (url("difference x y pixel b:1 b:2"), "cell type 'x'"),
        (url(more="&resolution=41"), "no level '41'"),
        ("orca://toy/g?track=attribution", "go together"),
        ("orca://toy/g?objective=row%20b:1", "go together"),
        ("orca://toy/g?track=insulation&resolution=40", "resolution is that of an objective"),
    ],
)
def test_wrong_objectives_are_one_line_and_400(registry, address, message):
    before = set(registry.tilesets)
    client = create_app(registry, hosts=None).test_client()
    answer = client.post("/api/v1/register_url/", json={"fileurl": address, "filetype": "orca"})
    assert answer.status_code == 400
    told = answer.get_json()["error"]
    assert message in told
    assert "\n" not in told
    assert set(registry.tilesets) == before


def test_a_tile_says_why_there_is_none(registry):
    tileset = registry.open_url(url("profile z b:4,000"))
    zoom = tileset.resolutions.index(tileset.native[-1])
    text = f"{tileset.uid}.{zoom}.0"
    tile = registry.tiles([text], wait=None)[text]
    assert "has no profile 'z'; it has: a, b" in tile["error"]


def test_there_are_no_more_than_the_limit(folder, predictor):
    def asked(k):
        return url(f"pixel b:4,000 b:{4_100 + k:,}")

    with new_registry(folder, predictor, attributions=2, guest_attributions=1) as registry:
        first, second = (registry.open_url(asked(k)) for k in range(2))
        along(registry, first, 64)
        registry[first.uid]
        for k in (10, 11):  # guests take the place of guests
            guests = registry.open_url(asked(k), guest=True)
        assert {first.uid, second.uid, guests.uid} <= set(registry.tilesets)
        with pytest.raises(OrcaCoolError):
            registry.open_url(url("loop"))
        registry.open_url(asked(2))  # second was not used since
        assert first.uid in registry.tilesets
        with pytest.raises(UnknownTileset, match="make that again"):
            registry[second.uid]
        registry.open_url(asked(3))
        assert first.uid not in registry.tilesets
        assert not [u for u in registry.units._kept if isinstance(u, ATTRIBUTION)]
        assert registry.open_url(asked(0)).uid == first.uid


def test_it_goes_with_its_edited_genome(folder, predictor):
    with new_registry(folder, predictor) as registry:
        tileset = registry.open_url(url(more=f"&edit={EDIT}"))
        along(registry, tileset, 64)
        assert [u for u in registry.units._kept if isinstance(u, ATTRIBUTION)]
        registry.drop(registry.edit([EDIT]).id)
        assert tileset.uid not in registry.tilesets
        assert len(registry.attributions) == 0
        assert not [u for u in registry.units._kept if isinstance(u, ATTRIBUTION)]


def test_an_edited_genome_keeps_no_list_of_what_is_closed(folder, predictor):
    with new_registry(folder, predictor, attributions=1) as registry:
        edit = registry.edit([EDIT]).id
        before = len(registry.edits.get(edit).tilesets)
        for k in range(3):
            registry.open_url(url(f"pixel b:4,000 b:{4_100 + k:,}", f"&edit={EDIT}"))
        assert len(registry.edits.get(edit).tilesets) == before + 1
