import json
import pickle
from collections import defaultdict
from itertools import accumulate

import higlass.tilesets
from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from tilesets.models import Tileset

rdb = None


def api_view(*methods):
    def decorate(view):
        def checked(request):
            if request.method in methods:
                return view(request)
            message = f'Method "{request.method}" not allowed.'
            return JsonResponse({"detail": message}, status=405)

        return csrf_exempt(checked)

    return decorate


def generate_tiles(tileset, ids):
    if tileset.filetype in higlass.tilesets.by_filetype:
        return higlass.tilesets.by_filetype[tileset.filetype](tileset.datafile.path).tiles(ids)
    return [(i, {"error": f"Unknown tileset filetype: {tileset.filetype}"}) for i in ids]


@api_view("GET", "POST")
def tiles(request):
    if request.method == "GET":
        asked = request.GET.getlist("d")
    else:
        try:
            body = json.loads(request.body)
        except ValueError:
            return JsonResponse({"error": "Unable to parse request body as JSON."}, status=400)
        asked = [f"{part['tilesetUid']}.{i}" for part in body for i in part["tileIds"]]
    by_uuid = defaultdict(set)
    for text in asked:
        by_uuid[text.split(".")[0]].add(text)
    found = {}
    for tileset, ids in [(Tileset.objects.get(uuid=uuid), ids) for uuid, ids in by_uuid.items()]:
        if not tileset.private or request.user == tileset.owner:
            found.update(generate_tiles(tileset, ids))
    for text, tile in found.items():
        try:
            rdb.set(text, pickle.dumps(tile))
        except Exception as error:
            print(error)
    return JsonResponse(found)


def chromsizes(tileset):
    with open(tileset.datafile.path) as file:
        return [(chrom, int(size)) for chrom, size in map(str.split, file)]


@api_view("GET")
def tileset_info(request):
    infos = {}
    for uuid in request.GET.getlist("d"):
        tileset = Tileset.objects.filter(uuid=uuid).first()
        if tileset is None:
            infos[uuid] = {"error": f"No such tileset with uid: {uuid}"}
            continue
        if tileset.private and request.user != tileset.owner:
            infos[uuid] = {"error": "Forbidden"}
            continue
        if tileset.filetype == "chromsizes-tsv":
            infos[uuid] = {"chromsizes": chromsizes(tileset)}
        else:
            infos[uuid] = {"error": f"Unknown filetype {tileset.filetype}"}
        for key in ("name", "datatype", "coordSystem", "coordSystem2"):
            infos[uuid][key] = getattr(tileset, key)
    return JsonResponse(infos)


@api_view("GET")
def sizes(request):
    as_json, cumulative = request.GET.get("type") == "json", request.GET.get("cum")
    if cumulative and not as_json:
        message = "Sorry buddy. Cumulative sizes not yet supported for non-JSON file types. 😞"
        return HttpResponse(message, status=501)
    tileset = Tileset.objects.filter(uuid=request.GET["id"]).first()
    if tileset is None:
        message = f"Oh lord! ChromSizes for {request.GET['id']} not found. 😬"
        return HttpResponse(message, status=404)
    rows = chromsizes(tileset) if tileset.filetype == "chromsizes-tsv" else []
    if not as_json:
        return HttpResponse("".join(f"{chrom}\t{size}\n" for chrom, size in rows))
    offsets = accumulate((size for _, size in rows), initial=0)
    return JsonResponse(
        {
            chrom: {"size": size} | ({"offset": offset} if cumulative else {})
            for (chrom, size), offset in zip(rows, offsets)
        }
    )


@api_view("POST")
def register_url(request):
    return JsonResponse({"error": "File does not exist under media root"}, status=500)
