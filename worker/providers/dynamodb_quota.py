"""A quota shared by all jobs of a platform: one control row for each model, in the platform's own table.

The row has none of the platform's attributes, so the platform's queries and indexes do not see it.  What stands in it
expires by itself: deleting the row costs no more than a minute of 429s.
"""

import hashlib
import os
import zlib
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from statemachine.aws.attribute_value import AttributeValue, Item, decode, encode
from statemachine.aws.dynamodb_store import DynamoClient
from statemachine.aws.table_layout import TableLayout
from statemachine.errors import PermanentError, StoreCorruptError, TransientError
from statemachine.execution import to_ms
from worker import quota
from worker.models import VideoModel
from worker.ports import Granted

KEY_PREFIX = "ai#quota#"

# The sort key of a control row, where the table has one.
SORT_VALUE: dict[str, str] = {"S": "ai#control", "N": "0"}

_LEDGER, _REVISION, _WRITER = "ai_quota_ledger", "ai_quota_revision", "ai_quota_writer"

# Two writers at once: one of them begins anew, with the row that the refusal brought along.
TRIES = 5
BUSY_PAUSE = timedelta(seconds=1)
BUSY_SPREAD_MS = 4000

# Bytes of an owner or job in the ledger; what a collision costs is a place in the queue.
_NAME_BYTES = 6


class DynamoQuota:
    """Keeps the ledger of each model in a row of the table; implements `worker.ports.SubmissionQuota`.

    One consistent read and one conditional write, which a job without a place is spared; a model without a limit costs
    neither.
    """

    def __init__(self, client: DynamoClient, *, layout: TableLayout) -> None:
        if layout.partition_key_type != "S":
            raise PermanentError(
                "QUOTA_UNAVAILABLE",
                f"table {layout.table_name!r} has a number as partition key, so that no control row can stand in it; "
                "switch sharing of the quota off",
                user_action="contact_admin",
            )
        self._client = client
        self._layout = layout

    def take(self, model: VideoModel, *, owner_id: str, job_id: str, wanted: int, now: datetime) -> Granted:
        """As the port says."""
        if model.per_minute is None:
            return Granted(wanted, timedelta(0))
        owner, job = _short(owner_id), _short(job_id)
        item = self._read(model)
        for _ in range(TRIES):
            ledger, revision = _read_from(item, model)
            after, grant = quota.take(
                ledger, per_minute=model.per_minute, owner=owner, job=job, wanted=wanted, now_ms=to_ms(now)
            )
            refused = None if after is ledger else self._write(model, after, revision)
            if refused is None:
                return Granted(grant.count, timedelta(milliseconds=grant.retry_after_ms))
            item = refused
        spread = timedelta(milliseconds=zlib.crc32(job_id.encode()) % BUSY_SPREAD_MS)
        raise TransientError(
            "QUOTA_BUSY", f"the quota of {model.name} is asked by many at once", retry_after=BUSY_PAUSE + spread
        )

    def _key(self, model: VideoModel) -> dict[str, AttributeValue]:
        layout = self._layout
        key: dict[str, AttributeValue] = {layout.partition_key: {"S": KEY_PREFIX + model.name}}
        if layout.sort_key is not None:
            key[layout.sort_key] = {layout.sort_key_type: SORT_VALUE[layout.sort_key_type]}
        return key

    def _read(self, model: VideoModel) -> Item:
        try:
            answer = self._client.get_item(TableName=self._layout.table_name, Key=self._key(model), ConsistentRead=True)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable(model, error) from error
        found: Item = answer.get("Item", {})
        return found

    def _write(self, model: VideoModel, ledger: quota.Ledger, revision: int | None) -> Item | None:
        """Write the ledger; the row as it stands, when somebody else wrote it meanwhile."""
        writer = os.urandom(8).hex()
        values: dict[str, Any] = {
            ":ledger": encode(ledger.as_json()),
            ":next": encode((revision or 0) + 1),
            ":writer": encode(writer),
        }
        condition = "attribute_not_exists(#revision)"
        if revision is not None:
            values[":seen"] = encode(revision)
            condition = "#revision = :seen"
        try:
            self._client.update_item(
                TableName=self._layout.table_name,
                Key=self._key(model),
                UpdateExpression="SET #ledger = :ledger, #revision = :next, #writer = :writer",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#ledger": _LEDGER, "#revision": _REVISION, "#writer": _WRITER},
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise _unavailable(model, error) from error
            # botocore's type of an error's response does not know the item.
            refused: Any = error.response
            item: Item = refused.get("Item", {})
            # The SDK repeats a write whose answer was lost, and the second one is refused because of the first.
            return None if item.get(_WRITER) == encode(writer) else item
        except BotoCoreError as error:
            raise _unavailable(model, error) from error
        return None


def _read_from(item: Item, model: VideoModel) -> tuple[quota.Ledger, int | None]:
    if _LEDGER not in item:
        return quota.Ledger(), None
    text, revision = decode(item[_LEDGER]), decode(item[_REVISION])
    if not isinstance(text, str) or not isinstance(revision, int):
        raise StoreCorruptError(f"the control row {KEY_PREFIX}{model.name} is not the worker's; delete it")
    return quota.Ledger.from_json(text), revision


def _short(name: str) -> str:
    """Ids are long, and a thousand of them may stand in one row."""
    return hashlib.sha256(name.encode()).hexdigest()[: 2 * _NAME_BYTES]


def _unavailable(model: VideoModel, error: Exception) -> TransientError:
    return TransientError("QUOTA_UNAVAILABLE", f"the quota of {model.name} cannot be read or written: {error}")
