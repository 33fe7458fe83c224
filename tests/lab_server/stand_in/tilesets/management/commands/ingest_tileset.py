from pathlib import Path

from django.core.files import File
from django.core.management.base import BaseCommand

from tilesets.models import Tileset


class Command(BaseCommand):
    def add_arguments(self, parser):
        for name in ("filename", "filetype", "datatype", "coordSystem", "uid", "name"):
            parser.add_argument(f"--{name}")

    def handle(self, *, filename, filetype, datatype, coordSystem, uid, name, **_):
        with open(filename, "rb") as file:
            Tileset.objects.create(
                datafile=File(file, Path(filename).name),
                filetype=filetype,
                datatype=datatype,
                coordSystem=coordSystem,
                uuid=uid,
                name=name,
            )
