"""Every job in the platform's table, for an operator who looks for some of them, or brings them to another table.

No index knows how a job ended, so looking for jobs reads the whole table; `DynamoStore.due` reads only what is active.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from statemachine import Execution
from statemachine.aws.attribute_value import Item, decode, encode
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.errors import StoreCorruptError, StoreError, VersionConflictError


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A row that holds a job.

    Attributes:
        execution: None where the row is damaged.
        trouble: what is wrong with it, then.
    """

    execution_id: str
    execution: Execution | None
    trouble: str = ""


class DynamoJobs(DynamoStore):
    """The store of executions, which can also be read from end to end.

    Attributes:
        read_units: what the scans of this object have cost, as DynamoDB counts.
    """

    read_units: float = 0.0

    def jobs(self, *, status: str | None = None) -> Iterator[FoundJob]:
        """Every job, in the table's order, or those with this status; somewhat behind the latest writes.

        It reads the table page by page, each as it is wanted: half a read unit for 4 KB of rows, old ones included.

        Raises:
            StoreError: as every operation of the store.
        """
        layout = self.layout
        names = {f"#{number}": name for number, name in enumerate((*layout.key_names, *layout.attribute_names))}
        alias = {name: short for short, name in names.items()}
        request: dict[str, Any] = {
            "TableName": layout.table_name,
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
            "FilterExpression": f"attribute_exists({alias[layout.version]})",
            "ReturnConsumedCapacity": "TOTAL",
        }
        if status is not None:
            request["FilterExpression"] += f" AND {alias[layout.status]} = :status"
            request["ExpressionAttributeValues"] = {":status": encode(status)}
        for page in self._pages("Scan", self._client.scan, request):
            self.read_units += page.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
            for item in page["Items"]:
                execution_id = layout.execution_id_of(item)
                try:
                    yield FoundJob(execution_id, self.execution_on(execution_id, item))
                except StoreCorruptError as error:
                    yield FoundJob(execution_id, None, str(error))

    def row(self, execution_id: str) -> Item:
        """The key and our attributes of a row, job or no job, read consistently; empty when there is no such row."""
        layout = self.layout
        names = {f"#{number}": name for number, name in enumerate((*layout.key_names, *layout.attribute_names))}
        answer = self._call(
            "GetItem",
            self._client.get_item,
            TableName=layout.table_name,
            Key=self._key(execution_id),
            ConsistentRead=True,
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames=names,
        )
        found: Item = answer.get("Item", {})
        return found

    def carry(self, carried: Execution, item: Item, *, over: Execution | None) -> None:
        """Let our attributes of `item`, a row of another table that holds `carried`, stand on the same row here.

        `over`: the job that stands here, as it was read; None when the row had none.  The row must exist.

        Raises:
            VersionConflictError: something was written here since `over` was read.
        """
        layout = self.layout
        update = self._update(carried.execution_id, writes_data=True)
        if over is None:
            update.require(f"attribute_not_exists({update.path(layout.version)})")
        else:
            update.require(f"{update.path(layout.version)} = {update.value(over.version)}")
            update.require(f"{update.path(layout.revision)} = {update.value(over.revision)}")
            update.require(f"{update.path(layout.execution, 'run_id')} = {update.value(over.run_id)}")
        for name in layout.attribute_names:
            if name in item:
                update.set((name,), decode(item[name]))
            else:
                update.remove((name,))
        # The row that comes back decides, written or refused: a lost answer's repetition is refused too.
        standing = self._standing(carried.execution_id, self._write(update).item)
        if (standing.run_id, standing.revision) != (carried.run_id, carried.revision):
            raise VersionConflictError(
                carried.execution_id, expected=over.version if over else 0, stored=standing.version
            )


def refusal_code(error: StoreError) -> str:
    """DynamoDB's own code for what it refused; empty where the error is not its answer."""
    cause = error.__cause__
    return cause.response.get("Error", {}).get("Code", "") if isinstance(cause, ClientError) else ""
