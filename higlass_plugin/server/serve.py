"""``orca-cool serve``: open models, genome and files, listen, and answer until stopped."""

from __future__ import annotations

import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from higlass_plugin.compute.cache import Cache
from higlass_plugin.files.open import open_file
from higlass_plugin.files.tileset import CACHE_BYTES
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server import listen
from higlass_plugin.server.access import LOOPBACK
from higlass_plugin.server.app import create_app
from higlass_plugin.server.models import ServedModel, open_models, with_shared_encodings
from higlass_plugin.server.options import ServeOptions
from higlass_plugin.server.processes import start_processes
from higlass_plugin.server.token import ServeError, open_browser, read_token
from orca_cool.errors import ModelError, OrcaCoolError
from orca_cool.model import heap
from orca_cool.model.folders import home
from orca_cool.prediction.window_store import check_window_store

#: Threads that answer requests: many of them wait for predictions, those of a blocking server for
#: minutes.
THREADS, BLOCKING_THREADS = 64, 256


def serve(
    options: ServeOptions, announce: Callable[[str], None], say: Callable[[str], None]
) -> None:
    """Serve until the process is told to stop (Ctrl-C, SIGTERM).

    Parameters
    ----------
    announce : called with each address, once the server listens.
    say : called with each further message for the user.

    Raises
    ------
    OrcaCoolError
        If a model, the genome, a file, the address or the token cannot be used.
    """
    heap.use_few_heaps()
    token = read_token(options.token, options.token_file, options.host)
    if options.stores and len(options.stores) != len(options.models):
        raise ModelError(
            f"{len(options.stores)} --store for {len(options.models)} --model; give one for each, "
            f"in their order"
        )
    check_window_store(options.window_store, options.window_store_dtype, options.window_store_size)
    listening = _listen(options.host, options.port)
    limits = Limits(cache_bytes=options.cache_bytes)
    with (
        listening,
        tempfile.TemporaryDirectory(prefix="orca-cool-serve-") as folder,
        TilesetRegistry(options.state or home() / "serve", limits) as registry,
    ):
        models = open_registry(registry, options, say, Path(folder))
        app = create_app(
            registry,
            token=token,
            blocking=options.blocking,
            page_wait=options.wait,
            allow_origins=options.origins,
            hosts={*LOOPBACK, options.host},
        )
        address = _address(options.host, listening.getsockname()[1])
        page = f"{address}{f'?token={token}' if token else ''}"
        announce(f"{_served(models)}: {page}")
        if len(models) > 1:
            announce(f"the list of models: {address}models{f'?token={token}' if token else ''}")
        announce(f"as a server for any HiGlass: {address}api/v1 (Ctrl-C ends it)")
        if options.browser:
            # some browsers do not return until they are closed
            threading.Thread(target=open_browser, args=[page, token], daemon=True).start()
        threads = BLOCKING_THREADS if options.blocking else THREADS
        listen.run(app, listening, threads, _stopping())
    say("stopped")


def _served(models: Sequence[ServedModel]) -> str:
    """What is served, in words: models on the genome that they share, or each on its own."""
    by_genome: dict[str, list[str]] = {}
    for model in models:
        by_genome.setdefault(model.source.name, []).append(model.name)
    return "; ".join(f"{', '.join(names)} on {genome}" for genome, names in by_genome.items())


def _stopping() -> threading.Event:
    """What is set when SIGTERM or Ctrl-C comes, which a process in the background may not get.

    The signal also raises SystemExit. That alone is not enough: Python drops what is raised while
    an object is being destroyed.
    """
    told = threading.Event()

    def stop(*_: object) -> None:
        told.set()
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    return told


def open_registry(
    registry: TilesetRegistry, options: ServeOptions, say: Callable[[str], None], folder: Path
) -> list[ServedModel]:
    """Open the files and the models that are to be served.

    Parameters
    ----------
    registry : gets their tilesets. say : see :func:`serve`.
    folder : for what several processes share as long as the server runs.

    Returns
    -------
    The models, each with its genome as it is served, see
    :func:`~higlass_plugin.server.models.open_models`.
    """
    models = open_models(options, say)
    _add_files(registry, options, models)
    if options.nproc > 1:
        models = with_shared_encodings(models, folder)
        registry.processes = start_processes(options, models)
    for model in models:
        registry.add_model(
            model.name,
            model.bundle,
            model.source.name,
            model.source,
            model.assembly,
            **model.options,
        )
    return models


def _add_files(
    registry: TilesetRegistry, options: ServeOptions, models: Sequence[ServedModel]
) -> None:
    """Add the files, each with the first genome that it fits; OrcaCoolError if it fits none."""
    cache = Cache(CACHE_BYTES)
    folder = None if registry.state is None else registry.state / "maps"
    genomes = {model.assembly: model.source.chromsizes for model in reversed(models)}
    for path in options.files:
        errors: list[OrcaCoolError] = []
        for assembly, chromsizes in reversed(genomes.items()):
            try:
                file = open_file(
                    path,
                    uid=registry.uid(f"file {path.resolve()}"),
                    chromsizes=chromsizes,
                    assembly=assembly,
                    any_genome=options.any_genome and len(genomes) == 1,
                    folder=folder,
                    cache=cache,
                    clr_weight_name=options.clr_weight_name,
                )
            except OrcaCoolError as error:
                errors.append(error)
                continue
            registry.add(file)
            if file.map is not None:
                registry.add_observed(file, file.map)
            break
        else:
            raise errors[0]


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen.listen(host, port)
    except (OSError, UnicodeError) as error:
        raise ServeError(
            f"port {port} of {host!r} cannot be listened on: {error}; choose another --port (0 "
            f"finds a free one)"
        ) from error


def _address(host: str, port: int) -> str:
    """The address of the page. If the host stands for all addresses of this machine, it has the
    machine's name instead.
    """
    name = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):
        name = socket.gethostname()
    return f"http://{name}:{port}/"
