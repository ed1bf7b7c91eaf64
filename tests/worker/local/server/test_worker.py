import threading
from datetime import timedelta
from pathlib import Path

from tests.worker.fakes import FakeTranscriber, spoken
from tests.worker.local.server.premises import Premises
from worker.job import Recording, Transcript
from worker.local.server.worker import OneAtATime, ServedWorker
from worker.local.worker import LocalWorker
from worker.providers.signed_links import SignedLinks
from worker.settings import Settings

RECORDING = Recording(key="uploads/story.mp3", filename="story.mp3")
PATIENCE = 20.0


class Slow(FakeTranscriber):
    """Hears until it is told to end."""

    def __init__(self) -> None:
        super().__init__(spoken("once upon a time", seconds=4.0))
        self.begun, self.may_end = threading.Event(), threading.Event()

    def fetch(self, transcription_id: str, recording: Recording, *, time_left: timedelta) -> Transcript | None:
        self.begun.set()
        assert self.may_end.wait(PATIENCE)
        return super().fetch(transcription_id, recording, time_left=time_left)


def test_a_second_recording_waits_while_one_is_heard() -> None:
    """The recogniser ends its children after each; it would end those of the other."""
    slow = Slow()
    transcriber = OneAtATime(slow)
    first = threading.Thread(target=transcriber.fetch, args=("1", RECORDING), kwargs={"time_left": timedelta(hours=1)})
    first.start()
    assert slow.begun.wait(PATIENCE)

    meanwhile = transcriber.fetch("2", RECORDING, time_left=timedelta(hours=1))
    slow.may_end.set()
    first.join(PATIENCE)

    assert meanwhile is None
    assert transcriber.fetch("2", RECORDING, time_left=timedelta(hours=1)) == slow.transcript


def test_starting_passes_what_is_asked_for() -> None:
    slow = Slow()

    assert OneAtATime(slow).start(RECORDING, job_id="job-1", language="auto") == "transcription-job-1"


def test_a_job_goes_on_with_the_parts_it_was_begun_with(house: Premises, tmp_path: Path) -> None:
    """What the one renderer has on order, the other does not know."""
    video_id = house.upload()["videoId"]
    house.start(video_id)
    execution = house.worker.store.get(video_id)

    with ServedWorker(Settings(home=tmp_path, renderer="veo"), clock=house.clock) as later:
        engine = later.engine_of(execution)

        assert engine is later.engine_of(execution)
        assert engine is not later.engine
        assert engine.store is later.store


def test_a_job_begun_with_the_same_parts_needs_no_others(house: Premises) -> None:
    video_id = house.upload()["videoId"]
    house.start(video_id)

    assert house.worker.engine_of(house.worker.store.get(video_id)) is house.worker.engine


def test_a_jobs_end_frees_its_owners_place_on_the_server_and_nobodys_on_a_command_line(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, concurrent_jobs=1)

    with ServedWorker(settings) as served, LocalWorker(settings) as alone:
        assert served.after_work is not None
        assert alone.after_work is None


def test_addresses_lead_to_this_server_unless_objects_lie_in_a_bucket(tmp_path: Path) -> None:
    with ServedWorker(Settings(home=tmp_path)) as here:
        assert isinstance(here.links_at("http://localhost", b"secret"), SignedLinks)
    with ServedWorker(Settings(home=tmp_path, media="s3", bucket="platform")) as elsewhere:
        assert elsewhere.links_at("http://localhost", b"secret") is elsewhere.links


def test_parts_that_cannot_be_built_fail_the_job_that_needs_them_and_not_the_server(tmp_path: Path) -> None:
    with ServedWorker(Settings(home=tmp_path, renderer="veo", planner="openai")) as worker:
        worker.build()

        assert "renderer" not in vars(worker)
        assert worker.engine is worker.engine
        worker.end_children()
