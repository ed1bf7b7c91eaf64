"""Joining 60 clips under a recording: against encoding them again, against copying their bytes, and its memory.

The clips are like a vendor's: 1280x720, 24 fps, H.264 High with B-frames, 5 to 8 s, about 3.7 Mbit/s.  There are six
different ones, ten times each under names of their own.  The recording is a sample, as AAC, as long as the video.
`python -m benchmarks.assemble FOLDER COUNT` joins COUNT clips that lie in FOLDER and prints its peak memory.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, count, cycle, islice, pairwise
from pathlib import Path
from statistics import median

import av
from av.audio.resampler import AudioResampler
from av.filter import Graph
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from benchmarks._memory import peak_megabytes
from benchmarks.report import Measurement
from worker.ports import SceneClip
from worker.providers.pyav_assembler import PyAvAssembler

CLIP_SECONDS = (5.0, 6.0, 7.0, 8.0, 6.5, 7.5)
# Each scene is a little shorter than its clip, so that nearly all bytes are used and every cut is a real one.
TRIMMED_SECONDS = 0.13
COUNT = 60
RUNS = 5
SAMPLE = Path(__file__).parent.parent / "samples" / "narration_human_librivox.mp3"
MEGABYTE = 1 << 20


def measure() -> Iterator[Measurement]:
    """Three figures: over re-encoding, over `cat` and fsync, peak memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_clips(folder)
        _make_recording(folder, COUNT)
        _make_recording(folder, 2 * COUNT)
        joining, copying = _timed_in_turn(lambda: _join(folder, COUNT), lambda: _copy(folder, COUNT))
        encoding = _timed(lambda: _encode_distinct(folder)) * COUNT / len(CLIP_SECONDS)
        megabytes = sum(path.stat().st_size for path in _sources(folder, COUNT)) / MEGABYTE
        beside = {"joining_s": joining, "clips": COUNT, "megabytes": round(megabytes, 1)}
        yield Measurement(
            "assemble.over_reencoding",
            encoding / joining,
            "times faster",
            bound=45,
            at_least=True,
            beside=beside
            | {
                "reencoding_s": encoding,
                "reencoded": f"each of the {len(CLIP_SECONDS)} different clips once, x264 veryfast crf 20, times 10",
            },
        )
        yield Measurement(
            "assemble.over_cat_fsync",
            joining / copying,
            "times",
            bound=10,
            beside=beside
            | {"cat_fsync_s": copying, "runs": f"median of {RUNS}, page cache warm, no interpreter start"},
        )
        peak, twice = _peak_megabytes(folder, COUNT), _peak_megabytes(folder, 2 * COUNT)
        yield Measurement(
            "assemble.peak_memory_mb",
            peak,
            "MB",
            bound=60,
            beside={f"with_{2 * COUNT}_clips_mb": twice, "imports_alone_mb": _peak_megabytes(folder, 0)},
        )


def _make_clips(folder: Path) -> None:
    for number, seconds in enumerate(CLIP_SECONDS):
        _make_clip(_clip(folder, number), seconds, turn=number * 50)
    for number in range(len(CLIP_SECONDS), COUNT):
        shutil.copyfile(_clip(folder, number % len(CLIP_SECONDS)), _clip(folder, number))


def _make_clip(path: Path, seconds: float, *, turn: int) -> None:
    graph = Graph()
    graph.link_nodes(
        graph.add("testsrc2", f"size=1280x720:rate=24:duration={seconds}"),
        graph.add("hue", f"h={turn}"),
        graph.add("noise", "alls=12:allf=t"),  # what makes film cost bits
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ).configure()
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=24, options={"preset": "veryfast", "bf": "3", "g": "250"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 1280, 720, "yuv420p", 3_600_000
        _encode(_drawn(graph), stream, output)


def _drawn(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except EOFError:
            return


def _encode(frames: Iterator[VideoFrame], stream: VideoStream, output: av.container.OutputContainer) -> None:
    for frame in frames:
        frame.pict_type = PictureType.NONE
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def _make_recording(folder: Path, clips: int) -> None:
    """The sample over and over, as long as the video, as AAC in MP4."""
    raw = folder / "recording.wav"
    with av.open(SAMPLE) as container, wave.open(str(raw), "wb") as file:
        resampler = AudioResampler("s16", "mono", container.streams.audio[0].codec_context.sample_rate)
        samples = b"".join(
            bytes(part.planes[0])[: part.samples * 2]
            for frame in container.decode(audio=0)
            for part in resampler.resample(frame)
        )
        rate = container.streams.audio[0].codec_context.sample_rate
        file.setparams((1, 2, rate, 0, "NONE", ""))
        missing = round(_boundaries(clips)[-1] * rate) * 2
        while missing > 0:
            file.writeframes(samples[:missing])
            missing -= len(samples)
    PyAvAssembler().encode_audio(raw, _recording(folder, clips))
    raw.unlink()


def _clip(folder: Path, number: int) -> Path:
    return folder / f"clip{number:03d}.mp4"


def _recording(folder: Path, clips: int) -> Path:
    return folder / f"recording{clips}.m4a"


def _boundaries(clips: int) -> list[float]:
    lengths = (seconds - TRIMMED_SECONDS for seconds in islice(cycle(CLIP_SECONDS), clips))
    return list(accumulate(lengths, initial=0.0))


def _sources(folder: Path, clips: int) -> list[Path]:
    return [*(_clip(folder, number % COUNT) for number in range(clips)), _recording(folder, clips)]


def _join(folder: Path, clips: int) -> None:
    *paths, recording = _sources(folder, clips)
    scenes: Sequence[SceneClip] = [
        SceneClip(path, *span) for path, span in zip(paths, pairwise(_boundaries(clips)), strict=True)
    ]
    PyAvAssembler().assemble(scenes, audio=recording, captions=[], destination=folder / f"joined{clips}.mp4")


def _copy(folder: Path, clips: int) -> None:
    """What `cat` does, and then fsync: all the bytes, read once and written once."""
    with (folder / "copied").open("wb") as target:
        for path in _sources(folder, clips):
            with path.open("rb") as source:
                shutil.copyfileobj(source, target, MEGABYTE)
        target.flush()
        os.fsync(target.fileno())


def _encode_distinct(folder: Path) -> None:
    """The different clips, cut as when joining and encoded into one video."""
    ticks = count()
    with av.open(folder / "encoded.mp4", "w") as output:
        stream = output.add_stream("libx264", rate=24, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"

        def frames() -> Iterator[VideoFrame]:
            for number, seconds in enumerate(CLIP_SECONDS):
                with av.open(_clip(folder, number)) as container:
                    container.streams.video[0].thread_type = "AUTO"
                    for frame in islice(container.decode(video=0), round((seconds - TRIMMED_SECONDS) * 24)):
                        frame.pts, frame.time_base = next(ticks), Fraction(1, 24)
                        yield frame

        _encode(frames(), stream, output)


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _timed_in_turn(first: Callable[[], None], second: Callable[[], None]) -> tuple[float, float]:
    """The median of both, after one run of each that does not count, so that a slow minute hits both."""
    first()
    second()
    times = [(_timed(first), _timed(second)) for _ in range(RUNS)]
    return median(one for one, _ in times), median(other for _, other in times)


def _peak_megabytes(folder: Path, clips: int) -> float:
    command = [sys.executable, "-m", "benchmarks.assemble", str(folder), str(clips)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 (this interpreter, this module)
    return float(done.stdout)


if __name__ == "__main__":
    if int(sys.argv[2]):
        _join(Path(sys.argv[1]), int(sys.argv[2]))
    print(peak_megabytes())
