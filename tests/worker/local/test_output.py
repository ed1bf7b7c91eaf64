import errno
import os
import tempfile
from pathlib import Path

import pytest

from statemachine import PermanentError, TransientError
from tests.media import room_for, write_clip
from tests.worker.fakes import FakeMediaStore, job_data
from worker.job import Job, MediaKeys
from worker.local.output import Output, is_own_captions

START = b"\0\0\0\x18ftypisom"
VIDEO = START + b"moving pictures " * 20_000
OF_YESTERDAY = START + b"of yesterday"


@pytest.fixture
def media() -> FakeMediaStore:
    store = FakeMediaStore()
    store.write(VIDEO, "video.mp4")
    store.write(b"WEBVTT\n", "captions.vtt")
    return store


@pytest.fixture
def job() -> Job:
    keys = MediaKeys(video_key="video.mp4", captions_key="captions.vtt")
    return Job.model_validate(job_data()).model_copy(update={"media": keys})


def test_the_video_is_copied_with_its_captions_beside_it(tmp_path: Path, job: Job, media: FakeMediaStore) -> None:
    Output(tmp_path / "story.mp4").write(job, media)

    assert contents(tmp_path) == {"story.mp4": VIDEO, "story.vtt": b"WEBVTT made by ai-video-worker\n"}


def test_a_video_without_captions_stands_alone(tmp_path: Path, job: Job, media: FakeMediaStore) -> None:
    silent = job.model_copy(update={"media": MediaKeys(video_key="video.mp4")})

    Output(tmp_path / "story.mp4").write(silent, media)

    assert contents(tmp_path) == {"story.mp4": VIDEO}


def test_what_stood_there_is_replaced(tmp_path: Path, job: Job, media: FakeMediaStore) -> None:
    (tmp_path / "story.mp4").write_bytes(OF_YESTERDAY)

    Output(tmp_path / "story.mp4").write(job, media)

    assert contents(tmp_path)["story.mp4"] == VIDEO


def test_a_disk_that_fills_up_leaves_what_stood_there_and_nothing_else(
    tmp_path: Path, job: Job, media: FakeMediaStore
) -> None:
    (tmp_path / "story.mp4").write_bytes(OF_YESTERDAY)

    with (
        room_for(100_000),
        pytest.raises(TransientError, match=r"story\.mp4 does not fit there .*; free some") as caught,
    ):
        Output(tmp_path / "story.mp4").write(job, media)

    assert caught.value.code == "OUTPUT_FULL"
    assert contents(tmp_path) == {"story.mp4": OF_YESTERDAY}


def test_a_full_disk_is_found_before_the_work_begins(tmp_path: Path) -> None:
    with room_for(1_000), pytest.raises(TransientError, match="does not fit there"):
        Output(tmp_path / "story.mp4").check()

    assert contents(tmp_path) == {}


def test_a_check_leaves_nothing(tmp_path: Path) -> None:
    Output(tmp_path / "story.mp4").check()

    assert contents(tmp_path) == {}


