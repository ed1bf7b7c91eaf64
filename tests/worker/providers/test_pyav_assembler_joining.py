from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.subtitles.subtitle import AssSubtitle

from statemachine.errors import PermanentError, TransientError
from tests.media import Shown, boxes_of, packets_of, room_for, shown_frames, write_clip, write_sound
from worker.job import Caption
from worker.ports import SceneClip, VideoFacts, VideoFormat
from worker.providers.pyav_assembler import PyAvAssembler

FRAME = 1 / 24


@pytest.fixture
def assembler() -> PyAvAssembler:
    return PyAvAssembler()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where results go, apart from the sources: what is left in it afterwards is what the assembler left."""
    folder = tmp_path / "result"
    folder.mkdir()
    return folder


def scenes_of(clips: Sequence[Path], boundaries: Sequence[float]) -> list[SceneClip]:
    """The clips in turn, from each boundary (in seconds) to the next."""
    return [SceneClip(clip, *span) for clip, span in zip(clips, pairwise(boundaries), strict=True)]


def narration(folder: Path, seconds: float) -> Path:
    """A recording of this length, as AAC in MP4."""
    recording = folder / "narration.m4a"
    PyAvAssembler().encode_audio(write_sound(folder / "narration.wav", seconds=seconds), recording)
    return recording


def pictures(clip: Path, count: int) -> list[str]:
    """The first frames of a clip."""
    return [frame.picture for frame in shown_frames(clip)[:count]]


def assembled(
    assembler: PyAvAssembler, clips: Sequence[Path], boundaries: Sequence[float], video: Path
) -> tuple[VideoFacts, list[Shown]]:
    audio = narration(clips[0].parent, boundaries[-1])
    facts = assembler.assemble(scenes_of(clips, boundaries), audio=audio, captions=[], destination=video)
    return facts, shown_frames(video)


def test_every_frame_is_the_source_s_and_stands_in_its_place(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path
) -> None:
    clips = [write_clip(tmp_path / f"{look}.mp4", frames=48, look=look) for look in range(3)]

    _, shown = assembled(assembler, clips, [0, 1.5, 3.0, 4.25], folder / "video.mp4")

    expected = pictures(clips[0], 36) + pictures(clips[1], 36) + pictures(clips[2], 30)
    assert shown == [Shown(place, picture) for place, picture in enumerate(expected)]


def test_clips_with_b_frames_are_cut_within_two_frames_and_never_show_a_frame_twice(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path
) -> None:
    clips = [write_clip(tmp_path / f"{look}.mp4", frames=60, b_frames=3, look=look) for look in range(6)]
    boundaries = [0, 1.37, 3.02, 4.9, 6.11, 8.2, 10.06]

    _, shown = assembled(assembler, clips, boundaries, folder / "video.mp4")

    sources = {picture: look for look, clip in enumerate(clips) for picture in pictures(clip, 60)}
    begins = [next(frame.place for frame in shown if sources[frame.picture] == look) for look in range(6)]
    assert all(abs(begin - boundary * 24) <= 2.5 for begin, boundary in zip(begins, boundaries[:-1], strict=True))
    assert len({frame.picture for frame in shown}) == len(shown)
    assert [frame.place for frame in shown] == sorted({frame.place for frame in shown})
    for look, clip in enumerate(clips):
        own = [frame.picture for frame in shown if sources[frame.picture] == look]
        assert own == pictures(clip, len(own))


def test_times_of_decoding_and_showing_are_in_order_with_b_frames(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path
) -> None:
    """Players refuse, or stumble over, a frame that is decoded after it is shown."""
    clips = [write_clip(tmp_path / f"{look}.mp4", frames=60, b_frames=look, look=look) for look in (0, 3, 1)]
    assembled(assembler, clips, [0, 1.4, 3.3, 5.1], folder / "video.mp4")

    with av.open(folder / "video.mp4") as container:
        times = [(packet.dts, packet.pts) for packet in container.demux(video=0) if packet.size]

    assert all(dts is not None and pts is not None and dts <= pts for dts, pts in times)
    assert all(earlier[0] < later[0] for earlier, later in pairwise(times))  # type: ignore[operator]  # checked above


def test_sixty_clips_do_not_drift(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    """0.37 s is 8.88 frames: rounding each scene by itself would lose seven frames in all."""
    clips = [write_clip(tmp_path / f"{look}.mp4", frames=12, look=look) for look in range(2)] * 30
    boundaries = [0.37 * number for number in range(61)]

    facts, shown = assembled(assembler, clips, boundaries, folder / "video.mp4")

    first = [pictures(clip, 1)[0] for clip in clips[:2]]
    begins = [frame.place for frame in shown if frame.picture in first]
    assert begins == [round(boundary * 24) for boundary in boundaries[:-1]]
    assert abs(facts.video_seconds - boundaries[-1]) <= FRAME


def test_a_short_clip_stands_still_until_the_next_begins(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path
) -> None:
    clips = [write_clip(tmp_path / f"{look}.mp4", frames=24, look=look) for look in range(2)]

    _, shown = assembled(assembler, clips, [0, 1.5, 2.5], folder / "video.mp4")

    assert shown[23].place == 23
    assert shown[24] == Shown(36, pictures(clips[1], 1)[0])


@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize("end", [2.0, 2.3, 2.71])
def test_the_last_scene_lasts_as_long_as_the_recording(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path, b_frames: int, end: float
) -> None:
    """Cut short, or standing still at its last frame: no black tail either way."""
    clips = [write_clip(tmp_path / f"{look}.mp4", frames=28, b_frames=b_frames, look=look) for look in range(2)]

    facts, _ = assembled(assembler, clips, [0, 1.0, end], folder / "video.mp4")

    assert abs(facts.video_seconds - end) <= FRAME / 2 + 1e-6
    assert abs(facts.audio_seconds - end) <= 0.001
    assert abs(facts.duration_seconds - end) <= FRAME


def test_clips_with_different_parameter_sets_decode_to_their_own_frames(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path
) -> None:
    main = write_clip(tmp_path / "main.mp4", look=1, encoder={"profile": "main", "refs": "1"})
    high = write_clip(
        tmp_path / "high.mp4", look=2, b_frames=2, encoder={"profile": "high", "refs": "4", "level": "4.0"}
    )

    _, shown = assembled(assembler, [main, high, main], [0, 1.0, 2.0, 3.0], folder / "video.mp4")

    sources = set(pictures(main, 48)) | set(pictures(high, 48))
    assert {frame.picture for frame in shown} <= sources
    assert len(shown) >= 71


def test_seeking_into_a_clip_with_other_parameter_sets_shows_the_same_frames(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path
) -> None:
    """The sets stand before every key frame, not only at the cut."""
    main = write_clip(tmp_path / "main.mp4", frames=72, look=1, encoder={"profile": "main", "refs": "1"})
    high = write_clip(tmp_path / "high.mp4", frames=72, look=2, encoder={"profile": "high", "refs": "4", "g": "24"})
    assembled(assembler, [main, high], [0, 2.0, 5.0], folder / "video.mp4")

    with av.open(folder / "video.mp4") as container:
        container.seek(4_100_000)
        frame = next(container.decode(video=0))

    assert frame.time == 4.0
    assert bytes(frame.planes[0]) == luma(high, number=48)


def luma(clip: Path, *, number: int) -> bytes:
    with av.open(clip) as container:
        return next(bytes(frame.planes[0]) for index, frame in enumerate(container.decode(video=0)) if index == number)


def test_the_recording_is_copied_bit_for_bit(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    audio = narration(tmp_path, 2.0)

    assembler.assemble(scenes_of([clip], [0, 2.0]), audio=audio, captions=[], destination=folder / "video.mp4")

    assert packets_of(folder / "video.mp4", "audio") == packets_of(audio, "audio")


def test_a_clip_s_own_sound_is_left_out(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", with_sound=True)
    audio = narration(tmp_path, 2.0)

    assembler.assemble(scenes_of([clip], [0, 2.0]), audio=audio, captions=[], destination=folder / "video.mp4")

    with av.open(folder / "video.mp4") as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
    assert packets_of(folder / "video.mp4", "audio") == packets_of(audio, "audio")


def test_the_header_stands_before_the_media(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    """A browser can then begin to play before it has the whole file."""
    clip = write_clip(tmp_path / "clip.mp4")

    assembled(assembler, [clip], [0, 2.0], folder / "video.mp4")

    boxes = boxes_of(folder / "video.mp4")
    assert boxes.index("moov") < boxes.index("mdat")


def test_captions_can_be_read_back_with_their_times(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=72)
    captions = [Caption(0.25, 1.0, "Łódź, straße"), Caption(1.0, 1.75, "two\nlines"), Caption(2.0, 2.5, "the end")]

    assembler.assemble(
        scenes_of([clip], [0, 3.0]), audio=narration(tmp_path, 3.0), captions=captions, destination=folder / "video.mp4"
    )

    assert captions_in(folder / "video.mp4") == [
        (0.25, 1.0, "Łódź, straße"),
        (1.0, 1.75, "two\nlines"),
        (2.0, 2.5, "the end"),
    ]


def captions_in(video: Path) -> list[tuple[float, float, str]]:
    """Begin, end and text of every caption in the video's track."""
    found = []
    with av.open(video) as container:
        for packet in container.demux(subtitles=0):
            for subtitle in packet.decode() if packet.size else []:
                assert isinstance(subtitle, AssSubtitle)
                assert packet.pts is not None
                assert packet.duration is not None
                begin, length = float(packet.pts * packet.time_base), float(packet.duration * packet.time_base)
                if text := subtitle.dialogue.decode():
                    found.append((begin, begin + length, text))
    return found


