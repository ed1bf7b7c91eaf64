"""The night on which the table was restored to an earlier time, with the old one at hand and without it."""

import json
from collections import Counter

import pytest

from tests.nights.platform import BUCKET, TABLE, Platform, commands_of, rows_of
from tests.simulators.scenario import Answer, Rule, Takes
from worker.job import Options

# A night proves the book, and measuring its lines as well would take half as long again.
pytestmark = pytest.mark.no_cover

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
        while not platform.clips_paid("half"):
            platform.pass_time(0.2)
        platform.start("since")
        platform.start("late")
        while {platform.job(one).state for one in ("since", "late")} != {"transcribing"}:
            platform.pass_time(0.1)
        backup = platform.dynamodb.create_backup(TableName=TABLE, BackupName="nightly")["BackupDetails"]
        platform.variables["BACKUP"] = backup["BackupArn"]
        assert platform.states() == {
            "early": "completed",
            "review": "reviewing",
            "half": "rendering",
            "since": "transcribing",
            "late": "transcribing",
        }
        self.paid_before = platform.clips_paid()

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
        while platform.job("since").status != "completed" or not platform.clips_paid().keys() >= ordered:
            platform.pass_time(0.2)
        assert platform.states() == {
            "early": "completed",
            "review": "reviewing",
            "half": "rendering",
            "since": "completed",
            "late": "rendering",
            "new": "rendering",
        }
        self.paid = platform.clips_paid()
        platform.vendors.scenario.clear()


def refused(scene: int) -> Rule:
    """Every order of this scene, for want of quota."""
    return Rule(place="veo.submit", scene=scene, effect=Answer(status=429), times=None)


def test_a_restored_table_is_brought_up_to_date_from_the_old_one_and_nothing_is_lost_or_paid_twice(
    platform: Platform,
) -> None:
    stop, at_work, _, restore, describe, look, carry, again, go_on, due, *_ = commands_of(
        "The table was restored to an earlier time"
    )
    hour = LostHour(platform)
    film = platform.job("since").data["final_video_url"]

    platform.type(stop)
    stood = platform.states()
    platform.pass_time(15)
    assert platform.states() == stood
    assert "a turn at work" not in platform.type(at_work)
    platform.type(restore)
    assert json.loads(platform.type(describe))["Table"]["TableStatus"] == "ACTIVE"
    assert platform.type(look).count("would carry") == 4
    assert platform.type(carry).count("carried ") == 4
    assert "0 done, 0 skipped, 0 failed" in platform.type(again)
    platform.deploy({"AI_VIDEO_TABLE_NAME": RESTORED})
    assert platform.states() == stood
    platform.type(go_on)
    assert [name for name in stood if name in platform.type(due)] == ["half", "late", "new"]
    platform.worker.engine.signal("review", "approved")
    platform.pass_time(30)

    assert platform.states() == dict.fromkeys(stood, "completed")
    assert platform.job("since").data["final_video_url"] == film
    assert platform.clips_paid() == hour.paid + Counter({("half", 2): 1, ("review", 0): 1})
    assert set(platform.clips_paid().values()) == {1}
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
    assert [name for name in platform.states(RESTORED) if name in platform.type(due)] == ["half", "late", "since"]
    assert "cancelled" in platform.type(cancel, JOB="since")
    (facts,) = rows_of(platform.type(show, JOB="since"))
    folder, run = facts["places"]["objects"].rstrip("/").split("/")[-2:]
    (key,) = [key for key in json.loads(platform.type(listed, FOLDER=folder, RUN=run)) if "/video-" in key]
    assert film == f"s3://{BUCKET}/{key}"
    assert key in platform.type(presign, KEY=key)
    platform.deploy({"AI_VIDEO_TABLE_NAME": RESTORED})
    platform.type(go_on)
    assert platform.invoke(in_flight)["turn"] == "ignored"
    assert platform.clips_paid() == hour.paid
    platform.worker.engine.signal("review", "approved")
    platform.pass_time(30)

    ended = dict.fromkeys(("early", "half", "late", "review"), "completed")
    assert platform.states() == {**ended, "since": "failed"}
    assert platform.clips_paid() == hour.paid + Counter(
        {("half", 1): 1, ("half", 2): 1, ("late", 0): 1, ("review", 0): 1}
    )
    assert hour.paid[("half", 1)] == hour.paid[("late", 0)] == 1, "these two were paid before, and are paid twice"
    assert hour.paid_before.keys() & {("half", 0)}, "the row knew this one, and it was not ordered again"
    assert len(platform.vendors.bill.transcriptions) == 6, "each was joined, and none made again"
