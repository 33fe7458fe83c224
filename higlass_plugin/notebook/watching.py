"""Make widgets fetch predicted tiles again when they are ready."""

from __future__ import annotations

import threading
import time
from itertools import chain
from typing import Any

from higlass_plugin.notebook import predicted
from higlass_plugin.notebook.errors import NotebookError
from higlass_plugin.notebook.predicted import PredictedTileset

#: Seconds between two checks of what has become ready.
EVERY = 2.0

#: A track of a widget, as ``widget.reload`` takes it: ``{"viewId", "trackId"}``.
Track = dict[str, str]


def watch(widget: Any) -> Any:
    """Let a widget fetch tiles again that it was given unfinished, as soon as they are ready, until
    it is closed.

    Parameters
    ----------
    widget : of ``hg.view(...).widget()``.

    Returns
    -------
    The widget, to be shown.

    Raises
    ------
    NotebookError
        If it shows no predicted tileset.
    """
    ours = {tileset.registered: tileset for tileset in predicted.made() if tileset.registered}
    shown: dict[PredictedTileset, list[Track]] = {}
    for view in widget._viewconf["views"]:
        for track in chain.from_iterable(view["tracks"].values()):
            for part in [track, *(track.get("contents") or [])]:
                if part.get("tilesetUid") in ours:
                    shown.setdefault(ours[part["tilesetUid"]], []).append(
                        {"viewId": view["uid"], "trackId": track["uid"]}
                    )
    if not shown:
        raise NotebookError(
            "the widget shows no predicted tileset of this notebook; tileset(...).track() makes "
            "tracks of them"
        )
    threading.Thread(target=_follow, args=(widget, shown), name="watch", daemon=True).start()
    return widget


def _follow(widget: Any, shown: dict[PredictedTileset, list[Track]]) -> None:
    """Reload the tracks of each tileset that has new tiles, until the widget is closed."""
    before = {tileset: tileset.settled() for tileset in shown}
    while widget.comm is not None:  # a closed widget has none
        time.sleep(EVERY)
        now = {tileset: tileset.settled() for tileset in shown}
        stale = [
            track
            for tileset, tracks in shown.items()
            if now[tileset] != before[tileset]
            for track in tracks
        ]
        if stale:
            widget.reload(*stale)
        before = now
