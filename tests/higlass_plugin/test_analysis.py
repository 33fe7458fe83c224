"""What the page can ask of a view: its numbers as a file, how well two maps agree, and why."""

from __future__ import annotations

import base64
import io
import json
import threading
from urllib.parse import quote

import cooler
import numpy as np
import pandas as pd
import pytest
from conftest import make_toy_expected, make_toy_model, make_toy_spec
from test_tilesets import SIZES, SOURCE, predict

from higlass_plugin.compute.attribution_units import ATTRIBUTION
from higlass_plugin.registry.seen import MAX_BINS
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server import analysis
from higlass_plugin.server.app import create_app
from higlass_plugin.tiles import parse_tile_id
from orca_cool.genome.source import codes_to_letters
from orca_cool.maps.metrics import scc
from orca_cool.maps.open import open_map
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.engine import make_engine

EDIT = "a:1,013-2,401 del"
REGION, BIN = "a:1,200-9,630", 40
#: The bins that the region touches.
FIRST, LAST = 30, 241


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = make_toy_spec()
    folder = tmp_path_factory.mktemp("analysis") / "toy"
    return load_bundle(save_bundle(folder, make_toy_model(spec), make_toy_expected(spec)))


@pytest.fixture(scope="module")
def registry(bundle):
    with TilesetRegistry() as registry:
        registry.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
        yield registry


@pytest.fixture(scope="module")
def client(registry):
    return create_app(registry).test_client()


@pytest.fixture(scope="module")
def whole(bundle, tmp_path_factory):
    """The file that ``orca-cool predict`` writes of the same genome."""
    return predict(make_engine(bundle, SOURCE, "cpu"), tmp_path_factory.mktemp("whole") / "w.mcool")


def uid_of(registry, **query):
    text = "&".join(f"{key}={quote(value)}" for key, value in query.items())
    return registry.open_url("orca://toy/drawn" + (f"?{text}" if text else "")).uid


def get(client, path, status=200, **query):
    for _ in range(20):
        answer = client.get(f"/api/v1/{path}/", query_string=query)
        if answer.status_code != 503:
            break
    assert answer.status_code == status, answer.get_data(as_text=True)[:500]
    return answer


def download(client, uid, kind, region=REGION, resolution=BIN):
    answer = get(client, "download", d=uid, region=region, resolution=resolution, format=kind)
    name = answer.headers["Content-Disposition"].partition("filename=")[2]
    return name, answer.get_data()


