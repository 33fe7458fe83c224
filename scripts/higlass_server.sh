#!/usr/bin/env bash
# Runs our Django app within higlass-server 1.14.8, its last release: bash scripts/higlass_server.sh [FOLDER]
# Fetches the release's source and the packages that it needs into FOLDER (default build/higlass-server), and runs
# tests/higlass_plugin/test_higlass_server.py within it. HIGLASS_SERVER_SOURCE names another copy of its git repository (folder or URL).
# ORCA_COOL_RECORD=1 writes what the release answers into tests/lab_server/answers.json.
# Exits with 77 and says why where the release cannot be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${ORCA_COOL_PYTHON:-.venv/bin/python}"
if [ ! -x "$python" ]; then
    source scripts/install.sh test
fi
folder="$(realpath -m "${1:-build/higlass-server}")"
tag=v1.14.8 commit=cbfe79fe3ae0e844b4c0c78142a83733c8cc66a2
from="${HIGLASS_SERVER_SOURCE:-https://github.com/higlass/higlass-server}"
mkdir -p "$folder"
if [ ! -e "$folder/VERSION" ]; then
    rm -rf "$folder/source" "$folder/packages"
    # (a folder is cloned as a URL, since git ignores --depth for paths)
    if [ -d "$from" ]; then from="file://$(realpath "$from")"; fi
    if ! git -c advice.detachedHead=false clone -q --depth 1 --branch "$tag" "$from" "$folder/source"; then
        echo "skipped: higlass-server $tag cannot be fetched from $from" >&2
        exit 77
    fi
    if [ "$(git -C "$folder/source" rev-parse HEAD)" != "$commit" ]; then
        echo "error: $tag of $from is not commit $commit" >&2
        exit 1
    fi
    # What the release pins and our Python can run; numpy, clodius, higlass-python and the like are those of our environment.
    # pkg_resources, which coreapi imports, is not in later releases of setuptools.
    if ! "$python" -m pip install -q --disable-pip-version-check --target "$folder/packages" \
        django==2.2.28 djangorestframework==3.11.2 django-guardian==1.5.1 django-cors-headers==3.0.2 django-rest-swagger==2.2.0 \
        redis==2.10.5 slugid==2.0.0 jsonschema==3.2.0 pybase64 cachecontrol pyppeteer "setuptools<81"; then
        echo "skipped: the packages that higlass-server $tag needs cannot be fetched" >&2
        exit 77
    fi
    echo "$tag" >"$folder/VERSION"
fi
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
ORCA_COOL_HIGLASS_SERVER="$folder" "$python" -m pytest -q -p no:cacheprovider tests/higlass_plugin/test_higlass_server.py
