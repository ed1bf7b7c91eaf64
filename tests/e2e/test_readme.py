"""The commands that stand in the README, run as they stand there."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import av
import pytest

from tests.e2e.serving import serving

ROOT = Path(__file__).parents[2]
ADDRESS = "http://127.0.0.1:8080"


def commands(heading: str) -> str:
    """The shell commands below a heading of the README."""
    section = (ROOT / "README.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return str(block)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
def test_a_whole_job_by_curl(tmp_path: Path) -> None:
    script = commands("In a browser, and by curl")
    assert ADDRESS in script
    (tmp_path / "samples").symlink_to(ROOT / "samples")

    with serving(tmp_path / "home") as server:
        result = subprocess.run(  # noqa: S603  our own README
            ["/bin/bash", "-euo", "pipefail", "-c", script.replace(ADDRESS, server.url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "no_proxy": "127.0.0.1"},
        )

    assert result.returncode == 0, result.stderr
    assert '"transcribing"' in result.stdout
    with (
        av.open(tmp_path / "reading.mp4") as video,
        av.open(ROOT / "samples" / "narration_human_librivox.mp3") as sound,
    ):
        assert video.duration is not None
        assert sound.duration is not None
        assert abs(video.duration - sound.duration) / av.time_base < 0.1
