#!/usr/bin/env bash
# Installs the package for testing and runs everything that CI runs: bash scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh test

bin=.venv/bin
"$bin/ruff" check .
"$bin/mypy"
if [ $# -eq 0 ]; then
    bash scripts/quickstart.sh
fi
# Two workers with one thread each are faster than one with two: most tests are too small to share.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" MPLBACKEND=Agg
"$bin/python" -m pytest -n "${TEST_WORKERS:-2}" --dist worksteal --durations 15 "$@"
