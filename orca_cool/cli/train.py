"""``orca-cool train``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(dir_okay=False))
@click.option("-o", "--output", default=None, help="Folder of the run (default: runs/NAME): checkpoint, log, cached targets, the bundle.")
@click.option("--resume", is_flag=True, help="Continue the run in the folder from its last checkpoint.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, e.g. genome=/data/sacCer3.2bit, stages.0.steps=10."
)
def train(config: str, output: str | None, resume: bool, overrides: tuple[str, ...]) -> None:
    """Train the model that CONFIG (YAML) describes, and write it as a bundle."""
    import logging

    from orca_cool.train.config import load_config
    from orca_cool.train.run import describe
    from orca_cool.train.run import train as run
    from orca_cool.weights import save_bundle

    if logging.getLogger().level > logging.INFO:
        logging.getLogger("orca_cool").setLevel(logging.INFO)
    settings = load_config(config, overrides)
    folder = Path(output) if output else Path("runs") / settings.name
    model, background = run(settings, folder, resume)
    facts = describe(settings)
    if not model.spec.training_data:
        text = f"stages {facts['stages']}; test {', '.join(facts['test'])} never read; validation {', '.join(facts['validation'])}"
        model.spec = dataclasses.replace(model.spec, training_data=text)
    path = save_bundle(folder / "model", model, {background.resolution: background}, force=True)
    click.echo(f"model written to {path}")
