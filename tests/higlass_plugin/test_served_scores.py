"""Scores of variants that the page asks for: the numbers of ``orca-cool variants``."""

from __future__ import annotations

import json
import math
import threading
import time

import pytest
from conftest import make_toy_expected, make_toy_model, make_toy_spec
from test_tilesets import SOURCE

from higlass_plugin.compute.plain_units import from_plain, to_plain
from higlass_plugin.compute.score_units import MAX_PLACES, ScorePlan, ScoreUnit
from higlass_plugin.compute.units import Preempted
from higlass_plugin.registry.address import Address
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.app import create_app
from orca_cool.effects.align import Reference
from orca_cool.effects.scores import SCORES
from orca_cool.effects.variant_rows import Scoring, iter_rows
from orca_cool.genome.source import codes_to_letters
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.engine import make_engine
from orca_cool.variants import of_changes, parse_edits, read_variants


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = make_toy_spec()
    folder = tmp_path_factory.mktemp("scores") / "toy"
    return load_bundle(save_bundle(folder, make_toy_model(spec), make_toy_expected(spec)))


@pytest.fixture
def registry(bundle):
    with TilesetRegistry() as registry:
        registry.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
        yield registry


def letter(chrom, position):
    """The base at a 1-based position."""
    return codes_to_letters(SOURCE.fetch(chrom, position - 1, position)).decode()


def others(base):
    return [x for x in "ACGT" if x != base]


def lines():
    """Two SNVs of one line, a deletion, an inversion, and one with a wrong base."""
    base = letter("a", 5_000)
    return [
        f"a\t5000\tpair\t{base}\t{','.join(others(base)[:2])}\t.\tPASS\t.",
        "a\t3001\tgone\tN\t<DEL>\t.\tPASS\tSVTYPE=DEL;END=4000",
        "b\t2001\tturned\tN\t<INV>\t.\tPASS\tSVTYPE=INV;END=2800",
        f"a\t5000\twrong\t{others(base)[2]}\t{base}\t.\tPASS\t.",
    ]


def ask(client, texts, status=200, **of):
    """The answers, once all are known."""
    for _ in range(600):
        answer = client.post("/api/v1/scores/", json={"vcf": texts, **of})
        assert answer.status_code == status, answer.get_data(as_text=True)
        found = answer.get_json()
        if status != 200 or all(one["state"] != "computing" for one in found["scores"]):
            return found
        time.sleep(0.05)
    raise AssertionError("the scores are not computed")


def test_the_scores_are_those_of_the_table(registry, bundle, tmp_path):
    texts = lines()
    path = tmp_path / "four.vcf"
    header = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    path.write_text(header + "\n".join(texts) + "\n")
    engine = make_engine(bundle, SOURCE, "cpu")
    module = engine.spec.modules[0]
    table = list(
        iter_rows(
            Reference(engine, module), read_variants(path, SOURCE), Scoring(module.resolutions)
        )
    )
    found = ask(create_app(registry).test_client(), texts)
    assert found["resolutions"] == list(module.resolutions)
    assert found["names"] == list(SCORES)
    variants = [variant for one in found["scores"] for variant in one["variants"]]
    assert [variant["name"] for variant in variants] == [one.rows[0]["name"] for one in table]
    compared = 0
    for variant, one in zip(variants, table, strict=True):
        assert variant["status"] == one.status
        scored = [row for row in one.rows if row["resolution"] is not None]
        assert len(variant["rows"]) == len(scored)
        for mine, row in zip(variant["rows"], scored):
            assert (mine["resolution"], mine["site"]) == (row["resolution"], row["site"])
            for name in SCORES:
                value = math.nan if mine[name] is None else mine[name]
                assert value == pytest.approx(row[name], rel=1e-5, abs=1e-9, nan_ok=True), name
                compared += math.isfinite(value) and value != 0
    assert compared > 30
    assert variants[-1]["status"].startswith("REF ")


def test_what_cannot_be_scored_is_told(registry):
    client = create_app(registry).test_client()
    base = letter("a", 5_000)
    found = ask(client, ["this is no VCF", f"z\t5\t.\t{base}\tA\t.\t.\t.", "x" * 30_000])
    assert [one["state"] for one in found["scores"]] == ["ready", "ready", "failed"]
    first = found["scores"][0]["variants"][0]
    assert (first["status"], first["rows"]) == ("it has 4 columns, the header has 8", [])
    assert "30,000 characters" in found["scores"][2]["error"]
    assert "'z'" in found["scores"][1]["variants"][0]["status"]
    assert found["scores"][1]["variants"][0]["rows"] == []
    told = client.post("/api/v1/scores/", json={"vcf": ["x"] * 33}).get_json()["error"]
    assert told == "'vcf' has 33 texts; 32 are scored for one request"
    told = client.post("/api/v1/scores/", json={"vcf": "x"}).get_json()["error"]
    assert told == "'vcf' is not a list of texts"
    assert "'other'" in ask(client, lines()[:1], 400, model="other")["error"]
    foreign = {"Origin": "https://elsewhere.example"}
    assert client.post("/api/v1/scores/", json={"vcf": []}, headers=foreign).status_code == 403


def test_a_variant_of_many_breakpoints_is_left_to_the_command_line(registry):
    predicted = registry.served.predicted(Address("toy", "drawn"))
    text = "; ".join(f"a:{1000 + 900 * k}-{1010 + 900 * k} del" for k in range(MAX_PLACES + 2))
    variant = of_changes(parse_edits(text, SOURCE), "edit 1")
    found = ScoreUnit(predicted, "")._scored(variant)
    assert found["rows"] == []
    assert found["status"] == (
        "it has breakpoints at 10 places, more than 8: `orca-cool variants` scores it"
    )


def test_tiles_of_the_same_client_go_first(registry):
    """And what is being encoded for a score makes way for them."""
    scheduler = registry.scheduler
    gate, begun = threading.Event(), threading.Event()
    compute = scheduler._compute

    def slow(*batch):
        begun.set()
        gate.wait(60)
        compute(*batch)

    scheduler._compute = slow
    me = ("here", "s")
    predicted = registry.served.predicted(Address("toy", "drawn"))
    plan = ScorePlan(ScoreUnit(predicted, lines()[0]))
    (job,) = scheduler.want([(plan, 0.0)], me)
    assert begun.wait(60)
    assert not registry.urgent.is_set()
    tileset = registry.open_url("orca://toy/drawn")
    tile = f"{tileset.uid}.{tileset.resolutions.index(40)}.0.0"
    registry.tiles([tile], wait=0, client=("elsewhere", "s"))
    assert not registry.urgent.is_set()  # another client's waits for its turn
    registry.tiles([tile], wait=0, client=me)
    assert registry.urgent.is_set()
    with pytest.raises(Preempted):
        plan.unit.compute([plan.unit], [None])
    assert scheduler._next_job(set()) is not job
    gate.set()
    assert job.done.wait(60)
    assert json.loads(str(scheduler.results.get(plan.key)))[0]["rows"]


def test_other_processes_understand_it(registry):
    predicted = registry.served.predicted(Address("toy", "drawn"))
    unit = ScoreUnit(predicted, lines()[1])
    plain = to_plain(unit)
    assert plain == ("scores", "orca://toy/drawn", lines()[1])
    assert from_plain(plain, lambda url: predicted) == unit
