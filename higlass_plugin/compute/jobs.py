"""Tiles that are wanted: what each is made of, and how far it is."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from higlass_plugin.compute.shares import Client
from higlass_plugin.compute.units import Unit

#: Gives the value of a unit, None if it has not been computed.
Lookup = Callable[[Unit], Any]


class TilePlan(Protocol):
    """What a tile is made of: the units of work that it needs, and how its numbers follow from
    their values.

    Attributes
    ----------
    key : identifies the tile among all tiles of a server; its first element is the tileset's uid.
    later : of one client, such tiles are computed when there are no others.
    """

    key: tuple[Hashable, ...]
    later: bool = False

    def units(self) -> Sequence[Unit]:
        """All units that the tile needs, each after the one that it needs itself."""
        ...

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        """The tile's values and their size in bytes, once all units have values."""
        ...

    def preview(self, lookup: Lookup) -> np.ndarray:
        """The values that can be shown now: those of coarser levels where finer ones have not been
        computed, NaN where there is nothing yet.
        """
        ...

    def shows(self, lookup: Lookup) -> str:
        """What :meth:`preview` shows now, in words for who looks at it; "" if nothing is known."""
        return ""


@dataclass
class Job:
    """A tile that is being computed.

    Attributes
    ----------
    plan : of the tile.
    missing : units that have no value yet, in the order in which they are to be computed.
    held : values of the other units. The job keeps them, so that the cache cannot drop what is
        still needed.
    asked : when the tile was last asked for, in seconds of the monotonic clock.
    distance : from the middle of the view, in tiles.
    clients : who asks for it. began : when it was first asked for.
    done : set when the tile is ready, has failed, or was dropped.
    """

    plan: TilePlan
    missing: OrderedDict[Unit, None]
    held: dict[Unit, Any]
    asked: float
    distance: float = 0.0
    clients: set[Client] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def later(self) -> bool:
        """Whether the tiles of the same client go before it."""
        return getattr(self.plan, "later", False)
