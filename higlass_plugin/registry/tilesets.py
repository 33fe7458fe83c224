"""All tilesets of a server: real files, predictions of the reference, and edited genomes, opened as
they are asked for.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.units import PredictedGenome
from higlass_plugin.registry.address import Address, UrlError, parse_url, tidy
from higlass_plugin.registry.edits import EditedView, changed, edited_genome, places_of
from higlass_plugin.registry.state import State
from higlass_plugin.tiles import TileError, TileId, failed_by_id, parse_tile_id
from higlass_plugin.tilesets.base import Computed, Predicted, Tileset, answer
from higlass_plugin.tilesets.maps import DifferenceTileset, LiftedTileset, MapTileset
from higlass_plugin.tilesets.measured import RatioTileset
from higlass_plugin.tilesets.tracks import CompartmentTileset, InsulationTileset, ProfileTileset
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.source import SequenceSource
from orca_cool.model.bundle import Model
from orca_cool.prediction.engine import Engine


class UnknownTileset(OrcaCoolError):
    """There is no tileset of a uid, or its edit was dropped."""


@dataclass(frozen=True)
class Limits:
    """What a server keeps.

    Attributes
    ----------
    cache_bytes : decoded windows, tiles and encoded top windows together (encodings by the block
        have a cache of their own, 512 MB a model). edits : edited genomes that are open; the least
        recently used ones are dropped. saved : edits that are known, and opened again when a tile
        of theirs is asked for. seconds : their lifetime without use.
    """

    cache_bytes: int = 2**30
    edits: int = 32
    saved: int = 200
    seconds: float = 7 * 86400.0


@dataclass
class _Open:
    """An edited genome that is open."""

    predicted: PredictedGenome
    view: EditedView
    tilesets: list[str]
    used: float


class TilesetRegistry:
    """Tilesets by uid. Thread-safe.

    Parameters
    ----------
    state : folder in which the secret and the edits are kept over restarts; None: nowhere.
    """

    def __init__(self, state: Path | None = None, limits: Limits | None = None):
        self.state, self.limits = state, limits or Limits()
        self.instance = secrets.token_hex(8)
        self._state = State(state)
        part = self.limits.cache_bytes // 4
        self.units, self.results, self.roots = Cache(2 * part), Cache(part), Cache(part)
        self.urgent = threading.Event()
        self.scheduler: Scheduler | None = None
        self.observed_over_expected: Tileset | None = None
        self._measuring: Scheduler | None = (
            None  # of its own thread: an expected of a large file takes minutes
        )
        self._lock = threading.RLock()
        self._models: OrderedDict[tuple[str, str], PredictedGenome] = OrderedDict()
        self._tilesets: OrderedDict[str, Tileset] = OrderedDict()
        self._listed: list[str] = []
        self._edits: OrderedDict[str, _Open] = OrderedDict()
        self._known: dict[str, str] = {}  # URLs by uid, of edits that are not open
        self._began = time.time()

    # ---- what is served

    def add(self, tileset: Tileset) -> None:
        """Serve a tileset that is ready: a real file."""
        with self._lock:
            if tileset.uid in self._tilesets:
                raise OrcaCoolError(f"{tileset.name!r} is served twice")
            self._tilesets[tileset.uid] = tileset
            self._listed.append(tileset.uid)

    def add_observed(self, tileset: Tileset, path: Path) -> None:
        """Serve log observed/expected of a measured map that is served."""
        with self._lock:
            if self._measuring is None:
                self._measuring = Scheduler(self.units, self.results, 1, threading.Event())
            uid = self.uid(f"observed/expected {tileset.uid}")
            ratio = RatioTileset(
                tileset,
                path,
                self._measuring,
                uid,
                None if self.state is None else self.state / "expected",
            )
            self.add(ratio)
            self.observed_over_expected = self.observed_over_expected or ratio

    def uid(self, text: str) -> str:
        """A uid for what a text describes (a file's path): the same after a restart."""
        return self._state.uid(text)

    def add_model(
        self,
        name: str,
        bundle: Model,
        genome: str,
        source: SequenceSource,
        assembly: str,
        **options: Any,
    ) -> None:
        """Serve a model's predictions of a genome.

        Parameters
        ----------
        name, genome : what ``orca://`` URLs call them.
        options : further arguments of :class:`~orca_cool.prediction.engine.Engine`.
        """
        engine = Engine(bundle, source, **options)
        with self._lock:
            if (name, genome) in self._models:
                raise OrcaCoolError(f"model {name!r} on genome {genome!r} is served twice")
            if self.scheduler is None:
                self.scheduler = Scheduler(
                    self.units, self.results, engine.windows_per_batch, self.urgent
                )
            self._models[name, genome] = PredictedGenome(
                engine, f"{name}/{genome}", assembly, self.roots, self.urgent
            )
            base = Address(name, genome)
            for address in [
                base,
                *(replace(base, track=track) for track in ("insulation", "compartments")),
                *(
                    replace(base, track="profile", profile=profile)
                    for profile in bundle.spec.profiles
                ),
            ]:
                self._listed.append(self._open_tileset(address, self._models[name, genome]).uid)
            self._recall()

    def _recall(self) -> None:
        """Know the uids of the edits of earlier runs; they are opened when a tile of theirs is
        asked for.
        """
        for edit, url, used in list(self._state.saved()):
            if time.time() - used > self.limits.seconds:
                self._state.forget(edit)
                continue
            try:
                address = parse_url(url)
            except OrcaCoolError:
                continue
            if (address.model, address.genome) in self._models:
                for own in _tracks(address):
                    self._known[self._state.uid(str(own))] = url

    def listed(self) -> list[Tileset]:
        """Files and predictions of the reference, never anybody's edits."""
        with self._lock:
            return [self._tilesets[uid] for uid in self._listed]

    def models(self) -> list[tuple[str, str]]:
        """Names of models and genomes."""
        return list(self._models)

    # ---- tilesets

    def __getitem__(self, uid: str) -> Tileset:
        """The tileset of a uid; UnknownTileset if there is none."""
        found = self._tilesets.get(uid)
        if found is None and uid in self._known:
            self.open_url(self._known[uid])
            found = self._tilesets.get(uid)
        if found is None:
            raise UnknownTileset(
                f"there is no tileset {uid[:64]!r} here; if it was of an edit, make the edit again"
            )
        if isinstance(found, Predicted) and found.predicted.genome is not None:
            self._touch(found.predicted)
        return found

    def open_url(self, url: str, coord_system: str | None = None) -> Tileset:
        """The tileset of an ``orca://`` URL.

        Raises
        ------
        UrlError, EditError
        """
        address = parse_url(url)
        base = self._scene(address.model, address.genome)
        if address.track == "profile" and address.profile not in base.engine.spec.profiles:
            raise UrlError(f"model {address.model!r} has no profile {address.profile[:100]!r}")
        opened = self._edit(address) if address.edited else None
        with self._lock:
            tileset = self._open_tileset(address, opened.predicted if opened else base, opened)
        if coord_system not in (None, "", tileset.coord_system, base.assembly):
            raise UrlError(
                f"the URL is of {tileset.coord_system!r}, not of coordSystem "
                f"{str(coord_system)[:100]!r}"
            )
        return tileset

    def _scene(self, model: str | None, genome: str | None) -> PredictedGenome:
        """A served model on a genome; the first that fits, if one is not named."""
        for (m, g), predicted in self._models.items():
            if model in (None, m) and genome in (None, g):
                return predicted
        served = ", ".join(f"{m}/{g}" for m, g in self._models) or "none"
        raise UrlError(
            f"model {str(model)[:100]!r} on genome {str(genome)[:100]!r} is not served here; "
            f"served: {served}"
        )

    def _open_tileset(
        self, address: Address, predicted: PredictedGenome, opened: _Open | None = None
    ) -> Tileset:
        assert self.scheduler is not None
        uid = self._state.uid(str(address))
        if uid in self._tilesets:
            return self._tilesets[uid]
        name = f"{address.model}: {opened.view.name}" if opened else address.model
        kinds: dict[str, type[Predicted]] = {
            "map": MapTileset,
            "insulation": InsulationTileset,
            "compartments": CompartmentTileset,
        }
        made: Predicted
        if address.track == "profile":
            made = ProfileTileset(
                predicted, self.scheduler, uid, f"{name}, {address.profile}", address.profile
            )
        elif address.difference:
            made = DifferenceTileset(
                predicted, self.scheduler, uid, f"{name}, ln alternate/reference"
            )
        elif address.lifted:
            made = LiftedTileset(
                predicted, self.scheduler, uid, f"{name}, at the reference's coordinates"
            )
        else:
            label = {
                "map": "predicted",
                "insulation": "insulation",
                "compartments": "compartment E1",
            }[address.track]
            made = kinds[address.track](predicted, self.scheduler, uid, f"{name}, {label}")
        made.description = str(address)
        self._tilesets[uid] = made
        if opened:
            opened.tilesets.append(uid)
        return made

    # ---- edits

    def edit(
        self,
        edits: Sequence[str],
        *,
        vcf: str | None = None,
        model: str | None = None,
        genome: str | None = None,
    ) -> EditedView:
        """Open an edited genome.

        Parameters
        ----------
        edits : in the grammar of edits, in the reference's coordinates. vcf : lines of VCF.
        model, genome : of those served; the first, if there is but one that fits.

        Raises
        ------
        UrlError, EditError
        """
        predicted = self._scene(model, genome)
        name, of = next(key for key, s in self._models.items() if s is predicted)
        return self._edit(Address(name, of, tidy(edits), (vcf or "").strip("\n"))).view

    def edited(self, edit: str) -> EditedView:
        """An edit that is open, or was in an earlier run; UnknownTileset if there is none."""
        found = self._edits.get(edit)
        if found is None:
            for url in [url for known, url, _ in list(self._state.saved()) if known == edit]:
                self.open_url(url)
            found = self._edits.get(edit)
        if found is None:
            raise UnknownTileset(f"there is no edit {edit[:64]!r} here; make it again")
        return found.view

    def _edit(self, address: Address) -> _Open:
        address = address.sequence
        key = self._state.uid(f"edit {address}")
        found = self._edits.get(key)
        if found is None:
            made = self._make(key, address)  # which may take a second: others are served meanwhile
            with self._lock:
                found = self._edits.get(key) or self._keep(key, address, made)
        self._touch(found.predicted)
        return found

    def _make(self, key: str, address: Address) -> _Open:
        base = self._scene(address.model, address.genome)
        source = base.engine.source
        genome, changes, problems = edited_genome(address, source, min(base.settings.resolutions))
        predicted = PredictedGenome(
            base.engine.for_genome(genome),
            f"{base.name}#{key}",
            f"{base.assembly}.{genome.name.rpartition('.')[2]}",
            self.roots,
            self.urgent,
            base,
        )
        view = EditedView(
            id=key,
            name=changed(address.edits, changes),
            url=str(address),
            assembly=predicted.assembly,
            model=address.model,
            genome=address.genome,
            edits=[str(change) for change in changes],
            problems=problems,
            contigs=dict(genome.chromsizes),
            edited=genome.edited,
            junctions={c: genome.junctions(c) for c in genome.edited},
            places=places_of(genome),
        )
        return _Open(predicted, view, [], time.time())

    def _keep(self, key: str, address: Address, made: _Open) -> _Open:
        self._edits[key] = made
        for kind, own in zip(
            ("map", "insulation", "compartments", "lifted", "difference"), _tracks(address)
        ):
            uid = self._open_tileset(own, made.predicted, made).uid
            made.view.tilesets[kind] = uid
            self._known[uid] = str(address)
        self._state.save(key, str(address))
        for edit, url, _ in list(self._state.saved())[: -self.limits.saved]:
            self._state.forget(edit)
            for own in _tracks(parse_url(url)):
                self._known.pop(self._state.uid(str(own)), None)
        while len(self._edits) > self.limits.edits:
            self._close(next(iter(self._edits)))
        return made

    def _touch(self, predicted: PredictedGenome) -> None:
        """An edit is used: it is the last to make room."""
        with self._lock:
            key = predicted.name.rpartition("#")[2]
            if key in self._edits:
                self._edits.move_to_end(key)
                if time.time() - self._edits[key].used > 60:  # seldom: it writes a file
                    self._state.save(key, self._edits[key].view.url)
                self._edits[key].used = time.time()

    def drop(self, edit: str) -> None:
        """Close an edited genome and forget it; UnknownTileset if there is none."""
        with self._lock:
            view = self.edited(edit)
            self._close(edit)
            for uid in view.tilesets.values():
                self._known.pop(uid, None)
            self._state.forget(edit)

    def _close(self, edit: str) -> None:
        """Drop an edited genome with all that was computed for it; its tilesets can be opened
        again.
        """
        gone = self._edits.pop(edit)
        for uid in gone.tilesets:
            self._tilesets.pop(uid, None)
        uids = set(gone.tilesets)
        if self.scheduler is not None:
            self.scheduler.drop(lambda key: key[0] in uids)
        self.results.drop(lambda key: key[0] in uids)
        self.units.drop(lambda unit: getattr(unit, "predicted", None) is gone.predicted)
        self.roots.drop(lambda key: key[0] is gone.predicted)

    # ---- tiles

    def tiles(self, ids: Sequence[str], *, wait: float | None = 0.1) -> dict[str, dict[str, Any]]:
        """A tile for every id, whatever it is.

        Parameters
        ----------
        wait : seconds to wait for predicted tiles; None: until they are there. Files do not wait
            for them.

        Returns
        -------
        Tiles by id. One that is not ready has the message "computing" and what is known so far; one
        that cannot be made is empty and says why.
        """
        out: dict[str, dict[str, Any]] = {}
        predicted: list[tuple[TileId, Computed]] = []
        files: dict[str, list[str]] = {}
        for text in dict.fromkeys(ids):
            try:
                tile = parse_tile_id(text)
                tileset = self[tile.uid]
            except OrcaCoolError as error:
                out[text] = failed_by_id(text, str(error))
                continue
            if isinstance(tileset, Computed):
                predicted.append((tile, tileset))
            else:
                files.setdefault(tile.uid, []).append(text)
        for uid, texts in files.items():
            out |= dict(self._tilesets[uid].tiles(texts))
        out |= answer(predicted, wait)
        return out

    def progress(self, ids: Sequence[str]) -> dict[str, Any]:
        """Which of some tiles are ready, pending, or failed; asking keeps them wanted."""
        ready: list[str] = []
        pending: list[str] = []
        failed: dict[str, str] = {}
        for text in dict.fromkeys(ids):
            try:
                tile = parse_tile_id(text)
                tileset = self[tile.uid]
                goal = tileset.goal(tile) if isinstance(tileset, Computed) else None
            except (TileError, UnknownTileset) as error:
                failed[text] = str(error)
                continue
            if (
                goal is None
                or not isinstance(tileset, Computed)
                or goal.key in tileset.scheduler.results
            ):
                ready.append(text)
            elif (problem := tileset.scheduler.error(goal.key)) is not None:
                failed[text] = problem
            elif tileset.scheduler.is_pending(goal.key):
                pending.append(text)
            else:
                ready.append(text)  # dropped meanwhile: the page is to ask for it again
        return {"ready": ready, "pending": pending, "failed": failed}

    # ---- itself

    def status(self) -> dict[str, Any]:
        """What a server does and holds."""
        caches = {"windows": self.units, "tiles": self.results, "encodings": self.roots}
        return {
            "instance": self.instance,
            "uptime_s": round(time.time() - self._began, 1),
            "models": [
                {"model": m, "genome": g, "assembly": s.assembly}
                for (m, g), s in self._models.items()
            ],
            "edits": len(self._edits),
            "tilesets": len(self._tilesets),
            "queue": 0 if self.scheduler is None else len(self.scheduler),
            "computed": 0 if self.scheduler is None else self.scheduler.computed,
            "failed": 0 if self.scheduler is None else self.scheduler.failed,
            "caches": {
                k: {"bytes": c.nbytes, "max_bytes": c.max_bytes, "hits": c.hits, "misses": c.misses}
                for k, c in caches.items()
            },
        }

    def metrics(self) -> dict[str, float]:
        """The same as flat numbers."""
        said = self.status()
        out: dict[str, float] = {k: said[k] for k in ("uptime_s", "edits", "tilesets", "queue")}
        out |= {"units_computed_total": said["computed"], "tiles_failed_total": said["failed"]}
        if self.scheduler is not None:
            out |= {
                "tiles_built_total": self.scheduler.built,
                "compute_seconds_total": self.scheduler.busy,
            }
            out["encoded_bp_total"] = sum(s.engine.encodings.encoded for s in self._models.values())
        for name, cache in said["caches"].items():
            out |= {
                f"cache_{name}_bytes": cache["bytes"],
                f"cache_{name}_hits_total": cache["hits"],
            }
            out[f"cache_{name}_misses_total"] = cache["misses"]
        return out

    def close(self) -> None:
        """Stop computing."""
        for scheduler in (self.scheduler, self._measuring):
            if scheduler is not None:
                scheduler.close()

    def __enter__(self) -> TilesetRegistry:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _tracks(address: Address) -> list[Address]:
    """The addresses of what an edited genome shows: map, insulation, compartments, the map in the
    reference's coordinates, the difference.
    """
    own = address.sequence
    lifted = replace(own, lifted=True)
    return [
        own,
        replace(own, track="insulation"),
        replace(own, track="compartments"),
        lifted,
        replace(lifted, difference=True),
    ]
