"""A region of AWS in virtual time: Lambda with its queue and its schedule, and the way to a DynamoDB that is real.

Every invocation has a thread of its own, and exactly one of them runs at any moment: whoever waits (for an answer of
DynamoDB, for a vendor, for the next second) hands over to whoever wakes first.  So invocations overlap and meet each
other's writes as they would, and a run is repeatable.
"""

import heapq
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Any, Protocol

from botocore.exceptions import ClientError, ReadTimeoutError

from statemachine.testing.crew import Crew, Hand, Killed
from worker.providers.dynamodb_quota import KEY_PREFIX
from worker.quota import Ledger

# An answer of DynamoDB, and Lambda's to a dispatch, within a region; a sweep makes 16 of those side by side.
DYNAMODB_TAKES = timedelta(milliseconds=5)
DISPATCH_TAKES = timedelta(milliseconds=20)

# From the answer to a dispatch to the first line of the function; now and then on a cold one.
DELIVERY = (0.05, 0.2)
COLD_CHANCE, COLD_START = 0.05, 1.5

# An account's invocations at once, unless more are asked for, and how long Lambda keeps an event that finds no room:
# the module sets the shortest time that can be set.  (AWS Lambda quotas page, read 2026-11-22)
CONCURRENCY = 1000
EVENT_AGE = timedelta(seconds=60)
EVENT_RETRY = timedelta(seconds=1)

MINUTE = timedelta(minutes=1)
FUNCTION = "ai-video-worker"


class Faults(Protocol):
    """Decides what goes wrong, at every call that leaves the process."""

    def at(self, call: str) -> str:
        """'' for nothing; 'kill' before the call; or what the caller of this names."""


class Calm:
    """Nothing goes wrong."""

    def at(self, call: str) -> str:  # noqa: ARG002  every call alike
        """Nothing."""
        return ""


class Region:
    """Time, threads, and the function's invocations.

    Attributes:
        busiest: the most invocations that ran at once.
        told: how often something happened that nobody asked for, by name.
    """

    def __init__(self, crew: Crew, *, now: datetime, chance: Random, faults: Faults | None = None) -> None:
        self.chance = chance
        self.faults = faults or Calm()
        self.busiest = 0
        self.told: Counter[str] = Counter()
        self._crew = crew
        self._moment = now
        self._order = count()
        self._agenda: list[tuple[datetime, int, Callable[[], object] | Hand]] = []
        self._running: Hand | None = None
        self._dead: set[Hand] = set()
        self._invocations = 0
        self._trouble: BaseException | None = None

    def now(self) -> datetime:
        """The present moment."""
        return self._moment

    def sleep(self, delay: timedelta) -> None:
        """From inside an invocation: let `delay` pass, and the others run meanwhile."""
        hand = self._running
        if hand is None:
            raise RuntimeError("nobody is at work: a call was made from outside of an invocation")
        self._plan(self._moment + max(delay, timedelta(0)), hand)
        hand.pause()
        self._die_if_dead()

    def after(self, delay: timedelta, work: Callable[[], object]) -> None:
        """Do something later, on a thread of its own."""
        self._plan(self._moment + delay, work)

    def run(self, *, until: datetime) -> None:
        """Let everything happen that happens before `until`."""
        while self._agenda and self._agenda[0][0] <= until:
            self._moment, _, next_up = heapq.heappop(self._agenda)
            self._resume(next_up)
            if self._trouble is not None:
                raise self._trouble
        self._moment = max(self._moment, until)

    def end(self) -> None:
        """Kill whatever is still at work, so that the threads can be ended."""
        self._running = None
        while self._agenda:
            _, _, next_up = heapq.heappop(self._agenda)
            if isinstance(next_up, Hand):
                self._dead.add(next_up)
                self._resume(next_up)

    def boundary(self, call: str, *, takes: timedelta) -> str:
        """Before a call that leaves the process: let its time pass; what happens to it, '' for nothing.

        Raises:
            Killed: the process is gone; and again at every further call, so that no clean-up reaches the world.
        """
        self.sleep(takes)
        fault = self.faults.at(call)
        if fault:
            self.told[f"{call}: {fault}"] += 1
        if fault == "kill":
            self.kill()
        return fault

    def kill(self) -> None:
        """End the running invocation here."""
        if self._running is not None:
            self._dead.add(self._running)
        raise Killed

    def invoke(self, work: Callable[[], None]) -> None:
        """An asynchronous event: the function runs `work` soon, if there is room within a minute."""
        delay = self.chance.uniform(*DELIVERY) + (COLD_START if self.chance.random() < COLD_CHANCE else 0.0)
        self.after(timedelta(seconds=delay), partial(self._admitted, work, self._moment + EVENT_AGE))

    def schedule(self, sweep: Callable[[], None]) -> None:
        """Invoke `sweep` once a minute from now on.  What the schedule's jitter costs is told by `sweep`."""
        self.invoke(sweep)
        self.after(MINUTE, partial(self.schedule, sweep))

    def _admitted(self, work: Callable[[], None], expires_at: datetime) -> None:
        if self._invocations >= CONCURRENCY:
            self.told["throttled"] += 1
            if self._moment < expires_at:
                self.after(EVENT_RETRY, partial(self._admitted, work, expires_at))
            else:
                self.told["expired"] += 1
            return
        self._invocations += 1
        self.busiest = max(self.busiest, self._invocations)
        try:
            work()
        finally:
            self._invocations -= 1

    def _plan(self, moment: datetime, what: Callable[[], object] | Hand) -> None:
        heapq.heappush(self._agenda, (moment, next(self._order), what))

    def _resume(self, next_up: Callable[[], object] | Hand) -> None:
        if isinstance(next_up, Hand):
            hand = next_up
        else:
            hand = self._crew.take()
            hand.give(partial(self._guarded, next_up))
        self._running = hand
        hand.resume()
        self._running = None
        if hand.is_idle:
            self._dead.discard(hand)
            self._crew.give_back(hand)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Killed:
            self.told["killed"] += 1
        except Exception as error:  # noqa: BLE001  told by `run`, on the thread that is waiting for it
            self._trouble = error

    def _die_if_dead(self) -> None:
        if self._running in self._dead:
            raise Killed


