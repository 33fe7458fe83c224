"""The attributions that a server has open: anybody may ask for another one, so that their number is
bounded.
"""

from __future__ import annotations

from collections import OrderedDict

from higlass_plugin.registry.limits import Limits


class Attributions:
    """Uids of the tilesets of attributions, the least recently used first.

    The caller serialises the calls, and drops the tilesets of what is closed.

    Parameters
    ----------
    limits : how many stay open.
    """

    def __init__(self, limits: Limits):
        self._limits = limits
        self._open: OrderedDict[str, bool] = OrderedDict()  # whether guests alone asked for it

    def __len__(self) -> int:
        return len(self._open)

    def use(self, uid: str, guest: bool) -> list[str]:
        """Note that one is asked for; returns the uids that must be closed to make room. What
        guests ask for takes the place of nothing that others have asked for.
        """
        self._open[uid] = guest and self._open.get(uid, True)
        self._open.move_to_end(uid)
        out = []
        for kind, most in (
            (True, self._limits.guest_attributions),
            (False, self._limits.attributions),
        ):
            same = [one for one, its in self._open.items() if its == kind]
            out += same[: max(0, len(same) - most)]
        for one in out:
            del self._open[one]
        return out

    def touch(self, uid: str) -> None:
        """Note that one is used; nothing if it is not open."""
        if uid in self._open:
            self._open.move_to_end(uid)

    def forget(self, uid: str) -> None:
        """Note that a tileset was closed with its edited genome."""
        self._open.pop(uid, None)
