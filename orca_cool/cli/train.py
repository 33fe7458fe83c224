"""``orca-cool train``."""

from __future__ import annotations

import logging
from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("config", type=click.Path(dir_okay=False))
@click.option(
    "-o",
    "--output",
    default=None,
    help="Folder of the run (default: runs/NAME): checkpoints, log, pictures, cache, the bundle.",
)
@click.option(
    "--resume", is_flag=True, help="Continue the run in the folder from its last checkpoint."
)
@click.option(
    "--devices",
    default=None,
    help="Devices of this machine: a number, or 'auto'. Under torchrun and SLURM the number of "
    "tasks.",
)
@click.option(
    "--nodes", type=click.IntRange(min=1), default=None, help="Machines, under SLURM or torchrun."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key, e.g. genome=/data/sacCer3.2bit, stages.0.steps=10.",
)
def train(
    config: str,
    output: str | None,
    resume: bool,
    devices: str | None,
    nodes: int | None,
    overrides: tuple[str, ...],
) -> None:
    """Train the model that CONFIG (YAML) describes, stage by stage, and write it as a bundle."""
    from orca_cool.train.config import load_config
    from orca_cool.train.run import train as run

    if logging.getLogger().level > logging.INFO:
        logging.getLogger("orca_cool").setLevel(logging.INFO)
    given = {"devices": devices, "nodes": nodes}
    settings = load_config(
        config, [*overrides, *(f"{k}={v}" for k, v in given.items() if v is not None)]
    )
    path = run(settings, Path(output) if output else Path("runs") / settings.name, resume)
    if path is not None:
        click.echo(f"model written to {path}")