def test_a_map_is_downloaded_as_it_is_predicted(client, registry, whole, tmp_path):
    uid = uid_of(registry)
    uri = f"{whole}::resolutions/{BIN}"
    place = ("a", FIRST * BIN, LAST * BIN)
    frequency = cooler.Cooler(uri).matrix(balance=True).fetch(place)
    ratio = open_map(whole).fetch("a:1,200-9,640", BIN).values
    assert np.isfinite(ratio).mean() > 0.3

    name, data = download(client, uid, "npz")
    assert name == f"a_{FIRST * BIN}_{LAST * BIN}_{BIN}.npz"
    arrays = np.load(io.BytesIO(data), allow_pickle=False)
    np.testing.assert_allclose(arrays["values"], ratio, atol=2e-5)
    np.testing.assert_array_equal(np.isfinite(arrays["values"]), np.isfinite(ratio))
    both = np.where(np.isfinite(ratio), frequency, np.nan)
    np.testing.assert_allclose(arrays["frequency"], both, rtol=1e-6)
    about = json.loads(str(arrays["metadata"]))
    assert about["assembly"] == "drawn"
    assert about["address"] == "orca://toy/drawn"
    assert "10.1038/s41588-022-01065-4" in about["cite"]

    name, data = download(client, uid, "cool")
    (tmp_path / name).write_bytes(data)
    clr = cooler.Cooler(str(tmp_path / name))
    assert dict(clr.chromsizes) == SIZES
    written = np.nan_to_num(both)  # a cooler has 0 where there is no pixel
    np.testing.assert_allclose(np.nan_to_num(clr.matrix(balance=True).fetch(place)), written, 1e-5)
    # and so the ratio, by its expected
    again = open_map(tmp_path / name).fetch("a:1,200-9,640", BIN).values
    np.testing.assert_allclose(again, ratio, atol=2e-5)

    name, data = download(client, uid, "mcool")
    (tmp_path / name).write_bytes(data)
    assert cooler.fileops.list_coolers(str(tmp_path / name)) == [f"/resolutions/{BIN}"]
    clr = cooler.Cooler(f"{tmp_path / name}::resolutions/{BIN}")
    np.testing.assert_allclose(np.nan_to_num(clr.matrix(balance=True).fetch(place)), written, 1e-5)

    _, data = download(client, uid, "tsv")
    assert data.startswith(b"# tileset: toy, predicted\n")
    table = pd.read_csv(io.BytesIO(data), sep="\t", comment="#")
    i, j = (table[c].to_numpy() // BIN - FIRST for c in ("start1", "start2"))
    filled = np.full(ratio.shape, np.nan)
    filled[i, j] = filled[j, i] = table.log_observed_over_expected
    np.testing.assert_allclose(filled, ratio, atol=2e-5, rtol=1e-5)


def test_other_maps_and_tracks_are_downloaded(client, registry, tmp_path):
    pyBigWig = pytest.importorskip("pyBigWig")
    difference = uid_of(registry, edit=EDIT, lift="reference", value="difference")
    arrays = np.load(io.BytesIO(download(client, difference, "npz")[1]))
    assert "frequency" not in arrays
    own, lifted = (
        np.load(io.BytesIO(download(client, uid, "npz")[1]))["frequency"]
        for uid in (uid_of(registry), uid_of(registry, edit=EDIT, lift="reference"))
    )
    np.testing.assert_allclose(arrays["values"], np.log(lifted / own), atol=1e-5)
    # of the edited genome in its own coordinates, on its own chromosomes
    name, data = download(client, uid_of(registry, edit=EDIT), "cool")
    (tmp_path / name).write_bytes(data)
    assert cooler.Cooler(str(tmp_path / name)).chromsizes["a"] == SIZES["a"] - 1_388

    track = uid_of(registry, track="insulation")
    values = np.load(io.BytesIO(download(client, track, "npz")[1]))["values"]
    assert values.shape == (LAST - FIRST,)
    assert np.isfinite(values).any()
    _, data = download(client, track, "bw")
    (tmp_path / "x.bw").write_bytes(data)
    with pyBigWig.open(str(tmp_path / "x.bw")) as file:
        assert file.chroms() == SIZES
        found = file.values("a", FIRST * BIN, LAST * BIN, numpy=True)[::BIN]
    np.testing.assert_allclose(found, values, rtol=1e-5)
    table = pd.read_csv(io.BytesIO(download(client, track, "tsv")[1]), sep="\t", comment="#")
    np.testing.assert_allclose(table.value, values[np.isfinite(values)], rtol=1e-5)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"d": "nothing"}, "there is no tileset 'nothing'"),
        ({"region": "z:1-2"}, "'z'"),
        ({"region": ""}, "region '' is empty"),
        ({"resolution": "41"}, "has no bins of 41 bp; it has: 40, 80, 160, 320, 640"),
        ({"resolution": "x"}, "resolution 'x' is no number"),
        ({"format": "xlsx"}, "format 'xlsx' of a map: there are npz, tsv, cool, mcool"),
    ],
)
def test_what_cannot_be_downloaded_is_told(client, registry, query, told):
    given = {"d": uid_of(registry), "region": REGION, "resolution": BIN, "format": "npz"} | query
    answer = client.get("/api/v1/download/", query_string=given)
    assert answer.status_code in (400, 404)
    assert told in answer.get_json()["error"]


def test_large_regions_other_pages_and_crowds_are_refused(client, registry, monkeypatch):
    given = {"d": uid_of(registry), "region": "a", "resolution": BIN}
    monkeypatch.setattr("higlass_plugin.registry.seen.MAX_BINS", 300)
    told = client.get("/api/v1/download/", query_string=given).get_json()["error"]
    assert told == "a:0-14,810 has 371 bins of 40 bp; at most 300 are given at once"
    assert MAX_BINS == 2048
    foreign = {"Origin": "https://elsewhere.example"}
    for path in ("download", "compare", "questions"):
        answer = client.get(f"/api/v1/{path}/", query_string=given, headers=foreign)
        assert answer.status_code == 403
    busy = analysis.Analysis(registry)
    monkeypatch.setattr(busy.places, "each", 0)
    with (
        create_app(registry).test_request_context("/api/v1/download/"),
        pytest.raises(Exception, match="such requests of this address"),
    ):
        busy.download()


