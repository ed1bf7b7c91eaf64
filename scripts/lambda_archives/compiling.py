"""Has modules compiled by an interpreter of the function's own version."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from scripts.lambda_archives.interpreters import Interpreter

COMPILE = Path(__file__).with_name("bytecode.py")


def compile_modules(
    modules: Iterable[tuple[Path, Path, str]], *, interpreter: Interpreter, is_small: bool = False
) -> None:
    """Compile each `(source, compiled, name)`, see `bytecode`; small without docstrings and columns in tracebacks.

    Raises:
        subprocess.CalledProcessError: a module does not compile; its error has been printed.
    """
    jobs = json.dumps([[str(source), str(compiled), name] for source, compiled, name in modules])
    # An environment of its own: PYTHONHASHSEED and the like must not differ between two builds.  -W: what the
    # libraries' authors should mend is not for whoever builds.
    command = [interpreter.path, "-s", "-S", "-P", "-W", "ignore"]
    command += ["-X", "no_debug_ranges", str(COMPILE), "--small"] if is_small else [str(COMPILE)]
    subprocess.run(command, input=jobs, text=True, check=True, env={"PYTHONHASHSEED": "0"})  # noqa: S603  found on this machine
