"""moto's server with what the module needs and moto lacks: a function's recursion config, and one request at a time.

Without the first `aws_lambda_function_recursion_config` cannot be applied (moto 5.2.5 answers 404 with a page); without
the second ten threads of Terraform change dictionaries that have no lock.  Runs as a program of its own,
`python moto_plus.py PORT`: moto keeps everything in the process.
"""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STARTS_WITHIN_SECONDS = 30.0

_RECURSION = re.compile(r"/2024-08-31/functions/([^/]+)/recursion-config")

StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


@contextmanager
def moto_plus(folder: Path) -> Iterator[str]:
    """Start it on a free port of the loopback interface; its address.  It ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    log = folder / "moto.log"
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: S603  this file, by this interpreter
            [sys.executable, __file__, str(port)], env=environment, stdout=output, stderr=output
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process, log)
        yield url
    finally:
        process.kill()
        process.wait()


def with_what_moto_lacks(application: Application) -> Application:
    """The application for one request at a time, with PutFunctionRecursionConfig and GetFunctionRecursionConfig."""
    kept: dict[str, str] = {}
    one_request = threading.Lock()

    def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        found = _RECURSION.fullmatch(environ["PATH_INFO"])
        if found is None:
            with one_request:
                return application(environ, start_response)
        if environ["REQUEST_METHOD"] == "PUT":
            body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            kept[found[1]] = json.loads(body)["RecursiveLoop"]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"RecursiveLoop": kept.get(found[1], "Terminate")}).encode()]

    return answer


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    limit = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < limit and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/moto-api/", timeout=5):  # noqa: S310  our own address
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"moto did not start:\n{log.read_text()[-2000:]}")


def main() -> None:
    """Serve until killed."""
    # Only in the server's own process: the test that starts it needs neither.
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415  as said
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.serving import run_simple  # noqa: PLC0415  as said

    application = with_what_moto_lacks(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True)


if __name__ == "__main__":
    main()