def test_what_is_not_computed_yet_is_asked_for_again(bundle, monkeypatch):
    monkeypatch.setattr(analysis, "WAIT", 0.05)
    with TilesetRegistry() as registry:
        registry.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
        gate, compute = threading.Event(), registry.scheduler._compute

        def slow(*batch):
            gate.wait()
            compute(*batch)

        registry.scheduler._compute = slow
        client = create_app(registry).test_client()
        query = {"d": uid_of(registry), "region": "b:0-2,000", "resolution": 80}
        answer = client.get("/api/v1/download/", query_string=query)
        gate.set()
        assert answer.status_code == 503
        assert answer.get_json()["error"] == "1 of 1 tiles are not computed yet; ask again"
        monkeypatch.setattr(analysis, "WAIT", 30)
        assert client.get("/api/v1/download/", query_string=query).status_code == 200


def test_two_maps_are_compared(client, registry):
    one = uid_of(registry)
    other = uid_of(registry, edit=EDIT, lift="reference")
    a, b = (
        np.load(io.BytesIO(download(client, uid, "npz")[1]))["values"].astype(float)
        for uid in (one, other)
    )
    known = np.triu(np.isfinite(a) & np.isfinite(b), 2)
    assert known.sum() > 1000
    found = get(client, "compare", a=one, b=other, region=REGION, resolution=BIN).get_json()
    assert found["pixels"] == known.sum()
    assert found["r"] == pytest.approx(np.corrcoef(a[known], b[known])[0, 1], abs=1e-6)
    assert found["scc"] == pytest.approx(scc(a, b, 1, 2), abs=1e-9)
    same = get(client, "compare", a=one, b=one, region=REGION, resolution=BIN).get_json()
    assert same["r"] == pytest.approx(1)
    # where nothing is known in both there is no number
    gap = get(client, "compare", a=one, b=one, region="b:1,040-1,240", resolution=BIN).get_json()
    assert (gap["pixels"], gap["r"], gap["scc"]) == (0, None, None)
    track = uid_of(registry, track="insulation")
    told = get(client, "compare", 400, a=one, b=track, region=REGION, resolution=BIN).get_json()
    assert "are not two maps of the same bins" in told["error"]


