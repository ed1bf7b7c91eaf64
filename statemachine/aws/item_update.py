"""ItemUpdate: one conditional UpdateItem being put together.

Every name is an alias and every value a placeholder, so that any character may stand in a path.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from statemachine.aws.attribute_value import AttributeValue, encode
from statemachine.errors import PatchError
from statemachine.execution import JsonValue, Path

# The longest update expression, in bytes.  (Amazon DynamoDB developer guide, "Quotas", read 2026-11-22)
MAX_EXPRESSION_BYTES = 4096


@dataclass(slots=True)
class ItemUpdate:
    """Changes to one item, and what must hold for them to be made.

    Attributes:
        writes_data: it carries somebody's patch, so that a refusal of its values is the patch's fault.
        names: alias → name.
    """

    execution_id: str
    key: Mapping[str, AttributeValue]
    writes_data: bool
    names: dict[str, str] = field(default_factory=dict)
    _aliases: dict[str, str] = field(default_factory=dict)
    _values: dict[str, AttributeValue] = field(default_factory=dict)
    _conditions: list[str] = field(default_factory=list)
    _sets: list[str] = field(default_factory=list)
    _removes: list[str] = field(default_factory=list)

    def path(self, *parts: str) -> str:
        """The document path through these maps."""
        return ".".join(self._alias(part) for part in parts)

    def value(self, value: JsonValue, *, depth: int = 1) -> str:
        """The placeholder of a value."""
        placeholder = f":{len(self._values)}"
        self._values[placeholder] = encode(value, depth=depth)
        return placeholder

    def require(self, condition: str) -> None:
        """All of what is required must hold."""
        self._conditions.append(condition)

    def set(self, path: Path, value: JsonValue) -> None:
        """Put `value` at `path`."""
        self.assign(path, self.value(value, depth=len(path)))

    def assign(self, path: Path, expression: str) -> None:
        """Put what DynamoDB computes at `path`."""
        self._sets.append(f"{self.path(*path)}={expression}")

    def add(self, path: Path, amount: int) -> None:
        """Let the number at `path` grow."""
        target = self.path(*path)
        self._sets.append(f"{target}={target}+{self.value(amount)}")

    def remove(self, path: Path) -> None:
        """Let nothing stand at `path`."""
        self._removes.append(self.path(*path))

    def request(self, table_name: str) -> dict[str, Any]:
        """The arguments of boto3's `update_item`.

        Raises:
            PatchError: it sets more paths than DynamoDB takes at once.
        """
        expression = "SET " + ",".join(self._sets)
        if self._removes:
            expression += " REMOVE " + ",".join(self._removes)
        if len(expression) > MAX_EXPRESSION_BYTES:
            raise PatchError(
                f"a patch of {len(self._sets)} paths is an expression of {len(expression)} bytes and DynamoDB takes "
                f"{MAX_EXPRESSION_BYTES}; set whole maps instead"
            )
        return {
            "TableName": table_name,
            "Key": self.key,
            "UpdateExpression": expression,
            "ConditionExpression": " AND ".join(self._conditions),
            "ExpressionAttributeNames": self.names,
            "ExpressionAttributeValues": self._values,
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _alias(self, name: str) -> str:
        if name not in self._aliases:
            self._aliases[name] = f"#{len(self._aliases)}"
            self.names[self._aliases[name]] = name
        return self._aliases[name]
