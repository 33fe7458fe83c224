"""The views of the page that users have saved."""

from __future__ import annotations

import json
import secrets
import threading
from collections import OrderedDict
from pathlib import Path

from higlass_plugin.server.http import RequestError
from higlass_plugin.tiles import JsonObject
from orca_cool.files import atomic_write

#: Bytes that a saved view may have, and number of views that are kept.
MAX_VIEWCONF, MAX_VIEWCONFS = 1 << 18, 1000


class SavedViews:
    """Viewconfs by id; of more than MAX_VIEWCONFS the oldest are dropped. Thread-safe.

    Parameters
    ----------
    folder : where each is kept in a file; None: in memory.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()
        if folder is not None and folder.is_dir():
            for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
                self._kept[path.stem] = ""

    def get(self, uid: str) -> JsonObject | None:
        """The viewconf of an id; None if there is none."""
        with self._lock:
            text = self._text(uid)
        if text is None:
            return None
        viewconf: JsonObject = json.loads(text)
        return viewconf

    def put(self, uid: str | None, viewconf: object) -> str:
        """Save a viewconf.

        Parameters
        ----------
        uid : its id; None: a new one. viewconf : what a client has sent.

        Returns
        -------
        The id.

        Raises
        ------
        RequestError
            If the viewconf is no object or is too large, or another one has the id.
        """
        if not isinstance(viewconf, dict):
            raise RequestError("'viewconf' is missing, or is no object")
        text = json.dumps(viewconf)
        if len(text) > MAX_VIEWCONF:
            raise RequestError(
                f"the view has {len(text):,} bytes; {MAX_VIEWCONF:,} are allowed", 413
            )
        uid = uid or secrets.token_urlsafe(12)
        with self._lock:
            there = self._text(uid)
            if there not in (None, text):
                raise RequestError(f"there is another view {uid!r}; leave out the uid")
            if there is None:
                if self.folder is not None:
                    self.folder.mkdir(parents=True, exist_ok=True)
                    atomic_write(self.folder / f"{uid}.json", text)
                self._kept[uid] = text if self.folder is None else ""
            while len(self._kept) > MAX_VIEWCONFS:
                oldest, _ = self._kept.popitem(last=False)
                if self.folder is not None:
                    (self.folder / f"{oldest}.json").unlink(missing_ok=True)
        return uid

    def _text(self, uid: str) -> str | None:
        """The JSON of an id; None if there is none. Only files of known ids are read."""
        if uid not in self._kept or self.folder is None:
            return self._kept.get(uid)
        try:
            return (self.folder / f"{uid}.json").read_text(encoding="utf-8")
        except OSError:
            return None
