"""waitress, with connections that nobody uses closed in time, so that others are let in."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from orca_cool.model import heap

#: Connections at once, where the system allows so many.
CONNECTIONS = 1000
#: Seconds: a connection without a request is closed after IDLE; a request must have come within
#: HEADER up to the end of its header, and within BODY as a whole.
IDLE, HEADER, BODY = 60, 15.0, 60.0
#: Seconds after which memory that is free is given back to the system.
TRIM = 5.0
#: Bytes: of a header (a query of the longest kind, cookies), and of a body. The app's own limits
#: are lower, and say so in JSON; above these waitress refuses by itself.
MAX_HEADER, MAX_BODY = 1 << 16, 16 << 20


def make_server(app: Flask, listening: socket.socket, threads: int) -> Server:
    """A server that is run by its method ``run()``.

    Parameters
    ----------
    listening : a socket that listens. threads : number of requests that are answered at once.
    """
    # waitress warns of every request that waits for a thread
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    adjustments = Adjustments(
        sockets=[listening],
        threads=threads,
        ident=None,
        connection_limit=_connections(),
        channel_timeout=IDLE,
        cleanup_interval=1,
        asyncore_use_poll=True,  # select() cannot take more than 1024 descriptors
        outbuf_overflow=64 << 20,  # a response is kept in memory, not in a temporary file
        # those of a proxy on this machine are read (http.client, BehindProxy), and no others
        clear_untrusted_proxy_headers=False,
        max_request_header_size=MAX_HEADER,
        max_request_body_size=MAX_BODY,
    )
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(threads)
    return Server(
        app,
        _sock=listening,
        dispatcher=dispatcher,
        adj=adjustments,
        sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
        bind_socket=False,
    )


def _connections() -> int:
    """How many connections there may be: some of the files that the process may open are needed for
    others.
    """
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if files != resource.RLIM_INFINITY:
            return max(16, min(CONNECTIONS, files * 3 // 4))
    return CONNECTIONS


class Server(TcpWSGIServer):
    """waitress's server, which gives free memory back to the system.

    A request that does not come to its end in time is given up; and where there are as many
    connections as there may be, those that nobody has used for longest make room at once.
    """

    trimmed = 0.0
    stopping: threading.Event | None = None

    def readable(self) -> bool:
        """Called before each wait, of a second at most, for something to happen on a connection."""
        if self.stopping is not None and self.stopping.is_set():
            raise SystemExit(0)
        if len(self._map) >= self.adj.connection_limit:
            self.make_room()
        return bool(super().readable())

    def maintenance(self, now: float) -> None:
        """Called every second."""
        super().maintenance(now)
        if now - self.trimmed > TRIM:
            self.trimmed = now
            heap.trim()
        for channel in self.active_channels.values():
            request = channel.request  # one that has not been received completely
            if request is None:
                continue
            if not hasattr(request, "seen"):
                request.seen = now
            if now - request.seen > (BODY if request.headers_finished else HEADER):
                channel.will_close = True

    def make_room(self) -> None:
        """Close an eighth of the connections, of those that wait for a request or for the rest of
        one.
        """
        unused = [c for c in self.active_channels.values() if not (c.requests or c.will_close)]
        # requests that have been begun before connections that are kept alive
        unused.sort(key=lambda c: (c.request is None, getattr(c.request, "seen", c.last_activity)))
        for channel in unused[: max(1, self.adj.connection_limit // 8)]:
            if not channel.total_outbufs_len:
                channel.will_close = True