@dataclass(slots=True)
class Usage:
    """What went over the wire to some rows.

    Attributes:
        units: of writes that were made.
        refused: writes whose condition did not hold; DynamoDB charges for them too.
        largest_bytes, most_places: of the quota's ledger, when it was longest.
    """

    writes: int = 0
    units: float = 0.0
    reads: int = 0
    read_units: float = 0.0
    refused: int = 0
    largest_bytes: int = 0
    most_places: int = 0
    units_by_minute: Counter[int] = field(default_factory=Counter)


class Wire:
    """The way to DynamoDB: takes time, counts, and may lose what goes over it; see `DynamoClient`."""

    def __init__(self, client: Any, region: Region) -> None:  # noqa: ANN401  boto3 makes its methods at run time
        self._client = client
        self._region = region
        self.of_jobs, self.of_quota = Usage(), Usage()

    def update_item(self, **request: Any) -> Any:  # noqa: ANN401  boto3's
        """A write."""
        return self._call("UpdateItem", self._client.update_item, request)

    def get_item(self, **request: Any) -> Any:  # noqa: ANN401  boto3's
        """A read."""
        return self._call("GetItem", self._client.get_item, request)

    def query(self, **request: Any) -> Any:  # noqa: ANN401  boto3's
        """A look at one shard of the index."""
        return self._call("Query", self._client.query, request)

    def scan(self, **request: Any) -> Any:  # noqa: ANN401  boto3's
        """A table without the index; there is none here."""
        raise NotImplementedError(sorted(request))

    def batch_get_item(self, **request: Any) -> Any:  # noqa: ANN401  boto3's
        """Requests only, and there are none here."""
        raise NotImplementedError(sorted(request))

    def transact_write_items(self, **request: Any) -> Any:  # noqa: ANN401  boto3's
        """Requests only, as well."""
        raise NotImplementedError(sorted(request))

    def _call(self, operation: str, send: Callable[..., Any], request: Mapping[str, Any]) -> Any:  # noqa: ANN401  boto3's
        fault = self._region.boundary(operation, takes=DYNAMODB_TAKES)
        if fault == "throttled":
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "too fast"}}, operation)
        answer = self._sent(operation, send, request)
        if fault == "repeated":  # what the SDK does by itself when an answer is lost
            answer = self._sent(operation, send, request)
        if fault == "killed after":
            self._region.kill()
        if fault == "answer lost":
            raise ReadTimeoutError(endpoint_url="dynamodb")
        return answer

    def _sent(self, operation: str, send: Callable[..., Any], request: Mapping[str, Any]) -> Any:  # noqa: ANN401  boto3's
        usage = self._usage_of(request)
        try:
            answer = send(**request, ReturnConsumedCapacity="TOTAL")
        except ClientError:
            usage.refused += operation == "UpdateItem"
            raise
        units = answer["ConsumedCapacity"]["CapacityUnits"]
        if operation == "UpdateItem":
            usage.writes += 1
            usage.units += units
            usage.units_by_minute[int(self._region.now().timestamp() // 60)] += units
        else:
            usage.reads += 1
            usage.read_units += units
        return answer

    def _usage_of(self, request: Mapping[str, Any]) -> Usage:
        if not any(value.get("S", "").startswith(KEY_PREFIX) for value in request.get("Key", {}).values()):
            return self.of_jobs
        ledger = request.get("ExpressionAttributeValues", {}).get(":ledger", {}).get("S", "")
        if len(ledger) > self.of_quota.largest_bytes:
            self.of_quota.largest_bytes = len(ledger)
            self.of_quota.most_places = len(Ledger.from_json(ledger).waiting)
        return self.of_quota


class AsynchronousLambda:
    """Lambda, as the dispatcher sees it."""

    def __init__(self, region: Region, run: Callable[[str, int], None], *, takes: timedelta = DISPATCH_TAKES) -> None:
        self._region = region
        self._run = run
        self._takes = takes

    def invoke(self, **request: Any) -> dict[str, int]:  # noqa: ANN401  boto3's
        """Queue the event."""
        fault = self._region.boundary("Invoke", takes=self._takes)
        if fault == "throttled":
            raise ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "too fast"}}, "Invoke")
        event = json.loads(request["Payload"])
        for _ in range({"lost": 0, "twice": 2}.get(fault, 1)):
            self._region.invoke(partial(self._run, event["execution_id"], event["version"]))
        if fault == "killed after":
            self._region.kill()
        if fault == "answer lost":
            raise ReadTimeoutError(endpoint_url="lambda")
        return {"StatusCode": 202}
