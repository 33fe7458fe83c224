# shellcheck shell=bash
# Sourced by the other scripts: makes .venv and installs the package into it. Usage: source scripts/install.sh [EXTRA]
# PYTHON picks the interpreter (default python3); PIP_ARGS adds arguments to pip install (an index of CPU builds of torch, say).

_extra="${1:-}"
_python="${PYTHON:-python3}"
if ! command -v "$_python" >/dev/null; then
    echo "error: no $_python here; install Python 3.11, 3.12 or 3.13, or set PYTHON" >&2
    exit 2
fi
if ! "$_python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $("$_python" --version) is too old; 3.11 to 3.13 is needed (set PYTHON to another)" >&2
    exit 2
fi
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "making .venv"
    if ! "$_python" -m venv --clear .venv; then
        echo "error: $_python cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 2
    fi
fi
# A stamp of all that decides what is installed makes a second run start at once.
_stamp="$(cat pyproject.toml scripts/constraints.txt | .venv/bin/python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())') ${_extra}"
if [ "$(cat .venv/orca-cool-stamp 2>/dev/null)" != "$_stamp" ] && [ "$(cat .venv/orca-cool-stamp 2>/dev/null)" != "${_stamp% *} test" ]; then
    echo "installing orca-cool${_extra:+[$_extra]} and what it needs into .venv (the first time takes minutes)"
    # What pip does is told in a few lines, and kept. Modules are compiled when they are first used: all of
    # them now would take half as long again.
    _log=.venv/orca-cool-install.log
    # shellcheck disable=SC2086
    if ! .venv/bin/python -m pip install --no-compile --progress-bar off --disable-pip-version-check --no-color \
        -c scripts/constraints.txt ${PIP_ARGS:-} -e ".${_extra:+[$_extra]}" 2>&1 | tee "$_log" | awk '
            /^Collecting |^Processing .*[.]whl/ { if (++n % 20 == 0) print "  " n " packages found" }
            /^  Downloading .*[(][0-9.]+ MB[)]/ { split($2, name, "-"); if (substr($3, 2) + 0 >= 10) print "  downloading " name[1] " " $3 " " $4 }
            /^Installing collected packages/ { print "  unpacking " NF - 3 " packages" }
            { fflush() }'; then
        tail -n 30 "$_log" >&2
        echo "error: pip could not install orca-cool; all that it said is in $_log" >&2
        exit 2
    fi
    echo "$_stamp" >.venv/orca-cool-stamp
fi
