from dataclasses import replace
from datetime import timedelta

import pytest

from statemachine import Advance, PermanentError, TransientError, Wait
from tests.worker.fakes import FakeAssembler, FakeMediaStore, FakeTranscriber, FakeTurn, job_data, spoken
from worker.job import Recording, Segment, Transcript
from worker.steps.transcribe import (
    LOOKS_LIMIT,
    POLL_EVERY,
    QUOTA_PAUSE,
    TEXT_LIMIT,
    TranscriptionFailedError,
    transcribe,
)

SPOKEN = spoken("the old lighthouse stood alone on the edge of the sea", seconds=20.0)


class Bench:
    """The state, run by hand on one job."""

    def __init__(self, transcriber: FakeTranscriber, assembler: FakeAssembler | None = None) -> None:
        self.turn = FakeTurn(job_data())
        self.media = FakeMediaStore()
        self.media.write(b"a recording", "uploads/story.mp3")
        self.transcriber = transcriber
        self.assembler = assembler or FakeAssembler()

    def step(self) -> Advance | Wait:
        outcome = transcribe(
            self.turn.job,
            turn=self.turn,
            transcriber=self.transcriber,
            assembler=self.assembler,
            media=self.media,
            longest=timedelta(minutes=10),
        )
        assert isinstance(outcome, Advance | Wait)
        self.turn.apply(outcome.patch)
        return outcome


def test_words_are_kept_as_an_object_and_the_record_keeps_what_people_read() -> None:
    bench = Bench(FakeTranscriber(SPOKEN))

    outcome = bench.step()

    found = bench.turn.job.audio_transcription
    assert isinstance(outcome, Advance)
    assert outcome.event == "transcribed"
    assert found.full_json_s3_key is not None
    assert Transcript.model_validate_json(bench.media.objects[found.full_json_s3_key]) == SPOKEN
    assert (found.language, found.mode, found.word_count) == ("en-US", "speech", 11)


def test_a_running_transcription_is_waited_for_and_started_once() -> None:
    bench = Bench(FakeTranscriber(SPOKEN, polls=3))

    outcomes = [bench.step() for _ in range(4)]

    assert [type(outcome) for outcome in outcomes] == [Wait, Wait, Wait, Advance]
    assert isinstance(outcomes[0], Wait)
    assert outcomes[0].delay == POLL_EVERY
    assert bench.transcriber.started == ["job-1-run-1-1"]


def test_the_audio_is_encoded_once_however_often_the_state_runs() -> None:
    bench = Bench(FakeTranscriber(SPOKEN, polls=3))

    for _ in range(4):
        bench.step()

    assert bench.assembler.encodings == 1
    assert bench.media.objects[bench.turn.job.media.audio_key or ""] == b"aac of a recording"


def test_running_again_after_a_crash_starts_only_once() -> None:
    """A crash between start and save runs the state again; the vendor must not be paid twice."""
    bench = Bench(FakeTranscriber(SPOKEN, polls=9))
    before = bench.turn.data
    bench.step()

    bench.turn = replace(bench.turn, data=before)
    bench.step()

    assert bench.transcriber.started == ["job-1-run-1-1"]


class FailingTranscriber(FakeTranscriber):
    """Fails as it is told, once."""

    def __init__(self, error: PermanentError) -> None:
        super().__init__(SPOKEN)
        self._error: PermanentError | None = error

    def fetch(self, transcription_id: str, recording: Recording, *, time_left: timedelta) -> Transcript | None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return super().fetch(transcription_id, recording, time_left=time_left)


def test_after_a_failed_transcription_a_retry_begins_another_one() -> None:
    """The vendor would answer the same id with the same failure for ever."""
    bench = Bench(FailingTranscriber(TranscriptionFailedError("TRANSCRIPTION_FAILED", "it failed")))
    with pytest.raises(TranscriptionFailedError):
        bench.step()

    outcome = bench.step()

    assert isinstance(outcome, Advance)
    assert bench.transcriber.started == ["job-1-run-1-1", "job-1-run-1-2"]
    assert bench.turn.job.audio_transcription.transcription_id == "transcription-job-1-run-1-2"


def test_after_any_other_failure_a_retry_joins_what_was_started() -> None:
    """It may be under way, and paid for."""
    bench = Bench(FailingTranscriber(PermanentError("PROVIDER_ERROR", "not allowed to look")))
    with pytest.raises(PermanentError):
        bench.step()

    bench.step()

    assert bench.transcriber.started == ["job-1-run-1-1"]


