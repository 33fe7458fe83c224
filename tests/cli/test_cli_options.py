"""Options that verbs share: where they may stand, how lengths are written, and what is refused."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from orca_cool.cli import VERBS, main
from orca_cool.cli.options import Length, Verb, VerbGroup


def invoke(*arguments: object, **options):
    return CliRunner().invoke(main, [str(a) for a in arguments], **options)


def commands() -> list[tuple[str, click.Command]]:
    """Every verb, and every command below one."""
    found = []
    for name in VERBS:
        command = main.get_command(click.Context(main), name)
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {below}", c) for below, c in command.commands.items()]
    return found


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_one_name_one_meaning(name, command):
    """`-q` and `-v` everywhere; no two options of one name, no name that was given up."""
    assert isinstance(command, Verb | VerbGroup)
    names = [text for p in command.params for text in (*p.opts, *p.secondary_opts)]
    assert len(names) == len(set(names))
    assert {"-q", "--quiet", "-v", "--verbose"} <= set(names)
    former = {"--spread", "--frame", "--level", "--out", "--models", "--target", "--workers"}
    assert not former & set(names)
    if "--output" in names:
        assert "-o" in names
    if "--nproc" in names:
        assert "-p" in names
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, (name, parameter.opts)


def test_quiet_before_and_behind_a_verb(place, tmp_path):
    line = ["predict", "-m", place / "toy", "-g", place / "toy.fa", "--device", "cpu", "c"]
    loud = invoke(*line, "-o", tmp_path / "a.mcool")
    before = invoke("-q", *line, "-o", tmp_path / "b.mcool")
    behind = invoke(*line, "-q", "-o", tmp_path / "c.mcool")
    assert {loud.exit_code, before.exit_code, behind.exit_code} == {0}
    assert "window/s" in loud.stderr or "window" in loud.stderr
    assert "window" not in before.stderr
    assert "window" not in behind.stderr


@pytest.mark.parametrize(
    ("text", "bp"),
    [("100kb", 100_000), ("1Mb", 1_000_000), ("0.5M", 500_000), ("1,000", 1000), ("12", 12)],
)
def test_lengths(text, bp):
    assert Length().convert(text, None, None) == bp


@pytest.mark.parametrize("text", ["1.5", "ten", "-5", "1e6", ""])
def test_what_is_no_length(text):
    with pytest.raises(click.BadParameter, match=re.escape(repr(text))):
        Length().convert(text, None, None)


def test_a_length_has_a_least_value():
    with pytest.raises(click.BadParameter, match="'0' is less than 1 bp"):
        Length(1).convert("0", None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--snap"], "--snap moves the position of --at; give --at too"),
        (["--at", "a:4k", "--fill-distance", "5kb"], "leave out --fill-distance"),
        (["--at", "a:4k", "--trans", "a"], "leave out regions and --trans"),
        (["--copies", "first"], "--copies 'first' needs --lift-to-reference or --diff"),
        (["--reference", "x.mcool"], "--reference 'x.mcool' needs --diff"),
        (["--diff"], "--diff is about an edited genome"),
        (["--reencode"], "--reencode is about an edited genome"),
        (["--nproc", "2", "--dask", "local:2"], "give one of them"),
    ],
)
def test_options_that_would_do_nothing(place, tmp_path, arguments, message):
    line = ["predict", "-m", place / "toy", "-g", place / "toy.fa", "-o", tmp_path / "x.mcool"]
    result = invoke(*line, "--device", "cpu", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("screen insert --overwrite --insert", "--overwrite and --insert exclude each other"),
        ("expected x.cool -o e --no-monotone --monotone", "--monotone and --no-monotone exclude"),
    ],
)
def test_options_that_say_the_opposite(line, message):
    result = invoke(*line.split())
    assert result.exit_code == 2
    assert message in result.stderr
    last_wins = invoke(*line.replace(" --monotone", "").replace(" --insert", "").split())
    assert "exclude" not in last_wins.stderr


def test_options_of_a_prediction_where_a_file_is_drawn(tmp_path):
    for arguments, message in (
        (["--store", "x.h5"], "--store 'x.h5': nothing is predicted where 'p.mcool' is drawn"),
        (["--dtype", "float32"], "--dtype 'float32': nothing is predicted"),
    ):
        result = invoke("plot", "p.mcool", "-o", tmp_path / "x.png", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr
    result = invoke("evaluate", "p.mcool", "o.mcool", "--chrom", "a", "--device", "cpu")
    assert result.exit_code == 2
    assert "--device 'cpu': needs --model" in result.stderr


def test_an_output_that_exists_is_told_before_anything_is_opened(tmp_path):
    """Neither the model nor the genome is there: what is told first is what is looked at first."""
    (tmp_path / "x.mcool").touch()
    result = invoke("predict", "-m", "none", "-g", "none.fa", "-o", tmp_path / "x.mcool")
    assert result.exit_code == 2
    assert "x.mcool exists; use --force to replace it" in result.stderr


def test_one_edit_as_an_option(place, tmp_path):
    """`variants --edit` scores what a file with that line does."""
    edit = "a:4,000-4,600 del"
    (tmp_path / "v.txt").write_text(f"{edit}\n")
    shared = ["-m", place / "toy", "-g", place / "toy.fa", "--module", "S", "--device", "cpu", "-q"]
    one = invoke("variants", "--edit", edit, "-o", "-", *shared)
    two = invoke("variants", tmp_path / "v.txt", "-o", "-", *shared)
    assert one.exit_code == two.exit_code == 0, one.output + two.output
    # it says from which option or line a row came
    drop = one.stdout.splitlines()[0].split("\t").index("where")

    def rows(text: str) -> list[list[str]]:
        fields = [line.split("\t") for line in text.splitlines()]
        return [row[:drop] + row[drop + 1 :] for row in fields]

    assert rows(one.stdout) == rows(two.stdout)
    assert len(rows(one.stdout)) == 4
    nothing = invoke("variants", "-o", tmp_path / "t.tsv", *shared)
    assert nothing.exit_code == 2
    assert "give VARIANTS or --edit" in nothing.stderr


def test_a_configuration_to_begin_with(tmp_path):
    out = tmp_path / "c.yaml"
    result = invoke("train", "init", "yeast-metaphase", "-o", out)
    assert result.exit_code == 0, result.output
    assert "name: yeast-metaphase" in out.read_text()
    again = invoke("train", "init", "yeast-metaphase", "-o", out)
    assert again.exit_code == 2
    assert "exists" in again.stderr
    unknown = invoke("train", "init", "rat", "-o", tmp_path / "m.yaml")
    assert unknown.exit_code == 2
    assert (
        "there is no configuration 'rat'; there are: extrusion, extrusion-motifs-20"
        in unknown.stderr
    )
    short, whole = (invoke("train", *run, tmp_path / "absent.yaml") for run in ([], ["run"]))
    assert short.exit_code == whole.exit_code == 2
    assert short.stderr == whole.stderr
    assert "absent.yaml" in short.stderr
