"""How long `terraform apply` takes to add the worker to a platform that stands, beside the platform's own.

The example terraform/examples/existing_platform with the archives of `make package`, on moto's server.  A second plan
must find nothing to do, or the apply was not whole.  Needs terraform, with the provider on disk or a registry in reach.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Measurement
from scripts.lambda_archives.build import build
from tests.terraform.moto_plus import moto_plus
from tests.terraform.terraform_cli import Terraform, unavailable

PYTHON, ARCHITECTURE = "3.13", "x86_64"


def measure() -> Iterator[Measurement]:
    """One apply of each, of the worker's taken away again too."""
    if (why := unavailable()) is not None:
        raise RuntimeError(why)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder / "package", architecture=ARCHITECTURE, python=PYTHON)
        logs = folder / "logs"
        logs.mkdir()
        with moto_plus(logs) as url:
            terraform = Terraform(
                "examples/existing_platform",
                folder / "copy",
                endpoint=url,
                variables={"package": str(folder / "package")},
            )
            terraform.init()
            platform = terraform.apply(with_worker=False)
            worker = terraform.apply()
            if (changes := terraform.changes()) is not None:
                raise RuntimeError(f"a second plan would change something:\n{changes}")
            away = terraform.apply(with_worker=False)
    beside = {"platform_alone_s": round(platform, 1), "taking_the_worker_away_s": round(away, 1)}
    yield Measurement("apply.of_the_worker_seconds", worker, "s", bound=60.0, beside=beside)
    yield Measurement("apply.of_both_seconds", platform + worker, "s", bound=60.0)
