"""DynamoStore: executions as attributes of rows that belong to somebody else.

Every operation of a turn is one UpdateItem with a condition, never a put and never a read.  All conditions ask first
that the row exists: a row deleted in the middle of a run ends the run, and no write brings it back.  When a condition
fails, the old item comes with the refusal and decides: a conflict, or our own earlier success whose answer was lost.

What differs from the engine's JSON: `lease` inside the header is always a map, empty while nobody holds one, because
DynamoDB computes the end of a lease (the stored longest turn + now) only into a map that exists.
"""

import heapq
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from statemachine.aws.attribute_value import MAX_ITEM_BYTES, AttributeValue, Item, decode, encode
from statemachine.aws.item_update import ItemUpdate
from statemachine.aws.table_layout import TableLayout
from statemachine.errors import (
    BesideRefusedError,
    ExecutionExistsError,
    ExecutionNotFoundError,
    IntentNotFoundError,
    LeaseHeldError,
    LeaseLostError,
    PatchError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    VersionConflictError,
)
from statemachine.execution import (
    Execution,
    JsonValue,
    Patch,
    Path,
    check_patch,
    execution_from_json,
    from_ms,
    header_as_json,
    leaves,
    to_ms,
    value_at,
)
from statemachine.record import Record
from statemachine.store import DueRow

log = logging.getLogger(__name__)

# The value of the `project_type` attribute on every row that holds an execution.
AI_GENERATED = "ai_generated"

# A request to the API must be answered within 20 s whatever DynamoDB does: three tries of 1 + 3 s and their pauses.
CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 3
ATTEMPTS = 3

# Answers after which the same request may succeed.  Everything else needs a person.
_PASSING = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)

# How DynamoDB words a patch that does not fit; the code is ValidationException for these and for our own mistakes.
_BAD_PATHS = ("document path",)
_TOO_LARGE = ("item size",)
_UNKEEPABLE = ("nesting level", "magnitude", "significant digits", "number overflow", "number underflow")


# Refusals that say something about what was to be written; `_write` reads them.
_REFUSALS: Mapping[str, frozenset[str]] = {
    "UpdateItem": frozenset({"ConditionalCheckFailedException", "ValidationException"}),
    "TransactWriteItems": frozenset({"TransactionCanceledException"}),
}

# An entry of `TransactItems`, as boto3 takes it.
TransactItem: TypeAlias = Mapping[str, Any]


