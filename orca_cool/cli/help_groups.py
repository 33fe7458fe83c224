"""Options of a verb in groups, each with an example, in its help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click


@dataclass(frozen=True)
class HelpGroup:
    """Options that belong together.

    Attributes
    ----------
    title : as the help has it. options : names of parameters, as Python has them.
    example : a command line that uses some of them, without the program's name.
    """

    title: str
    options: tuple[str, ...]
    example: str = ""


def write_groups(
    command: click.Command,
    groups: Sequence[HelpGroup],
    ctx: click.Context,
    formatter: click.HelpFormatter,
) -> None:
    """Write the options of a command, those of no group last."""
    records = {}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None and isinstance(parameter, click.Option):
            name = "help" if "--help" in parameter.opts else parameter.name  # click's has its own
            records[name or ""] = record
    for group in groups:
        some = [records.pop(name) for name in group.options if name in records]
        if not some:
            continue
        with formatter.section(group.title):
            formatter.write_dl(some)
            if group.example:
                formatter.write_paragraph()
                # on one line, to be copied, however wide the window is
                formatter.write(f"{'':>{formatter.current_indent}}orca-cool {group.example}\n")
    if records:
        with formatter.section("Other options"):
            formatter.write_dl(list(records.values()))


#: What predicts, and where: of all verbs that run a model.
MODEL_GROUP = HelpGroup(
    "Model and genome", ("model", "genome", "cell_type", "chrom_names", "any_genome", "edges")
)
MACHINE_GROUP = HelpGroup(
    "Device, processes, what is kept",
    (
        "device",
        "dtype",
        "encoder_dtype",
        "force_dtype",
        "store",
        "window_store",
        "window_store_dtype",
        "window_store_size",
        "nproc",
        "dask",
    ),
)
RUN_GROUP = HelpGroup(
    "The run", ("dry_run", "as_json", "profile", "force", "quiet", "verbose", "help")
)
