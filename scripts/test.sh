#!/usr/bin/env bash
# Installs the package for testing and runs everything that CI runs: bash scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
# The page is tested in a browser: Debian's Chromium, where there is none and we may install it.
chromium=''
if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing chromium meanwhile"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null 2>&1 &
    chromium=$!
fi
source scripts/install.sh test
[ -z "$chromium" ] || wait "$chromium" ||
    echo "warning: chromium cannot be installed; the tests of the page are skipped" >&2
took="installing $SECONDS s"

bin=.venv/bin
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/lint-imports"
# Types take one core for a minute: the quickstart runs beside it.
if [ $# -eq 0 ]; then
    "$bin/mypy" >.venv/mypy.log 2>&1 &
    types=$!
    bash scripts/quickstart.sh
    wait "$types" || { cat .venv/mypy.log && exit 1; }
    cat .venv/mypy.log
else
    "$bin/mypy"
fi
took="$took, lints, types and quickstart until $SECONDS s"
# Two workers with one thread each are faster than one with two: most tests are too small to share.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" MPLBACKEND=Agg
# What the browser showed, for whoever wants to look.
export ORCA_COOL_SCREENSHOTS="${ORCA_COOL_SCREENSHOTS:-$PWD/screenshots}"
work=$(mktemp -d) temporary='' browser=''
finish() {
    [ -z "$browser" ] || kill "$browser" 2>/dev/null || true
    rm -rf "$work" ${temporary:+"$temporary"}
}
trap finish EXIT
# Thousands of small files are flushed to the disk one by one: where memory serves as a disk, that is
# a tenth of the time.
if [ -z "${PYTEST_DEBUG_TEMPROOT:-}" ] && [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -1)" -gt 4000000 ] 2>/dev/null; then
    temporary=$(mktemp -d /dev/shm/orca-cool-tests.XXXXXX)
    export PYTEST_DEBUG_TEMPROOT=$temporary
fi
if [ $# -gt 0 ]; then
    "$bin/python" -m pytest -n "${TEST_WORKERS:-2}" --dist worksteal --durations 60 -o tmp_path_retention_policy=failed "$@"
    exit
fi
# All tests. Those that drive a browser are one process, which has the cores when it needs them: software
# WebGL and the server behind the page would else wait for minutes, and tests would not tell why. All others
# take what is left meanwhile, and everything afterwards.
"$bin/python" -m pytest -q -m browser --durations 20 -o tmp_path_retention_policy=failed >"$work/browser" 2>&1 &
browser=$!
# Which lines of the public API and of the command line their own tests reach: tracing takes a quarter more
# time, so other tests are not traced (tests/conftest.py).
failed=0
nice -n 10 "$bin/python" -m pytest -n "${TEST_WORKERS:-2}" --dist worksteal -m "not browser" --durations 60 \
    -o tmp_path_retention_policy=failed --cov=orca_cool.api --cov=orca_cool.cli --cov-report=term || failed=$?
echo "tests that drive a browser:"
took="$took, all other tests until $SECONDS s"
wait "$browser" || failed=$?
cat "$work/browser"
echo "$took, those of the browser until $SECONDS s"
exit "$failed"
