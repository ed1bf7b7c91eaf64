"""Check the Terraform module without an account: format, validity, `terraform test` with a mocked provider, checkov.

    python -m scripts.terraform_check [STAMP]

What cannot be run here (no terraform, no provider to be had, no .venv-scanners) is left out, and said.  The file STAMP
is touched when nothing was left out.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.terraform.terraform_cli import MODULE, copied, run, said, unavailable

ROOT = MODULE.parent
CHECKOV = ROOT / ".venv-scanners" / "bin" / "checkov"
EXAMPLES = ("existing_platform", "http_api", "rest_api")


class CheckError(Exception):
    """A check objects; the message is what it said."""


def main(arguments: Sequence[str]) -> int:
    """Run every check that can be run; the first that objects ends it with exit code 1."""
    left_out = []
    if (reason := unavailable()) is not None:
        left_out.append(f"format, validity and `terraform test`: {reason}")
    if not CHECKOV.exists():
        left_out.append("the policy scan: there is no .venv-scanners; make scanners")
    for each in left_out:
        print(f"terraform-check: LEFT OUT {each}")
    try:
        if reason is None:
            _terraform()
        if CHECKOV.exists():
            _checkov()
    except CheckError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments and not left_out:
        Path(arguments[0]).touch()
    return 0


def _terraform() -> None:
    unformatted = run(MODULE, "fmt", "-check", "-recursive", "-diff")
    if unformatted.returncode != 0:
        raise CheckError(f"terraform fmt -recursive terraform/ would change:\n{unformatted.stdout}{unformatted.stderr}")
    with tempfile.TemporaryDirectory() as folder:
        module = copied(Path(folder))
        for place in (module, *(module / "examples" / example for example in EXAMPLES)):
            for command in (("init", "-backend=false", "-input=false"), ("validate",)):
                done = run(place, *command)
                if done.returncode != 0:
                    raise CheckError(f"{place.relative_to(module)}: {said(done)}")
        done = run(module, "test")
    if done.returncode != 0:
        raise CheckError(said(done))
    print(f"terraform-check: {done.stdout.strip().splitlines()[-1]}")


def _checkov() -> None:
    command = [str(CHECKOV), "--directory", str(MODULE), "--config-file", str(MODULE / ".checkov.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own environment's program
    if done.returncode != 0 or "Passed checks: 0" in done.stdout or "Passed checks:" not in done.stdout:
        raise CheckError(f"checkov:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    found = next(line for line in done.stdout.splitlines() if line.startswith("Passed checks:"))
    print(f"terraform-check: checkov: {found}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
