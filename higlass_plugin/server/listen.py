"""The socket that is listened on, and the loop that answers."""

from __future__ import annotations

import logging
import socket

from flask import Flask


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; ``port`` 0 is any that is free. OSError if the address cannot be used."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a server that is started again need not wait
        found.bind(address)
        found.listen(1024)
    except OSError:
        found.close()
        raise
    return found


def run(app: Flask, listening: socket.socket, threads: int) -> None:
    """Serve until the process is told to stop (SystemExit or KeyboardInterrupt in the main thread),
    with waitress.
    """
    import waitress

    logging.getLogger("waitress.queue").setLevel(
        logging.ERROR
    )  # it warns of every request that waits for a thread
    waitress.create_server(
        app,
        sockets=[listening],
        threads=threads,
        ident=None,
        connection_limit=1000,
        asyncore_use_poll=True,  # select() ends at 1024 descriptors
        outbuf_overflow=64 << 20,  # a response is kept in memory, not in a temporary file
        max_request_body_size=64
        << 20,  # above this waitress refuses by itself; the app's own limit says so in JSON
    ).run()
