"""Whose turn it is: who computes is shared by those who ask, not by what they ask for."""

from __future__ import annotations

from collections.abc import Collection

#: Who asks: an address of the network, and a session there (HiGlass makes one up for each page).
Client = tuple[str, str]
#: Whoever is not told.
NOBODY: Client = ("", "")


class Shares:
    """Seconds that each client has had, so that the one that has had least is next.

    Addresses share alike, and sessions of one address share what it gets: whoever makes up sessions
    gains nothing from those at other addresses. Who comes new, or again, begins where the one that
    has had least among the others is: nobody saves up turns, and nobody has to wait for what others
    had before.
    """

    def __init__(self) -> None:
        self._spent: dict[tuple[str, ...], float] = {}

    def next(self, waiting: Collection[Client], beside: Collection[Client] = ()) -> Client:
        """The client whose turn it is, of those that wait (at least one); ``beside``: those for
        whom all that they asked for is in hand, and who are not new when they wait again.
        """
        there: set[tuple[str, ...]] = {
            part for client in {*waiting, *beside} for part in (client[:1], client)
        }
        spent = {part: had for part, had in self._spent.items() if part in there}
        for part in sorted(there - spent.keys(), key=len):
            others = [had for other, had in self._spent.items() if _are_beside(part, other)]
            spent[part] = min(others, default=0.0)
        self._spent = spent
        address = min({client[:1] for client in waiting}, key=self._order)
        return min((c for c in set(waiting) if c[:1] == address), key=self._order)

    def charge(self, client: Client, seconds: float) -> None:
        """Note that a client has had so many seconds."""
        for part in (client[:1], client):
            self._spent[part] = self._spent.get(part, 0.0) + seconds

    def _order(self, part: tuple[str, ...]) -> tuple[float, tuple[str, ...]]:
        return self._spent[part], part


def _are_beside(part: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether both are addresses, or sessions of one address."""
    return len(part) == len(other) and part[:-1] == other[:-1]
