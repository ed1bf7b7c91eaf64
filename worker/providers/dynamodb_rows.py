"""Rows of the platform's table, and the control row of each user, kept beside them under a reserved key.

A control row has none of the platform's attributes, so the platform's queries and indexes do not see it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from statemachine import Execution, JsonValue, Patch, Store
from statemachine.aws.attribute_value import AttributeValue, Item, decode, encode
from statemachine.aws.dynamodb_store import DynamoClient, DynamoStore, TransactItem
from statemachine.aws.table_layout import TableLayout
from statemachine.errors import StoreCorruptError, StoreError, StoreUnavailableError
from worker.limits import Slot, Usage
from worker.rows import CONTROL_PREFIX, Row, UsageChange, UsageChangedError

# How the key of a row follows from the caller and `videoId`.
KeyParts = Literal["video", "user/video", "video/user"]

# Attributes of a control row.
_REVISION, _DAY, _SPENT, _SLOTS = "ai_control_revision", "ai_day", "ai_spent_usd", "ai_slots"
_CONTROL_ATTRIBUTES = (_REVISION, _DAY, _SPENT, _SLOTS)

_PASSING = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
    }
)


class DynamoRows:
    """Rows of one table; see `worker.rows.Rows`.

    Args:
        key_parts: which of the caller and `videoId` the key is made of, in its order.
        owner_attribute: holds the Cognito `sub` of whoever uploaded the recording.
        source_attribute: holds the recording's key, or its `s3://` address.
    """

    def __init__(
        self,
        client: DynamoClient,
        *,
        layout: TableLayout,
        key_parts: KeyParts,
        owner_attribute: str,
        source_attribute: str,
    ) -> None:
        if len(key_parts.split("/")) != len(layout.key_names):
            raise ValueError(f"the key of table {layout.table_name!r} is {layout.key_names}, not made of {key_parts!r}")
        self._client = client
        self._layout = layout
        self._store = DynamoStore(client, layout=layout)
        self._key_parts = key_parts.split("/")
        self._owner = owner_attribute
        self._source = source_attribute

    def find(self, video_id: str, *, user_id: str, any_owner: bool = False) -> Row | None:
        """One GetItem."""
        execution_id = self._execution_id(video_id, user_id)
        key = None if execution_id is None else self._layout.key(execution_id)
        if execution_id is None or key is None:
            return None
        names = _aliases((*self._layout.attribute_names, self._owner, self._source))
        answer = self._call(
            "get_item",
            TableName=self._layout.table_name,
            Key=key,
            ConsistentRead=True,
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames=names,
        )
        return self._row(execution_id, answer.get("Item", {}), None if any_owner else user_id)

    def find_with_usage(self, video_id: str, *, user_id: str) -> tuple[Row | None, Usage]:
        """One BatchGetItem of two items."""
        execution_id = self._execution_id(video_id, user_id)
        key = None if execution_id is None else self._layout.key(execution_id)
        control = self._control_key(user_id)
        wanted = (*self._layout.key_names, *self._layout.attribute_names, self._owner, self._source)
        # A user attribute that is part of the key stands in `wanted` twice.
        names = _aliases(dict.fromkeys((*wanted, *_CONTROL_ATTRIBUTES)))
        request = {
            "Keys": [control] if key is None else [key, control],
            "ConsistentRead": True,
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
        }
        answer = self._call("batch_get_item", RequestItems={self._layout.table_name: request})
        if answer.get("UnprocessedKeys"):
            raise StoreUnavailableError(f"table {self._layout.table_name!r} is throttled: not all rows were read")
        items = [item for found in answer["Responses"].values() for item in found]
        usage = _usage(next((item for item in items if self._has_key(item, control)), {}))
        if execution_id is None or key is None:
            return None, usage
        return self._row(execution_id, next((i for i in items if self._has_key(i, key)), {}), user_id), usage

    def deciding(self, row: Row, *, change: UsageChange | None = None) -> Store:
        """See `Rows`."""
        beside = () if change is None else ({"Update": self._control_update(change)},)
        return _DecidingStore(self._client, layout=self._layout, seen=row.execution, beside=beside)

    def usage(self, user_id: str) -> Usage:
        """One GetItem."""
        names = _aliases(_CONTROL_ATTRIBUTES)
        answer = self._call(
            "get_item",
            TableName=self._layout.table_name,
            Key=self._control_key(user_id),
            ConsistentRead=True,
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames=names,
        )
        return _usage(answer.get("Item", {}))

    def change_usage(self, change: UsageChange) -> None:
        """One UpdateItem."""
        try:
            self._call("update_item", **self._control_update(change))
        except StoreError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and _code(cause) == "ConditionalCheckFailedException":
                raise UsageChangedError from error
            raise

    # --- keys -----------------------------------------------------------------------------------------------------

    def _execution_id(self, video_id: str, user_id: str) -> str | None:
        """The id of an execution on this video's row; None where no row of a video can have such a key."""
        parts = [{"video": video_id, "user": user_id}[part] for part in self._key_parts]
        if parts[0].startswith(CONTROL_PREFIX):
            return None
        try:
            return self._layout.execution_id(*parts)
        except ValueError:
            return None

    def _control_key(self, user_id: str) -> dict[str, AttributeValue]:
        layout = self._layout
        if layout.partition_key_type != "S":
            raise StoreError(
                f"table {layout.table_name!r} has a number as partition key, so that no control row can stand in it; "
                "switch the limits of users off"
            )
        key: dict[str, AttributeValue] = {layout.partition_key: {"S": f"{CONTROL_PREFIX}user#{user_id}"}}
        if layout.sort_key is not None:
            key[layout.sort_key] = {"N": "0"} if layout.sort_key_type == "N" else {"S": f"{CONTROL_PREFIX}control"}
        return key

    def _has_key(self, item: Item, key: Mapping[str, AttributeValue]) -> bool:
        return all(_is_equal(item.get(name), value) for name, value in key.items())

    # --- what rows hold -------------------------------------------------------------------------------------------

    def _row(self, execution_id: str, item: Item, user_id: str | None) -> Row | None:
        owner_id, source = _text(item.get(self._owner)), _text(item.get(self._source))
        if owner_id is None or (user_id is not None and owner_id != user_id):
            return None  # before anything of it is looked at
        return Row(execution_id, owner_id, source, self._store.execution_on(execution_id, item))

    def _control_update(self, change: UsageChange) -> dict[str, Any]:
        after, before = change.after, change.before
        names = {"#revision": _REVISION, "#day": _DAY, "#spent": _SPENT, "#slots": _SLOTS}
        values: dict[str, AttributeValue] = {
            ":revision": encode(after.revision),
            ":day": encode(after.day),
            # Cents and fractions of them: sums of floats would grow digits.
            ":spent": {"N": str(round(Decimal(after.spent_usd), 6))},
            ":slots": encode({run_id: _slot_json(slot) for run_id, slot in after.slots.items()}),
        }
        condition = "attribute_not_exists(#revision)"
        if before.revision:
            condition = "#revision = :before"
            values[":before"] = encode(before.revision)
        return {
            "TableName": self._layout.table_name,
            "Key": self._control_key(change.user_id),
            "UpdateExpression": "SET #revision = :revision, #day = :day, #spent = :spent, #slots = :slots",
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }

    def _call(self, operation: str, **request: Any) -> Any:  # noqa: ANN401  boto3 makes its methods at run time
        try:
            return getattr(self._client, operation)(**request)
        except ClientError as error:
            said = f"DynamoDB refused {operation} on table {self._layout.table_name!r}: {error}"
            if _code(error) in _PASSING:
                raise StoreUnavailableError(said) from error
            raise StoreError(f"{said}; look at the table's name and at what the role allows") from error
        except BotoCoreError as error:
            raise StoreUnavailableError(f"{operation} on table {self._layout.table_name!r}: {error}") from error


