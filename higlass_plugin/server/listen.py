"""Listen on a socket, and answer requests with waitress."""

from __future__ import annotations

import socket
import sys
import threading

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


def run(
    app: Flask, listening: socket.socket, threads: int, stopping: threading.Event | None = None
) -> None:
    """Answer requests until the process is told to stop (SystemExit or KeyboardInterrupt in the
    main thread).

    Parameters
    ----------
    listening : see :func:`listen`. threads : number of requests that are answered at once.
    stopping : looked at every second; once it is set the server stops.
    """
    from higlass_plugin.server.connections import make_server

    # the computing thread waits this long for each of the threads that answer requests
    sys.setswitchinterval(0.001)
    server = make_server(app, listening, threads)
    server.stopping = stopping
    server.run()
