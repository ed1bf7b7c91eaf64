#!/usr/bin/env bash
# Sees to it that there is a Chromium for the tests of the page: the system's own, which plays H.264.  CHROMIUM may name
# another.  On a machine that only tests (CI, as root) Debian's is installed; anywhere else that is for a person to do.
set -euo pipefail

for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$name" ] && command -v "$name" >/dev/null; then
        exit 0
    fi
done

if [ -n "${CI:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "chromium.sh: installing chromium" >&2
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends chromium >&2; then
        exit 0
    fi
    echo "chromium.sh: apt-get could not install chromium" >&2
fi

echo "chromium.sh: the tests of the page need a Chromium: apt-get install chromium, or name one in CHROMIUM" >&2
exit 1