class _DecidingStore(DynamoStore):
    """The store for one start or signal; see `Rows.deciding`."""

    def __init__(
        self, client: DynamoClient, *, layout: TableLayout, seen: Execution | None, beside: Sequence[TransactItem]
    ) -> None:
        super().__init__(client, layout=layout)
        self._seen = seen
        self._beside = beside

    def get(self, execution_id: str) -> Execution:
        """What was seen, once; a decision that met another write looks again."""
        seen, self._seen = self._seen, None
        if seen is not None and seen.execution_id == execution_id:
            return seen
        return super().get(execution_id)

    def start(self, execution: Execution, *, replace: bool, beside: Sequence[TransactItem] = ()) -> None:
        """As `DynamoStore`, with the change of the control row."""
        super().start(execution, replace=replace, beside=(*beside, *self._beside))

    def signal(self, execution: Execution, *, patch: Patch, beside: Sequence[TransactItem] = ()) -> None:
        """As `DynamoStore`, with the change of the control row."""
        super().signal(execution, patch=patch, beside=(*beside, *self._beside))


def _usage(item: Item) -> Usage:
    if _REVISION not in item:
        return Usage()
    try:
        slots = decode(item[_SLOTS])
        if not isinstance(slots, Mapping):
            raise TypeError("slots are no map")  # noqa: TRY301  told below with everything else that may be wrong
        return Usage(
            day=str(decode(item[_DAY])),
            spent_usd=_number(decode(item[_SPENT])),
            slots={run_id: _slot(slot) for run_id, slot in slots.items()},
            revision=int(_number(decode(item[_REVISION]))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreCorruptError(f"a control row is not as the worker wrote it: {error!r}") from error


def _slot_json(slot: Slot) -> dict[str, JsonValue]:
    return {
        "expires_at": round(slot.expires_at.timestamp()),
        "version": slot.version,
        "day": slot.day,
        "usd": slot.usd,
        "spent_before_usd": slot.spent_before_usd,
    }


def _slot(stored: JsonValue) -> Slot:
    if not isinstance(stored, Mapping):
        raise TypeError("a slot is no map")
    return Slot(
        expires_at=datetime.fromtimestamp(_number(stored["expires_at"]), tz=UTC),
        version=int(_number(stored["version"])),
        day=str(stored["day"]),
        usd=_number(stored["usd"]),
        spent_before_usd=_number(stored["spent_before_usd"]),
    )


def _number(stored: JsonValue) -> float:
    if isinstance(stored, bool) or not isinstance(stored, int | float):
        raise TypeError(f"not a number: {stored!r}")
    return stored


def _text(stored: AttributeValue | None) -> str | None:
    """The text of an attribute; None for an absent or empty one, or another type."""
    text = stored.get("S") if stored else None
    return text if isinstance(text, str) and text else None


def _is_equal(stored: AttributeValue | None, wanted: AttributeValue) -> bool:
    if stored is None or stored.keys() != wanted.keys():
        return False
    if "N" in wanted:
        return Decimal(stored["N"]) == Decimal(wanted["N"])
    return stored == wanted


def _aliases(names: Iterable[str]) -> dict[str, str]:
    return {f"#{number}": name for number, name in enumerate(dict.fromkeys(names))}


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
