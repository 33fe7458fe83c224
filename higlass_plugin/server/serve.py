"""``orca-cool serve``: open models, genome and files, listen, and answer until stopped."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from higlass_plugin.compute.cache import Cache
from higlass_plugin.files.chromosomes import OrderedGenome, difference
from higlass_plugin.files.contact_maps import map_chromsizes
from higlass_plugin.files.open import open_file
from higlass_plugin.files.tileset import CACHE_BYTES
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server import listen
from higlass_plugin.server.access import LOOPBACK
from higlass_plugin.server.app import create_app
from higlass_plugin.server.token import ServeError, open_browser, read_token
from orca_cool.errors import ModelError
from orca_cool.genome.open import open_genome
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.weights import WEIGHT
from orca_cool.model import heap
from orca_cool.model.assembly import agreed_assembly
from orca_cool.model.bundle import load_bundle
from orca_cool.model.registry import home, resolve
from orca_cool.prediction import WINDOW_DTYPES, WINDOW_STORE_SIZE
from orca_cool.prediction.device import resolve_device
from orca_cool.prediction.number_types import check_types
from orca_cool.prediction.window_store import WindowStore, check_window_store

#: Threads that answer requests: many of them wait for predictions, those of a blocking server for
#: minutes.
THREADS, BLOCKING_THREADS = 64, 256


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What is served, to whom, and where.

    Attributes
    ----------
    models : names or folders of models.
    genome : file, or name of a shipped genome; all models predict it.
    files : maps, signals, genes and intervals that are shown with the predictions.
    clr_weight_name : column of balancing weights of the maps among them.
    host, port : address to listen on; port 0 finds a free one.
    token : "auto" makes one up, which requests must show. One of your own is no option, because
        other users of the machine see those.
    token_file : file with the token; None: that of the environment variable ORCA_COOL_TOKEN. Where
        there is neither, there is no token, which is allowed on the loopback interface only.
    origins : web pages that may list, edit and save ("https://resgen.io").
    blocking : answer requests for tiles when the tiles are computed, for HiGlass pages that do not
        ask again as our own does.
    browser : whether a browser is opened.
    device, dtype, encoder_dtype, force_dtype : see :class:`orca_cool.prediction.job.Job`.
    stores : folders of encodings, one for each model; none, or as many as models.
    window_store, window_store_dtype, window_store_size, chrom_names, any_genome : see
        :class:`orca_cool.prediction.job.Job`; all models share the store of windows.
    state : folder of edits and saved views; None: ``serve`` in the user's folder.
    cache_bytes : memory for windows and tiles.
    """

    models: tuple[str, ...]
    genome: str
    files: tuple[Path, ...] = ()
    clr_weight_name: str = WEIGHT
    host: str = "127.0.0.1"
    port: int = 8989
    token: str | None = None
    token_file: Path | None = None
    origins: tuple[str, ...] = ()
    blocking: bool = False
    browser: bool = True
    device: str = "auto"
    dtype: str = "float32"
    encoder_dtype: str = "float32"
    force_dtype: bool = False
    stores: tuple[Path, ...] = ()
    window_store: str | None = None
    window_store_dtype: str = WINDOW_DTYPES[0]
    window_store_size: float = WINDOW_STORE_SIZE
    chrom_names: str | None = None
    any_genome: bool = False
    state: Path | None = None
    cache_bytes: int = 1 << 30


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
    with listening, TilesetRegistry(options.state or home() / "serve", limits) as registry:
        source = open_registry(registry, options, say)
        app = create_app(
            registry,
            token=token,
            blocking=options.blocking,
            allow_origins=options.origins,
            hosts={*LOOPBACK, options.host},
        )
        address = _address(options.host, listening.getsockname()[1])
        page = f"{address}{f'?token={token}' if token else ''}"
        announce(f"{', '.join(options.models)} on {source.name}: {page}")
        announce(f"as a server for any HiGlass: {address}api/v1 (Ctrl-C ends it)")
        if options.browser:
            # some browsers do not return until they are closed
            threading.Thread(target=open_browser, args=[page, token], daemon=True).start()
        threads = BLOCKING_THREADS if options.blocking else THREADS
        listen.run(app, listening, threads, _stopping())
    say("stopped")


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
    registry: TilesetRegistry, options: ServeOptions, say: Callable[[str], None]
) -> SequenceSource:
    """Open the files and the models that are to be served.

    Parameters
    ----------
    registry : gets their tilesets. say : see :func:`serve`.

    Returns
    -------
    The genome as it is served. If a measured map has the genome's chromosomes in another order,
    they are served in that order, so that map and prediction can share an axis.
    """
    resolve_device(options.device)
    check_types(options.dtype, options.encoder_dtype, options.force_dtype)
    bundles = [load_bundle(resolve(model)) for model in options.models]
    source = open_genome(options.genome, options.chrom_names)
    assemblies = []
    for bundle in bundles:
        assembly, warning = agreed_assembly(bundle.spec, source, options.any_genome)
        assemblies.append(assembly)
        if warning is not None:
            say(f"warning: {warning}")
    source = _in_order_of_maps(source, options.files, say)
    windows = None
    if options.window_store is not None:
        windows = WindowStore(
            options.window_store, dtype=options.window_store_dtype, size=options.window_store_size
        )
    _add_files(registry, options, source, assemblies[0])
    for k, (name, bundle) in enumerate(zip(options.models, bundles)):
        registry.add_model(
            Path(name).name,
            bundle,
            source.name,
            source,
            assemblies[k],
            device=options.device,
            dtype=options.dtype,
            encoder_dtype=options.encoder_dtype,
            force_dtype=options.force_dtype,
            say=say,
            store=options.stores[k] if options.stores else None,
            window_store=windows,
        )
    return source


def _in_order_of_maps(
    source: SequenceSource, files: tuple[Path, ...], say: Callable[[str], None]
) -> SequenceSource:
    order = next((sizes for sizes in map(map_chromsizes, files) if sizes is not None), None)
    if order is None or not difference(order, source.chromsizes):
        return source
    ordered = OrderedGenome(source, order)
    if difference(order, ordered.chromsizes):
        return source
    say(f"chromosomes in the order of the measured map: {', '.join(ordered.chromsizes)}")
    return ordered


def _add_files(
    registry: TilesetRegistry, options: ServeOptions, source: SequenceSource, assembly: str
) -> None:
    cache = Cache(CACHE_BYTES)
    folder = None if registry.state is None else registry.state / "maps"
    for path in options.files:
        file = open_file(
            path,
            uid=registry.uid(f"file {path.resolve()}"),
            chromsizes=source.chromsizes,
            assembly=assembly,
            any_genome=options.any_genome,
            folder=folder,
            cache=cache,
            clr_weight_name=options.clr_weight_name,
        )
        registry.add(file)
        if file.map is not None:
            registry.add_observed(file, file.map)


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
