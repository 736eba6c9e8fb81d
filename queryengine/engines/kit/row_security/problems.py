"""What of a policy cannot be used: found when it is loaded, and not by the first query that it should have filtered."""

from collections.abc import Iterator
from typing import Any, Final

from sqlglot import exp

from queryengine.domain.row_policy import HASH_MASK, LAST4_MASK, NULL_MASK, RelationPolicy, RowPolicy
from queryengine.engines.kit.row_security.grammar import Grammar
from queryengine.engines.kit.row_security.reserved import PREFIX
from queryengine.engines.kit.row_security.wrapping import PolicyError, wrapped

NAMED_MASKS: Final = (NULL_MASK, HASH_MASK, LAST4_MASK)
PARTS_MIN: Final = 2


class _AnyValue(dict[str, Any]):
    """Has a value for each placeholder."""

    def __missing__(self, name: str) -> str:
        return name

    def __contains__(self, name: object) -> bool:
        return True


def problems(policy: RowPolicy, grammar: Grammar) -> list[tuple[int, str]]:
    """Each with the number of its relation in the policy."""
    return [
        (number, problem)
        for number, each in enumerate(policy.relations)
        for problem in _of_relation(each, policy, grammar)
    ]


def _of_relation(relation: RelationPolicy, policy: RowPolicy, grammar: Grammar) -> Iterator[str]:
    if len(relation.path) < PARTS_MIN:
        yield "name its schema, too, as in main.orders"
    names = [*relation.path, *relation.columns]
    if any(name.lower().startswith(PREFIX) or "\0" in name for name in names):
        yield f"names that begin with {PREFIX} are reserved"
        return
    folded = [grammar.fold(exp.to_identifier(column, quoted=True)) for column in relation.columns]
    if len(set(folded)) != len(folded):
        yield "a column is listed twice"
    if not relation.visible:
        yield "every column is hidden"
    for name in (*relation.masks, *sorted(relation.hidden)):
        if name not in relation.columns:
            yield f"{name!r} is not among its columns: {', '.join(relation.columns)}"
            return
    for column, mask in relation.masks.items():
        if mask in NAMED_MASKS and mask not in grammar.masks:
            yield f"the mask {mask!r} of {column} is not to be had here; use an expression"
            return
        if mask == HASH_MASK and not policy.hash_salt:
            yield f"the mask {mask!r} of {column} needs policies.hash_key"
    try:
        wrapped(relation, _AnyValue(), grammar, salt="salt")
    except PolicyError as cause:
        yield str(cause)
