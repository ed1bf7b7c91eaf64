"""The most likely nights of whoever is on call, played with the commands of the operations book as they stand there."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import boto3

from statemachine import Machine, Transition, Working
from tests.nights.platform import BUCKET, TABLE, Platform, commands_of
from tests.simulators.scenario import Answer, Rule, Takes
from worker.bootstrap import Worker
from worker.job import Job, Options


def rows_of(out: str) -> list[dict[str, Any]]:
    """The lines of a `--json` answer."""
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


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
    paid = clips_paid(platform)
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
    assert clips_paid(platform) == paid

    platform.type(reopen)
    assert platform.type(retry).count("retried ") == 2
    platform.pass_time(30)

    assert states(platform) == {"given-up": "failed", "next": "completed", "ordered": "completed"}
    assert clips_paid(platform) == paid + Counter({("next", 0): 1})


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


# --- the table was restored -------------------------------------------------------------------------------------------

RESTORED = "video_metadata-restored"


class LostHour:
    """A table of which a backup was made, and what happened until the table was lost.

    A backup, because moto's copies the rows and the due index as they were; its restore to a point in time copies them
    as they are now.

    At the backup `early` was completed, `half` had the first of its three clips on order, `since` and `late` were being
    transcribed, `review` waited for approval, and `new` was uploaded and not begun.  Afterwards `half` and `late`
    ordered another clip, which is not there yet, `since` was completed, and `new` was begun and ordered its own.

    Attributes:
        paid_before, paid: the clips that were paid for at the backup, and at the end.
    """

    def __init__(self, platform: Platform) -> None:
        platform.variables["RESTORED"] = RESTORED
        platform.start("early")
        platform.start("review", options=Options(review_before_render=True))
        platform.pass_time(5)
        platform.upload("half", seconds=20)
        platform.upload("new")
        platform.vendors.scenario.add(*(refused(scene) for scene in (1, 2)))
        platform.start("half")
        while not clips_paid(platform, "half"):
            platform.pass_time(0.2)
        platform.start("since")
        platform.start("late")
        while {platform.job(one).state for one in ("since", "late")} != {"transcribing"}:
            platform.pass_time(0.1)
        backup = platform.dynamodb.create_backup(TableName=TABLE, BackupName="nightly")["BackupDetails"]
        platform.variables["BACKUP"] = backup["BackupArn"]
        assert states(platform) == {
            "early": "completed",
            "review": "reviewing",
            "half": "rendering",
            "since": "transcribing",
            "late": "transcribing",
        }
        self.paid_before = clips_paid(platform)

        platform.vendors.scenario.clear()
        slow = Takes(seconds=900)
        platform.vendors.scenario.add(
            refused(2),
            *(
                Rule(place="veo.clip", containing=f"/{one}/", effect=slow, times=None)
                for one in ("half", "late", "new")
            ),
        )
        platform.start("new")
        ordered = {("half", 1), ("late", 0), ("new", 0)}
        while platform.job("since").status != "completed" or not clips_paid(platform).keys() >= ordered:
            platform.pass_time(0.2)
        assert states(platform) == {
            "early": "completed",
            "review": "reviewing",
            "half": "rendering",
            "since": "completed",
            "late": "rendering",
            "new": "rendering",
        }
        self.paid = clips_paid(platform)
        platform.vendors.scenario.clear()


def refused(scene: int) -> Rule:
    """Every order of this scene, for want of quota."""
    return Rule(place="veo.submit", scene=scene, effect=Answer(status=429), times=None)


def states(platform: Platform, table_name: str | None = None) -> dict[str, str]:
    """The state of every job in this table, or in that which the function works on."""
    rows = platform.dynamodb.scan(TableName=table_name or platform.worker.settings.table_name)["Items"]
    jobs = {row["video_id"]["S"]: row["ai_execution"]["M"] for row in rows if "ai_version" in row}
    return {video_id: jobs[video_id]["state"]["S"] for video_id in sorted(jobs)}


def clips_paid(platform: Platform, video_id: str = "") -> Counter[tuple[str, int | None]]:
    """How often a clip was paid for, by video and scene."""
    paid = Counter(
        (charge.prefix.partition("/ai-video/ai-video/")[2].partition("/")[0], charge.scene)
        for charge in platform.vendors.bill.clips
    )
    return Counter({clip: times for clip, times in paid.items() if video_id in ("", clip[0])})


def test_a_restored_table_is_brought_up_to_date_from_the_old_one_and_nothing_is_lost_or_paid_twice(
    platform: Platform,
) -> None:
    stop, at_work, _, restore, describe, look, carry, again, go_on, due, *_ = commands_of(
        "The table was restored to an earlier time"
    )
    hour = LostHour(platform)
    film = platform.job("since").data["final_video_url"]

    platform.type(stop)
    stood = states(platform)
    platform.pass_time(15)
    assert states(platform) == stood
    assert "a turn at work" not in platform.type(at_work)
    platform.type(restore)
    assert json.loads(platform.type(describe))["Table"]["TableStatus"] == "ACTIVE"
    assert platform.type(look).count("would carry") == 4
    assert platform.type(carry).count("carried ") == 4
    assert "0 done, 0 skipped, 0 failed" in platform.type(again)
    platform.deploy({"AI_VIDEO_TABLE_NAME": RESTORED})
    assert states(platform) == stood
    platform.type(go_on)
    assert [name for name in stood if name in platform.type(due)] == ["half", "late", "new"]
    platform.worker.engine.signal("review", "approved")
    platform.pass_time(30)

    assert states(platform) == dict.fromkeys(stood, "completed")
    assert platform.job("since").data["final_video_url"] == film
    assert clips_paid(platform) == hour.paid + Counter({("half", 2): 1, ("review", 0): 1})
    assert set(clips_paid(platform).values()) == {1}
    assert len(platform.vendors.bill.transcriptions) == len(platform.vendors.bill.responses) == 6


def test_of_a_restored_table_without_the_old_one_only_what_was_ordered_since_is_paid_twice(platform: Platform) -> None:
    stop, _, _, restore, _, _, _, _, go_on, _, *_ = commands_of("The table was restored to an earlier time")
    _, due, cancel, show, listed, presign = commands_of("Without the old table")
    hour = LostHour(platform)
    in_flight = {"execution_id": "half", "version": platform.job("half").version}
    film = str(platform.job("since").data["final_video_url"])

    platform.type(stop)
    platform.pass_time(15)
    platform.type(restore)
    platform.dynamodb.delete_table(TableName=TABLE)
    assert [name for name in states(platform, RESTORED) if name in platform.type(due)] == ["half", "late", "since"]
    assert "cancelled" in platform.type(cancel, JOB="since")
    (facts,) = rows_of(platform.type(show, JOB="since"))
    folder, run = facts["places"]["objects"].rstrip("/").split("/")[-2:]
    (key,) = [key for key in json.loads(platform.type(listed, FOLDER=folder, RUN=run)) if "/video-" in key]
    assert film == f"s3://{BUCKET}/{key}"
    assert key in platform.type(presign, KEY=key)
    platform.deploy({"AI_VIDEO_TABLE_NAME": RESTORED})
    platform.type(go_on)
    assert platform.invoke(in_flight)["turn"] == "ignored"
    assert clips_paid(platform) == hour.paid
    platform.worker.engine.signal("review", "approved")
    platform.pass_time(30)

    ended = dict.fromkeys(("early", "half", "late", "review"), "completed")
    assert states(platform) == {**ended, "since": "failed"}
    assert clips_paid(platform) == hour.paid + Counter(
        {("half", 1): 1, ("half", 2): 1, ("late", 0): 1, ("review", 0): 1}
    )
    assert hour.paid[("half", 1)] == hour.paid[("late", 0)] == 1, "these two were paid before, and are paid twice"
    assert hour.paid_before.keys() & {("half", 0)}, "the row knew this one, and it was not ordered again"
    assert len(platform.vendors.bill.transcriptions) == 6, "each was joined, and none made again"
