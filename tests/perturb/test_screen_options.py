"""What the options of all screens mean, wherever they are given."""

from __future__ import annotations

import hashlib
import io
import sys

import pytest
from click.testing import CliRunner

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.errors import ModelError
from orca_cool.perturb.screen_options import digest_of


def test_standard_input_has_the_digest_of_its_bytes(monkeypatch, tmp_path):
    text = b"chr1\t10\t20\n"
    (tmp_path / "sites.bed").write_bytes(text)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    wanted = hashlib.sha256(text).hexdigest()
    assert digest_of(str(tmp_path / "sites.bed")) == wanted
    assert [digest_of("-"), digest_of("-")] == [wanted, wanted]
    assert digest_of(None) is None


@pytest.mark.parametrize(
    ("models", "message"), [({}, "needs a model"), ({"model": ()}, r"\(\) holds none")]
)
def test_an_insertion_screen_needs_a_model(models, message):
    with pytest.raises(ModelError, match=message):
        oc.screen.insert("sources.bed", "sites.bed", genome="example", **models)


def test_a_threshold_of_hits_that_are_given_would_do_nothing(tmp_path):
    bed = tmp_path / "hits.bed"
    bed.write_text("chrII\t238300\t238310\tCDEIII\n")
    line = f"screen motifs --motifs {bed} --threshold 0.001 -m yeast-metaphase -g example -o"
    result = CliRunner().invoke(main, [*line.split(), str(tmp_path / "out")])
    assert result.exit_code == 2, result.output
    assert result.stderr == f"Error: --threshold '0.001': '{bed}' holds no matrices, but hits\n"
