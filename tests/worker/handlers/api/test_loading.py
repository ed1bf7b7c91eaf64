"""What a request makes a cold function load."""

import os
import subprocess
import sys

# Asked in a fresh interpreter: what is loaded here was loaded by other tests.
LOOK = """
import sys
from worker.lambda_function import handler

class Context:
    def get_remaining_time_in_millis(self):
        return 60_000

claims = {"sub": "ada"}
event = {
    "httpMethod": "GET",
    "path": "/ai-video",
    "headers": {},
    "queryStringParameters": {"videoId": "video-1"},
    "requestContext": {"stage": "prod", "authorizer": {"claims": claims}},
}
answer = handler(event, Context())
print("status", answer["statusCode"])
print("loaded", *sorted(sys.modules))
"""


def test_looking_at_a_job_loads_no_media_library_and_no_vendors_sdk() -> None:
    """The table is out of reach here, so the answer is 503; everything before it was loaded all the same."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AI_VIDEO_BUCKET": "bucket",
        "AI_VIDEO_MEDIA": "s3",
        "AI_VIDEO_TRANSCRIBER": "aws",
        "AI_VIDEO_PLANNER": "openai",
        "AI_VIDEO_RENDERER": "veo",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    result = subprocess.run(  # noqa: S603  this interpreter, a fixed text
        [sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, check=True
    )

    lines = result.stdout.splitlines()
    assert "status 503" in lines
    loaded = next(line for line in lines if line.startswith("loaded ")).split()
    assert "worker.handlers.api.routes" in loaded
    heavy = {"av", "openai", "google.genai", "google.auth", "PIL", "pocketsphinx", "rich", "typer", "sqlite3"}
    assert heavy.isdisjoint(loaded)
