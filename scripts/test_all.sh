#!/bin/sh
# Runs the tests on each supported Python that this machine has, in an environment of its own: .venv-3.11, .venv-3.12, ...
# Arguments go to pytest.  Goes on after a failure; exit code 0 when the tests passed on every version that was found and
# one was found at all.
set -u
cd "$(dirname "$0")/.." || exit

passed='' failed='' missing=''
for version in 3.11 3.12 3.13; do
    printf '\n==== Python %s\n' "$version"
    VENV=".venv-$version" PYTHON="$version" scripts/set_up.sh
    case $? in
    0) ;;
    3) missing="$missing $version" && continue ;;
    *) failed="$failed $version" && continue ;;
    esac
    if ".venv-$version/bin/python" -m pytest -n auto --dist loadfile "$@" </dev/null; then
        passed="$passed $version"
    else
        failed="$failed $version"
    fi
done

printf '\nPython that passed:%s; failed:%s; not on this machine:%s\n' "${passed:- none}" "${failed:- none}" "${missing:- none}"
[ -n "$passed" ] && [ -z "$failed" ]
