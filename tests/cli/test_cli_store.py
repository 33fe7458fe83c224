"""``orca-cool predict`` with a store of encodings, with the ends of windows as upstream has them,
and with approximations.
"""

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

from orca_cool.cli import main
from orca_cool.encodings.cache import BlockEncoder
from orca_cool.maps.coolfile import read_log_ratio
from orca_cool.model.bundle import save_bundle

SIZES = {"a": 9010, "b": 2100}


@pytest.fixture
def place(tmp_path):
    """A folder with models ``toy`` and ``other`` and genomes ``toy.fa`` and ``mutated.fa``."""
    random = np.random.default_rng(5)
    letters = {c: random.choice(list("ACGT"), n) for c, n in SIZES.items()}
    for name in ("toy", "mutated"):
        letters["a"][4000] = "A" if name == "toy" else "C"
        (tmp_path / f"{name}.fa").write_text(
            "".join(f">{c}\n{''.join(s)}\n" for c, s in letters.items())
        )
    for name, seed in {"toy": 1, "other": 2}.items():
        spec = make_toy_spec(name, assemblies={"toyAsm": SIZES})
        save_bundle(tmp_path / name, make_toy_model(spec, seed), make_toy_expected(spec))
    return tmp_path


def predict(place, output, *extra, model="toy", genome="toy.fa"):
    line = [
        "predict",
        "-q",
        "--device",
        "cpu",
        "-m",
        str(place / model),
        "-g",
        str(place / genome),
        "-o",
        str(place / output),
        *extra,
    ]
    return CliRunner().invoke(main, [*line, "--levels", "40,80,160"])


def done(result):
    assert result.exit_code == 0, result.output
    return result.output


def refused(result, *words):
    assert result.exit_code == 2, result.output
    message = result.output.strip().splitlines()[-1]
    assert message.startswith("Error: ")
    for word in words:
        assert word in message


def maps(place, output, chrom="a"):
    return read_log_ratio(f"{place / output}::resolutions/40", chrom)


def test_a_store_serves_later_predictions(place, monkeypatch):
    store = ["--store", str(place / "s.h5")]
    done(predict(place, "plain.mcool"))
    done(predict(place, "first.mcool", *store))
    with h5py.File(place / "s.h5") as file:
        assert file["encodings/a"].dtype == np.float16

    def never(*_, **__):
        raise AssertionError("encoded again")

    with monkeypatch.context() as patch:
        patch.setattr(BlockEncoder, "span", never)
        with pytest.raises(AssertionError, match="encoded again"):
            BlockEncoder.span(None)
        done(predict(place, "second.mcool", *store, "a"))
        # in phase and with real flanks, a zoom series is read from the store whole
        said = done(
            predict(place, "zoom.mcool", *store, "--at", "a:4,003", "--snap", "--edges", "real")
        )
    assert "snapped a:4,003 to a:4,000, by -3 bp" in said
    np.testing.assert_array_equal(maps(place, "first.mcool"), maps(place, "second.mcool"))
    difference = np.nanmax(np.abs(maps(place, "first.mcool") - maps(place, "plain.mcool")))
    assert 0 < difference < 0.02  # rounding to float16


def test_a_store_of_something_else_is_refused(place):
    store = ["--store", str(place / "s.h5")]
    done(predict(place, "x.mcool", *store))
    refused(predict(place, "y.mcool", *store, genome="mutated.fa"), "s.h5", "mutated")
    refused(predict(place, "y.mcool", *store, model="other"), "s.h5", "other")
    refused(predict(place, "y.mcool", "--store", str(place / "nowhere" / "s.h5")), "nowhere")
    (place / "text.h5").write_text("mine")
    refused(predict(place, "y.mcool", "--store", str(place / "text.h5")), "text.h5")
    assert (place / "text.h5").read_text() == "mine"
    assert not list(place.glob("y.*"))


def test_edges_are_those_asked_for(place):
    done(predict(place, "real.mcool", "a"))
    done(predict(place, "padded.mcool", "a", "--edges", "zero-padded"))
    assert np.nanmax(np.abs(maps(place, "real.mcool") - maps(place, "padded.mcool"))) > 1e-3
    refused(predict(place, "soft.mcool", "--edges", "real", "--dtype", "tf32"), "tf32", "cpu")


@pytest.mark.parametrize("where", [["a"], ["--at", "a:4,000"]])
def test_what_an_approximation_costs_is_said(place, where, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    said = done(predict(place, "x.mcool", "--dtype", "bfloat16", "--force-dtype", *where))
    for r in (160, 80, 40):
        assert f"bfloat16 decoders, {r} bp: r 0.99" in said
    assert "r 0." not in done(predict(place, "y.mcool", *where))


def test_encodings_of_another_number_type_lie_in_another_store(place, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    kind = ["--encoder-dtype", "bfloat16", "--force-dtype"]
    one, two = ["--store", str(place / "one.h5")], ["--store", str(place / "two.h5")]
    done(predict(place, "exact.mcool", "a", *one))
    said = done(predict(place, "rough.mcool", "a", *kind, *two))
    assert "bfloat16 encoder: r 0.99" in said
    assert np.nanmax(np.abs(maps(place, "exact.mcool") - maps(place, "rough.mcool"))) > 1e-4
    words = "computed in float32, not in bfloat16"
    refused(predict(place, "x.mcool", "a", *kind, *one), "one.h5", words)
    words = "computed in bfloat16, not in float32"
    refused(predict(place, "x.mcool", "a", *two), "two.h5", words, "--encoder-dtype bfloat16")
    said = done(predict(place, "again.mcool", "a", *kind, *two))
    assert "measured in an earlier run" in said
    np.testing.assert_array_equal(maps(place, "again.mcool"), maps(place, "rough.mcool"))


def test_an_unfinished_run_is_not_continued_with_other_numbers(place, monkeypatch):
    from orca_cool.prediction import run as work

    add, steps = work.Merger.add, []

    def broken(self, step, found):
        steps.append(step)
        if len(steps) > 1:
            raise KeyboardInterrupt
        return add(self, step, found)

    with monkeypatch.context() as patch:
        patch.setattr(work.Merger, "add", broken)
        assert predict(place, "x.mcool").exit_code != 0
    refused(predict(place, "x.mcool", "--edges", "zero-padded"), "edges", "'real'", "'zero-padded'")
    refused(
        predict(place, "x.mcool", "--store", str(place / "s.h5")),
        "encodings",
        "'float32'",
        "'float16'",
    )
    done(predict(place, "x.mcool"))
