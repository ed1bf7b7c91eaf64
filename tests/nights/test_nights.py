"""The most likely nights of whoever is on call, played with the commands of the operations book as they stand there."""

import json
from collections import Counter
from datetime import timedelta

import boto3
import pytest

from statemachine import Machine, Transition, Working
from tests.nights.platform import BUCKET, TABLE, Platform, commands_of, rows_of
from tests.simulators.scenario import Answer, Rule, Takes
from worker.bootstrap import Worker
from worker.job import Job, Options

# A night proves the book, and measuring its lines as well would take half as long again.
pytestmark = pytest.mark.no_cover


def test_after_an_outage_of_an_hour_everything_is_requeued_and_nothing_is_paid_twice(platform: Platform) -> None:
    find, look, one, all_of_them = commands_of("Vendor outage")
    platform.vendors.scenario.add(
        Rule(place="openai.respond", effect=Answer(status=503), times=None),
        Rule(place="veo.submit", effect=Answer(status=503), times=None),
    )
    for number in range(2):
        platform.start(f"video-{number}")
    platform.pass_time(60)
    assert {platform.job(f"video-{number}").status for number in range(2)} == {"failed"}

    assert platform.type(find).count("PROVIDER_UNAVAILABLE") == 2
    assert platform.type(look).count("would retry") == 2
    assert "nothing was done" in platform.out
    assert platform.job("video-0").retries == 0

    platform.vendors.scenario.clear()
    assert platform.type(one).count("retried ") == 1
    platform.pass_time(15)
    assert [platform.job(f"video-{number}").status for number in range(2)].count("completed") == 1

    assert platform.type(all_of_them).count("retried ") == 1
    platform.pass_time(15)

    assert [platform.job(f"video-{number}").status for number in range(2)] == ["completed"] * 2
    assert len(platform.vendors.bill.transcriptions) == 2
    assert len(platform.vendors.bill.clips) == 2
    assert "0 done" in platform.type(all_of_them)


def test_a_video_that_is_missed_is_found_by_its_owner_with_the_reason(platform: Platform) -> None:
    look_up, find, show, listed = commands_of("A user misses a video")
    users = boto3.client("cognito-idp")
    pool = users.create_user_pool(PoolName="platform")["UserPool"]["Id"]
    users.admin_create_user(
        UserPoolId=pool, Username="ada", UserAttributes=[{"Name": "email", "Value": "ada@example.com"}]
    )
    platform.vendors.scenario.add(Rule(place="veo.clip", effect=Takes(seconds=900), containing="/slow/", times=None))
    platform.start("made")
    platform.start("slow")
    platform.start("review", options=Options(review_before_render=True))
    platform.pass_time(10)

    assert "ada@example.com" in platform.type(look_up, POOL=pool, EMAIL="ada@example.com")
    found = {line.split()[0]: line.split()[1:3] for line in platform.type(find, SUB="ada").splitlines()[1:4]}
    assert found == {
        "made": ["completed", "completed"],
        "slow": ["processing", "rendering"],
        "review": ["processing", "reviewing"],
    }
    assert "takes longer than usual" in platform.type(show, JOB="slow")
    film = str(platform.job("made").data["final_video_url"])
    assert film in platform.type(show, JOB="made")
    assert film.rpartition("/")[2] in platform.type(listed, FOLDER="made", RUN="run-1")


