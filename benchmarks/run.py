"""The whole job on one machine, as a person starts it: seconds of waiting for each second of recording."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import av

from benchmarks.report import Measurement

SAMPLES = Path(__file__).parent.parent / "samples"
NAMES = ("narration_human_librivox", "narration_synth_flite_rms")
RUNS = 3


def measure() -> Iterator[Measurement]:
    """Both recordings, without and with the transcript beside them; medians of three."""
    for name in NAMES:
        for has_transcript, bound in ((False, 0.55), (True, 0.40)):
            yield _measured(name, has_transcript=has_transcript, bound=bound)


def _measured(name: str, *, has_transcript: bool, bound: float) -> Measurement:
    waits: list[float] = []
    shares: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(shutil.copy(SAMPLES / f"{name}.mp3", folder))
        if has_transcript:
            shutil.copy(SAMPLES / f"{name}.txt", folder)
        with av.open(str(recording)) as opened:
            seconds = (opened.duration or 0) / av.time_base
        for number in range(RUNS):
            home = Path(folder) / f"home{number}"
            begun = time.perf_counter()
            _worker("run", str(recording), "-o", str(Path(folder) / f"{number}.mp4"), home=home)
            waits.append(time.perf_counter() - begun)
            shares.append(_shares(home))
    which = "with_transcript" if has_transcript else "recognised"
    return Measurement(
        f"run.{name.split('_')[1]}_{which}",
        statistics.median(waits) / seconds,
        "seconds per second of recording",
        bound=bound,
        beside={
            "recording_seconds": round(seconds, 1),
            "wall_seconds": round(statistics.median(waits), 2),
            "load_before": round(os.getloadavg()[0], 2),
            **{
                f"{state}_seconds": round(statistics.median(share[state] for share in shares), 2)
                for state in ("transcribing", "rendering", "assembling")
            },
        },
    )


def _shares(home: Path) -> dict[str, float]:
    """How long each state took, by the job's own history."""
    job_id = json.loads(_worker("list", "--json", home=home).splitlines()[0])["id"]
    shown = json.loads(_worker("show", job_id, "--json", home=home))
    return {
        step["id"]: (
            datetime.fromisoformat(step["completed_at"]) - datetime.fromisoformat(step["started_at"])
        ).total_seconds()
        for step in shown["steps"]
        if step["completed_at"]
    }


def _worker(*arguments: str, home: Path) -> str:
    command = [sys.executable, "-m", "worker", *arguments, "--home", str(home)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  our own module
