from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from worker.job import Word
from worker.models import AspectRatio
from worker.ports import ClipRequest
from worker.providers.storyboard import film
from worker.providers.storyboard.planes import Canvas

SCENES = {
    "sea": "An old lighthouse by the sea in the evening",
    "storm": "A boat in a storm at night",
    "rocks": "Waves against the rocks in the rain",
    "bell": "A bell rings at sea in the fog",
    "tower": "The keeper climbed the stairs and lit the lamp of the lighthouse",
    "beach": "Three men on the beach, a lantern",
    "kitchen": "Hot soup in a warm kitchen",
    "study": "Mister Dashwood in the drawing room",
    "estate": "A couple at the country house in winter snow",
    "city": "A crowd in the city at night, a car",
    "forest": "A child in the forest",
    "river": "A river in the morning, mist",
    "field": "An old lady in a field of flowers",
    "mountains": "Mountains in the snow",
    "hills": "Hills and a house, birds, a tree",
}


def pictures(
    prompt: str,
    *,
    seconds: float = 0.2,
    aspect_ratio: AspectRatio = "16:9",
    seed: int = 1,
    words: tuple[Word, ...] = (),
) -> Iterator[Canvas]:
    request = ClipRequest(
        intent_id="i",
        prefix="p/",
        scene_index=0,
        scene_count=1,
        prompt=prompt,
        negative_prompt="",
        narration="",
        seconds=seconds,
        beat_seconds=seconds,
        start_seconds=0.0,
        aspect_ratio=aspect_ratio,
        seed=seed,
        words_key=None,
    )
    return film.frames(request, words)


def fingerprint(canvas: Canvas) -> tuple[bytes, bytes, bytes]:
    return (canvas.y.tobytes(), canvas.u.tobytes(), canvas.v.tobytes())


@pytest.mark.parametrize("aspect_ratio", ["16:9", "9:16"])
@pytest.mark.parametrize("prompt", SCENES.values(), ids=SCENES)
def test_every_kind_of_scene_is_drawn_in_many_tones(prompt: str, aspect_ratio: AspectRatio) -> None:
    *_, middle = (fingerprint(canvas) for canvas in pictures(prompt, seconds=0.1, aspect_ratio=aspect_ratio))

    assert len(set(middle[0])) > 60


@pytest.mark.parametrize(("seconds", "frames"), [(4.0, 96), (4.0416, 97), (2.5, 60), (0.01, 1)])
def test_a_beat_has_the_frames_of_the_grid(seconds: float, frames: int) -> None:
    assert film.frame_count(seconds) == frames


def test_the_same_seed_draws_the_same_frames() -> None:
    first = [fingerprint(canvas) for canvas in pictures("A boat in a storm")]

    assert [fingerprint(canvas) for canvas in pictures("A boat in a storm")] == first


def test_another_seed_draws_another_scene() -> None:
    *_, one = (fingerprint(canvas) for canvas in pictures("The sea", seed=1))
    *_, other = (fingerprint(canvas) for canvas in pictures("The sea", seed=2))

    assert one != other


def test_the_picture_moves() -> None:
    seen = {fingerprint(canvas) for canvas in pictures("The sea", seconds=1.0)}

    assert len(seen) > 20


def test_a_scene_fades_in_and_out_by_its_own_length() -> None:
    light = [sum(canvas.y.resize((8, 8)).tobytes()) for canvas in pictures("Hills by day", seconds=2.0)]

    assert light[0] < light[len(light) // 2] * 0.5
    assert light[-1] < light[len(light) // 2] * 0.5


@pytest.mark.parametrize(("aspect_ratio", "size"), [("16:9", (1280, 720)), ("9:16", (720, 1280))])
def test_a_clip_is_what_the_assembler_copies(tmp_path: Path, aspect_ratio: AspectRatio, size: tuple[int, int]) -> None:
    path = tmp_path / "clip.mp4"

    film.encode(pictures("The sea", seconds=0.5, aspect_ratio=aspect_ratio), path, aspect_ratio=aspect_ratio)

    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert isinstance(stream, av.VideoStream)
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        context = stream.codec_context
        assert (context.name, context.width, context.height, context.pix_fmt) == ("h264", *size, "yuv420p")
        assert stream.time_base == Fraction(1, 12288)
        assert stream.average_rate == 24
        assert [packet.pts for packet in packets] == [index * 512 for index in range(12)]
        assert [packet.dts for packet in packets] == [packet.pts for packet in packets]