def test_when_too_much_is_spent_nothing_more_is_ordered_until_somebody_goes_on(platform: Platform) -> None:
    noted, close, dry, cancel, due, reopen, retry = commands_of("Stop spending")
    platform.variables["LIMITS"] = "/platform/limits"
    boto3.client("ssm").put_parameter(Name="/platform/limits", Type="String", Value="{}")
    platform.deploy({"AI_VIDEO_LIMITS_PARAMETER": "/platform/limits"})
    platform.vendors.scenario.add(
        Rule(place="veo.clip", effect=Takes(seconds=900), times=None),
        Rule(place="openai.respond", effect=Answer(status=503), first=3, times=3),
    )
    for name in ("ordered", "given-up"):
        platform.start(name)
    platform.pass_time(1)
    platform.worker.engine.signal("given-up", "cancelled")
    platform.start("next")
    platform.pass_time(0.1)
    paid = platform.clips_paid()
    assert {name: platform.job(name).state for name in ("ordered", "next")} == {
        "ordered": "rendering",
        "next": "planning",
    }

    assert json.loads(platform.type(noted))["Parameter"]["Value"] == "{}"
    platform.type(close)
    assert platform.type(dry).count("would cancel") == 2
    assert platform.type(cancel).count("cancelled ") == 2
    assert not any(state in platform.type(due) for state in ("transcribing", "planning", "rendering"))
    platform.clock.advance(timedelta(minutes=1))
    assert "the kill switch is on" in platform.type(retry)
    platform.pass_time(30)
    assert platform.clips_paid() == paid

    platform.type(reopen)
    assert platform.type(retry).count("retried ") == 2
    platform.pass_time(30)

    assert platform.states() == {"given-up": "failed", "next": "completed", "ordered": "completed"}
    assert platform.clips_paid() == paid + Counter({("next", 0): 1})


def test_on_the_day_a_model_is_retired_another_one_is_set_and_its_jobs_go_on(platform: Platform) -> None:
    find, retry = commands_of("Model retirement day")
    retired = platform.worker.settings.veo_model
    del platform.vendors.google.veo.models[retired]
    platform.start("video-1")
    platform.pass_time(10)
    assert platform.vendors.bill.clips == []

    assert "MODEL_UNAVAILABLE" in platform.type(find)
    platform.deploy({"AI_VIDEO_VEO_MODEL": "veo-3.1-generate-001"})
    assert platform.type(retry).count("retried ") == 1
    platform.pass_time(15)

    assert platform.job("video-1").status == "completed"
    assert [charge.model for charge in platform.vendors.bill.clips] == ["veo-3.1-generate-001"]
    assert len(platform.vendors.bill.responses) == 1


def test_while_the_sweep_is_silent_nothing_is_lost_and_a_sweep_by_hand_goes_on(platform: Platform) -> None:
    _, due, by_hand = commands_of("The sweep is silent")
    platform.is_scheduled = False
    platform.start("video-1")
    platform.pass_time(30)
    waiting = platform.job("video-1")
    assert waiting.status == "processing"

    late = platform.type(due)
    assert "video-1" in late
    assert "29 min" in late
    platform.type(by_hand)
    assert platform.job("video-1").version > waiting.version

    platform.is_scheduled = True
    platform.pass_time(15)
    assert platform.job("video-1").status == "completed"


def test_a_damaged_row_is_named_and_taken_out_while_the_others_go_on(platform: Platform) -> None:
    due, look, take_out = commands_of("A damaged row")
    platform.start("video-1")
    platform.start("video-2")
    platform.dynamodb.update_item(
        TableName=TABLE,
        Key={"video_id": {"S": "video-1"}},
        UpdateExpression="SET ai_execution = :spoilt",
        ExpressionAttributeValues={":spoilt": {"S": "spoilt"}},
    )

    platform.pass_time(15)

    assert platform.job("video-2").status == "completed"
    assert "video-1" in platform.type(due)
    assert "is not as the engine wrote it" in platform.out
    assert "spoilt" in platform.type(look, JOB="video-1")
    platform.type(take_out, JOB="video-1")
    assert "nothing is due" in platform.type(due)
    left = platform.dynamodb.get_item(TableName=TABLE, Key={"video_id": {"S": "video-1"}})["Item"]
    assert left == {"video_id": {"S": "video-1"}, "user_id": {"S": "ada"}, "s3_key": {"S": "uploads/video-1.wav"}}


def test_a_refused_key_is_read_anew_at_once_and_jobs_that_met_the_gap_are_requeued(platform: Platform) -> None:
    """The old key was revoked before the new one stood in the secret."""
    put, _, retry = commands_of("Secret rotation")
    put = put.replace("file://vendors.json", "'$VALUE'")
    good = platform.secret
    platform.type(put, VALUE=json.dumps({**json.loads(good), "OPENAI_API_KEY": "a key that is revoked"}))
    platform.start("video-1")
    platform.pass_time(5)
    assert platform.job("video-1").status == "failed"

    platform.type(put, VALUE=good)
    platform.start("video-2")
    platform.pass_time(15)
    assert platform.job("video-2").status == "completed"

    assert platform.type(retry).count("retried ") == 1
    platform.pass_time(15)
    assert platform.job("video-1").status == "completed"
    assert len(platform.vendors.bill.transcriptions) == 2


