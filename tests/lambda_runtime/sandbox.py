"""What a function sees of the machine: a root of its own, all of it read-only but `/tmp`, which has a size.

Mounted in a private mount namespace (`unshare --mount`), so nothing is left when the process is gone.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

# Of the machine itself: what an interpreter and its libraries load.  Neither the project nor anybody's home.
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/proc", "/dev")

# Mount points are made first, then the root that holds them is closed.  /proc and /dev are as the machine has them.
_ENTER = """
set -eu
root=$1 code=$2 layers=$3 tmp_bytes=$4
shift 4
mount -t tmpfs -o mode=755 root "$root"
show() {
    mkdir -p "$root$2"
    mount --rbind "$1" "$root$2"
    case $2 in /proc | /dev) ;; *) mount -o remount,bind,ro "$root$2" ;; esac
}
while [ "$1" != -- ]; do
    show "$1" "$1"
    shift
done
shift
show "$code" /var/task
show "$layers" /opt
mkdir "$root/tmp"
mount -t tmpfs -o size="$tmp_bytes",mode=1777 tmp "$root/tmp"
mount -o remount,ro "$root"
exec chroot "$root" /usr/bin/env --chdir=/var/task "$@"
"""


@cache
def missing() -> str | None:
    """Why no sandbox can be made here; None when one can."""
    for program in ("unshare", "mount", "chroot"):
        if shutil.which(program) is None:
            return f"no {program} on this machine (Linux with util-linux and coreutils has it)"
    tried = subprocess.run(  # noqa: S603  a fixed command
        [*_unshare(), "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        return f"mount namespaces are not allowed here (needs root or user namespaces): {tried.stderr.strip()}"
    return None


def command(root: Path, *, code: Path, layers: Path, tmp_bytes: int, python: Path, run: Iterable[str]) -> list[str]:
    """What starts `run` inside: code at /var/task, layers at /opt, the interpreter where it always is.

    `root` is an empty folder, a mount point that only the new process sees as anything else.  Its process id is the
    one that the command is started with.
    """
    system = [path for path in _SYSTEM if Path(path).exists()]
    shown = [*system, *(folder for folder in _interpreter(python) if not folder.startswith("/usr"))]
    arguments = [str(root), str(code), str(layers), str(tmp_bytes), *shown, "--", *run]
    return [*_unshare(), "sh", "-c", _ENTER, "sandbox", *arguments]


def _unshare() -> list[str]:
    return ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]


@cache
def _interpreter(python: Path) -> list[str]:
    """The folders of a virtual environment and of the Python that it was made from."""
    asked = [str(python), "-I", "-c", "import sys; print(sys.prefix); print(sys.base_prefix)"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True)  # noqa: S603  an environment of the project
    return told.stdout.split("\n")[:2]
