"""Recognising the sample recordings with and without the text beside them: time, word error rate, memory."""

import re
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

from benchmarks._memory import peak_megabytes
from benchmarks.report import Measurement
from statemachine.clock import SystemClock
from worker.job import Recording, Transcript
from worker.processes import WorkerPool
from worker.providers.directory_media_store import DirectoryMediaStore
from worker.providers.sphinx.transcriber import SphinxTranscriber

SAMPLES = Path(__file__).parents[1] / "samples"
RUNS = 3
CHILDREN = 2

# Name of the sample, and the word error rate that recognition must not exceed.  Measured 2026-11-22: 0.211 and 0.048,
# the same on every machine, for the recogniser is deterministic.
RECORDINGS = {"narration_human_librivox": 0.25, "narration_synth_flite_rms": 0.08}


@dataclass(frozen=True, slots=True)
class _Heard:
    transcript: Transcript
    wall_seconds: float
    cpu_seconds: float
    child_megabytes: float


class _WatchedPool(WorkerPool):
    """Asks its children how much memory they have held, before it ends them."""

    child_megabytes = 0.0

    def kill(self) -> None:
        """End all children; once they have done something."""
        if self._generation is not None:
            # More questions than children: one that is quicker may answer twice.
            peaks = [self.submit(peak_megabytes) for _ in range(8)]
            self.child_megabytes = max(self.child_megabytes, *(peak.result() for peak in peaks))
        super().kill()


def measure() -> Iterator[Measurement]:
    """Per second of recording, median of three; the start of the child processes is part of it."""
    child_megabytes = 0.0
    for name, worst in RECORDINGS.items():
        text = (SAMPLES / f"{name}.txt").read_text(encoding="utf-8")
        for way, transcript_key in (("recognised", None), ("aligned", f"{name}.txt")):
            runs = [
                _hear(Recording(key=f"{name}.mp3", filename=name, transcript_key=transcript_key)) for _ in range(RUNS)
            ]
            child_megabytes = max(child_megabytes, *(run.child_megabytes for run in runs))
            heard = runs[0].transcript
            error_rate = word_error_rate(_words(text), _words(heard.text))
            beside: dict[str, float | str] = {
                "recording": name,
                "duration_seconds": round(heard.duration_seconds, 2),
                "cpu_seconds_per_second": round(median(run.cpu_seconds for run in runs) / heard.duration_seconds, 3),
                "segments": len(heard.segments),
            }
            yield Measurement(
                f"recognise.seconds_per_second.{way}",
                median(run.wall_seconds for run in runs) / heard.duration_seconds,
                "s/s",
                beside=beside,
            )
            yield Measurement(
                f"recognise.word_error_rate.{way}",
                error_rate,
                "share",
                bound=worst if transcript_key is None else 0.0,
                beside={"recording": name, "words": len(_words(text))},
            )
    yield Measurement(
        "recognise.child_peak_memory",
        child_megabytes,
        "MiB",
        bound=260.0,
        beside={"children": CHILDREN},
    )


def word_error_rate(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    """Words to change, add or remove, as a share of those that were said."""
    row = list(range(len(hypothesis) + 1))
    for said_index, said in enumerate(reference, 1):
        diagonal, row[0] = row[0], said_index
        for index, heard in enumerate(hypothesis, 1):
            diagonal, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, diagonal + (said != heard))
    return row[-1] / len(reference)


def _hear(recording: Recording) -> _Heard:
    started, cpu_started = time.perf_counter(), _cpu_seconds()
    with _WatchedPool(CHILDREN) as pool:
        transcriber = SphinxTranscriber(media=DirectoryMediaStore(SAMPLES), pool=pool, clock=SystemClock())
        transcription_id = transcriber.start(recording, job_id="benchmark", language="en")
        transcript = transcriber.fetch(transcription_id, recording, time_left=timedelta(minutes=10))
        wall_seconds = time.perf_counter() - started
    return _Heard(transcript, wall_seconds, _cpu_seconds() - cpu_started, pool.child_megabytes)


def _cpu_seconds() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())
