"""TableLayout: where in an existing DynamoDB table an execution stands."""

import re
import zlib
from typing import Literal

from statemachine.aws.attribute_value import AttributeValue, Item
from statemachine.record import Record

KeyType = Literal["S", "N"]

# The one way to write a number: '5', never '05' or '5.0', or one row would have two ids.
_CANONICAL_NUMBER = re.compile(r"(?!-0$)-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?")

# Digits of a number, bytes of a partition and of a sort key.  (Amazon DynamoDB developer guide, "Quotas", 2026-11-22)
_MAX_DIGITS = 38
_MAX_PARTITION_BYTES = 2048
_MAX_SORT_BYTES = 1024


class TableLayout(Record):
    """Table, keys, attributes and index, by the platform's names where nobody says otherwise.

    The engine writes only the attributes named here, and never a key.

    Attributes:
        table_name: of the table, or its ARN.
        partition_key, sort_key: names of the key attributes; no `sort_key` when the table has only one part.
        partition_key_type, sort_key_type: 'S' (text) or 'N' (number).
        project_type: says what kind of project a row is; the engine writes 'ai_generated' at the start.
        status, data: of the execution, for everybody to read.
        execution: the engine's header, one map.
        version, revision: numbers; at top level because an index projects nothing deeper.
        due_shard, due_at: text and number (epoch milliseconds); both or neither stand on a row.
        index_name: of the index on `due_shard` and `due_at` that projects `version`; None when the table has none.
        shard_count: into how many partitions the index is spread.  It may grow at any time; a smaller number leaves
            behind what is due at that moment in the shards beyond it.
        scan_segments: how many readers share the scan that stands in for a missing index.
    """

    table_name: str = "video_metadata"
    partition_key: str = "video_id"
    sort_key: str | None = None
    partition_key_type: KeyType = "S"
    sort_key_type: KeyType = "S"
    project_type: str = "ai_project_type"
    status: str = "ai_generation_status"
    data: str = "ai_generation_data"
    execution: str = "ai_execution"
    version: str = "ai_version"
    revision: str = "ai_revision"
    due_shard: str = "ai_due_shard"
    due_at: str = "ai_due_at"
    index_name: str | None = "ai_due"
    shard_count: int = 4
    scan_segments: int = 4

    def __post_init__(self) -> None:
        names = (*self.key_names, *self.attribute_names)
        if not all(names) or len(set(names)) < len(names):
            raise ValueError(f"attribute names of table {self.table_name!r} are empty or used twice: {sorted(names)}")
        if self.shard_count < 1 or self.scan_segments < 1:
            raise ValueError(f"shard_count and scan_segments are at least 1: {self.shard_count}, {self.scan_segments}")

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of the key attributes, the partition key first."""
        return (self.partition_key,) if self.sort_key is None else (self.partition_key, self.sort_key)

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The attributes that the engine writes; all others are foreign."""
        return (
            self.project_type,
            self.status,
            self.data,
            self.execution,
            self.version,
            self.revision,
            self.due_shard,
            self.due_at,
        )

    def execution_id(self, partition: str, sort: str | None = None) -> str:
        """The id of the execution on the row with this key; numbers are given as text.

        The partition key itself where that is the whole key.  Otherwise 'partition/sort', with '%' and '/' inside a
        part written as %25 and %2F, so that no two keys share an id.

        Raises:
            ValueError: no row of this table can have such a key.
        """
        parts = (partition,) if sort is None else (partition, sort)
        if len(parts) != len(self.key_names) or not self._is_key(parts):
            raise ValueError(f"not a key of table {self.table_name!r}: {parts}")
        return parts[0] if len(parts) == 1 else "/".join(_escaped(part) for part in parts)

    def key(self, execution_id: str) -> dict[str, AttributeValue] | None:
        """The key of the row on which an execution stands; None when no row can have such an id."""
        if self.sort_key is None:
            parts: tuple[str, ...] = (execution_id,)
        else:
            parts = tuple(_unescaped(part) for part in execution_id.split("/"))
        if len(parts) != len(self.key_names) or not self._is_key(parts):
            return None
        if len(parts) > 1 and self.execution_id(*parts) != execution_id:
            return None  # a needless escape: the row has another id
        types = (self.partition_key_type, self.sort_key_type)
        return {name: {kind: part} for name, kind, part in zip(self.key_names, types, parts, strict=False)}

    def execution_id_of(self, item: Item) -> str:
        """The id of the execution on a row that was read."""
        types = (self.partition_key_type, self.sort_key_type)
        return self.execution_id(*(item[name][kind] for name, kind in zip(self.key_names, types, strict=False)))

    def shard(self, execution_id: str) -> str:
        """The shard of the index in which an execution stands while it is due."""
        return str(zlib.crc32(execution_id.encode(errors="replace")) % self.shard_count)

    @property
    def shards(self) -> tuple[str, ...]:
        """Every shard of the index."""
        return tuple(str(number) for number in range(self.shard_count))

    def _is_key(self, parts: tuple[str, ...]) -> bool:
        types = (self.partition_key_type, self.sort_key_type)
        limits = (_MAX_PARTITION_BYTES, _MAX_SORT_BYTES)
        return all(
            _is_number(part) if kind == "N" else _is_text(part, limit)
            for part, kind, limit in zip(parts, types, limits, strict=False)
        )


def _is_number(part: str) -> bool:
    digits = part.lstrip("-").replace(".", "").strip("0")
    return len(digits) <= _MAX_DIGITS and _CANONICAL_NUMBER.fullmatch(part) is not None


def _is_text(part: str, limit: int) -> bool:
    try:
        return 0 < len(part.encode()) <= limit
    except UnicodeEncodeError:
        return False  # half of a surrogate pair


def _escaped(part: str) -> str:
    return part.replace("%", "%25").replace("/", "%2F")


def _unescaped(part: str) -> str:
    return part.replace("%2F", "/").replace("%25", "%")
