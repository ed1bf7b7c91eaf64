"""How long the storyboard renderer takes for a second of film: two children, one thread each, as in `worker run`."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._memory import peak_megabytes
from benchmarks.report import Measurement
from worker.job import Word
from worker.models import AspectRatio
from worker.ports import ClipRequest
from worker.processes import WorkerPool
from worker.providers.storyboard import film

# A quarter of a second of wall time on two cores leaves room for recognising and assembling within the 0.40 that
# `worker run` aims at.  Bounded is processor time: wall time also tells what else the machine does.
BOUND_CPU_SECONDS = 0.5
BOUND_CHILD_MB = 300.0
CLIP_SECONDS = 5.0
CLIPS = 4  # of each kind: two for each child

SCENES = {
    "sea": "The old lighthouse stood alone on the edge of the sea in the evening.",
    "storm": "A small fishing boat in a great storm, rain and night.",
    "rocks": "The wind pushed the waves against the rocks, and the rain fell.",
    "beach": "Three men stepped out onto the sand, a lantern in the night.",
    "kitchen": "Hot soup and bread in the warm kitchen until the morning came.",
    "study": "Mister Dashwood had then leisure to consider in the drawing room.",
    "estate": "A gentleman and a lady at the country house.",
    "snow": "Snow was falling on the mountains.",
    "city": "A crowd in the city at night.",
    "forest": "Deep in the forest.",
}


def measure() -> Iterator[Measurement]:
    """One figure for each kind of scene, then their mean in either shape, and the memory of the largest child."""
    with WorkerPool(2) as pool, tempfile.TemporaryDirectory() as folder:
        # Starting the children is part of a run, but of no one scene.
        for _ in [pool.submit(os.getpid) for _ in range(2)]:
            _.result()
        shapes: tuple[AspectRatio, ...] = ("16:9", "9:16")
        for shape in shapes:
            total = 0.0
            for kind, text in SCENES.items():
                started = time.perf_counter()
                clips = [
                    pool.submit(draw_clip, text, shape, seed, f"{folder}/{kind}{seed}.mp4") for seed in range(CLIPS)
                ]
                reports = [clip.result() for clip in clips]
                wall = (time.perf_counter() - started) / (CLIPS * CLIP_SECONDS)
                cpu = sum(used for used, _ in reports) / (CLIPS * CLIP_SECONDS)
                total += cpu
                beside: dict[str, float | str] = {
                    "scene": kind,
                    "shape": shape,
                    "cpu_seconds_per_second": round(cpu, 3),
                    "kilobytes_per_second": round(sum(size for _, size in reports) / (CLIPS * CLIP_SECONDS) / 1024),
                }
                yield Measurement("draw.seconds_per_second", wall, "s/s", beside=beside)
            mean = total / len(SCENES)
            yield Measurement(
                "draw.cpu_seconds_per_second", mean, "s/s", bound=BOUND_CPU_SECONDS, beside={"shape": shape}
            )
        peaks = [pool.submit(peak_megabytes) for _ in range(8)]
        yield Measurement("draw.child_memory", max(peak.result() for peak in peaks), "MB", bound=BOUND_CHILD_MB)


def draw_clip(text: str, shape: AspectRatio, seed: int, path: str) -> tuple[float, int]:
    """Draw one clip in a child; its processor seconds and its size in bytes."""
    started = time.process_time()
    texts = text.split()
    step = CLIP_SECONDS * 0.9 / len(texts)
    words = tuple(
        Word(text=word, start_seconds=index * step, end_seconds=(index + 1) * step) for index, word in enumerate(texts)
    )
    request = ClipRequest(
        intent_id="i",
        prefix="p/",
        scene_index=seed,
        scene_count=CLIPS,
        prompt="cinematic",
        negative_prompt="",
        narration=text,
        seconds=CLIP_SECONDS,
        beat_seconds=CLIP_SECONDS,
        start_seconds=0.0,
        aspect_ratio=shape,
        seed=seed,
        words_key=None,
    )
    film.encode(film.frames(request, words), Path(path), aspect_ratio=shape)
    return time.process_time() - started, Path(path).stat().st_size
