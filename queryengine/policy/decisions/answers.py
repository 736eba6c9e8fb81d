"""From the answer of a decision point to a decision. Whatever is not understood to the last field is no answer."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from queryengine.domain.row_policy import OPERATORS, Condition

CONDITIONS_MAX: Final = 100
"""Of one table."""
TEXT_CHARACTERS_MAX: Final = 10_000
REASON_CHARACTERS_MAX: Final = 500
_OF_RESULT: Final = frozenset({"allow", "reason", "filters"})
_OF_CONDITION: Final = frozenset({"column", "operator", "value", "values"})


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a query may run, and what of its tables it may see."""

    allow: bool
    reason: str = ""
    conditions: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    """By table, as it was named in the question."""


def decision_of(answer: bytes) -> Decision:
    """Raises ValueError that says what is wrong with it, without values."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError) as cause:
        raise ValueError("it is no JSON") from cause
    result = document.get("result") if isinstance(document, dict) else None
    if not isinstance(result, dict):
        # What OPA says of a rule that is not defined has no result.
        raise ValueError("it has no result, which is to be an object")  # noqa: TRY004 - A document, no argument.
    _check_keys(result, _OF_RESULT, "result")
    allow, reason, filters = result.get("allow"), result.get("reason", ""), result.get("filters", {})
    if not isinstance(allow, bool):
        raise ValueError("result.allow is to be true or false")  # noqa: TRY004
    if not isinstance(reason, str):
        raise ValueError("result.reason is to be a text")  # noqa: TRY004
    if not isinstance(filters, dict) or not all(isinstance(each, list) for each in filters.values()):
        raise ValueError("result.filters is to be an object of tables, each with a list of conditions")
    conditions = {table: _conditions(table, each) for table, each in filters.items()}
    printable = "".join(character for character in reason if character.isprintable())
    return Decision(allow, printable[:REASON_CHARACTERS_MAX], conditions)


def _conditions(table: str, found: list[Any]) -> tuple[Condition, ...]:
    if len(found) > CONDITIONS_MAX:
        raise ValueError(f"the filters of {table!r} are more than {CONDITIONS_MAX} conditions")
    return tuple(_condition(f"a condition of {table!r}", each) for each in found)


def _condition(what: str, found: Any) -> Condition:
    if not isinstance(found, dict):
        raise ValueError(f"{what} is to be an object")  # noqa: TRY004
    _check_keys(found, _OF_CONDITION, what)
    column, operator = found.get("column"), found.get("operator")
    if not isinstance(column, str) or not column:
        raise ValueError(f"{what} names no column")
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise ValueError(f"{what} has an operator other than {', '.join(OPERATORS)}")
    if "value" in found and "values" in found:
        raise ValueError(f"{what} has both value and values")
    values = found.get("values", [found["value"]] if "value" in found else [])
    least, most = OPERATORS[operator]
    if not isinstance(values, list) or not least <= len(values) <= most:
        raise ValueError(f"{what}: {operator} takes {least if least == most else f'{least} to {most}'} values")
    if not all(map(_is_value, values)):
        raise ValueError(f"{what} has a value other than a text, number or truth value")
    return Condition(column, operator, tuple(values))


def _is_value(value: Any) -> bool:
    match value:
        case bool():
            return True
        case int():
            return abs(value) < 1 << 63
        case float():
            return math.isfinite(value)
        case str():
            return len(value) <= TEXT_CHARACTERS_MAX and "\0" not in value
        case _:
            return False


def _check_keys(found: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    """What is not known might narrow the answer."""
    if unknown := found.keys() - known:
        raise ValueError(f"{what} has {min(unknown)!r}, which is not known")
