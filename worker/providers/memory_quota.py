"""A quota shared by the jobs of one process."""

from datetime import datetime, timedelta
from threading import Lock

from statemachine.execution import to_ms
from worker import quota
from worker.models import VideoModel
from worker.ports import Granted


class MemoryQuota:
    """Keeps the ledgers in memory, for one machine; implements `worker.ports.SubmissionQuota`.

    A model without a limit is granted whatever is wanted.  After a restart the minute begins anew: a vendor who
    remembers the last one answers 429, and that is waited for like the rest.
    """

    def __init__(self) -> None:
        self._ledgers: dict[str, quota.Ledger] = {}
        self._lock = Lock()

    def take(self, model: VideoModel, *, owner_id: str, job_id: str, wanted: int, now: datetime) -> Granted:
        """As the port says; never unavailable."""
        if model.per_minute is None:
            return Granted(wanted, timedelta(0))
        with self._lock:
            self._ledgers[model.name], grant = quota.take(
                self._ledgers.get(model.name, quota.Ledger()),
                per_minute=model.per_minute,
                owner=owner_id,
                job=job_id,
                wanted=wanted,
                now_ms=to_ms(now),
            )
        return Granted(grant.count, timedelta(milliseconds=grant.retry_after_ms))
