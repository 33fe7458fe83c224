"""The edited genomes that a server has open, and those that it can open again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.units import PredictedGenome
from higlass_plugin.registry.address import Address, parse_url
from higlass_plugin.registry.breakpoints import breakpoints, places
from higlass_plugin.registry.edits import EditedView, edited_genome, short_name
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.predicted_tilesets import addresses_of_edit
from higlass_plugin.registry.state import State
from higlass_plugin.tilesets.base import ModelTileset, Tileset
from orca_cool.errors import OrcaCoolError

#: Seconds between two notes of an edit's last use: each writes a file.
NOTE_USE = 60.0


@dataclass
class OpenEdit:
    """An edited genome that is open.

    Attributes
    ----------
    predicted : the model on the edited genome. view : what clients know of it.
    tilesets : uids of its tilesets that are open.
    used : time of its last use, seconds since the epoch.
    guest : whether a page of another origin has made it.
    """

    predicted: PredictedGenome
    view: EditedView
    tilesets: list[str] = field(default_factory=list)
    used: float = field(default_factory=time.time)
    guest: bool = False


def open_edit(
    edit: str, address: Address, base: PredictedGenome, roots: Cache, urgent: threading.Event
) -> OpenEdit:
    """Make the edited genome of an address.

    Parameters
    ----------
    edit : its id.
    base : the model on the reference.
    roots, urgent : see :class:`~higlass_plugin.compute.units.PredictedGenome`.

    Raises
    ------
    EditError
        If an edit is not understood or cannot be made, or the edits ask for too much.
    """
    source = base.engine.source
    genome, changes, problems = edited_genome(address, source, min(base.settings.resolutions))
    predicted = PredictedGenome(
        base.engine.for_genome(genome),
        f"{base.name}#{edit}",
        f"{base.assembly}.{genome.name.rpartition('.')[2]}",
        roots,
        urgent,
        base,
    )
    found = breakpoints(genome)
    view = EditedView(
        id=edit,
        name=short_name(changes),
        url=str(address),
        assembly=predicted.assembly,
        model=address.model,
        genome=address.genome,
        edits=[str(change) for change in changes],
        problems=problems,
        contigs=dict(genome.chromsizes),
        edited=genome.edited,
        junctions={contig: genome.junctions(contig) for contig in genome.edited},
        places=places(found, genome),
        breakpoints=found,
    )
    return OpenEdit(predicted, view)


class EditedGenomes:
    """Keeps the most recently used edited genomes open, and remembers the URLs of more.

    The caller serialises the calls, and drops the tilesets of what is closed.

    Parameters
    ----------
    state : remembers ids, URLs and times of use over restarts.
    limits : how many stay open, how many are remembered, and for how long.
    """

    def __init__(self, state: State, limits: Limits):
        self._state, self._limits = state, limits
        self._open: OrderedDict[str, OpenEdit] = OrderedDict()
        self._urls: dict[str, str] = {}

    def __len__(self) -> int:
        """Number of open edited genomes."""
        return len(self._open)

    def get(self, edit: str) -> OpenEdit | None:
        """An edited genome by its id; None if it is not open."""
        return self._open.get(edit)

    def url_of_edit(self, edit: str) -> str | None:
        """The URL of an edit that is remembered, open or not."""
        saved = self._state.get(edit)
        return None if saved is None else saved.url

    def is_guests(self, edit: str) -> bool:
        """Whether an edit that is remembered was made by a page of another origin alone."""
        saved = self._state.get(edit)
        return saved is not None and saved.guest

    def url_of_tileset(self, uid: str) -> str | None:
        """The URL of the edit that a tileset belongs to, so that both can be opened again."""
        return self._urls.get(uid)

    def recall(self, served: Collection[tuple[str, str]]) -> None:
        """Learn the tilesets' uids of the edits of earlier runs.

        Parameters
        ----------
        served : (model, genome) that are served; edits of others are left alone.
        """
        for saved in self._state.saved():
            if time.time() - saved.used > self._limits.seconds:
                self._state.forget(saved.edit)
                continue
            try:
                address = parse_url(saved.url)
            except OrcaCoolError:
                continue
            if (address.model, address.genome) in served:
                self._learn(address, saved.url)

    def add(self, opened: OpenEdit, address: Address) -> None:
        """Keep an edited genome open, and remember it by its address. Of those that are remembered,
        only one that was made by the same (guests, or others) is forgotten for it.
        """
        edit, url = opened.view.id, str(address)
        self._open[edit] = opened
        self._learn(address, url)
        self._state.save(edit, url, opened.guest)
        most = self._limits.guest_saved if opened.guest else self._limits.saved
        same = [saved for saved in self._state.saved() if saved.guest == opened.guest]
        for old in same[:-most]:
            self._state.forget(old.edit)
            for address in addresses_of_edit(parse_url(old.url)).values():
                self._urls.pop(self._state.uid(str(address)), None)

    def adopt(self, edit: str) -> None:
        """Note that somebody else than a guest has made an open edit, too."""
        opened = self._open[edit]
        opened.guest = False
        self._state.save(edit, opened.view.url)

    def surplus(self) -> list[str]:
        """Ids of those that must be closed to make room: the least recently used ones."""
        out = []
        for guest, most in ((True, self._limits.guest_edits), (False, self._limits.edits)):
            same = [edit for edit, opened in self._open.items() if opened.guest == guest]
            out += same[: max(0, len(same) - most)]
        return out

    def touch(self, predicted: PredictedGenome) -> None:
        """Note that an edited genome is used; nothing if it is not open."""
        edit = predicted.name.rpartition("#")[2]
        opened = self._open.get(edit)
        if opened is not None:
            self._open.move_to_end(edit)
            if time.time() - opened.used > NOTE_USE:
                self._state.save(edit, opened.view.url, opened.guest)
            opened.used = time.time()

    def add_tileset(self, parts: Iterable[Tileset], uid: str) -> None:
        """Note a tileset that is made of others: whoever closes an edited genome closes it."""
        for part in parts:
            if isinstance(part, ModelTileset):
                opened = self._open.get(part.predicted.name.rpartition("#")[2])
                if opened is not None:
                    opened.tilesets.append(uid)

    def close(self, edit: str) -> OpenEdit:
        """Close an edited genome, which can be opened again; returns it."""
        return self._open.pop(edit)

    def forget(self, opened: OpenEdit) -> None:
        """Forget an edited genome that was closed."""
        for uid in opened.view.tilesets.values():
            self._urls.pop(uid, None)
        self._state.forget(opened.view.id)

    def _learn(self, address: Address, url: str) -> None:
        for own in addresses_of_edit(address).values():
            self._urls[self._state.uid(str(own))] = url
