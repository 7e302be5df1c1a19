#!/bin/sh
# Run the demo on a fresh machine: Python 3.11 or later is all it needs.
#
# usage: deploy/demo.sh [flags of `looksalive demo`]
#
# Installs the hash-pinned lock beside this script into .venv of the project's folder, which it makes if need be (only
# when either is missing or the lock changed), then runs `looksalive demo` from the sources. Every LOOKSALIVE_...
# variable is obeyed; PYTHON names the interpreter to use.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(dirname -- "$here")
lock=$here/requirements.lock
venv=$root/.venv
stamp=$venv/deploy-requirements.lock # the lock that was last installed

fail() {
    printf 'demo.sh: %s\n' "$*" >&2
    exit 1
}

recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
        if recent "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail 'needs Python 3.11 or later; found none on PATH (on Debian or Ubuntu: apt install python3 python3-venv)'
}

make_environment() {
    python=$(find_python) || exit 1
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "$python lacks the venv module (on Debian or Ubuntu: apt install python3-venv)"
    printf 'demo.sh: making .venv with %s ...\n' "$("$python" -V)" >&2
    "$python" -m venv --clear "$venv"
}

install_lock() {
    printf 'demo.sh: installing %s pinned packages ...\n' "$(grep -c '==' "$lock")" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --requirement "$lock" ||
        fail 'the packages could not be installed: is the package index reachable?'
    cp "$lock" "$stamp"
}

[ -f "$lock" ] || fail "$lock is missing"
recent "$venv/bin/python" || make_environment
cmp -s "$lock" "$stamp" || install_lock

cd "$root"
PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
exec "$venv/bin/python" -m probe.cli demo "$@"
