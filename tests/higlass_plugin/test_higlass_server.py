"""Our Django app in a higlass-server.

``tests/lab_server/answers.json`` has what higlass-server 1.14.8 has answered, without and with our
app. The stand-in of ``tests/lab_server`` must answer the same; and so must the release itself where
``scripts/higlass_server.sh`` has fetched it. That script records the answers anew with
``ORCA_COOL_RECORD=1``.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec

from higlass_plugin import clodius_tiles
from higlass_plugin.django_app.datafile import OrcaFile, with_predicted_infos
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tiles import TILE_BINS, VECTOR_BINS
from orca_cool.genome.open import open_genome
from orca_cool.model.bundle import load_bundle, save_bundle

LAB = Path(__file__).parents[1] / "lab_server"
ANSWERS = LAB / "answers.json"
#: The folder that scripts/higlass_server.sh has made.
RELEASE = os.environ.get("ORCA_COOL_HIGLASS_SERVER")

SIZES = {"a": 14_810, "b": 9_007, "c": 500, "d": 3_013}
EDIT = "a:1,013-2,401 del"
URLS = {"one": f"orca://toy/drawn?edit={quote(EDIT)}", "flat": "orca://toy/drawn?track=insulation"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    spec = make_toy_spec(assemblies={"drawn": SIZES})
    model = save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    source = Drawn(SIZES, ("b", 1_000, 1_415))
    genome = folder / "drawn.fa"
    genome.write_text(
        "".join(
            f">{c}\n{''.join('ACGTN'[code] for code in source.fetch(c, 0, n))}\n"
            for c, n in SIZES.items()
        )
    )
    yield SimpleNamespace(model=model, genome=genome)
    clodius_tiles.close()


def numbers(tile):
    assert tile["dtype"] == "float32"
    return np.frombuffer(base64.b64decode(tile["dense"]), "<f4")


def ask(files, folder: Path, *server: Path, shim: bool):
    """What a server answers, the modules of which lie in folders; it is run in another process."""
    folder.mkdir()
    pythonpath = [*map(str, server), str(Path(__file__).parents[2])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(pythonpath),
        "ORCA_COOL_SHIM": str(int(shim)),
        "ORCA_COOL_MODELS": json.dumps({"mine": str(files.model)}),
        "ORCA_COOL_GENOMES": json.dumps({"drawn": str(files.genome)}),
    }
    command = [sys.executable, str(LAB / "ask.py"), str(folder), quote(EDIT)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def summary(value):
    """Answers with what a tile has in place of its numbers, which other processors round
    otherwise.
    """
    if isinstance(value, list):
        return [summary(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: summary(item) for key, item in value.items()}
    if "dense" in out:
        tile = numbers(value)
        out["dense"] = f"{len(tile)} numbers, {np.isfinite(tile).sum()} finite"
        for key in ("min_value", "max_value"):
            out[key] = "NaN" if value[key] == "NaN" else type(value[key]).__name__
    return out


def check_tiles(found, files):
    """The tiles of an answer have the numbers of a registry of our own."""
    seen = 0
    with TilesetRegistry() as registry:
        genome = open_genome(files.genome)
        registry.add_model("toy", load_bundle(files.model), "drawn", genome, "drawn", device="cpu")
        for answer in found["answers"]:
            if answer["request"][1] != "tiles/" or answer.get("status") != 200:
                continue
            for text, tile in answer["answer"].items():
                uid, _, position = text.partition(".")
                if "error" in tile:
                    continue
                own = f"{registry.open_url(URLS[uid]).uid}.{position}"
                theirs = registry.tiles([own], wait=None)[own]
                np.testing.assert_allclose(
                    numbers(tile), numbers(theirs), rtol=1e-4, atol=1e-5
                )  # windows decoded in other batches
                seen += np.isfinite(numbers(tile)).sum()
    assert seen > 100_000


@pytest.mark.parametrize("shim", [False, True])
def test_a_server_answers_what_the_release_answered(files, tmp_path, shim):
    pytest.importorskip("django")
    pytest.importorskip("higlass")
    found = ask(files, tmp_path / "base", LAB / "stand_in", shim=shim)
    recorded = json.loads(ANSWERS.read_text(encoding="utf-8"))[
        "with our app" if shim else "without our app"
    ]
    assert summary(found["answers"]) == recorded["answers"]
    assert found["kept"] == recorded["kept"]
    if shim:
        check_tiles(found, files)


def test_the_release_itself(files, tmp_path):
    if RELEASE is None:
        pytest.skip("ORCA_COOL_HIGLASS_SERVER is not set: scripts/higlass_server.sh fetches one")
    folder = Path(RELEASE)
    server = folder / "packages", folder / "source"
    found = {
        name: ask(files, tmp_path / name, *server, shim=shim)
        for name, shim in (("without our app", False), ("with our app", True))
    }
    check_tiles(found["with our app"], files)
    answers: dict = {
        "server": (folder / "VERSION").read_text().strip(),
        "python": ".".join(map(str, sys.version_info[:2])),
        "django": found["with our app"]["django"],
    }
    for name, result in found.items():
        answers[name] = {"answers": summary(result["answers"]), "kept": result["kept"]}
    if os.environ.get("ORCA_COOL_RECORD"):
        ANSWERS.write_text(
            json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    recorded = json.loads(ANSWERS.read_text(encoding="utf-8"))
    for name in found:
        assert answers[name] == recorded[name]


def test_what_the_app_adds():
    """The answers with our app differ from those without it where they are of its filetype, and
    nowhere else.
    """
    recorded = json.loads(ANSWERS.read_text(encoding="utf-8"))
    without, ours = recorded["without our app"], recorded["with our app"]
    own = {"one", "flat", "bad"}
    changed = set()
    for before, after in zip(without["answers"], ours["answers"], strict=True):
        assert (before["request"], before.get("raised")) == (after["request"], after.get("raised"))
        _, path, query = before["request"]
        if path in ("tiles/", "tileset_info/") and before.get("status") == 200:
            assert before["answer"].keys() == after["answer"].keys()
            for key, was in before["answer"].items():
                uid = key.partition(".")[0]
                assert (uid in own) == (was != after["answer"][key])
                changed |= {(path, uid)} & {(path, u) for u in own}
        elif before != after:
            assert path == "chrom-sizes/"
            assert query["id"] in own
            changed.add((path, query["id"]))
    assert changed == {
        *(("tileset_info/", uid) for uid in own),
        *(("tiles/", uid) for uid in own),
        ("chrom-sizes/", "one"),
        ("chrom-sizes/", "bad"),
    }
    # tiles with errors would stay in Redis when their cause is gone
    assert "bad.4.0.0" in without["kept"]
    assert {"bad.4.0.0", "one.99.0.0"}.isdisjoint(ours["kept"])
    assert {"one.4.0.0", "one.4.0.1.logoe", "flat.4.0", "one.2.0.0"} <= {*ours["kept"]}


# ---- datafiles


@pytest.fixture
def datafile(files, tmp_path):
    path = tmp_path / "map.orca"
    path.write_text(f"orca://mine/drawn?edit={quote(EDIT)}\n")
    return OrcaFile(path, {"mine": str(files.model)}, {"drawn": str(files.genome)})


def answering(uid, **info):
    """A view of infos that has one."""
    response = SimpleNamespace(status_code=200, content=json.dumps({uid: info}).encode())
    return lambda request: response


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("orca://mine/%2Fetc%2Fpasswd", "'/etc/passwd' is not served here; known: drawn, example"),
        ("orca://%2Fetc/drawn", "'/etc' is not served here"),
        ("orca://mine/.%2Fdrawn", "'./drawn' is not served"),
        ("hello", "'hello' is not orca://MODEL/GENOME"),
        ("orca://mine/drawn?edit=a:1-99999999%20del", "'a:1-99999999' lies outside a"),
        (b"\xff\xfe", "'map.orca' cannot be read"),
        (None, "'map.orca' cannot be read: No such file"),
    ],
)
def test_a_datafile_that_cannot_be_used(datafile, text, message):
    """It is a message on tiles and in the info: an exception would take other tilesets' answers
    with it.
    """
    if text is None:
        datafile.path.unlink()
    else:
        datafile.path.write_bytes(text if isinstance(text, bytes) else text.encode())
    ((_, flat), (_, tile)) = datafile.tiles(["u.0.0", "u.0.0.0"])
    assert message in tile["error"]
    assert str(datafile.path) not in tile["error"]
    assert (len(numbers(flat)), len(numbers(tile))) == (VECTOR_BINS, TILE_BINS**2)
    view = answering("u", error="Unknown filetype orca", name="n")
    info = json.loads(with_predicted_infos(view, lambda _, uid: datafile)(None).content)["u"]
    assert message in info["error"]
    assert info["name"] == "n"


def test_releases_before_1_6(datafile):
    """They call the error of an unknown filetype a message."""
    view = answering("u", message="Unknown filetype orca", name="n", coordSystem="lab")
    view.csrf_exempt = True
    wrapped = with_predicted_infos(view, lambda _, uid: datafile)
    assert wrapped.csrf_exempt
    info = json.loads(wrapped(None).content)["u"]
    assert info["resolutions"] == [40, 80, 160, 320, 640]
    assert (info["name"], info["coordSystem"], info["coordSystem2"]) == ("n", "lab", "lab")
    assert "message" not in info


def test_a_project_that_is_no_higlass_server(tmp_path):
    pytest.importorskip("django")
    code = (
        "import django; from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['higlass_plugin.django_app'])\n"
        "from orca_cool.errors import OrcaCoolError\n"
        "try: django.setup()\n"
        "except OrcaCoolError as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'tilesets' cannot be imported" in run.stdout
