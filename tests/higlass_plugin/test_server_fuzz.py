"""Whatever is sent to the server: an answer that a front end can show, never a 5xx, never a page
that repeats what was sent.
"""

from __future__ import annotations

import json
import logging
from urllib.parse import quote, urlencode

import pytest
from conftest import Drawn, make_toy_expected, make_toy_model
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

pytest.importorskip("flask")
pytest.importorskip("clodius")

from higlass_plugin.files.open import open_file
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.app import create_app
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.registry import DATA

API = "/api/v1"
TOKEN = "a-token-of-mine"
#: What there is, and beside it what there is not.
CALLS = [
    *(
        ("GET", f"{API}/{name}/")
        for name in (
            "tiles",
            "tileset_info",
            "tilesets",
            "chrom-sizes",
            "suggest",
            "viewconfs",
            "edits",
            "status",
        )
    ),
    *(
        ("POST", f"{API}/{name}/")
        for name in ("tiles", "register_url", "viewconfs", "edits", "status")
    ),
    ("DELETE", f"{API}/edits/"),
    *(("GET", path) for path in ("/", "/healthz", "/metrics")),
]
PATHS = ["/static/page.js", "/static/", *(path for _, path in CALLS)]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]
#: Stands for a uid of a real tileset until there is one.
REAL = "REALUID"

