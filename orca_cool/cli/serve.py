"""``orca-cool serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from orca_cool.cli.genome_options import genome_options
from orca_cool.cli.help_groups import MACHINE_GROUP, MODEL_GROUP, RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    GENOME_HELP,
    MODEL_HELP,
    Verb,
    clr_weight_name_option,
    device_options,
    echo,
    say,
)
from orca_cool.cli.window_options import window_store_options
from orca_cool.errors import OrcaCoolError, missing_package

PATH = click.Path(path_type=Path)


#: In the help.
GROUPS = (
    MODEL_GROUP,
    HelpGroup(
        "What is shown beside it",
        ("files", "clr_weight_name"),
        "serve -m yeast-metaphase -g example --with orca_cool/data/maps/yeast.10kb.mcool",
    ),
    HelpGroup(
        "Address, and who may see it",
        ("host", "port", "token", "token_file", "origins", "no_browser"),
    ),
    HelpGroup(
        "How tiles are answered, and what is kept", ("wait", "blocking", "cache_bytes", "state")
    ),
    MACHINE_GROUP,
    RUN_GROUP,
)


@click.command(cls=Verb, groups=GROUPS)
@click.option(
    "--model", "-m", "models", required=True, multiple=True, help=f"{MODEL_HELP} Repeatable."
)
@click.option(
    "--genome",
    "-g",
    "genomes",
    required=True,
    multiple=True,
    help=f"{GENOME_HELP} One for all models, or one for each --model, in their order.",
)
@click.option(
    "--with",
    "files",
    multiple=True,
    metavar="FILE",
    type=PATH,
    help="Show a file beside it: .mcool, .cool, bigWig, .beddb, .mv5, BED, GTF or GFF3. "
    "Repeatable.",
)
@clr_weight_name_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; any but this machine's own needs a token.",
)
@click.option(
    "--port",
    default=8989,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0 finds a free one.",
)
@click.option(
    "--token",
    metavar="auto",
    help="Answer only to who knows a token: `auto` makes one up. One of your own is given in "
    "--token-file or the environment variable ORCA_COOL_TOKEN, since other users of the machine "
    "see options.",
)
@click.option("--token-file", type=PATH, help="Answer only to who knows the token in this file.")
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="A page that may list, edit and save: https://resgen.io, or *.",
)
@click.option(
    "--wait",
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    type=click.FloatRange(0, 30),
    help="How long answers to HiGlass pages other than our own, which do not ask again, wait for "
    "predicted tiles.",
)
@click.option(
    "--blocking",
    is_flag=True,
    help="Answer for a tile when it is computed, however long that takes: no page is left with a "
    "hole.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@device_options
@click.option(
    "--store",
    "stores",
    multiple=True,
    type=PATH,
    help="Encodings on disk (`orca-cool encode`), one for each --model.",
)
@window_store_options
@genome_options
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of edits and saved views [default: `serve` in the user's].",
)
@click.option(
    "--cache-bytes",
    default=1 << 30,
    show_default=True,
    type=click.IntRange(min=1 << 20),
    help="Memory for windows and tiles; each model has 768 MB for encodings besides, and the "
    "program itself takes about 0.5 GB.",
)
@click.option(
    "--nproc",
    "-p",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Processes that predict, which share the cores or take the GPUs in turn: as many people "
    "look at different places without waiting for each other. Each takes about as much memory as "
    "a server.",
)
def serve(no_browser: bool, **options: Any) -> None:
    """Show predicted maps in HiGlass, in a browser, computed as you look; beside them measured maps
    and tracks.

    The address that is printed can be given to any other HiGlass as its server, too. Ctrl-C ends
    it.
    """
    try:
        from higlass_plugin.server.options import ServeOptions
        from higlass_plugin.server.serve import serve as run
    except ImportError as error:
        raise OrcaCoolError(missing_package("`orca-cool serve`", error, "serve")) from error
    run(ServeOptions(browser=not no_browser, **options), echo, say)
