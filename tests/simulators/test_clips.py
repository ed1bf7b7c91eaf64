import io

import av
from av.video.frame import VideoFrame

from tests.simulators.clips import Mark, clip, mark_of
from tests.simulators.veo import clip_label


def frames_of(data: bytes) -> list[VideoFrame]:
    with av.open(io.BytesIO(data), "r") as container:
        return list(container.decode(video=0))


def test_a_frame_tells_what_it_is_after_being_scaled() -> None:
    frames = frames_of(clip(1, aspect_ratio="16:9", short_side=180, label=0xA55A))

    marks = [mark_of(frame.reformat(width=128, height=72)) for frame in frames]

    assert marks == [Mark(0xA55A, place) for place in range(24)]


def test_clips_of_different_scenes_have_different_colours() -> None:
    first, second = (frames_of(clip(1, aspect_ratio="16:9", short_side=90, label=clip_label(s, 1)))[0] for s in (0, 1))

    middle = len(bytes(first.planes[1])) // 2
    assert bytes(first.planes[1])[middle] != bytes(second.planes[1])[middle]