anything = st.text(max_size=20) | st.sampled_from(
    ["", "default", REAL, "../../etc/passwd", "\x00", "\ud800", "-1", "9" * 400, "1e999", "NaN"]
)
tile_ids = st.builds(
    ".".join,
    st.lists(
        st.sampled_from(
            [
                REAL,
                "x",
                "0",
                "1",
                "3",
                "-1",
                "00",
                "99",
                str(2**63),
                "9" * 30,
                "weight",
                "none",
                "",
                " ",
                "é",
            ]
        ),
        max_size=6,
    ),
)
sizes = st.sampled_from(["a:1,000-2,000", "b:0-9000", "a:5", "c:1-2", "a:1-999999", "a", "a:-5-5"])
changes = st.builds(
    "{} {}".format,
    sizes,
    st.sampled_from(
        [
            "del",
            "inv",
            "dup",
            "dup x3",
            "dup x999999999",
            "ins ACGT",
            "A>G",
            "ins @/etc/passwd",
            "",
            "x",
        ]
    ),
)
urls = st.builds(
    "{}{}?{}={}".format,
    st.sampled_from(
        [
            "orca://toy/drawn",
            "orca://toy/none",
            "orca://",
            "file:///etc/passwd",
            "http://[",
            "orca://[/x",
            "orca://toy/drawn#x",
        ]
    ),
    st.just("") | st.sampled_from(["/", "/..", "\x00", "%00", "%zz"]),
    st.sampled_from(["edit", "vcf", "track", "profile", "frame", "lift", "value", "x"]),
    changes
    | st.sampled_from(["reference", "difference", "insulation", "profile", "map"])
    | anything,
)
vcf = st.builds(
    "\t".join,
    st.lists(
        st.sampled_from(
            ["a", "b", "c", "5", "0", "-1", "99999999", ".", "A", "ACGT", "<DEL>", "END=3000", "é"]
        ),
        max_size=9,
    ),
)
texts = anything | tile_ids | changes | urls | vcf
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
#: Bodies that look like what endpoints expect, with some parts wrong.
keys = st.sampled_from(
    [
        "tilesetUid",
        "tileIds",
        "options",
        "fileurl",
        "filetype",
        "coordSystem",
        "uid",
        "viewconf",
        "edit",
        "vcf",
        "model",
        "genome",
        "tiles",
    ]
)
objects = st.dictionaries(
    keys, texts | st.lists(tile_ids | changes, max_size=3) | json_values, max_size=5
)
right = st.one_of(
    st.builds(lambda ids: [{"tilesetUid": REAL, "tileIds": ids}], st.lists(tile_ids, max_size=4)),
    st.builds(lambda url: {"fileurl": url, "filetype": "orca"}, urls),
    st.builds(
        lambda edit, lines: {"edit": edit, "vcf": lines},
        changes | st.lists(changes, max_size=3),
        st.none() | vcf,
    ),
    st.builds(
        lambda uid, view: {"uid": uid, "viewconf": view},
        anything,
        st.dictionaries(anything, json_values, max_size=3),
    ),
    st.builds(lambda ids: {"tiles": ids}, st.lists(tile_ids, max_size=4)),
)
bodies = (
    st.none()
    | st.binary(max_size=50)
    | st.one_of(json_values, objects, st.lists(objects, max_size=3), right).map(json.dumps)
)
queries = st.dictionaries(
    st.sampled_from(
        ["d", "s", "id", "ac", "dt", "t", "limit", "offset", "type", "cum", "view", "token"]
    ),
    texts | st.lists(tile_ids, max_size=5),
    max_size=4,
)
headers = st.dictionaries(
    st.sampled_from(
        [
            "Origin",
            "Host",
            "Authorization",
            "Content-Type",
            "Cookie",
            "Access-Control-Request-Method",
            "X-Forwarded-Host",
            "Range",
        ]
    ),
    st.sampled_from(
        [
            "http://localhost",
            "null",
            "evil.example",
            "Bearer x",
            "Bearer",
            f"Bearer {TOKEN}",
            "\xe9",
            "a=b; c",
            "[",
            "http://[",
            "bytes=5-1",
        ]
    ),
    max_size=2,
) | st.just({})


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(clients without and with a token, uids of a map, a predicted map and a predicted track)."""
    folder = tmp_path_factory.mktemp("fuzz")
    model = make_toy_model()
    bundle = load_bundle(save_bundle(folder / "toy", model, make_toy_expected(model.spec)))
    with TilesetRegistry(folder / "state") as registry:
        registry.add(open_file(DATA / "maps" / "yeast.10kb.mcool", uid="measured"))
        registry.add_model(
            "toy",
            bundle,
            "drawn",
            Drawn({"a": 30_000, "b": 9_000}, ("a", 5000, 5300)),
            "toyAsm",
            device="cpu",
        )
        yield (
            [create_app(registry).test_client(), create_app(registry, token=TOKEN).test_client()],
            [tileset.uid for tileset in registry.listed()[:3]],
        )


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    st.one_of(
        st.sampled_from(CALLS),
        st.sampled_from(CALLS),
        st.tuples(
            st.sampled_from(METHODS),
            st.sampled_from(PATHS) | st.text(max_size=10).map(lambda text: f"{API}/{quote(text)}"),
        ),
    ),
    queries,
    bodies,
    headers,
    st.integers(0, 1),
    st.integers(0, 2),
)
@example(("GET", f"{API}/tiles/"), {"d": "\ud800"}, None, {}, 0, 0)
def test_every_request_has_an_answer(served, caplog, call, query, body, sent, which, uid):
    (method, path), (clients, uids) = call, served
    query = json.loads(json.dumps(query).replace(REAL, uids[uid]))
    sent = {"Authorization": f"Bearer {TOKEN}"} | sent if which else sent
    body = body.replace(REAL, uids[uid]) if isinstance(body, str) else body
    _check(clients[which], caplog, method, path, query, body, sent)


#: What each takes, with some parts wrong.
edit_bodies = st.builds(
    lambda edit, lines, more: {"edit": edit, "vcf": lines} | more,
    changes | st.lists(changes | texts, max_size=3),
    st.none() | vcf | anything,
    st.dictionaries(
        st.sampled_from(["model", "genome"]),
        st.sampled_from(["toy", "drawn", "none", "\ud800", ""]),
        max_size=2,
    ),
)
url_bodies = st.builds(
    lambda url, system: {"fileurl": url, "filetype": "orca", "coordSystem": system},
    urls,
    st.sampled_from([None, "toyAsm", "\ud800"]),
)
tile_bodies = st.builds(
    lambda uid, ids: [{"tilesetUid": uid, "tileIds": ids}],
    st.just(REAL) | texts,
    st.lists(tile_ids | texts, max_size=4),
)
status_bodies = st.builds(lambda ids: {"tiles": ids}, st.lists(tile_ids | texts, max_size=4))


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    st.one_of(
        st.tuples(st.just("edits"), edit_bodies),
        st.tuples(st.just("register_url"), url_bodies),
        st.tuples(st.just("tiles"), tile_bodies),
        st.tuples(st.just("status"), status_bodies),
    ),
    st.integers(0, 2),
)
def test_every_body_that_is_nearly_right_has_an_answer(served, caplog, call, uid):
    (path, body), (clients, uids) = call, served
    answer = _check(
        clients[0],
        caplog,
        "POST",
        f"{API}/{path}/",
        {},
        json.dumps(body).replace(REAL, uids[uid]),
        {},
    )
    if answer.status_code == 201:
        made = answer.get_json()
        for query in (
            f"{API}/viewconfs/?d={made['id']}",
            f"{API}/edits/?d={made['id']}",
            f"{API}/chrom-sizes/?id={made['tilesets']['map']}",
        ):
            assert clients[0].get(query).status_code == 200


def _check(client, caplog, method, path, query, body, sent):
    """Send it; what is true of every answer."""
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        answer = client.open(
            path,
            method=method,
            query_string=_encoded(query),
            data=body,
            headers=sent,
            buffered=True,
        )
    assert answer.status_code < 500, (answer.text, caplog.text)
    assert not [record for record in caplog.records if record.exc_info]
    event(f"{method} {path if (method, path) in CALLS else '...'} {answer.status_code}")
    if path.startswith("/api") and method != "HEAD":
        if answer.status_code >= 400:
            assert isinstance(answer.get_json()["error"], str)
        elif answer.status_code != 204 and not path.startswith(f"{API}/chrom-sizes"):
            json.loads(answer.data, parse_constant=pytest.fail)
    assert "html" not in (answer.content_type or "") or path == "/"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if path == f"{API}/tiles/" and method == "GET" and answer.status_code == 200:
        asked = query.get("d", [])
        asked = [asked] if isinstance(asked, str) else asked
        assert set(answer.get_json()) == {_seen(text) for text in asked}
        for tile in answer.get_json().values():
            assert isinstance(tile["dense"], str)
            assert tile["dtype"] in ("float16", "float32")
    return answer


def _encoded(query):
    """As bytes on the line: a lone surrogate is no UTF-8."""
    return urlencode(query, doseq=True, errors="surrogatepass")


def _seen(text):
    """What a server reads of it: Werkzeug keeps bytes that are no UTF-8 quoted."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "werkzeug.url_quote")
