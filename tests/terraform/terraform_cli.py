"""Terraform as a program: run on a copy of the module, against a simulated AWS.  For tests here and in tests/e2e.

The provider comes from a folder of this machine where there is one (a filesystem mirror, as `terraform providers
mirror` makes it), else from the registry that the machine can reach.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

MODULE = Path(__file__).parents[2] / "terraform"

# Looked through before the whole disk, which takes long where there is much on it.
USUAL_PLACES = ("/opt", "/usr/local/share", "/usr/share/terraform", "~/.terraform.d", "~/.local/share/terraform")

# What the provider asks, by its own names.
SERVICES = (
    "apigateway",
    "apigatewayv2",
    "cloudwatch",
    "cloudwatchlogs",
    "cognitoidp",
    "dynamodb",
    "iam",
    "lambda",
    "s3",
    "scheduler",
    "secretsmanager",
    "sts",
)


class TerraformError(Exception):
    """A command failed; the message is what it said."""


class Terraform:
    """A root configuration of the module's folder, in a copy with a state of its own.

    Args:
        configuration: folder below terraform/, `examples/existing_platform` for instance.
        folder: where the copy is made.
        endpoint: of a simulated AWS.
        variables: of the configuration; others may be given with each command.
    """

    def __init__(
        self,
        configuration: str,
        folder: Path,
        *,
        endpoint: str,
        variables: Mapping[str, object],
        region: str = "eu-central-1",
    ) -> None:
        copied(folder)
        self._folder = folder / configuration
        self._variables = dict(variables)
        # Terraform lays a file of this name over the others: an example itself knows of no simulator.
        override = self._folder / "simulated_override.tf.json"
        override.write_text(json.dumps({"provider": {"aws": _simulated(endpoint, region)}}))

    def init(self) -> None:
        """Fetch the provider."""
        self._run("init", "-input=false")

    def apply(self, **variables: object) -> float:
        """Apply; the seconds that it took."""
        return self._change("apply", variables)

    def destroy(self, **variables: object) -> float:
        """Destroy everything; the seconds that it took."""
        return self._change("destroy", variables)

    def changes(self, **variables: object) -> str | None:
        """What a plan would change, in its words; None when nothing."""
        done = run(self._folder, "plan", "-detailed-exitcode", "-input=false", *self._given(variables))
        if done.returncode not in (0, 2):  # Terraform's documentation of -detailed-exitcode: 2 is a plan with changes
            raise TerraformError(said(done))
        return None if done.returncode == 0 else done.stdout

    def show(self) -> Mapping[str, Any]:
        """The state, as `terraform show -json` tells it."""
        shown: Mapping[str, Any] = json.loads(self._run("show", "-json"))
        return shown

    def outputs(self) -> Mapping[str, Any]:
        """The values of the outputs."""
        return {name: output["value"] for name, output in json.loads(self._run("output", "-json")).items()}

    def _change(self, command: str, variables: Mapping[str, object]) -> float:
        started = time.monotonic()
        self._run(command, "-auto-approve", "-input=false", *self._given(variables))
        return time.monotonic() - started

    def _given(self, variables: Mapping[str, object]) -> Iterator[str]:
        for name, value in {**self._variables, **variables}.items():
            yield f"-var={name}={value if isinstance(value, str) else json.dumps(value)}"

    def _run(self, *arguments: str) -> str:
        done = run(self._folder, *arguments)
        if done.returncode != 0:
            raise TerraformError(said(done))
        return done.stdout


@cache
def unavailable() -> str | None:
    """Why no configuration can be applied on this machine; None when it can."""
    if shutil.which("terraform") is None:
        return "terraform is not installed"
    folder = copied(Path(mkdtemp(prefix="terraform-")))
    try:
        done = run(folder, "init", "-input=false", "-backend=false")
    finally:
        shutil.rmtree(folder)
    if done.returncode == 0:
        return None
    why = " ".join(done.stderr.split())[:300]
    return f"the provider hashicorp/aws is in no mirror on this machine, and not to be had elsewhere: {why}"


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Terraform in a folder; no account, setting or plugin cache of a person is in its reach."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    environment |= {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": str(_cli_configuration())}
    command = ["terraform", f"-chdir={folder}", *arguments, "-no-color"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  no shell


def said(done: "subprocess.CompletedProcess[str]") -> str:
    """What a command that failed has said."""
    return f"terraform {done.args[2]}: {done.stdout[-2000:]}{done.stderr}"


def copied(folder: Path) -> Path:
    """A copy of the module's folder without what Terraform left in it; the folder."""
    left = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars*")
    return Path(shutil.copytree(MODULE, folder, ignore=left, dirs_exist_ok=True))


@cache
def mirror() -> Path | None:
    """The folder of this machine that holds the provider as a filesystem mirror, if there is one."""
    for place in (*(Path(usual).expanduser() for usual in USUAL_PLACES), Path("/")):
        if not place.is_dir():
            continue
        # -xdev: what is mounted from elsewhere may be endless.
        command = ["find", str(place), "-xdev", "-type", "d", "-path", "*/hashicorp/aws"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()  # noqa: S603  no shell
        for provider in map(Path, found):
            # MIRROR/registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64; a working folder's .terraform is none.
            if ".terraform" not in provider.parts and any(provider.glob("[0-9]*/*_*")):
                return provider.parents[2]
    return None


@cache
def _cli_configuration() -> Path:
    """A configuration of Terraform's command line; the person's own may name a file that is not there."""
    folder = Path(mkdtemp(prefix="terraform-cli-"))
    cache_folder = folder / "plugins"
    cache_folder.mkdir()
    found = mirror()
    text = (
        f'plugin_cache_dir = "{cache_folder}"\n'
        if found is None
        else f'provider_installation {{\n  filesystem_mirror {{\n    path = "{found}"\n  }}\n}}\n'
    )
    file = folder / "terraform.tfrc"
    file.write_text(text)
    return file


def _simulated(endpoint: str, region: str) -> Mapping[str, object]:
    return {
        "region": region,
        "access_key": "testing",
        "secret_key": "testing",
        "skip_credentials_validation": True,
        "skip_metadata_api_check": True,
        "skip_region_validation": True,
        "s3_use_path_style": True,
        # What a simulator lacks it answers with 500, and by default the provider would try that for minutes; but on a
        # busy machine a connection may end before its answer, so once is not enough.
        "max_retries": 4,
        "endpoints": [dict.fromkeys(SERVICES, endpoint)],
    }
