"""The platform's rows as a request sees them: whose a video is, where its recording lies, and the job on it."""

from typing import Protocol

from statemachine import Execution, Store
from statemachine.record import Record
from worker.limits import Usage

# Keys that begin so belong to the worker's own rows; no video has one.
CONTROL_PREFIX = "ai#"


class Row(Record):
    """One video.

    Attributes:
        source: of the recording: a key in the platform's bucket, or its `s3://` address; None when the row names none.
        execution: the job on it, the whole; None while there is none.
    """

    execution_id: str
    owner_id: str
    source: str | None
    execution: Execution | None


class AudioHeader(Record):
    """What a recording's file says of itself; headers lie, and `transcribing` measures.

    Attributes:
        duration_seconds: None where the file does not say (a browser's recording, for instance).
        is_guess: the duration may be FFmpeg's guess for want of one in the header; nobody is refused for it.
    """

    codec: str
    duration_seconds: float | None
    sample_rate: int
    channels: int
    size_bytes: int
    is_guess: bool = False


class UsageChange(Record):
    """What is written to a user's control row, if it still stands as it was read."""

    user_id: str
    before: Usage
    after: Usage


class UsageChangedError(Exception):
    """The control row was written by somebody else since it was read: look again."""


class Rows(Protocol):
    """Reads rows, each call one consistent request, and writes what is decided about them.

    Everything raises StoreError as a `Store` does.
    """

    def find(self, video_id: str, *, user_id: str, any_owner: bool = False) -> Row | None:
        """The row of this video; None when there is none, or it is somebody else's.  `any_owner`: whosever it is."""

    def find_with_usage(self, video_id: str, *, user_id: str) -> tuple[Row | None, Usage]:
        """As `find`, and the user's control row with it."""

    def deciding(self, row: Row, *, change: UsageChange | None = None) -> Store:
        """A store for one start or signal on `row`.

        Its first look gives what `row` holds, without reading again.  With `change`, the start or signal is one
        transaction with it; then it may raise BesideRefusedError (the control row has changed) beside what a store
        raises.
        """

    def usage(self, user_id: str) -> Usage:
        """The user's control row."""

    def change_usage(self, change: UsageChange) -> None:
        """Write a control row by itself.

        Raises:
            UsageChangedError: it does not stand as it was read.
        """
