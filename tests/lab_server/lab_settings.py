"""Settings of a lab's higlass-server: those of the release, and our app unless ORCA_COOL_SHIM=0."""

import json
import os

from higlass_server.settings import *  # noqa: F403
from higlass_server.settings import INSTALLED_APPS

if os.environ["ORCA_COOL_SHIM"] == "1":
    INSTALLED_APPS = [*INSTALLED_APPS, "higlass_plugin.django_app.apps.OrcaConfig"]

ORCA_COOL_MODELS = json.loads(os.environ["ORCA_COOL_MODELS"])
ORCA_COOL_GENOMES = json.loads(os.environ["ORCA_COOL_GENOMES"])
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
