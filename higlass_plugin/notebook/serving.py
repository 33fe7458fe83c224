"""Serve the tilesets of a notebook over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from higlass_plugin.clodius_tiles import registry
from higlass_plugin.notebook.errors import MissingPackage, NotebookError
from orca_cool.errors import missing_package

#: Threads of the HTTP server. Each request that waits for its tiles takes one.
THREADS = 64


def serve(port: int = 0, *, hosts: Sequence[str] = (), blocking: bool = True) -> str:
    """Serve the tilesets of this process over HTTP, for pages that reach this machine but not the
    notebook's connection.

    Use the address as ``tileset.track(server=address)`` or ``hg.remote(tileset.uid, address)``. The
    server listens on this machine alone; a notebook elsewhere reaches it through a tunnel (``ssh
    -L``) or a proxy.

    Parameters
    ----------
    port : 0 finds a free one.
    hosts : names under which a proxy passes requests on, beside those of this machine.
    blocking : a request waits until its tiles are computed, because pages of higlass-python do not
        ask again.

    Returns
    -------
    The address of the API, "http://127.0.0.1:PORT/api/v1".

    Raises
    ------
    MissingPackage
        If what serving needs is not installed.
    NotebookError
        If the port cannot be used.
    """
    try:
        from higlass_plugin.server.access import LOOPBACK
        from higlass_plugin.server.app import create_app
        from higlass_plugin.server.listen import listen, run
    except ImportError as error:
        raise MissingPackage(missing_package("a server for notebooks", error, "serve")) from error
    try:
        listening = listen("127.0.0.1", port)
    except (OSError, OverflowError) as error:
        raise NotebookError(
            f"port {port} cannot be listened on: {error}; choose another (0 finds a free one)"
        ) from error
    app = create_app(registry(), blocking=blocking, hosts={*LOOPBACK, *hosts})
    threading.Thread(target=run, args=(app, listening, THREADS), name="serve", daemon=True).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1"
