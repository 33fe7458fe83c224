"""The Django app, for a higlass-server of release 1.12.0 or later.

higlass-server looks up filetypes that it does not know in ``higlass.tilesets.by_filetype``, but
only when it is asked for their tiles, not for their infos and chromosome sizes. So
:meth:`OrcaConfig.ready` adds the filetype ``orca`` there, and wraps two views.

It is held against what release 1.14.8, the last, answers (``tests/higlass_plugin/
test_higlass_server.py``; ``scripts/higlass_server.sh`` runs it within that release).

Settings
--------
ORCA_COOL_MODELS : ``{name: folder}``, ORCA_COOL_GENOMES : ``{name: file}``: models and genomes that
    URLs may name, besides those that orca-cool knows. A URL cannot name others, because anybody may
    have uploaded the datafile.

A settings module of your own adds the app, because higlass-server's has a fixed list::

    from higlass_server.settings import *
    INSTALLED_APPS += ["higlass_plugin.django_app.apps.OrcaConfig"]

The datafile of a tileset is a text file with one ``orca://MODEL/GENOME?edit=...`` URL, which says
``cell_type=NAME`` too if the model has several cell types::

    python manage.py ingest_tileset --filename map.orca --filetype orca --datatype matrix
    --coordSystem sacCer3

Such URLs cannot be registered (``register_url``): higlass-server looks for a file of that name.

A request waits until its tiles are computed, because higlass-server may keep its answer in Redis,
so that an unfinished tile would stay unfinished. Tiles with errors are not kept there.

References
----------
github.com/higlass/higlass-server: tilesets/generate_tiles.py (``generate_tiles``),
tilesets/views.py (``tiles``, ``tileset_info``, ``sizes``).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.apps import AppConfig
from django.conf import settings

from higlass_plugin.django_app.datafile import OrcaFile, with_predicted_infos, with_predicted_sizes
from orca_cool.errors import OrcaCoolError


class HiglassServerError(OrcaCoolError):
    """The Django project is not a higlass-server."""


class OrcaConfig(AppConfig):
    """Filetype ``orca`` for higlass-server."""

    name = "higlass_plugin.django_app"
    label = "orca_cool"
    verbose_name = "Predicted contact maps"

    def ready(self) -> None:
        try:
            import higlass.tilesets
            from tilesets import views
            from tilesets.models import Tileset
        except ImportError as error:
            raise HiglassServerError(
                f"{error.name!r} cannot be imported; {type(self).__module__} belongs in the "
                f"INSTALLED_APPS of a higlass-server"
            ) from error
        open_file = partial(
            OrcaFile,
            models=getattr(settings, "ORCA_COOL_MODELS", {}),
            genomes=getattr(settings, "ORCA_COOL_GENOMES", {}),
        )
        # releases of higlass-python since 1.0 have no by_filetype
        vars(higlass.tilesets).setdefault("by_filetype", {})["orca"] = open_file

        def find(request: Any, uid: str) -> OrcaFile | None:
            tileset = Tileset.objects.filter(uuid=uid, filetype="orca").first()
            if tileset is None or (tileset.private and request.user != tileset.owner):
                return None
            return open_file(tileset.datafile.path)

        # Django reads the URLs later, and then finds the wrapped views
        views.tileset_info = with_predicted_infos(views.tileset_info, find)
        views.sizes = with_predicted_sizes(views.sizes, find)
