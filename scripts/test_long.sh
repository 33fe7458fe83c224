#!/usr/bin/env bash
# Runs the tests that are too long for CI (marked `long`): bash scripts/test_long.sh [pytest arguments]
# Trainings from nothing, hundreds of damaged bits, kills of every verb, servers under load for minutes, all reference outputs.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh test
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" MPLBACKEND=Agg
exec .venv/bin/python -m pytest --long -m long -n "${TEST_WORKERS:-2}" --dist worksteal --timeout 5400 --durations 0 "$@"
