"""What a higlass-server answers: python ask.py FOLDER EDIT, with the server on PYTHONPATH.

FOLDER is empty, and the server's HIGLASS_SERVER_BASE_DIR. The answers are printed as JSON, on the
last line: for each of REQUESTS its status and body, or the exception that left the view; and which
tiles the server kept in Redis.
"""

import json
import os
import sys
from pathlib import Path

FOLDER, EDIT = Path(sys.argv[1]), sys.argv[2]
#: uid: datafile, filetype, datatype.
TILESETS = {
    "one": (f"orca://mine/drawn?edit={EDIT}\n", "orca", "matrix"),
    "flat": ("orca://mine/drawn?track=insulation", "orca", "vector"),
    "bad": ("orca://mine/other", "orca", "matrix"),
    "own": ("orca://mine/drawn", "orca", "matrix"),
    "else": ("hello", "no-such-type", "matrix"),
    "sizes": ("a\t14810\nb\t9007\n", "chromsizes-tsv", "chromsizes"),
}
PRIVATE = "own"
REQUESTS = [
    ("GET", "tileset_info/", {"d": ["one"]}),
    ("GET", "tileset_info/", {"d": ["flat", "bad", "own", "else", "sizes", "none"]}),
    ("POST", "tileset_info/", []),
    ("GET", "tiles/", {"d": ["one.4.0.0", "one.4.0.1.logoe", "flat.4.0", "one.99.0.0"]}),
    ("GET", "tiles/", {"d": ["bad.4.0.0", "own.4.0.0", "else.0.0.0", "one.2.0.0"]}),
    ("GET", "tiles/", {"d": ["one.4.0.0", "none.0.0.0"]}),
    ("POST", "tiles/", [{"tilesetUid": "one", "tileIds": ["4.0.0"]}]),
    ("POST", "tiles/", "no JSON"),
    ("GET", "chrom-sizes/", {"id": "one"}),
    ("GET", "chrom-sizes/", {"id": "one", "type": "json"}),
    ("GET", "chrom-sizes/", {"id": "one", "type": "json", "cum": "1"}),
    ("GET", "chrom-sizes/", {"id": "one", "cum": "1"}),
    ("GET", "chrom-sizes/", {"id": "bad", "type": "json"}),
    ("GET", "chrom-sizes/", {"id": "own"}),
    ("GET", "chrom-sizes/", {"id": "else"}),
    ("GET", "chrom-sizes/", {"id": "sizes", "type": "json", "cum": "1"}),
    ("GET", "chrom-sizes/", {"id": "none"}),
    ("POST", "register_url/", {"fileurl": "orca://mine/drawn", "filetype": "orca"}),
]

os.environ["DJANGO_SETTINGS_MODULE"] = "lab_settings"
os.environ["HIGLASS_SERVER_BASE_DIR"] = str(FOLDER)
(FOLDER / "log").mkdir()

import django  # noqa: E402
import higlass.tilesets  # noqa: E402

# higlass-python has had none since 1.0, and the server asks there for what it does not know
if os.environ["ORCA_COOL_SHIM"] == "0":
    vars(higlass.tilesets).setdefault("by_filetype", {})
django.setup()

from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from tilesets import views  # noqa: E402
from tilesets.models import Tileset  # noqa: E402


class Redis:
    """Takes the tiles that the server keeps, and forgets them."""

    def __init__(self):
        self.kept = []

    def get(self, key):
        return None

    def set(self, key, value):
        self.kept.append(key)


def answer(method, path, query):
    client, path = Client(), f"/api/v1/{path}"
    try:
        if method == "GET":
            response = client.get(path, query)
        else:
            body = query if isinstance(query, str) else json.dumps(query)
            response = client.post(path, body, content_type="application/json")
    except Exception as error:  # the server answers 500
        return {"raised": type(error).__name__}
    text = response.content.decode()
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    return {"status": response.status_code, "answer": body}


call_command("migrate", run_syncdb=True, verbosity=0)
for uid, (text, filetype, datatype) in TILESETS.items():
    file = FOLDER / f"{uid}.txt"
    file.write_text(text)
    call_command(
        "ingest_tileset",
        filename=str(file),
        filetype=filetype,
        datatype=datatype,
        coordSystem="lab",
        uid=uid,
        name=f"called {uid}",
    )
Tileset.objects.filter(uuid=PRIVATE).update(private=True)
redis = views.rdb = Redis()
answers = [{"request": list(r), **answer(*r)} for r in REQUESTS]
print()
print(json.dumps({"django": django.__version__, "answers": answers, "kept": sorted(redis.kept)}))