class WithoutPlanning(Worker):
    """A deployment whose machine has another name for planning."""

    @property
    def machine(self) -> Machine[Job]:
        known = super().machine
        states = [
            Working("storyboarding", step=state.step, deadline=state.deadline, max_turn=state.max_turn)
            if isinstance(state, Working) and state.name == "planning"
            else state
            for state in known.states.values()
        ]
        renamed = {"planning": "storyboarding"}
        return Machine(
            known.name,
            initial=known.initial,
            states=states,
            transitions=[
                Transition(
                    each.event,
                    tuple(renamed.get(one, one) for one in each.sources),
                    renamed.get(each.target, each.target),
                )
                for each in known.transitions
            ],
            signals=known.signals,
            load=known.load,
        )


def test_a_roll_back_parks_what_it_does_not_know_and_the_next_version_takes_it_up(platform: Platform) -> None:
    due, resume = commands_of("Deploy and roll back")
    platform.vendors.scenario.add(Rule(place="openai.respond", effect=Answer(status=503), times=2))
    platform.start("video-1")
    while platform.job("video-1").state != "planning":
        platform.pass_time(0.2)

    platform.deploy({}, worker=WithoutPlanning)
    platform.pass_time(30)
    assert platform.job("video-1").status == "processing"
    assert "parked since" in platform.type(due)

    platform.deploy({})
    assert "resumed" in platform.type(resume, JOB="video-1")
    platform.pass_time(15)
    assert platform.job("video-1").status == "completed"


def test_everything_of_a_person_can_be_deleted(platform: Platform) -> None:
    """Of every run: a video that was made anew has left the transcript of the first time."""
    (stop, find, show, listed, *of_a_run, job, own_row) = commands_of("Privacy")
    objects, transcripts, transcriptions, transcription, clips = of_a_run
    platform.start("video-1")
    platform.pass_time(15)
    platform.start("video-1", run_id="run-2")
    platform.start("other", run_id="run-9")
    platform.pass_time(15)
    runs = ("run-1", "run-2")
    platform.type(stop, SUB="ada")
    assert {row["id"] for row in rows_of(platform.type(find, SUB="ada"))} == {"video-1", "other"}
    (facts,) = rows_of(platform.type(show, JOB="video-1"))
    folder, run = facts["places"]["objects"].rstrip("/").split("/")[-2:]
    place = facts["places"]["clips_at_vendor"].removeprefix("gs://").rstrip("/").removesuffix(f"/{folder}/{run}")
    words = {"JOB": "video-1", "SUB": "ada", "FOLDER": folder, "CLIPS": place}
    assert {key.split("/")[2] for key in json.loads(platform.type(listed, **words))} == set(runs)

    for each in runs:
        for command in (objects, transcripts, clips):
            platform.type(command, **words, RUN=each)
        found = json.loads(platform.type(transcriptions, RUN=each))["TranscriptionJobSummaries"]
        assert found
        for summary in found:
            platform.type(transcription, TRANSCRIPTION=summary["TranscriptionJobName"])
    for command in (job, own_row):
        platform.type(command, **words)

    left = {entry["Key"] for entry in platform.s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert {key for key in left if "run-9" not in key} == {"uploads/video-1.wav", "uploads/other.wav"}
    assert any(key.startswith("ai-video/transcribe/") for key in left)  # of the other video
    assert [row["id"] for row in rows_of(platform.type(find, SUB="ada")) if "id" in row] == ["other"]
    assert all("run-9" in name for name in platform.clips_at_vendor)
    assert [json.loads(platform.type(transcriptions, RUN=each))["TranscriptionJobSummaries"] for each in runs] == [
        [],
        [],
    ]
