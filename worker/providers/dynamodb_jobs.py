"""Every job in the platform's table, for an operator who looks for some of them.

No index knows how a job ended, so looking for jobs reads the whole table; `DynamoStore.due` reads only what is active.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from statemachine import Execution
from statemachine.aws.attribute_value import encode
from statemachine.aws.dynamodb_store import DynamoStore
from statemachine.errors import StoreCorruptError


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
