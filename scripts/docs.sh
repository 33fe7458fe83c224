#!/usr/bin/env bash
# Builds the documentation site into docs/_build/html, which is read without the internet:
#   bash scripts/docs.sh              installs what it needs, builds; a warning is an error
#   bash scripts/docs.sh --open       and shows it
#   bash scripts/docs.sh --execute    and runs the tutorials, so that pages hold what they print and draw (minutes)
# DOCS_PYTHON=python takes an environment that has orca-cool[docs] already, and installs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

show=
out=docs/_build
for argument in "$@"; do
    case "$argument" in
    --open) show=1 ;;
    --execute) export ORCA_COOL_DOCS_EXECUTE=1 ;;
    --output=*) out=${argument#--output=} ;;
    *)
        echo "error: unknown argument '$argument'; known: --open, --execute, --output=FOLDER" >&2
        exit 2
        ;;
    esac
done
if [ -z "${DOCS_PYTHON:-}" ]; then
    source scripts/install.sh docs
    DOCS_PYTHON=.venv/bin/python
    PATH="$PWD/.venv/bin:$PATH"
fi
# Where tutorials call the command, as where they are imported: this tree.
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" MPLBACKEND=Agg OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
if [ -n "${ORCA_COOL_DOCS_EXECUTE:-}" ]; then
    unset MPLBACKEND # a notebook draws into its page; Agg would draw to nowhere
    shim=$(mktemp -d)
    trap 'rm -rf "$shim"' EXIT
    printf '#!/bin/sh\nexec "%s" -m orca_cool "$@"\n' "$(command -v "$DOCS_PYTHON")" >"$shim/orca-cool"
    chmod +x "$shim/orca-cool"
    export PATH="$shim:$PATH"
fi
"$DOCS_PYTHON" -m sphinx -b html -W --keep-going -q -d "$out/doctrees" docs "$out/html"
echo "$out/html/index.html"
if [ -n "$show" ]; then
    "$DOCS_PYTHON" -m webbrowser -t "file://$(cd "$out/html" && pwd)/index.html"
fi
