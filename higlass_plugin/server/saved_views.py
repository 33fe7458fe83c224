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

#: Bytes that a saved view may have; number of views that are kept, and of those that pages of other
#: origins have saved, which never take the place of the others.
MAX_VIEWCONF, MAX_VIEWCONFS, MAX_GUEST_VIEWCONFS = 1 << 18, 1000, 100


class SavedViews:
    """Viewconfs by id; of more than MAX_VIEWCONFS the oldest are dropped. Thread-safe.

    Parameters
    ----------
    folder : where each is kept in a file; None: in memory. Those of guests are in a folder in it.
    """

    def __init__(self, folder: Path | None):
        self._folders = {False: folder, True: None if folder is None else folder / "guests"}
        self._kept: dict[bool, OrderedDict[str, str]] = {False: OrderedDict(), True: OrderedDict()}
        self._lock = threading.Lock()
        for guest, where in self._folders.items():
            if where is not None and where.is_dir():
                for path in sorted(where.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
                    self._kept[guest][path.stem] = ""

    def get(self, uid: str) -> JsonObject | None:
        """The viewconf of an id; None if there is none."""
        with self._lock:
            text = self._text(uid)
        if text is None:
            return None
        viewconf: JsonObject = json.loads(text)
        return viewconf

    def put(self, uid: str | None, viewconf: object, guest: bool = False) -> str:
        """Save a viewconf.

        Parameters
        ----------
        uid : its id; None: a new one. viewconf : what a client has sent.
        guest : whether a page of another origin saves it.

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
            folder, kept = self._folders[guest], self._kept[guest]
            if there is None:
                if folder is not None:
                    folder.mkdir(parents=True, exist_ok=True)
                    atomic_write(folder / f"{uid}.json", text)
                kept[uid] = text if folder is None else ""
            while len(kept) > (MAX_GUEST_VIEWCONFS if guest else MAX_VIEWCONFS):
                oldest, _ = kept.popitem(last=False)
                if folder is not None:
                    (folder / f"{oldest}.json").unlink(missing_ok=True)
        return uid

    def _text(self, uid: str) -> str | None:
        """The JSON of an id; None if there is none. Only files of known ids are read."""
        guest = uid not in self._kept[False]
        text, folder = self._kept[guest].get(uid), self._folders[guest]
        if text is None or folder is None:
            return text
        try:
            return (folder / f"{uid}.json").read_text(encoding="utf-8")
        except OSError:
            return None