class DynamoClient(Protocol):
    """What this store uses of boto3's client; `dynamodb_client` makes one."""

    def update_item(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  boto3 makes its methods at run time
        """Change attributes of one item."""

    def get_item(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Read one item."""

    def query(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Read a range of one partition."""

    def scan(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Read everything."""

    def batch_get_item(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Read several items; for whoever reads rows beside the store."""

    def transact_write_items(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  as above
        """Change several items, all of them or none."""


def dynamodb_client(
    *, region_name: str | None = None, endpoint_url: str | None = None, max_connections: int = 10
) -> DynamoClient:
    """A client that gives up before its caller is stopped; credentials and region come from the environment."""
    return boto3.client(
        "dynamodb",
        region_name=region_name,
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=max_connections,
        ),
    )


class DynamoStore:
    """Keeps executions on existing rows of a DynamoDB table; see `statemachine.store.Store`.

    A whole float comes back as the equal int.  A patch may set some 250 paths: DynamoDB takes 4 KB of expression.
    """

    def __init__(self, client: DynamoClient, *, layout: TableLayout | None = None) -> None:
        self.layout = layout or TableLayout()
        self._client = client

    def start(self, execution: Execution, *, replace: bool, beside: Sequence[TransactItem] = ()) -> None:
        """Attach a new execution to its row, which must exist; the row's other attributes stay.

        `beside`: what is written to other rows in one transaction with it.

        Raises:
            BesideRefusedError: a condition of `beside` did not hold; nothing was written.
        """
        layout = self.layout
        update = self._update(execution.execution_id, writes_data=True)
        free = f"attribute_not_exists({update.path(layout.version)})"
        if replace:
            # Not by itself: a repeated start of one run must not undo what that run has done since.
            is_expected = f"{update.path(layout.version)} = {update.value(execution.version - 1)}"
            is_other_run = f"{update.path(layout.execution, 'run_id')} <> {update.value(execution.run_id)}"
            free = f"({free} OR ({is_expected} AND {is_other_run}))"
        update.require(free)
        update.set((layout.project_type,), AI_GENERATED)
        update.set((layout.data,), execution.data)
        update.set((layout.revision,), execution.revision)
        self._set_header(update, execution)
        match self._write(update, beside):
            case _Refused(item):
                standing = self._standing(execution.execution_id, item)
                if standing.run_id != execution.run_id:
                    raise ExecutionExistsError(execution.execution_id, state=standing.state)
            case _Written():
                pass

    def get(self, execution_id: str) -> Execution:
        """The execution as last written, read consistently."""
        names = {f"#{number}": name for number, name in enumerate(self.layout.attribute_names)}
        answer = self._call(
            "GetItem",
            self._client.get_item,
            TableName=self.layout.table_name,
            Key=self._key(execution_id),
            ConsistentRead=True,
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames=names,
        )
        return self._standing(execution_id, answer.get("Item", {}))

    def execution_on(self, execution_id: str, item: Item) -> Execution | None:
        """The execution on a row that somebody else read, all of `layout.attribute_names`; None when there is none.

        Raises:
            StoreCorruptError: something else wrote our attributes.
        """
        return self._standing(execution_id, item) if self.layout.version in item else None

    def lease(
        self, execution_id: str, *, version: int, owner: str, now: datetime, at_most: timedelta, margin: timedelta
    ) -> Execution:
        """Take the right to run one turn: one write, or two where `at_most` is shorter than the stored longest turn.

        DynamoDB has no minimum.  So the first write adds the stored longest turn under the condition that it is within
        `at_most`; where only that is refused, the second one writes `at_most`.
        """
        base_ms, longest_ms = to_ms(now + margin), _whole_ms(at_most)
        for ends in (_Bounded(base_ms, longest_ms), base_ms + longest_ms):
            leased = self._lease(execution_id, version, owner, now, ends)
            if leased is not None:
                return leased
        raise StoreCorruptError(f"the lease on execution {execution_id!r} was refused, and the row does not say why")

    def renew(self, execution_id: str, *, owner: str, expires_at: datetime) -> None:
        """Move the end of a lease."""
        layout = self.layout
        update = self._update(execution_id)
        self._require_lease(update, owner)
        update.set((layout.execution, "lease", "expires_at"), to_ms(expires_at))
        self._set_due(update, execution_id, expires_at)
        self._write_leased(update)

    def checkpoint(self, execution_id: str, *, owner: str, patch: Patch) -> None:
        """Write `patch` under the lease."""
        update = self._update(execution_id, writes_data=True)
        self._require_lease(update, owner)
        self._set_patch(update, patch)
        update.add((self.layout.revision,), 1)
        self._write_leased(update)

    def record_fact(self, execution_id: str, *, path: Path, intent_id: str, operation: str, owner: str) -> bool:
        """Write what became of a submission, lease or no lease."""
        layout = self.layout
        update = self._update(execution_id)
        known = update.path(layout.data, *path, "operation")
        update.require(f"{update.path(layout.data, *path, 'intent_id')} = {update.value(intent_id)}")
        update.require(f"(attribute_not_exists({known}) OR attribute_type({known}, {update.value('NULL')}))")
        update.set((layout.data, *path, "operation"), operation)
        update.add((layout.revision,), 1)
        written = self._write(update)
        standing = self._standing(execution_id, written.item)
        if isinstance(written, _Refused):
            stored = value_at(standing.data, path)
            entry = stored if isinstance(stored, Mapping) else {}
            if entry.get("intent_id") != intent_id or entry.get("operation") != operation:
                raise IntentNotFoundError(execution_id, intent_id=intent_id)
        return standing.lease is not None and standing.lease.owner == owner

    def save(self, execution: Execution, *, owner: str, patch: Patch) -> None:
        """Write the turn's result under the lease."""
        update = self._update_to(execution, patch)
        self._require_lease(update, owner)
        match self._write(update):
            case _Refused(item):
                standing = self._standing(execution.execution_id, item)
                if standing.version != execution.version or standing.last_turn != owner:
                    raise LeaseLostError(execution.execution_id)
            case _Written():
                pass

    def signal(self, execution: Execution, *, patch: Patch, beside: Sequence[TransactItem] = ()) -> None:
        """Write a person's decision; `beside` as in `start`."""
        match self._write(self._update_to(execution, patch), beside):
            case _Refused(item):
                standing = self._standing(execution.execution_id, item)
                if standing.version != execution.version or standing.last_signal != execution.last_signal:
                    raise VersionConflictError(
                        execution.execution_id, expected=execution.version - 1, stored=standing.version
                    )
            case _Written():
                pass

    def revive(self, execution_id: str, *, now: datetime) -> Execution:
        """Make it due now and forget attempts and crashes, unless a turn is at work."""
        layout = self.layout
        update = self._update(execution_id)
        update.require(f"attribute_exists({update.path(layout.version)})")
        self._require_no_lease(update, now)
        update.set((layout.execution, "lease"), {})
        update.set((layout.execution, "attempt"), 0)
        update.set((layout.execution, "unsaved_turns"), 0)
        self._set_due(update, execution_id, now)
        match self._write(update):
            case _Written(item):
                return self._standing(execution_id, item)
            case _Refused(item):
                standing = self._standing(execution_id, item)
                if standing.lease is None:
                    raise StoreCorruptError(f"execution {execution_id!r} holds no lease, and could not be revived")
                raise LeaseHeldError(execution_id, expires_at=standing.lease.expires_at)

    def due(self, until: datetime, *, limit: int) -> Sequence[DueRow]:
        """At most `limit` executions that are due, the longest due first.

        With the index, a query for each shard: the cost follows what is due.  Without it, a scan of the whole table:
        the cost follows the table, and the log says what it was.
        """
        if limit < 1:
            return []
        items = self._due_by_scan(until) if self.layout.index_name is None else self._due_by_index(until, limit)
        rows = (row for row in map(self._due_row, items) if row is not None)
        return heapq.nsmallest(limit, rows, key=lambda row: (row.due_at, row.execution_id))

    # --- expressions ----------------------------------------------------------------------------------------------

    def _key(self, execution_id: str) -> dict[str, AttributeValue]:
        key = self.layout.key(execution_id)
        if key is None:
            raise ExecutionNotFoundError(execution_id)
        return key

    def _update(self, execution_id: str, *, writes_data: bool = False) -> ItemUpdate:
        update = ItemUpdate(execution_id, self._key(execution_id), writes_data)
        update.require(f"attribute_exists({update.path(self.layout.partition_key)})")
        return update

    def _update_to(self, execution: Execution, patch: Patch) -> ItemUpdate:
        """From the version before to this one; what was written to data and revision meanwhile stays."""
        update = self._update(execution.execution_id, writes_data=True)
        update.require(f"{update.path(self.layout.version)} = {update.value(execution.version - 1)}")
        self._set_header(update, execution)
        self._set_patch(update, patch)
        update.add((self.layout.revision,), 1)
        return update

    def _set_header(self, update: ItemUpdate, execution: Execution) -> None:
        header = header_as_json(execution)
        update.set((self.layout.execution,), {**header, "lease": header.get("lease", {})})
        update.set((self.layout.version,), execution.version)
        update.set((self.layout.status,), execution.status)
        self._set_due(update, execution.execution_id, execution.due_at)

    def _set_due(self, update: ItemUpdate, execution_id: str, due_at: datetime | None) -> None:
        # Together or not at all: a row with one of the two would stand in no index and look as if it did.
        if due_at is None:
            update.remove((self.layout.due_shard,))
            update.remove((self.layout.due_at,))
        else:
            update.set((self.layout.due_shard,), self.layout.shard(execution_id))
            update.set((self.layout.due_at,), to_ms(due_at))

    def _set_patch(self, update: ItemUpdate, patch: Patch) -> None:
        check_patch(patch)
        for path, value in leaves(patch):
            update.set((self.layout.data, *path), value)

    def _require_lease(self, update: ItemUpdate, owner: str) -> None:
        update.require(f"{update.path(self.layout.execution, 'lease', 'owner')} = {update.value(owner)}")

    def _require_no_lease(self, update: ItemUpdate, now: datetime) -> None:
        lease = (self.layout.execution, "lease")
        held, expires_at = update.path(*lease, "owner"), update.path(*lease, "expires_at")
        update.require(f"(attribute_not_exists({held}) OR {expires_at} <= {update.value(_floor_ms(now))})")

    # --- writing --------------------------------------------------------------------------------------------------

    def _lease(
        self, execution_id: str, version: int, owner: str, now: datetime, ends: "_Bounded | int"
    ) -> Execution | None:
        """The leased execution, or None when only the bound of `ends` stood against it."""
        layout = self.layout
        header, lease = layout.execution, (layout.execution, "lease")
        update = self._update(execution_id)
        update.require(f"{update.path(layout.version)} = {update.value(version)}")
        self._require_no_lease(update, now)
        if isinstance(ends, _Bounded):
            longest_turn = update.path(header, "max_turn_ms")
            update.require(f"{longest_turn} <= {update.value(ends.longest_ms)}")
            expires_at = f"{longest_turn} + {update.value(ends.base_ms)}"
        else:
            expires_at = update.value(ends)
        update.set((*lease, "owner"), owner)
        update.assign((*lease, "expires_at"), expires_at)
        update.assign((layout.due_at,), expires_at)
        update.set((layout.due_shard,), layout.shard(execution_id))
        update.add((header, "attempt"), 1)
        update.add((header, "unsaved_turns"), 1)
        written = self._write(update)
        standing = self._standing(execution_id, written.item)
        if isinstance(written, _Written) or (standing.lease is not None and standing.lease.owner == owner):
            return standing
        if standing.version != version:
            raise VersionConflictError(execution_id, expected=version, stored=standing.version)
        if standing.lease is not None and to_ms(standing.lease.expires_at) > _floor_ms(now):
            raise LeaseHeldError(execution_id, expires_at=standing.lease.expires_at)
        return None

    def _write_leased(self, update: ItemUpdate) -> None:
        match self._write(update):
            case _Refused(item):
                self._standing(update.execution_id, item)
                raise LeaseLostError(update.execution_id)
            case _Written():
                pass

    def _write(self, update: ItemUpdate, beside: Sequence[TransactItem] = ()) -> "_Written | _Refused":
        request = update.request(self.layout.table_name)
        if beside:
            return self._write_together(update, request, beside)
        try:
            answer: Mapping[str, Any] = self._call("UpdateItem", self._client.update_item, **request)
        except ClientError as error:
            if _code(error) == "ConditionalCheckFailedException":
                old: Any = error.response  # botocore's type does not know that the old item comes with it
                return _Refused(old.get("Item", {}))
            raise _translated(_message(error), update, self.layout.table_name) from error
        return _Written(answer.get("Attributes", {}))

    def _write_together(
        self, update: ItemUpdate, request: dict[str, Any], beside: Sequence[TransactItem]
    ) -> "_Written | _Refused":
        del request["ReturnValues"]  # a transaction gives nothing back
        # A repetition after a lost answer carries botocore's own token, by which DynamoDB knows that it was done.
        try:
            self._call(
                "TransactWriteItems", self._client.transact_write_items, TransactItems=[{"Update": request}, *beside]
            )
        except ClientError as error:
            canceled: Any = error.response  # botocore's type does not know the reasons
            ours, *others = canceled.get("CancellationReasons", [{}])
            if ours.get("Code") == "ConditionalCheckFailed":
                return _Refused(ours.get("Item", {}))
            if any(reason.get("Code") == "ConditionalCheckFailed" for reason in others):
                raise BesideRefusedError(update.execution_id) from error
            if ours.get("Code") == "ValidationError":
                raise _translated(ours.get("Message", ""), update, self.layout.table_name) from error
            # Another transaction is at one of the rows, or they are throttled.
            raise StoreUnavailableError(f"execution {update.execution_id!r}: {_message(error)}") from error
        return _Written({})

    def _call(self, operation: str, method: Any, **request: Any) -> Any:  # noqa: ANN401  a method of boto3's client
        """One request; what a person or time must mend becomes the engine's error, refusals of a write stay."""
        try:
            return method(**request)
        except ClientError as error:
            code, message = _code(error), _message(error)
            said = f"DynamoDB refused {operation} on table {self.layout.table_name!r}: {code}: {message}"
            if code in _PASSING or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:  # noqa: PLR2004  a status of HTTP
                raise StoreUnavailableError(said) from error
            if code in _REFUSALS.get(operation, ()):
                raise
            raise StoreError(f"{said}; look at the table's name and index and at what the role allows") from error
        except (HTTPClientError, NoConnectionError) as error:
            raise StoreUnavailableError(f"{operation} on table {self.layout.table_name!r}: {error}") from error
        except BotoCoreError as error:
            raise StoreError(f"{operation} on table {self.layout.table_name!r} was not sent: {error}") from error

    # --- reading --------------------------------------------------------------------------------------------------

    def _standing(self, execution_id: str, item: Item) -> Execution:
        """The execution in a row that came back.

        Raises:
            ExecutionNotFoundError: there was no row, or no execution on it.
            StoreCorruptError: something else wrote our attributes.
        """
        layout = self.layout
        if layout.version not in item:
            raise ExecutionNotFoundError(execution_id)
        try:
            header = _map(decode(item[layout.execution]))
            due_at = decode(item[layout.due_at]) if layout.due_at in item else None
            return execution_from_json(
                {**header, "lease": header.get("lease") or None},
                execution_id=execution_id,
                version=_whole(decode(item[layout.version])),
                revision=_whole(decode(item[layout.revision])),
                status=str(decode(item[layout.status])),
                due_at=None if due_at is None else from_ms(_whole(due_at)),
                data=_map(decode(item[layout.data])),
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise StoreCorruptError(
                f"the row of execution {execution_id!r} in table {layout.table_name!r} is not as the engine wrote it: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _due_row(self, item: Item) -> DueRow | None:
        layout = self.layout
        try:
            return DueRow(
                execution_id=layout.execution_id_of(item),
                version=_whole(decode(item[layout.version])),
                due_at=from_ms(_whole(decode(item[layout.due_at]))),
            )
        except (KeyError, TypeError, ValueError) as error:
            # One spoilt row must not keep all others from being woken.  The same for every row is an index that does
            # not project the version.
            key = {name: item.get(name) for name in layout.key_names}
            log.error(  # noqa: TRY400  the row is what matters, not where it was read
                "due row %s of table %s is skipped, it (or index %s) has no usable %s: %r",
                key,
                layout.table_name,
                layout.index_name,
                layout.version,
                error,
            )
            return None

    def _due_by_index(self, until: datetime, limit: int) -> Iterable[Item]:
        """Of each shard the first `limit` rows, which come in order of `due_at`."""
        for shard in self.layout.shards:
            request = self._due_request(until)
            request["ExpressionAttributeNames"]["#shard"] = self.layout.due_shard
            request["ExpressionAttributeValues"][":shard"] = {"S": shard}
            request["IndexName"] = self.layout.index_name
            request["KeyConditionExpression"] = "#shard = :shard AND #due <= :until"
            request["Limit"] = limit
            pages = self._pages("Query", self._client.query, request)
            yield from itertools.islice(itertools.chain.from_iterable(page["Items"] for page in pages), limit)

    def _due_by_scan(self, until: datetime) -> Iterable[Item]:
        """Every due row, found by reading the whole table in parallel segments."""
        segments = self.layout.scan_segments

        def scanned(segment: int) -> tuple[list[Item], int, float]:
            request = self._due_request(until)
            request |= {
                "FilterExpression": "#due <= :until",
                "Segment": segment,
                "TotalSegments": segments,
                "ReturnConsumedCapacity": "TOTAL",
            }
            items: list[Item] = []
            read, units = 0, 0.0
            for page in self._pages("Scan", self._client.scan, request):
                items += page["Items"]
                read += page["ScannedCount"]
                units += page.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
            return items, read, units

        with ThreadPoolExecutor(max_workers=segments) as pool:
            results = list(pool.map(scanned, range(segments)))
        read, units = sum(result[1] for result in results), sum(result[2] for result in results)
        log.info(
            "no due index on table %s: read all %d rows for %.1f read units, %.0f a day at one sweep a minute; an "
            "index on %s and %s would read only what is due",
            self.layout.table_name,
            read,
            units,
            units * 24 * 60,
            self.layout.due_shard,
            self.layout.due_at,
        )
        return [item for result in results for item in result[0]]

    def _due_request(self, until: datetime) -> dict[str, Any]:
        names = {"#due": self.layout.due_at, "#version": self.layout.version}
        names |= {f"#key{number}": name for number, name in enumerate(self.layout.key_names)}
        return {
            "TableName": self.layout.table_name,
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {":until": encode(_floor_ms(until))},
        }

    def _pages(self, operation: str, method: Any, request: dict[str, Any]) -> Iterator[Any]:  # noqa: ANN401  boto3's
        page = self._call(operation, method, **request)
        yield page
        while "LastEvaluatedKey" in page:
            page = self._call(operation, method, **request, ExclusiveStartKey=page["LastEvaluatedKey"])
            yield page


class _Bounded(Record):
    """A lease that ends at `base_ms` + the stored longest turn, if that turn is no longer than `longest_ms`."""

    base_ms: int
    longest_ms: int


class _Written(Record):
    """The write was done; the whole item as it is now."""

    item: Item


class _Refused(Record):
    """The condition failed; the whole item as it stood, empty when there is none."""

    item: Item


def _translated(message: str, update: ItemUpdate, table_name: str) -> Exception:
    """What a ValidationException means: a patch that does not fit, a full row, or our own mistake."""
    said = message.lower()
    if any(words in said for words in _TOO_LARGE):
        full = (
            f"the row of execution {update.execution_id!r} would be larger than the {MAX_ITEM_BYTES} bytes that "
            f"DynamoDB keeps in an item; keep large values in the media store and their keys in the row"
        )
        return PatchError(full) if update.writes_data else StoreCorruptError(full)
    if update.writes_data and any(words in said for words in (*_BAD_PATHS, *_UNKEEPABLE)):
        return PatchError(f"the patch of execution {update.execution_id!r} does not fit what is stored: {message}")
    return StoreCorruptError(
        f"the row of execution {update.execution_id!r} in table {table_name!r} takes no update: {message}"
    )


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _message(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Message", "")


def _whole_ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _floor_ms(moment: datetime) -> int:
    """Milliseconds since 1970, rounded down: what is stored was rounded up, so nothing is taken before its time."""
    rounded_up = to_ms(moment)
    return rounded_up if from_ms(rounded_up) <= moment else rounded_up - 1


def _map(value: JsonValue) -> Mapping[str, JsonValue]:
    if not isinstance(value, Mapping):
        raise TypeError(f"not a map: {type(value).__name__}")
    return value


def _whole(value: JsonValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"not a whole number: {value!r}")
    return value