def test_a_name_with_spaces_and_foreign_letters_is_written(tmp_path: Path, job: Job, media: FakeMediaStore) -> None:
    output = Output(tmp_path / "Żółty łabędź, 東京.mp4")

    output.check()
    output.write(job, media)

    assert output.video.read_bytes() == VIDEO


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: root, as whom tests may run, is refused nothing."""

    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    with pytest.raises(
        PermanentError, match=r"cannot write .*story\.mp4 \(Permission denied\); check the folder's perm"
    ):
        Output(tmp_path / "story.mp4").check()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"is a folder; name a file, for instance .*video\.mp4"):
        Output(tmp_path).check()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"no folder .*nowhere for story\.mp4; make it"):
        Output(tmp_path / "nowhere" / "story.mp4").check()


def test_a_device_is_no_ordinary_file() -> None:
    with pytest.raises(PermanentError, match="no ordinary file"):
        Output(Path(os.devnull)).check()


def test_the_recording_is_not_replaced(tmp_path: Path) -> None:
    recording = tmp_path / "story.mp4"
    recording.write_bytes(b"sound")
    (tmp_path / "link.mp4").symlink_to(recording)

    with pytest.raises(PermanentError, match="is the recording itself"):
        Output(tmp_path / "link.mp4").check(recording=recording)


def test_a_transcript_is_not_replaced_by_captions(tmp_path: Path) -> None:
    recording = tmp_path / "story.mp3"
    recording.write_bytes(b"sound")
    (tmp_path / "story.vtt").write_text("WEBVTT")

    with pytest.raises(PermanentError, match=r"replace .*story\.vtt, .*--no-captions"):
        Output(tmp_path / "story.mp4").check(recording=recording)
    Output(tmp_path / "story.mp4").check(recording=recording, with_captions=False)


@pytest.mark.parametrize("name", ["story.srt", "story.txt"])
def test_no_transcript_is_replaced_by_the_video(tmp_path: Path, name: str) -> None:
    recording = tmp_path / "story.mp3"
    recording.write_bytes(b"sound")
    (tmp_path / name).write_bytes(b"")

    with pytest.raises(PermanentError, match="is the recording's transcript"):
        Output(tmp_path / name).check(recording=recording)


def test_a_file_that_is_no_video_is_not_replaced(tmp_path: Path, job: Job, media: FakeMediaStore) -> None:
    """Whoever resumes a job may have forgotten what the recording's name was."""
    (tmp_path / "story.mp3").write_bytes(b"ID3 sound")
    output = Output(tmp_path / "story.mp3")

    with pytest.raises(PermanentError, match=r"story\.mp3 is no MP4 video, and would be replaced"):
        output.check()
    with pytest.raises(PermanentError, match=r"story\.mp3 is no MP4 video, and would be replaced"):
        output.write(job, media)
    assert contents(tmp_path) == {"story.mp3": b"ID3 sound"}


def test_a_video_as_it_really_is_may_be_replaced(tmp_path: Path) -> None:
    write_clip(tmp_path / "story.mp4")

    Output(tmp_path / "story.mp4").check()

    assert [path.name for path in tmp_path.iterdir()] == ["story.mp4"]


def test_an_empty_file_may_be_replaced(tmp_path: Path, job: Job, media: FakeMediaStore) -> None:
    (tmp_path / "story.mp4").touch()

    Output(tmp_path / "story.mp4").write(job, media)

    assert contents(tmp_path)["story.mp4"] == VIDEO


def test_captions_that_somebody_wrote_are_kept_even_if_they_come_late(
    tmp_path: Path, job: Job, media: FakeMediaStore
) -> None:
    Output(tmp_path / "story.mp4").check()
    (tmp_path / "story.vtt").write_text("WEBVTT by hand")

    with pytest.raises(PermanentError, match=r"replace .*story\.vtt, which was not written by this program"):
        Output(tmp_path / "story.mp4").write(job, media)

    assert contents(tmp_path) == {"story.vtt": b"WEBVTT by hand"}


def test_a_video_without_captions_leaves_those_of_somebody_else(
    tmp_path: Path, job: Job, media: FakeMediaStore
) -> None:
    (tmp_path / "story.vtt").write_text("WEBVTT by hand")
    silent = job.model_copy(update={"media": MediaKeys(video_key="video.mp4")})

    Output(tmp_path / "story.mp4").write(silent, media)

    assert contents(tmp_path) == {"story.mp4": VIDEO, "story.vtt": b"WEBVTT by hand"}


def test_captions_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A folder: root, as whom tests may run, reads every file."""
    (tmp_path / "story.vtt").mkdir()

    with pytest.raises(PermanentError, match=r"cannot read .*story\.vtt") as caught:
        Output(tmp_path / "story.mp4").check()

    assert caught.value.code == "FILE_UNREADABLE"


def test_captions_of_an_earlier_run_are_replaced(tmp_path: Path, job: Job, media: FakeMediaStore) -> None:
    """The same command twice in one folder: nobody wrote that transcript."""
    recording = tmp_path / "story.mp3"
    recording.write_bytes(b"sound")
    output = Output(tmp_path / "story.mp4")
    output.write(job, media)

    output.check(recording=recording)

    assert is_own_captions(output.captions)


def test_the_video_is_not_called_like_its_captions(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="name of the captions"):
        Output(tmp_path / "story.vtt").check()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
