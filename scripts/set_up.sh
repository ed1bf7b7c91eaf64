#!/bin/sh
# Creates or updates .venv.  `make` calls this when a lock or this file is newer than the last set-up.
#
# PYTHON=python3.13 chooses the interpreter, PYTHON=3.13 the best one of that version; without it an existing .venv is
# kept, and a new one takes the best interpreter on this machine.  VENV=.venv-3.13 makes another environment beside it.
# Needs nothing but an interpreter: sh, because there may be no Python yet that could run anything better.
#
# Exit code 3: there is no interpreter of the version that was asked for.
set -eu
cd "$(dirname "$0")/.."

venv=${VENV:-.venv}
# It is removed when it does not serve: never a folder that somebody else made.
case $venv in
.venv | .venv-[0-9]*) ;;
*) printf 'setup: VENV=%s: an environment is called .venv or .venv-3.13\n' "$venv" >&2 && exit 2 ;;
esac

# Whether PYTHON is a version, and not an interpreter.
is_version() {
    case ${PYTHON:-} in
    */*) return 1 ;;
    [0-9]*.[0-9]*) return 0 ;;
    *) return 1 ;;
    esac
}

say() { printf 'setup: %s\n' "$*" >&2; }

# One line about an interpreter: rank, version, what it lacks ('-' for nothing), and where it really is; tab separated.
# Fails for what cannot run (a pyenv shim of a version that is not activated) or is older than 3.11.
#
# pocketsphinx 5.1.1 has wheels for 3.11 and 3.13 only (package index, read 2026-11-22), so these come first; any other
# version compiles it.
describe() {
    "$1" -c '
import importlib.util, os, shutil, sys, sysconfig

if sys.version_info < (3, 11):
    sys.exit(1)
has_wheel = sys.version_info[:2] in {(3, 11), (3, 13)}
lacks = []
if importlib.util.find_spec("ensurepip") is None:
    lacks.append("ensurepip")
if not has_wheel:
    if not any(map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))):
        lacks.append("compiler")
    if not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")):
        lacks.append("headers")
order = [(3, 11), (3, 13), (3, 12)]
rank = order.index(sys.version_info[:2]) if sys.version_info[:2] in order else len(order)
# Inside a virtual environment, the interpreter it was made from: .venv itself may be on PATH.
where = getattr(sys, "_base_executable", sys.executable)
print(rank + 10 * len(lacks), "%d.%d" % sys.version_info[:2], ",".join(lacks) or "-", where, sep="\t")
' 2>/dev/null </dev/null
}

# Every interpreter worth asking, one a line.  All of PATH, because the first match may be a shim that fails while a
# later one works.
candidates() {
    (
        IFS=:
        for folder in $PATH; do
            for name in python3.11 python3.13 python3.12 python3; do
                [ ! -x "$folder/$name" ] || printf '%s\n' "$folder/$name"
            done
        done
    )
    for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[1-9]*/bin/python3; do
        [ ! -x "$candidate" ] || printf '%s\n' "$candidate"
    done
}

# The best interpreter's line, or nothing.
choose() {
    if [ -n "${PYTHON:-}" ] && ! is_version; then
        describe "$PYTHON" || true
    else
        candidates | while IFS= read -r candidate; do
            line=$(describe "$candidate") || continue
            if ! is_version || [ "$(field "$line" 2)" = "$PYTHON" ]; then printf '%s\n' "$line"; fi
        done | sort -s -n -k 1,1 | head -n 1
    fi
}

field() { printf '%s\n' "$1" | cut -f "$2"; }

# Debian splits Python: what an interpreter lacks may be a package away.  Prints the packages' names.
debian_packages() { # version, lacks
    case $2 in *ensurepip*) printf ' python%s-venv' "$1" ;; esac
    case $2 in *compiler*) printf ' build-essential' ;; esac
    case $2 in *headers*) printf ' python%s-dev' "$1" ;; esac
}

# A fresh image has no list of packages yet; asking for one takes longer than trying first.
install_debian_packages() { # names
    # shellcheck disable=SC2086  # a list of names
    apt_install() { apt-get install -y --no-install-recommends $1 >&2 </dev/null; }
    apt_install "$1" || { apt-get update >&2 && apt_install "$1"; }
}

explain() { # version, lacks, interpreter
    say "Python $1 ($3) cannot be set up yet:"
    case $2 in *ensurepip*) say "  - it has no ensurepip, so no virtual environment can be made with it" ;; esac
    case $2 in *compiler*) say "  - pocketsphinx 5.1.1 has no wheel for Python $1, and there is no C compiler to build it" ;; esac
    case $2 in *headers*) say "  - pocketsphinx 5.1.1 has no wheel for Python $1, and there is no Python.h to build it" ;; esac
    say "On Debian or Ubuntu:  apt-get install$(debian_packages "$1" "$2")"
    case $2 in *compiler* | *headers*) say "Or install Python 3.11 or 3.13, for which there is a wheel." ;; esac
}

make_environment() {
    best=$(choose)
    if [ -z "$best" ]; then
        if is_version; then
            say "no Python $PYTHON that runs was found on PATH or in pyenv's folder."
            exit 3
        elif [ -n "${PYTHON:-}" ]; then
            say "PYTHON=$PYTHON does not run, or is older than Python 3.11."
        else
            say "no Python 3.11 or later that runs was found on PATH."
            say "Install Python 3.11 or 3.13 (on Debian: apt-get install python3 python3-venv), or name one: make setup PYTHON=/path/to/python3"
        fi
        exit 1
    fi
    version=$(field "$best" 2) lacks=$(field "$best" 3) interpreter=$(field "$best" 4)

    if [ "$lacks" != - ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        packages=$(debian_packages "$version" "$lacks")
        say "installing Debian packages:$packages"
        install_debian_packages "$packages" || say "apt-get could not install them"
        best=$(describe "$interpreter") && lacks=$(field "$best" 3)
    fi
    if [ "$lacks" != - ]; then
        explain "$version" "$lacks" "$interpreter"
        exit 1
    fi

    say "making $venv with Python $version ($interpreter)"
    rm -rf "$venv"
    "$interpreter" -m venv "$venv"
}

# Whether the environment can be kept: it runs, and it is of the interpreter that was asked for.
environment_serves() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 || return 1
    [ -n "${PYTHON:-}" ] || return 0
    present=$(describe "$venv/bin/python") || return 1
    if is_version; then
        [ "$(field "$present" 2)" = "$PYTHON" ]
        return
    fi
    wanted=$(describe "$PYTHON") || return 1
    [ "$(field "$wanted" 4)" = "$(field "$present" 4)" ]
}

pip() { "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" </dev/null; }

environment_serves || make_environment

say "installing what requirements/project.txt names"
if pip install --quiet --require-hashes -r requirements/uv.txt &&
    "$venv/bin/uv" pip sync --quiet --require-hashes --python "$venv/bin/python" requirements/project.txt; then
    exit 0
fi
# uv does not read pip's configuration, where a company names its mirror; pip takes the same file and the same hashes.
say "uv could not do it; trying pip"
pip install --quiet --require-hashes -r requirements/project.txt
