"""Help of every verb: options in groups, lines that fit a terminal, and examples that work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from orca_cool.cli import VERBS, main
from orca_cool.cli.help_groups import RUN_GROUP
from orca_cool.errors import OrcaCoolError
from orca_cool.prediction.job import Job

ROOT = Path(__file__).resolve().parents[2]
#: More options than these are in groups.
MANY = 8
WIDTH = 80


def commands() -> dict[str, click.Command]:
    """Every verb, and every command below one, by how it is called; the program itself by ""."""
    found: dict[str, click.Command] = {"": main}
    for name in VERBS:
        command = main.get_command(click.Context(main), name)
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {below}": c for below, c in command.commands.items()}
    return found


COMMANDS = commands()


def examples_of(command: click.Command) -> list[str]:
    groups = getattr(command, "groups", ())
    return [text for text in (command.example, *(g.example for g in groups)) if text]


EXAMPLES = list(dict.fromkeys(e for c in COMMANDS.values() for e in examples_of(c)))


def help_of(name: str) -> str:
    done = CliRunner().invoke(main, [*name.split(), "--help"], terminal_width=WIDTH)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of(name):
    command, text = COMMANDS[name], help_of(name)
    assert command.help
    assert max(map(len, text.splitlines())) <= WIDTH
    examples = examples_of(command)
    assert examples
    if name and not isinstance(command, click.Group):
        assert all(example.startswith(f"{name} ") for example in examples)
    shown = " ".join(text.replace("\\\n", " ").split())
    assert all(f"orca-cool {example}" in shown for example in examples)
    options = [p for p in command.params if isinstance(p, click.Option)]
    if len(options) <= MANY:
        return
    assert "Other options" not in text
    titles = [group.title for group in command.groups]
    assert len(titles) >= 3
    assert titles[-1] == RUN_GROUP.title
    listed = text[text.index(f"{titles[0]}:") :]
    named = re.findall(r"^  (?:-\w, )?(--[\w-]+)", listed, re.M)
    known = {next(o for o in p.opts if o.startswith("--")) for p in options}
    assert sorted(named) == sorted(known | {"--help"})
    every = {p.name for p in options} | {"help"}
    shared = {name for c in COMMANDS.values() for p in c.params if (name := p.name)} | {"help"}
    in_groups = {option for group in command.groups for option in group.options}
    assert every <= in_groups <= shared


def test_what_is_copied_is_what_is_meant():
    """The help of an example in two lines is one command line of the shell."""
    (example,) = examples_of(COMMANDS["attribute"])
    lines = re.findall(r"^  orca-cool (?:.*\\\n)*.*$", help_of("attribute"), re.M)
    assert len(lines) == 1
    assert lines[0].count("\n") == 2
    joined = lines[0].replace("\\\n", "")
    assert shlex.split(joined) == ["orca-cool", *shlex.split(example)]


#: What needs the released weights, a genome or a map of one's own, a network, or has no end: only
#: its options are looked at.
NOT_RUN = re.compile(r"^(models fetch|serve|train run)|h1esc|measured\.mcool")


#: What a job says here that has nothing to refuse, where it would load the model and compute.
REACHED = "nothing is wrong"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where examples are run: the package as in a clone, and the files of one's own they name."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "orca_cool").symlink_to(ROOT / "orca_cool")
    (folder / "ctcf.jaspar").write_text(
        ">MA0.1 CTCF\n" + "".join(f"{b} [ {'9 1 1 1 ' * 4}]\n" for b in "ACGT")
    )
    (folder / "windows").mkdir()
    arrays = {"chrom": "chrII", "start": 100_000, "end": 200_000}
    np.savez(folder / "windows" / "one.npz", values=np.zeros((50, 50), np.float32), **arrays)
    return folder


def prepared(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ORCA_COOL_HOME", str(folder / "home"))
    monkeypatch.setenv("MPLBACKEND", "Agg")


@pytest.mark.parametrize("example", EXAMPLES)
def test_options_of_an_example_are_known(example):
    """Names, types and what must be given, as click reads them."""
    words = shlex.split(example)
    depth = 2 if " ".join(words[:2]) in COMMANDS else 1
    command = COMMANDS[" ".join(words[:depth])]
    command.make_context(" ".join(words[:depth]), words[depth:])


def test_examples_work(folder, monkeypatch):
    """Each is run: what computes, up to where model and genome are loaded, but for the first
    prediction, whose file others read.
    """
    prepared(folder, monkeypatch)
    first = EXAMPLES[0]
    assert first.startswith("predict chrII:100,000-500,000 ")
    done = CliRunner().invoke(main, shlex.split(first))
    assert done.exit_code == 0, done.output

    def reached(self, *_, **__):
        raise OrcaCoolError(REACHED)

    monkeypatch.setattr(Job, "open", reached)
    computing = 0
    # what is exported is imported
    for example in sorted(EXAMPLES[1:], key=lambda text: not text.startswith("models export")):
        if NOT_RUN.search(example):
            continue
        words = shlex.split(example)
        if words[1:2] == ["add-path"] or words[1:2] == ["remove-path"]:
            words[-1] = str(folder)
        done = CliRunner().invoke(main, words)
        reaches = REACHED in done.output
        computing += reaches
        assert done.exit_code == 2 * reaches, (example, done.output, done.exception)
    assert computing >= 8


@pytest.mark.long
def test_examples_that_compute(folder, tmp_path, monkeypatch):
    """The same to their ends."""
    prepared(tmp_path, monkeypatch)
    for path in folder.iterdir():
        if path.name in ("orca_cool", "ctcf.jaspar", "windows"):
            (tmp_path / path.name).symlink_to(path)
    for example in EXAMPLES:
        if NOT_RUN.search(example) or example.startswith("models"):
            continue
        words = shlex.split(example)
        words += ["--force"] * (example.startswith("predict") and "chrII.mcool" in words)
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, (example, done.output, done.exception)
