"""When to look at clips that are being made: pure arithmetic over the latencies of the model.

Every look costs a call, and a finished clip waits, on average, half the time between two looks until it is noticed.
But only the clip that is finished last delays the video.  So looks at one of many running clips are far apart, relative
to its age, and come closer the fewer run beside it.  `python -m benchmarks latency` shows what it costs.
"""

from datetime import timedelta

from worker.models import VideoModel

# Looks begin when a third of the clips are finished; nothing is lost by not seeing those at once.
FIRST_LOOK = 0.7  # of the median

# No closer than this: the sweep wakes rows by the second.
FINEST_LOOK = 0.05  # of the median

# The time to the next look, as a share of the clip's age: for the last one, and how fast it grows with the others.
SHARE_ALONE = 0.03
SHARE_FOR_EACH_OTHER = 0.05
SHARE_AT_MOST = 0.35

LONGEST_LOOK = timedelta(seconds=60)


def first_look(model: VideoModel) -> timedelta:
    """How long after a submission the first look is worth while."""
    return model.p50 * FIRST_LOOK


def finest_look(model: VideoModel) -> timedelta:
    """The shortest time between two looks."""
    return model.p50 * FINEST_LOOK


def next_look(age: timedelta, *, others: int, first: timedelta, finest: timedelta) -> timedelta:
    """How long to wait before a clip of this age is looked at, while `others` are being made beside it."""
    if age < first:
        return first - age
    share = min(SHARE_ALONE + SHARE_FOR_EACH_OTHER * others, SHARE_AT_MOST)
    return max(finest, min(age * share, LONGEST_LOOK))
