"""Which columns a policy compares with who the caller is."""

from collections.abc import Iterator, Sequence
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError

from queryengine.domain.row_policy import SUBJECT, TENANT, RelationPolicy, RowPolicy
from queryengine.engines.kit.row_security.grammar import Grammar
from queryengine.engines.kit.row_security.reserved import PREFIX
from queryengine.engines.kit.row_security.wrapping import PLACEHOLDER

_WHO: Final = f"{PREFIX}who"
_OTHER: Final = f"{PREFIX}other"
_COMPARING: Final = (exp.Binary, exp.In, exp.Between)


def compared(policy: RowPolicy, grammar: Grammar) -> Sequence[tuple[int, str]]:
    """Columns that stand by themselves on the other side of `{tenant}` or `{subject}`, each with the number of its
    relation. A policy that is not understood has none; `problems` says so.
    """
    return [
        (number, column)
        for number, relation in enumerate(policy.relations)
        if relation.rows
        for column in dict.fromkeys(_columns(relation, grammar))
    ]


def _columns(relation: RelationPolicy, grammar: Grammar) -> Iterator[str]:
    text = PLACEHOLDER.sub(lambda found: f" {_WHO if found[1] in (TENANT, SUBJECT) else _OTHER} ", relation.rows)
    try:
        tree = grammar.parse_condition(text)
    except (SqlglotError, RecursionError):
        return
    by_name = {grammar.fold(exp.to_identifier(each, quoted=True)): each for each in relation.columns}
    for node in tree.find_all(*_COMPARING):
        if isinstance(node, exp.Connector):
            continue
        sides = [each for side in node.iter_expressions() if isinstance(each := side.unnest(), exp.Column)]
        if any(str(each.this.this) == _WHO for each in sides):
            yield from (by_name[name] for each in sides if (name := grammar.fold(each.this)) in by_name)
