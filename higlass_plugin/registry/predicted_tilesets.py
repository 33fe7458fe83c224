"""The tileset that an ``orca://`` address stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.files.tileset import FileTileset
from higlass_plugin.registry.address import Address
from higlass_plugin.tilesets.attribution import AttributionTileset
from higlass_plugin.tilesets.base import ModelTileset
from higlass_plugin.tilesets.lifted_file import LiftedFileTileset
from higlass_plugin.tilesets.maps import DifferenceTileset, LiftedTileset, MapTileset
from higlass_plugin.tilesets.score_difference import ScoreDifferenceTileset
from higlass_plugin.tilesets.tracks import CompartmentTileset, InsulationTileset, ProfileTileset


def addresses_of_reference(own: Address, profiles: Sequence[str]) -> list[Address]:
    """What a model shows of a genome: the map, whose address is ``own``, insulation, compartments,
    and its profiles.
    """
    tracks = [replace(own, track=track) for track in ("insulation", "compartments")]
    return [own, *tracks, *(replace(own, track="profile", profile=name) for name in profiles)]


def addresses_of_edit(address: Address, files: Sequence[str] = ()) -> dict[str, Address]:
    """What is shown of an edited genome, by the names that :class:`EditedView` has for it.

    "lifted" and those that end in "difference" are in the reference's coordinates, the others in
    the genome's own.

    Parameters
    ----------
    files : uids of served files whose intervals are shown on it.
    """
    own = address.sequence
    lifted = replace(own, lifted=True)
    return {
        "map": own,
        "insulation": replace(own, track="insulation"),
        "compartments": replace(own, track="compartments"),
        "lifted": lifted,
        "difference": replace(lifted, difference=True),
        **{
            f"{track}-difference": replace(lifted, difference=True, track=track)
            for track in ("insulation", "compartments")
        },
        **{f"file-{uid}": replace(own, track="file", file=uid) for uid in files},
    }


def predicted_tileset(
    address: Address,
    predicted: PredictedGenome,
    scheduler: Scheduler,
    uid: str,
    edit: str | None,
    file: FileTileset | None = None,
) -> ModelTileset | LiftedFileTileset:
    """The tileset of an address.

    Parameters
    ----------
    predicted : the model on the genome, with its edits, that the address names.
    scheduler : computes the tiles. uid : of the tileset.
    edit : short name of the edited genome; None for the reference.
    file : the file that the address names, if it names one.
    """
    if file is not None:
        return LiftedFileTileset(file, predicted, uid, f"{file.name}: {edit}")
    after = "" if edit is None else f": {edit}"
    model = f"{address.model}, {address.cell_type}" if address.cell_type else address.model
    name = f"{model}{after}"
    common = predicted, scheduler, uid
    made: ModelTileset
    if address.track == "profile":  # the same for all cell types
        shown = f"{address.model}{after}, {address.profile}"
        made = ProfileTileset(*common, shown, address.profile)
    elif address.difference and address.track != "map":
        kind = InsulationTileset if address.track == "insulation" else CompartmentTileset
        shown = f"{name}, {address.track}, alternate - reference"
        made = ScoreDifferenceTileset(*common, shown, kind)
    elif address.track == "insulation":
        made = InsulationTileset(*common, f"{name}, insulation")
    elif address.track == "compartments":
        made = CompartmentTileset(*common, f"{name}, compartment E1")
    elif address.track == "attribution":
        shown = f"{name}, attribution of {address.objective}"
        made = AttributionTileset(*common, shown, address.objective, address.resolution)
    elif address.difference:
        made = DifferenceTileset(*common, f"{name}, ln alternate/reference")
    elif address.lifted:
        made = LiftedTileset(*common, f"{name}, at the reference's coordinates")
    else:
        made = MapTileset(*common, f"{name}, predicted")
    made.description = str(address)
    return made
