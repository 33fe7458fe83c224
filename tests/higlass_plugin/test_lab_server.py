"""A server of a lab: several models and genomes, their list, and nginx before it."""

from __future__ import annotations

import http.cookiejar
import json
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec

from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server import connections, listen
from higlass_plugin.server.app import create_app
from higlass_plugin.server.http import client
from higlass_plugin.server.models import open_models
from higlass_plugin.server.options import ServeOptions
from higlass_plugin.server.serve import open_registry
from orca_cool.errors import GenomeError, OrcaCoolError
from orca_cool.model.bundle import save_bundle

API = "/api/v1"
NGINX = Path(__file__).parents[2] / "docs" / "nginx.conf"
TOKEN = "a-token-of-the-lab"
GENOMES = {"first": {"a": 14_810, "b": 9_007}, "second": {"x": 20_480, "y": 4_000, "z": 900}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models, each of a genome, and two genomes with a track of their own."""
    folder = tmp_path_factory.mktemp("lab")
    for name, sizes in GENOMES.items():
        spec = make_toy_spec(assemblies={name: sizes})
        save_bundle(folder / f"of-{name}", make_toy_model(spec), make_toy_expected(spec))
        chrom = next(iter(sizes))
        source = Drawn(sizes, (chrom, 1_000, 1_100))
        letters = {c: "".join("ACGTN"[k] for k in source.fetch(c, 0, n)) for c, n in sizes.items()}
        text = "".join(f">{c}\n{sequence}\n" for c, sequence in letters.items())
        (folder / f"{name}.fa").write_text(text)
        (folder / f"{name}.bed").write_text(f"{chrom}\t100\t900\tgene\t1\t+\n")
    return folder


def options(folder, **more):
    return ServeOptions(
        models=tuple(str(folder / f"of-{name}") for name in GENOMES),
        genomes=tuple(str(folder / f"{name}.fa") for name in GENOMES),
        device="cpu",
        **more,
    )


@pytest.fixture(scope="module")
def registry(folder, tmp_path_factory):
    with TilesetRegistry() as registry:
        files = tuple(folder / f"{name}.bed" for name in reversed(GENOMES))
        shared = tmp_path_factory.mktemp("shared")
        open_registry(registry, options(folder, files=files), lambda line: None, shared)
        yield registry


def tracks(viewconf):
    (view,) = viewconf["views"]
    return [track for place in view["tracks"].values() for track in place]


def uids(value):
    """All uids of tilesets in a viewconf."""
    if isinstance(value, list):
        return {uid for item in value for uid in uids(item)}
    if not isinstance(value, dict):
        return set()
    own = {value["tilesetUid"]} if isinstance(value.get("tilesetUid"), str) else set()
    return own.union(*(uids(item) for item in value.values()))


def test_models_each_with_its_genome(registry):
    page = create_app(registry).test_client()
    found = page.get(f"{API}/models/").get_json()["models"]
    assert [(m["model"], m["genome"], m["assembly"]) for m in found] == [
        (f"of-{name}", name, name) for name in GENOMES
    ]
    assert [(m["chromosomes"], m["length"]) for m in found] == [(2, 23_817), (3, 25_380)]
    listed = {t["uuid"]: t for t in page.get(f"{API}/tilesets/").get_json()["results"]}
    for name, model in zip(GENOMES, found):
        conf = page.get(f"{API}/viewconfs/?d={model['view']}").get_json()
        asked = {"d": "default", "model": f"of-{name}", "genome": name}
        assert conf == page.get(f"{API}/viewconfs/", query_string=asked).get_json()
        # the view shows its own model, and of the files that of its own genome
        shown = [listed[uid] for uid in uids(conf) if uid in listed]
        assert {t["coordSystem"] for t in shown} == {name}
        assert f"{name}.bed" in {t["name"] for t in shown}
        assert f"of-{name}, predicted" in {t["name"] for t in shown}
    assemblies = page.get(f"{API}/available-chrom-sizes/").get_json()["results"]
    assert {t["coordSystem"] for t in assemblies} == set(GENOMES)


def test_a_page_that_lists_the_models(registry):
    browser = create_app(registry, token=TOKEN).test_client()
    assert browser.get("/models").status_code == 401
    entered = browser.get(f"/models?token={TOKEN}")
    assert (entered.status_code, entered.headers["Location"]) == (303, "/models")
    page = browser.get("/models")  # with the cookie
    assert page.content_type.startswith("text/html")
    views = [model["view"] for model in browser.get(f"{API}/models/").get_json()["models"]]
    links = re.findall(r'<a href="([^"]*)">([^<]*)</a>: ([^<]*)</li>', page.text)
    assert links == [
        (f"./?view={views[0]}", "of-first on first", "first, 2 chromosomes, 23,817 bp"),
        (f"./?view={views[1]}", "of-second on second", "second, 3 chromosomes, 25,380 bp"),
    ]


def test_names_are_text_in_the_page(folder):
    with TilesetRegistry() as other:
        model = open_models(options(folder), lambda line: None)[0]
        other.add_model("<b>m</b>", model.bundle, "g&g", model.source, '"a"', device="cpu")
        page = create_app(other).test_client().get("/models").text
    assert "&lt;b&gt;m&lt;/b&gt; on g&amp;g</a>: &quot;a&quot;, 2 chromosomes" in page


def test_genomes_that_do_not_fit(folder, tmp_path):
    three = ServeOptions(models=("m",), genomes=("a", "b", "c"))
    with TilesetRegistry() as registry, pytest.raises(GenomeError, match="3 --genome for 1 --mod"):
        open_registry(registry, three, lambda line: None, tmp_path)
    lost = tmp_path / "lost.bed"
    lost.write_text("nowhere\t1\t2\n")
    with TilesetRegistry() as registry, pytest.raises(OrcaCoolError, match=r"lost\.bed"):
        open_registry(registry, options(folder, files=(lost,)), lambda line: None, tmp_path)


# ---- nginx


@pytest.fixture(scope="module")
def lab(registry, tmp_path_factory):
    """nginx as docs/nginx.conf has it, but for the ports, before a server with a token."""
    if shutil.which("nginx") is None:
        pytest.skip("no nginx here (apt-get install nginx)")
    folder = tmp_path_factory.mktemp("nginx")
    listening = listen.listen("127.0.0.1", 0)
    app = create_app(registry, token=TOKEN)
    clients = []
    app.before_request(lambda: clients.append(client()))
    server = connections.make_server(app, listening, 8)
    loop = {"timeout": 0.2, "map": server._map}
    thread = threading.Thread(target=server.asyncore.loop, kwargs=loop)
    thread.start()
    text = NGINX.read_text(encoding="utf-8")
    # a port must be told to nginx: of a socket that was just closed
    free = listen.listen("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()
    for old, new in (
        ("127.0.0.1:8989", f"127.0.0.1:{listening.getsockname()[1]}"),
        ("127.0.0.1:8080", f"127.0.0.1:{port}"),
        ("worker_processes 1;", f"worker_processes 1;\ndaemon off;\npid {folder}/pid;"),
        (
            "http {",
            "http {\naccess_log off;\n"
            + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in TEMPORARY),
        ),
    ):
        assert text.count(old) >= 1
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(text)
    command = ["nginx", "-p", str(folder), "-e", f"{folder}/errors", "-c", f"{folder}/nginx.conf"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = f"http://127.0.0.1:{port}/orca"
        direct = f"http://127.0.0.1:{listening.getsockname()[1]}"
        wait_until_it_answers(process, f"{address}/healthz")
        yield SimpleNamespace(address=address, direct=direct, clients=clients)
    finally:
        process.terminate()
        process.communicate(timeout=30)
        server.asyncore.close_all(server._map)
        server.task_dispatcher.shutdown()
        thread.join(10)


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def wait_until_it_answers(process, address):
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, process.stderr.read()
        try:
            urllib.request.urlopen(address, timeout=10).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_behind_nginx_with_a_prefix_and_a_token(lab):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{lab.address}/api/v1/models/", timeout=60)
    assert refused.value.code == 401
    cookies = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))

    def get(path, **headers):
        request = urllib.request.Request(f"{lab.address}/{path}", headers=headers)
        with opener.open(request, timeout=60) as answer:
            return answer.geturl(), answer.read().decode()

    # the page, after the redirection that sets the cookie, which is for the prefix alone
    address, page = get(f"?token={TOKEN}")
    assert address == f"{lab.address}/"
    assert "<script" in page
    assert [cookie.path for cookie in cookies] == ["/orca/"]
    address, page = get(f"models?token={TOKEN}")
    assert address == f"{lab.address}/models"
    view = re.search(r"view=([\w-]+)", page)[1]
    # its requests are its own page's, and where tiles are is below the prefix
    own = {"Origin": lab.address.removesuffix("/orca")}
    conf = json.loads(get(f"api/v1/viewconfs/?d={view}", **own)[1])
    servers = set(re.findall(r'"server": "([^"]*)"', json.dumps(conf)))
    assert servers == {"/orca/api/v1"}
    # another HiGlass is told the whole address
    elsewhere = {"Origin": "https://higlass.example", "Authorization": f"Bearer {TOKEN}"}
    conf = json.loads(get(f"api/v1/viewconfs/?d={view}", **elsewhere)[1])
    servers = set(re.findall(r'"server": "([^"]*)"', json.dumps(conf)))
    assert servers == {f"{lab.address}/api/v1"}
    # whose share a request is of: of the address that the proxy adds, whatever its client says
    lab.clients.clear()
    get("api/v1/status/", **{"X-Forwarded-For": "203.0.113.7"})
    told = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7", "Authorization": f"Bearer {TOKEN}"}
    request = urllib.request.Request(f"{lab.direct}/api/v1/status/", headers=told)
    urllib.request.urlopen(request, timeout=60).close()
    assert [address for address, _ in lab.clients] == ["127.0.0.1", "203.0.113.7"]


def test_what_a_proxy_may_say(registry):
    """A prefix that is no path is not taken, and from other machines none is."""
    app = create_app(registry, hosts=None)

    def servers(address, **headers):
        found = app.test_client().get(
            f"{API}/viewconfs/?d=default", headers=headers, environ_base={"REMOTE_ADDR": address}
        )
        return set(re.findall(r'"server": "([^"]*)"', found.text))

    prefix = {"X-Forwarded-Prefix": "/orca/"}
    assert servers("127.0.0.1", **prefix) == {"/orca/api/v1"}
    assert servers("203.0.113.7", **prefix) == {"/api/v1"}
    assert servers("127.0.0.1", **{"X-Forwarded-Prefix": "//evil.example"}) == {"/api/v1"}
    assert servers("127.0.0.1", **{"X-Forwarded-Prefix": "/a b"}) == {"/api/v1"}
    elsewhere = {"Origin": "http://localhost:8888", "X-Forwarded-Proto": "https"}
    assert servers("127.0.0.1", **elsewhere) == {"https://localhost/api/v1"}
