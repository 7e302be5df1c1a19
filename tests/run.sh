#!/bin/sh
# Run all tests on a fresh machine with Python 3.11 or later.
#
#   tests/run.sh [--no-install | --only-install] [-- PYTEST_ARGUMENT ...]
#
# Makes .venv from the hash-pinned tests/requirements.lock and, as root on Debian, installs the packages of the real
# servers that the end-to-end tests ask; they are listed before anything is installed. --no-install leaves the system's
# packages alone; --only-install stops before the tests. A test whose server is absent is skipped with its reason;
# with CI=true that is a failure. PYTHON names the interpreter to use.
set -eu

PACKAGES="postfix dovecot-imapd dovecot-pop3d nginx-light prometheus prometheus-alertmanager supervisor resource-agents iproute2 nftables podman runc containernetworking-plugins iptables binutils python3-venv systemd dbus slapd ldap-utils pacemaker-cli-utils curl openssl catatonit tmux zsh fish chromium fonts-dejavu-core haproxy prometheus-blackbox-exporter monit"
POLICY=/usr/sbin/policy-rc.d

say() { printf '%s\n' "tests/run.sh: $*" >&2; }

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit "$1"
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
install=yes
run=yes
while [ $# -gt 0 ]; do
    case $1 in
        --no-install) install=no ;;
        --only-install) run=no ;;
        -h | --help) usage 0 ;;
        --) shift; break ;;
        *) say "unknown option $1 (arguments for pytest go behind --)"; usage 2 >&2 ;;
    esac
    shift
done

in_ci() { case ${CI:-} in true | 1 | yes) return 0 ;; *) return 1 ;; esac; }

as_root_on_debian() { [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null; }

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    say "Python 3.11 or later is needed; none of \$PYTHON, python3, python3.14 ... python3.11 is"
    exit 1
}

restore_policy() {
    rm -f "$POLICY"
    if [ -e "$POLICY.before-tests" ]; then mv "$POLICY.before-tests" "$POLICY"; fi
}

# Installs without starting anything: the tests start servers of their own, on ports of their own.
apt_install() (
    export DEBIAN_FRONTEND=noninteractive
    if [ -e "$POLICY" ] && [ ! -e "$POLICY.before-tests" ]; then mv "$POLICY" "$POLICY.before-tests"; fi
    trap restore_policy EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    get="apt-get --yes --quiet=2 --no-install-recommends -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0"
    # shellcheck disable=SC2086 # a list of words on purpose
    apt-cache show "$@" >/dev/null 2>&1 && $get install "$@" >&2 && exit 0
    apt-get --quiet=2 update >&2
    $get install "$@" >&2
)

install_packages() {
    missing=
    for package in "$@"; do is_installed "$package" || missing="$missing $package"; done
    [ -n "$missing" ] || return 0
    say "installing from Debian, without starting any service:$missing"
    # shellcheck disable=SC2086 # a list of words on purpose
    if ! apt_install $missing; then
        if in_ci; then say "could not install$missing"; exit 1; fi
        say "could not install$missing; the tests that need them are skipped"
    fi
}

make_environment() {
    python=$(find_python)
    if [ "$install" = yes ] && as_root_on_debian && ! "$python" -c 'import ensurepip' 2>/dev/null; then
        install_packages python3-venv
    fi
    lock=$root/tests/requirements.lock
    stamp=$root/.venv/tests-requirements.lock
    if "$root/.venv/bin/python" -c '' 2>/dev/null && cmp -s "$lock" "$stamp"; then return; fi
    if ! is_new_enough "$root/.venv/bin/python"; then "$python" -m venv --clear "$root/.venv"; fi
    say "installing tests/requirements.lock into .venv"
    "$root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r "$lock"
    cp "$lock" "$stamp"
}

make_environment
# shellcheck disable=SC2086 # a list of words on purpose
if [ "$install" = yes ] && as_root_on_debian; then install_packages $PACKAGES; fi
[ "$run" = yes ] || exit 0

cd "$root"
exec .venv/bin/python -m pytest "$@"
