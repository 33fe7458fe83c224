"""The edited genomes that a server has open, and those that it can open again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.urgent import Urgent
from higlass_plugin.files.tileset import FileTileset
from higlass_plugin.registry.address import Address, UrlError, parse_url
from higlass_plugin.registry.breakpoints import breakpoints, places
from higlass_plugin.registry.edits import EditedView, edited_genome, short_name
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.predicted_tilesets import addresses_of_edit
from higlass_plugin.registry.served import for_cell_type
from higlass_plugin.registry.state import State
from higlass_plugin.tilesets.base import ModelTileset, Tileset
from higlass_plugin.tilesets.lifted_file import LIFTABLE
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.changes import Change
from orca_cool.genome.edited import EditedGenome

#: Seconds between two notes of an edit's last use: each writes a file.
NOTE_USE = 60.0


@dataclass
class OpenEdit:
    """An edited genome that is open.

    Attributes
    ----------
    predicted : the model on the edited genome. view : what clients know of it.
    address : of its map.
    tilesets : uids of its tilesets that are open.
    used : time of its last use, seconds since the epoch.
    guest : whether a page of another origin has made it.
    """

    predicted: PredictedGenome
    view: EditedView
    address: Address
    tilesets: list[str] = field(default_factory=list)
    used: float = field(default_factory=time.time)
    guest: bool = False


def open_edit(
    edit: str,
    address: Address,
    base: PredictedGenome,
    roots: Cache,
    urgent: Urgent,
    like: OpenEdit | None = None,
) -> OpenEdit:
    """Make the edited genome of an address.

    Parameters
    ----------
    edit : its id.
    base : the model on the reference.
    roots, urgent : see :class:`~higlass_plugin.compute.units.PredictedGenome`.
    like : the same edit for another cell type, with which genome, encodings and windows are shared.

    Raises
    ------
    EditError
        If an edit is not understood or cannot be made, or the edits ask for too much.
    """
    if like is not None:
        engine = for_cell_type(like.predicted.engine, address.cell_type)
        view = replace(like.view, id=edit, url=str(address), cell_type=address.cell_type)
        view.tilesets = {}
    else:
        source = base.engine.source
        genome, changes, problems = edited_genome(address, source, min(base.settings.resolutions))
        # anybody may edit: what they look at must not push out what the owner has stored
        engine = base.engine.for_genome(genome, keep=False)
        assembly = f"{base.assembly}.{genome.name.rpartition('.')[2]}"
        view = replace(_view(edit, address, genome, changes, problems), assembly=assembly)
    name, shared = f"{base.name}#{edit}", None if like is None else like.predicted
    url = str(address.sequence)
    predicted = PredictedGenome(engine, name, view.assembly, roots, urgent, base, shared, url)
    return OpenEdit(predicted, view, address)


def like_of(address: Address, opened: Iterable[OpenEdit]) -> OpenEdit | None:
    """An open edited genome that differs from that of an address by the cell type alone."""
    if not address.cell_type:
        return None
    same = (o for o in opened if replace(o.address, cell_type=address.cell_type) == address)
    return next(same, None)


def _view(
    edit: str,
    address: Address,
    genome: EditedGenome,
    changes: Sequence[Change],
    problems: list[str],
) -> EditedView:
    """What clients know of an edited genome, but for its assembly."""
    found = breakpoints(genome)
    return EditedView(
        id=edit,
        name=short_name(address, changes),
        url=str(address),
        assembly="",
        model=address.model,
        genome=address.genome,
        edits=[str(change) for change in changes],
        problems=problems,
        contigs=dict(genome.chromsizes),
        edited=genome.edited,
        junctions={contig: genome.junctions(contig) for contig in genome.edited},
        places=places(found, genome),
        breakpoints=found,
        cell_type=address.cell_type,
    )


class EditedGenomes:
    """Keeps the most recently used edited genomes open, and remembers the URLs of more.

    The caller serialises the calls, and drops the tilesets of what is closed.

    Parameters
    ----------
    state : remembers ids, URLs and times of use over restarts.
    limits : how many stay open, how many are remembered, and for how long.

    Attributes
    ----------
    files : served files, by uid, whose intervals are shown on edited genomes, too.
    """

    def __init__(self, state: State, limits: Limits):
        self._state, self._limits = state, limits
        self._open: OrderedDict[str, OpenEdit] = OrderedDict()
        self._urls: dict[str, str] = {}
        self.files: dict[str, FileTileset] = {}

    def __len__(self) -> int:
        """Number of open edited genomes."""
        return len(self._open)

    def get(self, edit: str) -> OpenEdit | None:
        """An edited genome by its id; None if it is not open."""
        return self._open.get(edit)

    def add_file(self, tileset: Tileset) -> None:
        """Show the intervals of a served file on edited genomes, too; nothing if it has none."""
        if isinstance(tileset, FileTileset) and tileset.datatype in LIFTABLE:
            self.files[tileset.uid] = tileset

    def check_file(self, address: Address) -> None:
        """UrlError if an address names a file whose intervals are not shown on edited genomes."""
        if address.file and address.file not in self.files:
            raise UrlError(f"there is no file {address.file[:64]!r} of genes or intervals here")

    def like(self, address: Address) -> OpenEdit | None:
        """See :func:`like_of`."""
        return like_of(address, list(self._open.values()))

    def owners_left(self, gone: OpenEdit) -> set[PredictedGenome]:
        """Whose windows and top windows nobody needs any more after an edited genome was closed:
        its own, and those that it shared with other cell types if it was the last of them.
        """
        owner = gone.predicted.owner
        needed = any(opened.predicted.owner is owner for opened in self._open.values())
        return {gone.predicted, owner} - ({owner} if needed else set())

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

    def recall(self, is_served: Callable[[Address], bool]) -> None:
        """Learn the tilesets' uids of the edits of earlier runs.

        Parameters
        ----------
        is_served : whether what an address names is served; edits of others are left alone.
        """
        for saved in self._state.saved():
            if time.time() - saved.used > self._limits.seconds:
                self._state.forget(saved.edit)
                continue
            try:
                address = parse_url(saved.url)
            except OrcaCoolError:
                continue
            if is_served(address):
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
            for address in addresses_of_edit(parse_url(old.url), list(self.files)).values():
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

    def drop_tileset(self, uid: str) -> None:
        """Note that a tileset was closed; nothing if it is of no edited genome that is open."""
        for opened in self._open.values():
            if uid in opened.tilesets:
                opened.tilesets.remove(uid)

    def close(self, edit: str) -> OpenEdit:
        """Close an edited genome, which can be opened again; returns it."""
        return self._open.pop(edit)

    def forget(self, opened: OpenEdit) -> None:
        """Forget an edited genome that was closed."""
        for uid in opened.view.tilesets.values():
            self._urls.pop(uid, None)
        self._state.forget(opened.view.id)

    def _learn(self, address: Address, url: str) -> None:
        for own in addresses_of_edit(address, list(self.files)).values():
            self._urls[self._state.uid(str(own))] = url
