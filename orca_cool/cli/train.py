"""``orca-cool train``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click

from orca_cool.cli.help_groups import RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    VerbGroup,
    dry_run_option,
    echo,
    force_option,
    json_option,
    output_option,
    refuse_given,
    say_estimate,
)


class _RunByDefault(VerbGroup):
    """``train CONFIG`` is short for ``train run CONFIG``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``run`` before what is neither a command nor an option of the group."""
        own = {name for p in self.get_params(ctx) for name in p.opts}
        first = next((a for a in args if a not in own), None)
        if first is not None and first not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RunByDefault, example="train run mine.yaml -o run")
def train() -> None:
    """Train a model on an .mcool and a genome: `train init NAME` writes a configuration to begin
    with, `train run CONFIG` (or `train CONFIG`) trains.
    """


@train.command(example="train init yeast-metaphase -o mine.yaml")
@click.argument("name")
@output_option("The configuration (.yaml) to write.")
@force_option
def init(name: str, output: str, force: bool) -> None:
    """Write the configuration NAME that comes with the package, to be edited; `?` lists them."""
    from orca_cool.train.configs import write_config

    echo(write_config(name, Path(output), force=force))


def _remains(params: dict[str, Any]) -> str:
    """What a run that was stopped has left."""
    from orca_cool.train import checkpoint

    output = params["output"]
    # without -o the folder is named in the configuration, which may be what was being read
    last = None if output is None else checkpoint.newest(Path(output) / "checkpoints")
    if output is not None and last is None:
        return "there is no checkpoint yet: repeat the command to begin again"
    kept = "its checkpoints are kept" if last is None else f"the last checkpoint is {str(last)!r}"
    return f"{kept}: repeat the command with --resume to go on"


#: In the help.
GROUPS = (
    HelpGroup(
        "The run's folder, and keys of the configuration",
        ("output", "resume", "overrides"),
        "train run mine.yaml --set stages.0.steps=100 -o run",
    ),
    HelpGroup("Devices", ("devices", "nodes")),
    RUN_GROUP,
)


@train.command(
    remains=_remains,
    groups=GROUPS,
    epilog="All that a run writes is in its folder: checkpoints, log.csv, pictures, tensorboard, "
    "cache (tiles of the maps), and at the end model. A run that is stopped goes on with --resume.",
)
@click.argument("config", type=click.Path(dir_okay=False))
@output_option(
    "Folder of the run: checkpoints, log, pictures, cache, the bundle [default: runs/NAME].",
    required=False,
)
@click.option(
    "--resume", is_flag=True, help="Continue the run in the folder from its last checkpoint."
)
@click.option(
    "--devices",
    help="Devices of this machine: a number, or 'auto'. Under torchrun and SLURM the number of "
    "tasks.",
)
@click.option("--nodes", type=click.IntRange(min=1), help="Machines, under SLURM or torchrun.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key, e.g. genome=/data/sacCer3.2bit, stages.0.steps=10.",
)
@dry_run_option
@json_option
def run(
    config: str,
    output: str | None,
    resume: bool,
    devices: str | None,
    nodes: int | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train the model that CONFIG describes, stage by stage, and write it as a bundle. CONFIG is a
    YAML file, or the name of one that comes with the package, whose paths are then relative to
    where you are (or given by --set).

    While it runs, .lock in the folder says who trains there; the checkpoints stay.
    """
    from orca_cool.train.config import load_config
    from orca_cool.train.run import train as train_model

    if logging.getLogger().level > logging.INFO:
        logging.getLogger("orca_cool").setLevel(logging.INFO)
    given = {"devices": devices, "nodes": nodes}
    settings = load_config(
        config, [*overrides, *(f"{k}={v}" for k, v in given.items() if v is not None)]
    )
    folder = Path(output) if output else Path("runs") / settings.name
    if dry_run:
        from orca_cool.train.estimate import estimate_training

        say_estimate(estimate_training(settings, folder), as_json)
        return
    refuse_given(["as_json"], "is about --dry-run")
    path = train_model(settings, folder, resume)
    if path is not None:
        echo(f"model written to {path}")