def test_a_recording_that_is_longer_than_its_header_said_is_refused_before_anything_is_spent() -> None:
    bench = Bench(FakeTranscriber(SPOKEN), FakeAssembler(duration_seconds=601.0))

    with pytest.raises(PermanentError, match=r"story\.mp3 lasts 601 s, and 600 s are allowed"):
        bench.step()

    assert bench.transcriber.started == []


def test_silence_is_a_warning_and_no_failure() -> None:
    silent = Transcript(
        language="en-US", duration_seconds=20.0, mode="instrumental", source="recognised", warnings=("INPUT_NO_SPEECH",)
    )
    bench = Bench(FakeTranscriber(silent), FakeAssembler(peak=0.0))

    outcome = bench.step()

    assert isinstance(outcome, Advance)
    assert set(bench.turn.job.warnings) == {"INPUT_SILENT", "INPUT_NO_SPEECH"}


def test_a_long_text_is_cut_in_the_record_and_whole_in_the_object() -> None:
    words = "word " * 2000
    segment = Segment(start_seconds=0.0, end_seconds=20.0, text=words.strip())
    bench = Bench(FakeTranscriber(spoken(words, seconds=20.0).model_copy(update={"segments": (segment,)})))

    bench.step()

    found = bench.turn.job.audio_transcription
    assert found.is_truncated
    assert len(found.text or "") == TEXT_LIMIT


def test_a_full_quota_is_waited_for_and_no_attempt() -> None:
    class Busy(FakeTranscriber):
        """Takes no more jobs for now."""

        def start(self, recording: Recording, *, job_id: str, language: str) -> str:
            raise TransientError("PROVIDER_QUOTA", "LimitExceededException")

    outcome = Bench(Busy(SPOKEN)).step()

    assert outcome == Wait(QUOTA_PAUSE, waiting_for="quota")


class Unreachable(FakeTranscriber):
    """Cannot be asked about what it was given, so often in a row."""

    def __init__(self, looks: int, error: TransientError) -> None:
        super().__init__(SPOKEN)
        self._looks = looks
        self._error = error

    def fetch(self, transcription_id: str, recording: Recording, *, time_left: timedelta) -> Transcript | None:
        if self._looks:
            self._looks -= 1
            raise self._error
        return super().fetch(transcription_id, recording, time_left=time_left)


DOWN = TransientError("PROVIDER_UNAVAILABLE", "down")


def test_looks_that_fail_are_no_attempts_and_keep_what_was_done_beside_them() -> None:
    """It is under way and paid for, whether it can be asked about or not."""
    bench = Bench(Unreachable(LOOKS_LIMIT - 1, DOWN))

    outcomes = [bench.step() for _ in range(LOOKS_LIMIT)]

    assert [type(outcome) for outcome in outcomes] == [Wait] * (LOOKS_LIMIT - 1) + [Advance]
    assert outcomes[0] == Wait(POLL_EVERY, outcomes[0].patch)
    assert bench.transcriber.started == ["job-1-run-1-1"]
    assert bench.assembler.encodings == 1


def test_a_look_that_failed_is_repeated_when_the_vendor_wants_it() -> None:
    busy = TransientError("PROVIDER_QUOTA", "busy", retry_after=timedelta(seconds=40))

    outcome = Bench(Unreachable(1, busy)).step()

    assert isinstance(outcome, Wait)
    assert outcome.delay == timedelta(seconds=40)


def test_too_many_looks_that_fail_in_a_row_are_trouble_of_the_job() -> None:
    bench = Bench(Unreachable(2 * LOOKS_LIMIT, DOWN))
    for _ in range(LOOKS_LIMIT - 1):
        bench.step()

    with pytest.raises(TransientError, match="down"):
        bench.step()


def test_a_look_that_succeeds_begins_the_count_anew() -> None:
    bench = Bench(Unreachable(LOOKS_LIMIT - 1, DOWN))
    bench.transcriber._looks_left = 1  # noqa: SLF001  once it can be asked, it is not ready yet
    for _ in range(LOOKS_LIMIT):
        bench.step()

    assert bench.turn.job.audio_transcription.failed_looks == 0


def test_work_on_this_machine_that_fails_is_no_failed_look() -> None:
    """Twenty repetitions of it would take hours."""
    bench = Bench(Unreachable(1, TransientError("RECOGNISER_DIED", "out of memory")))

    with pytest.raises(TransientError, match="out of memory"):
        bench.step()
