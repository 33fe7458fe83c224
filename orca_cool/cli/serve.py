"""``orca-cool serve``."""

from __future__ import annotations

import ipaddress
import re
import secrets
import signal
import socket
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_cool.cli.common import assembly_of
from orca_cool.errors import ModelError, OrcaCoolError
from orca_cool.genome.open import open_genome
from orca_cool.genome.source import SequenceSource
from orca_cool.model.bundle import load_bundle
from orca_cool.model.registry import home, resolve
from orca_cool.prediction.device import resolve_device
from orca_cool.prediction.orca_engine import DTYPES

if TYPE_CHECKING:
    from higlass_plugin.registry.tilesets import TilesetRegistry

#: Threads that answer requests: many of them wait for predictions, those of a blocking server for
#: minutes.
THREADS, BLOCKING_THREADS = 64, 256


class ServeError(OrcaCoolError):
    """An address or token that cannot be served with."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--model",
    "-m",
    "models",
    required=True,
    multiple=True,
    help="A model's name or folder, as in `predict`. Repeatable.",
)
@click.option(
    "--genome",
    "-g",
    required=True,
    help="FASTA (plain or bgzip), .2bit, or the name of a shipped genome (`example`).",
)
@click.option(
    "--with",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Show a file beside it: .mcool, .cool, bigWig, .beddb, .mv5, BED, GTF or GFF3. "
    "Repeatable.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; any but this machine's own needs --token.",
)
@click.option(
    "--port",
    default=8989,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0 finds a free one.",
)
@click.option("--token", help="Answer only to who knows it; `auto` makes one up.")
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="A page that may list, edit and save: https://resgen.io, or *.",
)
@click.option(
    "--blocking",
    is_flag=True,
    help="Answer for a tile when it is computed, for HiGlass pages other than our own.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--dtype",
    default="float32",
    show_default=True,
    type=click.Choice(DTYPES),
    help="Of the decoders, as in `predict`.",
)
@click.option(
    "--store",
    "stores",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Encodings on disk (`orca-cool encode`), one for each --model.",
)
@click.option(
    "--chrom-names", help="add-chr, strip-chr or a two-column TSV: rename the genome's chromosomes."
)
@click.option(
    "--any-genome",
    is_flag=True,
    help="Accept a genome or files of another assembly than the model's.",
)
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
    help="Memory for windows and tiles.",
)
def serve(
    models: tuple[str, ...],
    genome: str,
    files: tuple[Path, ...],
    host: str,
    port: int,
    token: str | None,
    origins: tuple[str, ...],
    blocking: bool,
    no_browser: bool,
    device: str,
    dtype: str,
    stores: tuple[Path, ...],
    chrom_names: str | None,
    any_genome: bool,
    state: Path | None,
    cache_bytes: int,
) -> None:
    """Show predicted maps in HiGlass, in a browser, computed as you look; beside them measured maps
    and tracks.

    The address that is printed can be given to any other HiGlass as its server, too. Ctrl-C ends
    it.
    """
    token = _checked_token(token, host)
    if stores and len(stores) != len(models):
        raise ModelError(
            f"{len(stores)} --store for {len(models)} --model; give one for each, in their order"
        )
    try:
        from higlass_plugin.registry.tilesets import Limits, TilesetRegistry
        from higlass_plugin.server.access import LOOPBACK
        from higlass_plugin.server.app import create_app
        from higlass_plugin.server.listen import run
    except ImportError as error:
        raise OrcaCoolError(
            f"{error.name!r} is not installed; install what `serve` needs: pip install "
            f"'orca-cool[serve]'"
        ) from error

    listening = _listen(host, port)
    with (
        listening,
        TilesetRegistry(state or home() / "serve", Limits(cache_bytes=cache_bytes)) as registry,
    ):
        source = _open(
            registry,
            models,
            genome,
            files,
            stores,
            chrom_names,
            any_genome,
            {"device": device, "dtype": dtype},
        )
        app = create_app(
            registry, token=token, blocking=blocking, allow_origins=origins, hosts={*LOOPBACK, host}
        )
        address = _address(host, listening.getsockname()[1])
        click.echo(
            f"{', '.join(models)} on {source.name}: {address}{f'?token={token}' if token else ''}"
        )
        click.echo(f"as a server for any HiGlass: {address}api/v1 (Ctrl-C ends it)")
        if not no_browser:
            # some browsers do not return until they are closed
            threading.Thread(
                target=webbrowser.open,
                args=[f"{address}{f'?token={token}' if token else ''}"],
                daemon=True,
            ).start()
        signal.signal(
            signal.SIGTERM, _stop
        )  # as Ctrl-C, which a process in the background does not get
        run(app, listening, BLOCKING_THREADS if blocking else THREADS)
    click.echo("stopped", err=True)


def _stop(*_: object) -> None:
    raise SystemExit(0)


def _open(
    registry: TilesetRegistry,
    models: tuple[str, ...],
    genome: str,
    files: tuple[Path, ...],
    stores: tuple[Path, ...],
    chrom_names: str | None,
    any_genome: bool,
    options: dict[str, Any],
) -> SequenceSource:
    """Fill the registry; returns the genome as it is served."""
    from higlass_plugin.compute.cache import Cache
    from higlass_plugin.files.chromosomes import OrderedGenome, difference
    from higlass_plugin.files.open import map_chromsizes, open_file
    from higlass_plugin.files.tileset import CACHE_BYTES

    resolve_device(options["device"])
    bundles = [load_bundle(resolve(model)) for model in models]
    source = open_genome(genome, chrom_names)
    assemblies = [assembly_of(bundle.spec, source, any_genome) for bundle in bundles]
    order = next((sizes for sizes in map(map_chromsizes, files) if sizes is not None), None)
    if order is not None and difference(order, source.chromsizes):
        ordered = OrderedGenome(source, order)
        if not difference(order, ordered.chromsizes):
            click.echo(
                f"chromosomes in the order of the measured map: {', '.join(ordered.chromsizes)}",
                err=True,
            )
            source = ordered
    cache = Cache(CACHE_BYTES)
    folder = None if registry.state is None else registry.state / "maps"
    for path in files:
        file = open_file(
            path,
            uid=registry.uid(f"file {path.resolve()}"),
            chromsizes=source.chromsizes,
            assembly=assemblies[0],
            any_genome=any_genome,
            folder=folder,
            cache=cache,
        )
        registry.add(file)
        if file.map is not None:
            registry.add_observed(file, file.map)
    for k, (model, bundle, assembly) in enumerate(zip(models, bundles, assemblies)):
        store = {"store": stores[k]} if stores else {}
        registry.add_model(
            Path(model).name, bundle, source.name, source, assembly, **options, **store
        )
    return source


def _checked_token(token: str | None, host: str) -> str | None:
    """The token; ServeError if it cannot stand in an address, or one is needed."""
    if token is None and not _is_loopback(host):
        raise ServeError(
            f"host {host!r} can be reached by others; give --token auto (or a token of your own)"
        )
    if token == "auto":
        return secrets.token_urlsafe(24)
    if token is not None and not re.fullmatch(r"[A-Za-z0-9._~-]{8,200}", token):
        raise ServeError(
            f"token {token!r} is not 8 to 200 letters, digits, '-', '.', '_' and '~'; `--token "
            f"auto` makes one up"
        )
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    from higlass_plugin.server.listen import listen

    try:
        return listen(host, port)
    except (OSError, UnicodeError) as error:
        raise ServeError(
            f"port {port} of {host!r} cannot be listened on: {error}; choose another --port (0 "
            f"finds a free one)"
        ) from error


def _address(host: str, port: int) -> str:
    """What a browser is told: a name, where the host stands for all addresses of this machine."""
    name = (
        socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    )
    return f"http://{name}:{port}/"