def test_the_facts_are_those_of_the_file(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")

    facts, shown = assembled(assembler, [clip], [0, 2.0], folder / "video.mp4")

    assert facts == VideoFacts(
        duration_seconds=2.0,
        video_seconds=2.0,
        audio_seconds=2.0,
        width=96,
        height=64,
        frame_count=len(shown),
        size_bytes=(folder / "video.mp4").stat().st_size,
    )


def test_scenes_that_do_not_cover_the_recording_are_refused_with_both_durations(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4")

    with pytest.raises(PermanentError, match=r"2\.000 s .* 2\.500 s") as caught:
        assembler.assemble(
            scenes_of([clip], [0, 2.0]), audio=narration(tmp_path, 2.5), captions=[], destination=folder / "video.mp4"
        )

    assert caught.value.code == "DURATION_MISMATCH"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "different",
    [
        {"width": 128},
        {"rate": 30},
        {"codec": "libx265", "encoder": {"x265-params": "log-level=none"}},
        {"pixels": "yuv444p"},
        {"container": "matroska"},
    ],
    ids=lambda different: next(iter(different)),
)
def test_a_clip_that_was_not_conformed_is_refused(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path, different: dict[str, object]
) -> None:
    fitting = write_clip(tmp_path / "fitting.mp4")
    stranger = write_clip(tmp_path / "stranger.mp4", **different)  # type: ignore[arg-type]  # names and types as above

    with pytest.raises(PermanentError, match=r"stranger\.mp4") as caught:
        assembled(assembler, [fitting, stranger], [0, 1.0, 2.0], folder / "video.mp4")

    assert caught.value.code == "CLIP_MISMATCH"
    assert list(folder.iterdir()) == []


def test_a_clip_that_was_cut_off_is_refused(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", muxer={"movflags": "+faststart"})
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])

    with pytest.raises(PermanentError, match=r"broken\.mp4") as caught:
        assembled(assembler, [whole, broken], [0, 2.0, 4.0], folder / "video.mp4")

    assert caught.value.code == "CLIP_BROKEN"
    assert list(folder.iterdir()) == []


