"""All tilesets of a server: files, predictions of the reference, and edited genomes, which are
opened when they are asked for.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from higlass_plugin.compute.attribution_units import ATTRIBUTION
from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.process import PredictingProcess
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.shares import NOBODY, Client
from higlass_plugin.compute.workers import units_at_once
from higlass_plugin.files.tileset import FileTileset
from higlass_plugin.registry.address import PAIRS, Address, UrlError, parse_pair, parse_url, tidy
from higlass_plugin.registry.attributions import Attributions
from higlass_plugin.registry.edited_genomes import EditedGenomes, OpenEdit, open_edit
from higlass_plugin.registry.edits import EditedView
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.pairs import tileset_of_two
from higlass_plugin.registry.predicted_tilesets import (
    addresses_of_edit,
    addresses_of_reference,
    predicted_tileset,
)
from higlass_plugin.registry.served import ServedModels, engines_of
from higlass_plugin.registry.state import State
from higlass_plugin.registry.status import metrics, status
from higlass_plugin.registry.tiles import progress, tiles
from higlass_plugin.tiles import JsonObject, UnknownTileset
from higlass_plugin.tilesets.base import ModelTileset, Tileset
from higlass_plugin.tilesets.measured import ExpectedUnit, RatioTileset
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.source import SequenceSource
from orca_cool.model.window_model import WindowModel


class TilesetRegistry:
    """All tilesets of a server, by uid. Thread-safe.

    Parameters
    ----------
    state : folder in which the secret of the uids and the edits are kept over restarts; None:
        nowhere.
    limits : how much is kept in memory.

    Attributes
    ----------
    instance : a random text; another one after each restart.
    scheduler : computes predictions; None before the first model is added.
    processes : have the same models open, and compute in place of this one; to be set before that.
    observed_over_expected : log observed/expected of the first measured map, None if there is none.
    units, results, roots : caches of the values of units, of tiles, and of encoded top windows.
    urgent : see :class:`~higlass_plugin.compute.scheduler.Scheduler`.
    served : the models on genomes, with the predictions of the reference.
    edits, attributions : those that are open. tilesets : all that are open, by uid.
    began : when the registry was made, seconds since the epoch.
    """

    def __init__(self, state: Path | None = None, limits: Limits | None = None):
        self.state, self.limits = state, limits or Limits()
        self.instance = secrets.token_hex(8)
        self._state = State(state)
        part = self.limits.cache_bytes // 4
        self.units, self.results, self.roots = Cache(2 * part), Cache(part), Cache(part)
        self.urgent = threading.Event()
        self.scheduler: Scheduler | None = None
        self.processes: Sequence[PredictingProcess] = ()
        self.observed_over_expected: Tileset | None = None
        # the expected of a large file takes minutes
        self._measuring = Scheduler(self.units, self.results, 1, threading.Event())
        self._lock = threading.RLock()
        self._opening = threading.Semaphore(2)  # edited genomes that are made at once
        self.served = ServedModels()
        self.tilesets: dict[str, Tileset] = {}
        self._listed: list[str] = []
        self.edits = EditedGenomes(self._state, self.limits)
        self.attributions = Attributions(self.limits)
        self.began = time.time()

    # ---- adding files and models

    def add(self, tileset: Tileset) -> None:
        """Serve a tileset that is ready: a file."""
        with self._lock:
            if tileset.uid in self.tilesets:
                raise OrcaCoolError(f"{tileset.name!r} is served twice")
            self.tilesets[tileset.uid] = tileset
            self._listed.append(tileset.uid)
            self.edits.add_file(tileset)

    def add_observed(self, tileset: FileTileset, path: Path) -> None:
        """Serve log observed/expected of a measured map.

        Parameters
        ----------
        tileset : of the map, which is served. path : its .mcool.
        """
        with self._lock:
            uid = self.uid(f"observed/expected {tileset.uid}")
            folder = None if self.state is None else self.state / "expected"
            ratio = RatioTileset(tileset, path, self._measuring, uid, folder)
            self.add(ratio)
            self.observed_over_expected = self.observed_over_expected or ratio

    def uid(self, text: str) -> str:
        """A uid for what a text describes: the same after a restart, and not to be guessed."""
        return self._state.uid(text)

    def add_model(
        self,
        name: str,
        model: WindowModel,
        genome: str,
        source: SequenceSource,
        assembly: str,
        **options: Any,
    ) -> None:
        """Serve a model's predictions of a genome, those of each of its cell types.

        Parameters
        ----------
        name, genome : what ``orca://`` URLs call them.
        source : the genome. assembly : name of its coordinate system.
        options : further arguments of :func:`~higlass_plugin.registry.served.engines_of`.
        """
        engines = engines_of(model, source, **options)
        with self._lock:
            if self.scheduler is None:
                size = units_at_once(next(iter(engines.values())), len(self.processes))
                about = self.units, self.results, size, self.urgent, self.processes
                self.scheduler = Scheduler(*about, elsewhere=(ExpectedUnit,))
                self._measuring.after = self.scheduler.look_again
            self.served.add(name, genome, engines, assembly, self.roots, self.urgent)
            for n, cell_type in enumerate(engines):
                own = Address(name, genome, cell_type=cell_type)
                # profiles do not depend on the cell type
                for address in addresses_of_reference(own, () if n else model.spec.profiles):
                    predicted = self.served.predicted(address)
                    self._listed.append(self._open_tileset(address, predicted).uid)
            self.edits.recall(self.served.is_served)

    # ---- finding tilesets

    def listed(self) -> list[Tileset]:
        """Files and predictions of the reference."""
        with self._lock:
            return [self.tilesets[uid] for uid in self._listed]

    def models(self) -> list[tuple[str, str]]:
        """(model, genome) names of the predictions that are served."""
        return self.served.names()

    def __getitem__(self, uid: str) -> Tileset:
        """The tileset of a uid; UnknownTileset if there is none."""
        found = self.tilesets.get(uid)
        if found is None and (url := self.edits.url_of_tileset(uid)) is not None:
            self.open_url(url, guest=True)
            found = self.tilesets.get(uid)
        if found is None:
            raise UnknownTileset(
                f"there is no tileset {uid[:64]!r} here; if it was of an edit or an "
                f"attribution, make that again"
            )
        with self._lock:
            self.attributions.touch(uid)
            if isinstance(found, ModelTileset) and found.predicted.genome is not None:
                self.edits.touch(found.predicted)
        return found

    def open_url(
        self, url: str, coord_system: str | None = None, *, guest: bool = False
    ) -> Tileset:
        """The tileset of an ``orca://``, a ``divided://`` or a ``compared://`` URL; edited genomes
        that it names are opened if they are not open.

        Parameters
        ----------
        coord_system : what the client takes for the tileset's; None or "" if it does not say.
        guest : whether a page of another origin asks. What it makes takes the place of nothing that
            others have made.

        Raises
        ------
        UrlError
            If the URL is malformed, names what is not served, or has another coordinate system.
        EditError
            If its edits cannot be made.
        NotDivisible
            If two maps cannot be brought to one grid of bins.
        """
        if url.startswith(PAIRS):
            return self._open_pair(url, guest)
        address = self.served.canonical(parse_url(url))
        base = self.served.predicted(address)
        if address.track == "profile" and address.profile not in base.engine.spec.profiles:
            raise UrlError(f"model {address.model!r} has no profile {address.profile[:100]!r}")
        self.edits.check_file(address)
        opened = self._open_edit(address, guest) if address.edited else None
        with self._lock:
            tileset = self._open_tileset(address, opened.predicted if opened else base, opened)
            if address.track == "attribution":
                for uid in self.attributions.use(tileset.uid, guest):
                    self._close_tilesets({uid})
        if coord_system not in (None, "", tileset.coord_system, base.assembly):
            raise UrlError(
                f"the URL is of {tileset.coord_system!r}, not of coordSystem "
                f"{str(coord_system)[:100]!r}"
            )
        return tileset

    def _open_pair(self, url: str, guest: bool) -> Tileset:
        """The tileset of the URL of two maps."""
        one, other = (
            self.open_url(text, guest=guest) if text.startswith("orca://") else self[text]
            for text in parse_pair(url)
        )
        with self._lock:
            uid = self._state.uid(f"{url.partition('://')[0]} {one.uid} {other.uid}")
            if uid not in self.tilesets:
                about = self.scheduler, self._measuring, uid
                self.tilesets[uid] = tileset_of_two(url, one, other, *about)
                self.edits.add_tileset((one, other), uid)
            return self.tilesets[uid]

    def _open_tileset(
        self, address: Address, predicted: PredictedGenome, opened: OpenEdit | None = None
    ) -> Tileset:
        """The tileset of an address, made if it is not there yet; ``opened`` is its edited
        genome.
        """
        assert self.scheduler is not None
        uid, edit = self._state.uid(str(address)), None if opened is None else opened.view.name
        if uid not in self.tilesets:
            about = self.scheduler, uid, edit, self.edits.files.get(address.file)
            self.tilesets[uid] = predicted_tileset(address, predicted, *about)
            if opened is not None:
                opened.tilesets.append(uid)
        return self.tilesets[uid]

    # ---- edited genomes

    def edit(
        self,
        edits: Sequence[str],
        *,
        vcf: str | None = None,
        model: str | None = None,
        genome: str | None = None,
        cell_type: str | None = None,
        guest: bool = False,
    ) -> EditedView:
        """Open an edited genome.

        Parameters
        ----------
        edits : in the grammar of edits, in the reference's coordinates. vcf : lines of VCF.
        model, genome, cell_type : names of those served; None: the first that fits.
        guest : see :meth:`open_url`.

        Raises
        ------
        UrlError
            If the model, the genome or the cell type is not served.
        EditError
            If the edits cannot be made.
        """
        reference = self.served.reference(model, genome, cell_type)
        address = replace(reference, edits=tidy(edits), vcf=(vcf or "").strip("\n"))
        return self._open_edit(address, guest).view

    def edited(self, edit: str) -> EditedView:
        """An edited genome by its id; one of an earlier run is opened again. UnknownTileset if
        there is none.
        """
        found = self.edits.get(edit)
        if found is None and (url := self.edits.url_of_edit(edit)) is not None:
            self.open_url(url, guest=True)
            found = self.edits.get(edit)
        if found is None:
            raise UnknownTileset(f"there is no edit {edit[:64]!r} here; make it again")
        return found.view

    def drop(self, edit: str, *, guest: bool = False) -> None:
        """Close an edited genome and forget it.

        Raises
        ------
        UnknownTileset
            If there is none.
        OrcaCoolError
            If a guest asks, and others have made it.
        """
        self.edited(edit)  # opens it, if need be, outside the lock
        if guest and not self.edits.is_guests(edit):
            raise OrcaCoolError(
                f"edit {edit!r} was not made by a page of another origin, which may drop only what "
                f"such pages have made"
            )
        with self._lock:
            if self.edits.get(edit) is not None:
                self.edits.forget(self._close_edit(edit))

    def _open_edit(self, address: Address, guest: bool) -> OpenEdit:
        """The edited genome of an address, made if it is not open; it stays whose it was."""
        address = address.sequence
        edit = self._state.uid(f"edit {address}")
        found = self.edits.get(edit)
        if found is None:
            # outside the lock, since it may take a second: others are served meanwhile
            base, like = self.served.predicted(address), self.edits.like(address)
            with self._opening:
                made = open_edit(edit, address, base, self.roots, self.urgent, like)
            known = self.edits.url_of_edit(edit) is not None
            made.guest = guest and (not known or self.edits.is_guests(edit))
            with self._lock:
                found = self.edits.get(edit) or self._keep_edit(made, address)
        with self._lock:
            self.edits.touch(found.predicted)
            if found.guest and not guest:
                self.edits.adopt(edit)
        return found

    def _keep_edit(self, made: OpenEdit, address: Address) -> OpenEdit:
        """Keep an edited genome with its tilesets; others may have to make room."""
        for kind, own in addresses_of_edit(address, list(self.edits.files)).items():
            made.view.tilesets[kind] = self._open_tileset(own, made.predicted, made).uid
        self.edits.add(made, address)
        for edit in self.edits.surplus():
            self._close_edit(edit)
        return made

    def _close_edit(self, edit: str) -> OpenEdit:
        """Close an edited genome, and drop its tilesets and all that was computed for it."""
        gone = self.edits.close(edit)
        self._close_tilesets(set(gone.tilesets))
        owners = self.edits.owners_left(gone)
        self.units.drop(lambda unit: getattr(unit, "predicted", None) in owners)
        self.roots.drop(lambda key: key[0] in owners)
        return gone

    def _close_tilesets(self, uids: set[str]) -> None:
        """Drop tilesets, with their tiles and what was computed for them alone."""
        for uid in uids:
            self.tilesets.pop(uid, None)
            self.attributions.forget(uid)
            self.edits.drop_tileset(uid)
        if self.scheduler is not None:
            self.scheduler.drop(lambda key: key[0] in uids)
        self.results.drop(lambda key: key[0] in uids)
        self.units.drop(lambda unit: isinstance(unit, ATTRIBUTION) and unit.asked.uid in uids)

    # ---- tiles

    def tiles(
        self, ids: Sequence[str], *, wait: float | None = 0.1, client: Client = NOBODY
    ) -> dict[str, JsonObject]:
        """See :func:`higlass_plugin.registry.tiles.tiles`."""
        return tiles(self, ids, wait, client)

    def progress(self, ids: Sequence[str]) -> JsonObject:
        """See :func:`higlass_plugin.registry.tiles.progress`."""
        return progress(self, ids)

    # ---- the registry itself

    def status(self) -> JsonObject:
        """See :func:`higlass_plugin.registry.status.status`."""
        return status(self)

    def metrics(self) -> dict[str, float]:
        """See :func:`higlass_plugin.registry.status.metrics`."""
        return metrics(self)

    def close(self) -> None:
        """Stop computing."""
        for scheduler in (self.scheduler, self._measuring):
            if scheduler is not None:
                scheduler.close()

    def __enter__(self) -> TilesetRegistry:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