def test_two_axes_that_look_at_two_places(client, registry):
    """Rows along y, columns along x; each pair of bins counts once."""
    uid, other = uid_of(registry), uid_of(registry, edit=EDIT, lift="reference")
    query = {"resolution": BIN, "region": "a:4,000-9,000", "rows": "a:2,000-6,000"}
    answer = get(client, "download", d=uid, format="npz", **query)
    name = answer.headers["Content-Disposition"].partition("filename=")[2]
    assert name == "a_4000_9000_x_a_2000_6000_40.npz"
    arrays = np.load(io.BytesIO(answer.get_data()))
    assert json.loads(str(arrays["metadata"]))["rows"] == "a:2,000-6,000"
    place = "a:2,000-9,000"
    whole = np.load(io.BytesIO(download(client, uid, "npz", place)[1]))
    for key in ("values", "frequency"):
        np.testing.assert_array_equal(arrays[key], whole[key][:100, 50:])

    # of what is seen on both sides of the diagonal (4,000 to 6,000 on both axes) each pair once
    seen = np.zeros(whole["values"].shape, bool)
    seen[:100, 50:] = True
    seen = np.triu(seen | seen.T)
    table = pd.read_csv(
        io.BytesIO(get(client, "download", d=uid, format="tsv", **query).get_data()),
        sep="\t",
        comment="#",
    )
    i, j = (table[c].to_numpy() // BIN - 50 for c in ("start1", "start2"))
    found = np.zeros(seen.shape, int)
    np.add.at(found, (i, j), 1)
    np.testing.assert_array_equal(found, seen & np.isfinite(whole["values"]))

    a = whole["values"].astype(float)
    b = np.load(io.BytesIO(download(client, other, "npz", place)[1]))["values"].astype(float)
    known = np.triu(seen & np.isfinite(a) & np.isfinite(b), 2)
    told = get(client, "compare", a=uid, b=other, **query).get_json()
    assert told["pixels"] == known.sum() > 1000
    assert told["r"] == pytest.approx(np.corrcoef(a[known], b[known])[0, 1], abs=1e-6)
    i, j = np.nonzero(known)
    flat = [values[i, j] - _means(values[i, j], j - i) for values in (a, b)]
    assert told["r_at_distance"] == pytest.approx(np.corrcoef(*flat)[0, 1], abs=1e-6)
    # several chromosomes at once are one sum of pairs
    both = [("region", "a:0-4,000"), ("region", "b:0-4,000")]
    every = get_pairs(client, [("a", uid), ("b", other), ("resolution", BIN), *both])
    each = [get_pairs(client, [("a", uid), ("b", other), ("resolution", BIN), one]) for one in both]
    assert every["pixels"] == sum(one["pixels"] for one in each)
    assert every["regions"] == [["a:0-4,000"] * 2, ["b:0-4,000"] * 2]

    (cool,) = [get(client, "download", d=uid, format="cool", **query).get_data()]
    assert cool[:4] == b"\x89HDF"
    trans = query | {"rows": "b:0-2,000"}
    told = get(client, "download", 400, d=uid, format="cool", **trans).get_json()["error"]
    assert "are two chromosomes; a .cool is written of one" in told
    told = get(client, "compare", 400, a=uid, b=other, **trans).get_json()["error"]
    assert "are two chromosomes; maps are compared within one" in told
    told = get(client, "download", 400, d=uid, format="npz", value="x", **query).get_json()["error"]
    assert "has no values 'x'; it has: logoe, none, weight" in told


def _means(values, distance):
    """(k,) the mean of the values of each one's distance."""
    means = np.zeros(distance.max() + 1)
    for d in np.unique(distance):
        means[d] = values[distance == d].mean()
    return means[distance]


def get_pairs(client, query):
    for _ in range(20):
        answer = client.get("/api/v1/compare/", query_string=query)
        if answer.status_code != 503:
            break
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def test_what_to_cite_names_the_model(client, bundle):
    found = get(client, "cite", model="toy").get_json()
    assert found["version"] in found["line"]
    assert f"model toy (digest {bundle.digest[:12]}) on genome drawn (drawn)" in found["line"]
    assert found["papers"][0]["doi"] == "10.1038/s41588-022-01065-4"
    told = get(client, "cite", 400, model="other").get_json()["error"]
    assert "model 'other' on genome" in told


def ask(client, uid, first, second, resolution=BIN, status=200):
    query = {"d": uid, "first": first, "second": second, "resolution": resolution}
    return get(client, "questions", status, **query).get_json()


@pytest.mark.parametrize("edited", [False, True])
def test_a_place_can_be_asked_why(client, registry, edited):
    uid = uid_of(registry, **({"edit": EDIT} if edited else {}))
    found = ask(client, uid, "a:4,805", "a:5,105")
    assert found["about"] == "a:4,805 and a:5,105, bins of 40 bp"
    assert found["without"] == ""
    first = [q["objective"].split()[0] for q in found["questions"]]
    assert first[0] == "pixel"
    assert {"pixel", "rect"} <= set(first)
    assert all(q["words"].endswith("?") for q in found["questions"])
    for question in found["questions"]:  # each is a track, with numbers
        answer = client.post("/api/v1/register_url/", json={"fileurl": question["url"]})
        track = registry[answer.get_json()["uid"]]
        assert isinstance(next(iter(track.plan_at(1, _first_tile(track)).units())), ATTRIBUTION)
        assert ("edit" in question["url"]) == edited
    # one place
    kinds = [q["objective"].split()[0] for q in ask(client, uid, "a:4,805", "a:4,845")["questions"]]
    assert not {"pixel", "dot"} & set(kinds)


def _first_tile(track):
    zoom = track.resolutions.index(1)
    return parse_tile_id(f"{track.uid}.{zoom}.{4_805 // 1024}")


def test_what_cannot_be_asked_is_told(client, registry):
    uid = uid_of(registry)
    apart = ask(client, uid, "a:4,805", "b:3,105")
    assert apart["questions"] == []
    assert "two chromosomes" in apart["without"]
    nowhere = ask(client, uid, "b:1,100", "b:1,110")  # in a gap
    assert nowhere["questions"] == [] or nowhere["without"] == ""
    told = ask(client, uid_of(registry, track="insulation"), "a:1", "a:2", status=400)["error"]
    assert "is not a predicted map" in told
    assert "has no bins of 41 bp" in ask(client, uid, "a:1", "a:2", 41, 400)["error"]
    assert "'a:99999'" in ask(client, uid, "a:99999", "a:2", status=400)["error"]


def test_a_change_is_asked_about_where_it_lies_in_the_edited_genome(client, registry):
    """The difference has the reference's coordinates, the attribution the edited genome's."""
    own = ask(client, uid_of(registry, edit=EDIT), "a:4,805", "a:5,105")
    assert own["reference"] == ["a:6193", "a:6493"]  # 1,388 bp are deleted before
    for value in ({"value": "difference"}, {}):
        uid = uid_of(registry, edit=EDIT, lift="reference", **value)
        found = ask(client, uid, "a:6,193", "a:6,493")
        assert [q["objective"] for q in found["questions"]] == (
            [q["objective"] for q in own["questions"]]
        )
        assert [q["url"] for q in found["questions"]] == [q["url"] for q in own["questions"]]
        assert found["reference"] == ["a:6193", "a:6493"]
        assert "in the edited genome a:4,805 and a:5,105" in found["about"]
        assert found["questions"][0]["name"] == "pixel a:6193 a:6493"
        compared = ["Why does the edit change" in q["words"] for q in found["questions"]]
        assert set(compared) == {bool(value)}
        assert ("two rows" in found["note"]) == bool(value)
    # of a deleted bin there is nothing to ask, and of one that is cut the rest is asked about
    uid = uid_of(registry, edit=EDIT, value="difference")
    gone = ask(client, uid, "a:1,500", "a:6,493")
    assert (gone["questions"], gone["reference"]) == ([], ["a:1500", "a:6493"])
    assert gone["without"].startswith("a:1,500 is deleted or replaced by the edit")
    cut = ask(client, uid, "a:1,014", "a:2,600")
    assert cut["questions"][0]["objective"] == "pixel a:1012 a:1212"


def test_a_place_of_inserted_sequence_is_not_in_the_reference(client, registry):
    uid = uid_of(
        registry, edit="a:5,000 ins ACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGT"
    )
    found = ask(client, uid, "a:5,010", "a:5,405")
    assert found["questions"]
    assert found["reference"] is None
    copied = uid_of(registry, edit="a:5,000-5,200 dup")
    both = [ask(client, copied, f"a:{at}", f"a:{at + 10}")["reference"] for at in (5_100, 5_300)]
    assert both == [["a:5100", "a:5110"], None]  # what leads to one copy is not asked of the other


def test_a_map_tells_how_far_apart_contacts_are_predicted(registry):
    """Beyond that there is nothing, and up to a bin before it there is something."""
    tileset = registry[uid_of(registry)]
    info, resolution = tileset.info(), tileset.native[-1]
    text = f"{tileset.uid}.{tileset.resolutions.index(resolution)}.0.0.logoe"
    tile = registry.tiles([text], wait=None)[text]
    values = np.frombuffer(base64.b64decode(tile["dense"]), "<f4").reshape(256, 256)
    bins = SIZES["a"] // resolution
    known = np.isfinite(values[:bins, :bins])
    apart = resolution * np.abs(np.subtract.outer(np.arange(bins), np.arange(bins)))
    reach = info["reach"]["a"]
    assert reach < SIZES["a"]
    assert not known[apart >= reach].any()
    assert known[(apart < reach) & (apart >= reach - 2 * resolution)].any()
    # contacts between chromosomes are told by the level that has them
    assert info["between"] in (None, resolution)
    lifted = registry[uid_of(registry, edit=EDIT, lift="reference")].info()
    assert (lifted["reach"], lifted["between"]) == (info["reach"], None)


def test_letters_are_those_of_the_genome(client, registry):
    def letters(uid, region, status=200):
        return get(client, "sequence", status, d=uid, region=region).get_json()

    uid = uid_of(registry)
    found = letters(uid, "a:900-1,100")
    whole = codes_to_letters(SOURCE.fetch("a", 0, SIZES["a"])).decode()
    assert found == {"region": "a:900-1,100", "letters": whole[900:1_100]}
    edited = uid_of(registry, edit=EDIT)
    assert letters(edited, "a:900-1,100")["letters"] == whole[900:1_013] + whole[2_401:2_488]
    lifted = uid_of(registry, edit=EDIT, lift="reference")
    assert letters(lifted, "a:900-1,100")["letters"] == whole[900:1_100]
    assert "letters of at most 10,000 bp" in letters(uid, "a", 400)["error"]
    assert "'z'" in letters(uid, "z:1-2", 400)["error"]