def without_packets(clip: Path, dropped: range) -> Path:
    """A copy of a clip of key frames only, without some of them."""
    copy = clip.with_name("holed.mp4")
    with av.open(clip) as source, av.open(copy, "w") as output:
        stream = source.streams.video[0]
        copied = output.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if packet.size and number not in dropped:
                packet.stream = copied
                output.mux(packet)
    return copy


def test_a_clip_with_a_hole_in_its_frames_is_refused(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    """Joined, all frames behind the hole would come too early."""
    holed = without_packets(write_clip(tmp_path / "clip.mp4", encoder={"g": "1"}), range(10, 14))

    with pytest.raises(PermanentError, match=r"holed\.mp4.*gap.*10") as caught:
        assembled(assembler, [holed], [0, 2.0], folder / "video.mp4")

    assert caught.value.code == "CLIP_MISMATCH"
    assert list(folder.iterdir()) == []


def test_a_clip_that_begins_in_the_middle_is_refused(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    """Its first frames lean on pictures that are not there."""
    headless = without_packets(write_clip(tmp_path / "clip.mp4"), range(1))

    with pytest.raises(PermanentError, match=r"holed\.mp4.*whole picture") as caught:
        assembled(assembler, [headless], [0, 1.5], folder / "video.mp4")

    assert caught.value.code == "CLIP_BROKEN"


@pytest.mark.parametrize("content", [b"", b"<Error>AccessDenied</Error>"], ids=["empty", "text"])
def test_a_clip_that_is_no_clip_is_refused(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path, content: bytes
) -> None:
    fitting, broken = write_clip(tmp_path / "fitting.mp4"), tmp_path / "broken.mp4"
    broken.write_bytes(content)

    with pytest.raises(PermanentError, match=r"broken\.mp4") as caught:
        assembled(assembler, [fitting, broken], [0, 1.0, 2.0], folder / "video.mp4")

    assert caught.value.code == "CLIP_BROKEN"


def test_a_failure_leaves_the_older_video_as_it_was(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    (folder / "video.mp4").write_bytes(b"the older video")

    with pytest.raises(PermanentError):
        assembler.assemble(
            scenes_of([clip], [0, 2.0]), audio=narration(tmp_path, 2.5), captions=[], destination=folder / "video.mp4"
        )

    assert [path.read_bytes() for path in folder.iterdir()] == [b"the older video"]


def test_a_full_disk_is_told_and_leaves_nothing(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    audio = narration(tmp_path, 2.0)

    with room_for(65536), pytest.raises(TransientError, match=r"video\.mp4") as caught:
        assembler.assemble(
            scenes_of([clip] * 40, [2.0 * number for number in range(41)]),
            audio=audio,
            captions=[],
            destination=folder / "video.mp4",
        )

    assert caught.value.code == "STORAGE_FULL"
    assert list(folder.iterdir()) == []


def test_no_scene_is_a_mistake_of_the_caller(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ValueError, match="at least one scene"):
        assembler.assemble([], audio=tmp_path / "a.m4a", captions=[], destination=folder / "video.mp4")


def test_a_recording_that_is_not_aac_is_a_mistake_of_the_caller(
    assembler: PyAvAssembler, tmp_path: Path, folder: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    sound = write_sound(tmp_path / "sound.wav", seconds=2)

    with pytest.raises(ValueError, match="not the recording as AAC"):
        assembler.assemble(scenes_of([clip], [0, 2]), audio=sound, captions=[], destination=folder / "video.mp4")


def test_conformed_clips_join_with_clips_that_fitted(assembler: PyAvAssembler, tmp_path: Path, folder: Path) -> None:
    fitting = write_clip(tmp_path / "fitting.mp4", b_frames=3)
    upright = write_clip(tmp_path / "upright.mp4", width=64, height=128, rate=30, frames=60)
    conformed = tmp_path / "conformed.mp4"
    assembler.conform(upright, conformed, VideoFormat(96, 64))

    facts, shown = assembled(assembler, [fitting, conformed], [0, 2.0, 4.0], folder / "video.mp4")

    assert facts.video_seconds == 4.0
    assert [frame.picture for frame in shown[-48:]] == pictures(conformed, 48)
