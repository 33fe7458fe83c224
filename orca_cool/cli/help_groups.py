"""Options of a verb in groups, each with an example, in its help."""

from __future__ import annotations

import re
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
                write_example(group.example, formatter)
    if records:
        with formatter.section("Other options"):
            formatter.write_dl(list(records.values()))


def write_example(example: str, formatter: click.HelpFormatter) -> None:
    """Write a command line as it can be copied into a shell: what is too long for a line goes on in
    the next one, before an option where it can.
    """
    words = re.findall(r'(?:"[^"]*"|\S)+', f"orca-cool {example}")
    parts: list[str] = []
    for word in words:
        last = parts[-1] if parts else "-"
        if last.startswith("-") and " " not in last and not word.startswith("-") and parts:
            parts[-1] += f" {word}"  # an option and its value stay together
        else:
            parts.append(word)
    indent = formatter.current_indent
    room = formatter.width - indent - len(" \\")
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) <= room:
            lines[-1] += f" {part}"
        else:
            lines.append(f"  {part}")
    text = " \\\n".join(f"{'':>{indent}}{line}" for line in lines)
    formatter.write(f"{text}\n")


class WithExample(click.Command):
    """A command whose help ends with an example, if it has one that is in no group of options."""

    example = ""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, and what click writes at the end."""
        if self.example:
            with formatter.section("Example"):
                write_example(self.example, formatter)
        super().format_epilog(ctx, formatter)


#: What predicts, and where: of all verbs that run a model.
MODEL_GROUP = HelpGroup(
    "Model and genome",
    ("model", "models", "genome", "genomes", "cell_type", "chrom_names", "any_genome", "edges"),
)
MACHINE_GROUP = HelpGroup(
    "Device, processes, what is kept",
    (
        "device",
        "dtype",
        "encoder_dtype",
        "force_dtype",
        "store",
        "stores",
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
