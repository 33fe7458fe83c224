#!/usr/bin/env bash
# What whoever has a GPU runs once, at the released size; without a GPU its CPU form, with gloo.
# Writes one JSON: bash scripts/bench/gpu.sh [OUT.json] [--quick] [--parts parity,precision,...]
set -euo pipefail
cd "$(dirname "$0")/../.."
# BENCH_PYTHON: a Python that has orca-cool[test] already, and a torch for the GPU
if [ -z "${BENCH_PYTHON:-}" ]; then
    source scripts/install.sh test
    BENCH_PYTHON=.venv/bin/python
fi
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}" MPLBACKEND=Agg
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
exec "$BENCH_PYTHON" scripts/bench/gpu.py "$@"
