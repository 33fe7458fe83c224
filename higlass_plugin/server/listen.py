"""Listen on a socket, and answer requests with waitress."""

from __future__ import annotations

import logging
import socket

from flask import Flask


def listen(host: str, port: int) -> socket.socket:
    """Open a socket and listen on it.

    Parameters
    ----------
    host : name or address of this machine. port : 0 is any free port.

    Raises
    ------
    OSError
        If the address cannot be used.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, protocol)
    try:
        # so that a server that is started again need not wait
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(1024)
    except OSError:
        found.close()
        raise
    return found


def run(app: Flask, listening: socket.socket, threads: int) -> None:
    """Answer requests until the process is told to stop (SystemExit or KeyboardInterrupt in the
    main thread).

    Parameters
    ----------
    listening : see :func:`listen`. threads : number of requests that are answered at once.
    """
    import waitress

    # waitress warns of every request that waits for a thread
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.create_server(
        app,
        sockets=[listening],
        threads=threads,
        ident=None,
        connection_limit=1000,
        asyncore_use_poll=True,  # select() cannot take more than 1024 descriptors
        outbuf_overflow=64 << 20,  # a response is kept in memory, not in a temporary file
        # the app's own limit is lower, and says so in JSON; above this waitress refuses by itself
        max_request_body_size=64 << 20,
    ).run()
