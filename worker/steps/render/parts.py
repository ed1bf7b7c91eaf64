"""What rendering needs from outside, and the times it keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from worker.models import AspectRatio
from worker.ports import ClipRenderer, MediaStore, Softener, SubmissionQuota, VideoAssembler, VideoFormat

FORMATS: dict[AspectRatio, VideoFormat] = {"16:9": VideoFormat(1280, 720), "9:16": VideoFormat(720, 1280)}
THUMBNAIL_WIDTH = 320

# Bringing one clip home: download, conform (2.4 s for the slowest kind measured), upload.  Not begun with less left.
FETCH_TIME = timedelta(seconds=20)

# Submitting a group: a fresh token (up to 27 s with its repetitions) and the SDK's own timeout of 30 s.  Not begun
# with less left, so that no order follows the lease.
SUBMIT_TIME = timedelta(seconds=60)

# One request to a language model, which gives up after 60 s.
SOFTEN_TIME = timedelta(seconds=65)

# Orders behind one checkpoint.  A turn that dies among them leaves so many scenes to be looked for.
SUBMIT_GROUP = 8

# A minute's quota frees within a minute; the vendor says no better.  (Vertex AI quotas page, read 2026-11-22)
QUOTA_PAUSE = timedelta(seconds=60)

# Looks in a row that may fail before the scene does; they cost nothing and say nothing about the work.
POLL_ERRORS_LIMIT = 20

# Looks in a row that find the operation unknown before that is believed.
LOST_LOOKS = 3

# A vendor that refuses connections, or an order with the promise that nothing was accepted, is asked again after this.
UNREACHABLE_PAUSE = timedelta(seconds=15)

# Scenes that are due within this are looked at in the same turn.
TOGETHER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class RenderPorts:
    """What rendering needs from outside.

    Attributes:
        softener: rewrites what a content filter refused; without one a person is asked sooner.
        quota: shares the vendor's submissions among all jobs; without one every job takes what it wants.
        threads: calls to the vendor at a time.
        on_spent: told, after each group of orders, how many USD they cost: all that were, or may have been, accepted.
    """

    renderer: ClipRenderer
    assembler: VideoAssembler
    media: MediaStore
    new_id: Callable[[], str]
    work_folder: Path | None = None
    softener: Softener | None = None
    quota: SubmissionQuota | None = None
    threads: int = SUBMIT_GROUP
    on_spent: Callable[[float], None] = lambda usd: None  # noqa: ARG005  nobody wants to know
