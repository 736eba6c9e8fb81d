"""What a ClickHouse engine runs: one query that reads, without clauses that choose settings or the format.

The server refuses writes itself (`readonly`), and knows its grammar; here is what tokens show.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Reason, error
from queryengine.engines.clickhouse.guard import check_names_in
from queryengine.engines.clickhouse.parameters import Encoded, encode
from queryengine.engines.clickhouse.positional import type_of
from queryengine.engines.clickhouse.times import Calendar
from queryengine.engines.kit.lexicons import CLICKHOUSE
from queryengine.engines.kit.lexing import Kind, Token
from queryengine.engines.kit.parameters import bound, check_names
from queryengine.engines.kit.placeholders import of_one_kind
from queryengine.engines.kit.reading import READING, Placeholder, StatementText, not_allowed
from queryengine.engines.kit.sqltemplate import PlacedText, Template

_BEGINS: Final = READING | {"FROM"}
_NO_SETTINGS: Final = frozenset(
    {"AND", "AS", "ASC", "DESC", "EXCEPT", "FROM", "GROUP", "HAVING", "INTERSECT", "IS", "JOIN", "OR", "ORDER"}
    | {"PREWHERE", "QUALIFY", "UNION", "WHERE", "WINDOW"}
)
"""Behind a column or a table that is called `settings`."""
_NAMES: Final = frozenset({"AND", "AS", "BY", "DISTINCT", "FROM", "JOIN", "NOT", "ON", "OR", "SELECT", "WHERE"})
"""Words behind which a name stands, also one that is otherwise a clause."""


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    query: StatementText
    template: Template
    """Its text, cut at the placeholders."""
    placeholders: Sequence[Placeholder]
    types: Mapping[str, str]
    """What a named placeholder says of its type, by name."""


def check(sql: str) -> CheckedQuery:
    """Raises SYNTAX_ERROR with position, NOT_ONE_STATEMENT, STATEMENT_NOT_ALLOWED, PARAMETER_MISMATCH."""
    query = StatementText.read(sql, CLICKHOUSE, _BEGINS)
    _check_clauses(query)
    named, types = _named(query)
    placeholders = of_one_kind(named, _positional(query))
    return CheckedQuery(query, Template.of(query, placeholders), placeholders, types)


def prepared(
    sql: str, parameters: Sequence[BoundParameter], calendar: Calendar, allowed: Container[str] = ()
) -> tuple[PlacedText, dict[str, Encoded]]:
    """The text as it is sent, and the values of its placeholders. `allowed` are names that it may use although
    the guard refuses them.

    Raises as `check` does, STATEMENT_NOT_ALLOWED for a name that is refused, and PARAMETER_MISMATCH.
    """
    checked = check(sql)
    check_names(parameters, set(checked.template.names))
    identifiers = {each.name: each.value for each in parameters if checked.types.get(each.name) == "Identifier"}
    check_names_in(checked.query, identifiers, allowed)

    def bind(parameter: BoundParameter) -> tuple[str, Encoded]:
        kind = checked.types[parameter.name] if parameter.name else type_of(parameter)
        return kind, encode(parameter, kind, calendar)

    placeholders, values = {}, {}
    for each, (name, (kind, value)) in zip(parameters, bound(parameters, bind).items(), strict=True):
        sent = each.name or f"p{name}"
        placeholders[name] = f"{{{sent}:{kind}}}"
        values[sent] = value
    return checked.template.filled(placeholders), values


def _check_clauses(query: StatementText) -> None:
    tokens = query.tokens
    for number, (former, token) in enumerate(pairwise(tokens), 1):
        word = token.text.upper() if token.kind is Kind.WORD else ""
        following = tokens[number + 1] if number + 1 < len(tokens) else None
        if word == "SETTINGS" and following is not None and not _is_name(former) and _is_setting(tokens[number + 1 :]):
            message = "the clause SETTINGS is not allowed; settings are given beside a statement"
            raise error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="SETTINGS")
        if word == "FORMAT" and number == len(tokens) - 2 and not _is_name(former) and _is_word(following):
            message = "the clause FORMAT is not allowed; rows come as the service sends them"
            raise error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="FORMAT")
        if word == "INTO" and following is not None and following.is_word("OUTFILE"):
            raise not_allowed(query.sql, token, "INTO OUTFILE")


def _is_name(former: Token) -> bool:
    """Whether a name is due behind this token."""
    if former.kind is Kind.WORD:
        return former.text.upper() in _NAMES
    return former.kind is Kind.SIGN and former.text not in {")", "]", "}", "*"}


def _is_word(token: Token | None) -> bool:
    return token is not None and token.kind is Kind.WORD and token.text.upper() not in {"ASC", "DESC"}


def _is_setting(tokens: Sequence[Token]) -> bool:
    """Whether what follows SETTINGS is a setting: a name and its value, or a name alone."""
    name = tokens[0]
    if len(tokens) > 1 and tokens[1].text in {"=", "."}:
        return True
    return name.kind is Kind.QUOTED or (name.kind is Kind.WORD and name.text.upper() not in _NO_SETTINGS)


def _named(query: StatementText) -> tuple[list[Placeholder], dict[str, str]]:
    """Placeholders of the form `{name:Type}`, and the types by name."""
    found: list[Placeholder] = []
    types: dict[str, str] = {}
    tokens, number = query.tokens, 0
    while number < len(tokens) - 3:
        start, name, colon = tokens[number : number + 3]
        number += 1
        if start.text != "{" or name.kind is not Kind.WORD or colon.text != ":":
            continue
        end = next(index for index in range(number, len(tokens)) if tokens[index].is_sign("}"))
        kind = query.sql[colon.end : tokens[end].start].strip()
        if types.setdefault(name.text, kind) != kind:
            message = f"parameter {name.text}: it has the type {types[name.text]} in one place and {kind} in another"
            raise error(Reason.PARAMETER_MISMATCH, message, parameter=name.text)
        found.append(Placeholder(name.text, start.start, tokens[end].end))
        number = end + 1
    return found, types


def _positional(query: StatementText) -> list[Placeholder]:
    """Question marks, but for those of the operator `a ? b : c`.

    Raises UNSUPPORTED when a statement has both, as tokens do not show which is which.
    """
    marks = [token for token in query.tokens if token.is_sign("?")]
    named = sum(each.is_sign("{") for each in query.tokens)
    colons = sum(each.is_sign(":") for each in query.tokens) - named
    if marks and len(marks) == colons:
        return []
    if marks and colons > 0:
        message = "a statement with positional parameters cannot have the operator ? :; write if(…) instead"
        raise error(Reason.UNSUPPORTED, message, feature="positional_parameters")
    return [Placeholder(str(number), token.start, token.end) for number, token in enumerate(marks, 1)]
