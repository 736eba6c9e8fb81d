"""sqlglot as a parser and printer of one dialect, narrowed to what it hands through unchanged.

Functions are names with arguments here: sqlglot's own classes for them change names and arguments on the way.
"""

import logging
import re
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError
from sqlglot.tokens import TokenType

from queryengine.domain.errors import Reason, error
from queryengine.engines.kit.backtracking import tokens_to_parse
from queryengine.engines.kit.reading import Placeholder
from queryengine.engines.kit.row_security.reserved import PREFIX

MARK: Final = re.compile(rf"{PREFIX}p_(\d+)")

# It logs what it does not know; here that is a refusal.
logging.getLogger("sqlglot").addFilter(lambda record: record.levelno > logging.WARNING)


class Mark(exp.Expression, exp.Condition):  # type: ignore[misc]
    """A placeholder of the statement, printed as it is."""

    arg_types: Final = {"this": True}


class DoubleColon(exp.Cast):  # type: ignore[misc]
    """`value::type`, which binds as it does where it stands."""


class TypedLiteral(exp.Cast):  # type: ignore[misc]
    """`DATE '2024-01-01'`."""


Places = Callable[[str], list[Placeholder]]
"""Finds the placeholders of a text by the engine's own rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """One dialect."""

    dialect: type[Dialect]
    functions: Container[str]
    """Which may be called, in lower case: they compute from their arguments alone."""
    table_functions: frozenset[str]
    """Which may stand in a FROM clause."""
    types: frozenset[str]
    """Of casts, by sqlglot's names."""
    nodes: Mapping[type[exp.Expr], frozenset[str]]
    """What a tree may have, and which of its parts."""
    fence: str
    """What follows the predicate of a policy, so that nothing of the statement is computed for rows beyond it: a LIMIT
    or an OFFSET, or AND and a condition that is always true, which the engine does not know.
    """
    folds_quoted: bool
    """Names are the same in upper and lower case, with quotation marks, too."""
    with_is_recursive: bool
    """Any WITH may refer to itself."""
    masks: Mapping[str, str]
    """Expressions of the named masks, over `{column}` and `{salt}`."""
    places: Places
    mark: Callable[[Placeholder, str], str] = lambda _, written: written
    """How a placeholder is written, by what stands in the text."""
    unnamed: frozenset[str] = frozenset()
    """Columns that each table has without naming them; no statement may use one that no policy names."""
    is_case_sensitive: bool = False
    """Names that differ in upper and lower case are different names, without quotation marks, too."""
    with_names_later: bool = False
    """A part of a WITH may name one that stands behind it."""
    hands_on: bool = False
    """A subquery hands on columns that its table has without naming them, and a part of a WITH does not."""
    keeps_names: bool = False
    """A table that has an alias is still found by its own name."""
    plain_strings: Callable[[str], str] = lambda text: text
    """A text with each string that the engine takes in another form than 'this' in that form, as sqlglot does not hand
    all of them through. Such that the engine reads the same."""
    called: Callable[[str], str] | None = None
    """What a column without a name is called, by the text of its expression. None where that shows nothing of the text
    that runs."""
    calls: tuple[type[exp.Expr], ...] = (exp.Anonymous,)
    """The nodes of calls, each with the name of its function as `this`."""
    check: Callable[[exp.Expr], None] = lambda _: None
    """Refuses what this dialect alone has, node by node. Raises STATEMENT_NOT_ALLOWED."""

    def fold(self, name: exp.Identifier) -> str:
        """The name in the form in which equal names are equal."""
        text = str(name.this)
        if self.is_case_sensitive:
            return text
        if self.folds_quoted or not name.args.get("quoted"):
            return lowered(text)
        return text

    def parse(self, sql: str) -> tuple[Any, list[str]]:
        """The tree of one statement, with a name for each placeholder, and how each of them is written.

        Raises STATEMENT_NOT_ALLOWED for what sqlglot does not know, STATEMENT_TOO_COMPLEX for what it would read for
        very long.
        """
        marks = self.places(sql)
        pieces, start = list[str](), 0
        for number, each in enumerate(marks):
            pieces += [sql[start : each.start], f" {PREFIX}p_{number} "]
            start = each.end
        pieces.append(sql[start:])
        if PREFIX in "".join(pieces[::2]).lower():
            raise refused(f"names that begin with {PREFIX} are reserved")
        self._check_time(sql)
        return self.parse_ours("".join(pieces)), [self.mark(each, sql[each.start : each.end]) for each in marks]

    def parse_condition(self, sql: str) -> Any:
        """The tree of one expression. Raises ParseError."""
        return sqlglot.parse_one(sql, read=self.dialect, into=exp.Condition, error_level=ErrorLevel.IMMEDIATE)

    def print(self, tree: Any) -> str:
        """Every name is quoted, and nothing is left out in silence."""
        try:
            return str(
                tree.sql(
                    dialect=self.dialect,
                    identify=True,
                    comments=False,
                    normalize_functions=False,
                    unsupported_level=ErrorLevel.RAISE,
                )
            )
        except SqlglotError as cause:
            raise refused("a part of it cannot be written again for certain") from cause

    def _check_time(self, sql: str) -> None:
        try:
            tokens_to_parse(sql, self.dialect)
        except SqlglotError as cause:
            raise refused("it is not understood") from cause

    def parse_ours(self, text: str) -> Any:
        """The tree of a text that has names for its placeholders."""
        try:
            found = sqlglot.parse(text, read=self.dialect, error_level=ErrorLevel.IMMEDIATE)
        except ParseError as cause:
            facts = cause.errors[0] if cause.errors else {}
            near = facts.get("highlight")
            raise refused(f"it is not understood{f' near {near!r}' if near else ''}") from cause
        except SqlglotError as cause:
            raise refused("it is not understood") from cause
        statements = [each for each in found if each is not None and not isinstance(each, exp.Semicolon)]
        if len(statements) != 1:
            count = len(statements)
            raise error(Reason.NOT_ONE_STATEMENT, f"expected one statement, got {count}", statements=count)
        return statements[0]


def lowered(text: str) -> str:
    """In lower case as far as ASCII goes, which is how databases fold names."""
    return "".join(chr(ord(each) + 32) if "A" <= each <= "Z" else each for each in text)


def refused(why: str) -> Exception:
    message = f"the statement cannot run where row and column policies apply: {why}"
    return error(Reason.STATEMENT_NOT_ALLOWED, message, statement_type="SELECT")


_UNITS: Final = frozenset(
    f"{unit}{plural}"
    for unit in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND")
    for plural in ("", "S")
)


def _interval(printer: Any, node: Any) -> str:
    unit = node.args.get("unit")
    return f"INTERVAL {printer.sql(node, 'this')}{f' {printer.sql(unit)}' if unit is not None else ''}"


_LITERALS: Final[Mapping[exp.DType, str]] = {
    exp.DType.DATE: "DATE",
    **dict.fromkeys((exp.DType.TIME, exp.DType.TIMETZ), "TIME"),
    **dict.fromkeys((exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPNTZ), "TIMESTAMP"),
}
"""Types that stand before a text, by what sqlglot makes of them."""


def _typed_literal(parser: Any, this: Any, to: Any) -> Any:
    return parser.expression(TypedLiteral(this=this, to=to))


def _plainly(printer: Any, node: Any) -> str:
    method = getattr(printer, f"{node.key}_sql", None)
    return str(method(node) if method is not None else printer.function_fallback_sql(node))


_NEGATED: Final = (
    (exp.In, "IN", "NOT IN"),
    (exp.Between, "BETWEEN", "NOT BETWEEN"),
    (exp.RegexpLike, "~", "!~"),
    (exp.RegexpILike, "~*", "!~*"),
)


def _not(printer: Any, node: Any) -> str:
    """`a NOT IN (1)`, which binds as it does where it stands; sqlglot would print `NOT a IN (1)`."""
    text = printer.sql(node, "this")
    operand = printer.sql(node.this, "this")
    if node.this.args.get("negate"):
        return f"NOT {text}"
    for kind, word, negated in _NEGATED:
        if isinstance(node.this, kind) and text.startswith(f"{operand} {word} "):
            return f"{operand} {negated} {text[len(operand) + len(word) + 2 :]}"
    return f"NOT {text}"


class _AsWritten:
    """Of a parser of sqlglot: what it would take in another form."""

    _curr: Any

    def _parse_is(self, this: Any) -> Any:
        """`a IS NOT TRUE` is not `NOT a IS TRUE`: each is printed as it was written."""
        found = super()._parse_is(this)  # type: ignore[misc]
        if isinstance(found, exp.Not) and isinstance(found.this, exp.Is):
            found = found.this
            found.set("negate", True)
        return found

    def _parse_interval_span(self, this: Any, parse_function_unit: bool = True) -> Any:  # noqa: ARG002
        """As it is written: sqlglot takes texts such as '3 months' apart, which engines read otherwise."""
        word = self._curr.text.upper() if self._curr is not None else ""
        unit = self._parse_var(any_token=True, upper=True) if word in _UNITS else None  # type: ignore[attr-defined]
        return exp.Interval(this=this, unit=unit)

    def _parse_bracket(self, this: Any = None) -> Any:
        """A call keeps its arguments: sqlglot takes `array(1, 2)[0]` for the array `[0]`."""
        if not isinstance(this, exp.Anonymous):
            return super()._parse_bracket(this)  # type: ignore[misc]
        name = this.this
        this.set("this", f"{PREFIX}call")
        found = super()._parse_bracket(this)  # type: ignore[misc]
        this.set("this", name)
        return found


def narrowed(
    base: type[Dialect],
    *,
    kept: Collection[str],
    printed: Mapping[type[exp.Expr], Callable[[Any, Any], str]],
    plain: Collection[type[exp.Expr]] = (),
    colons: bool = False,
) -> type[Dialect]:
    """A dialect of sqlglot that leaves functions as they are, but for those that are written with words inside; with
    `colons` a `::` and a literal with its type, too. What is `plain` is printed as sqlglot prints it for no dialect.
    """
    operators = dict(base.Parser.COLUMN_OPERATORS)
    if colons:
        operators[TokenType.DCOLON] = lambda parser, this, to: parser.expression(DoubleColon(this=this, to=to))
    literals = dict.fromkeys(_LITERALS if colons else (), _typed_literal)

    class Parser(_AsWritten, base.Parser):  # type: ignore[misc,name-defined]
        FUNCTIONS: Final[dict[str, Any]] = {}
        COLUMN_OPERATORS: Final = operators
        TYPE_LITERAL_PARSERS: Final = {**base.Parser.TYPE_LITERAL_PARSERS, **literals}
        JOINS_HAVE_EQUAL_PRECEDENCE = False
        STRICT_CAST = True
        FUNCTION_PARSERS: Final = {
            name: parser for name, parser in base.Parser.FUNCTION_PARSERS.items() if name in kept
        }
        NO_PAREN_FUNCTION_PARSERS: Final = {
            name: parser for name, parser in base.Parser.NO_PAREN_FUNCTION_PARSERS.items() if name in kept
        }

    class Generator(base.Generator):  # type: ignore[misc,name-defined]
        MULTI_ARG_DISTINCT = True
        EXPRESSIONS_WITHOUT_NESTED_CTES: Final[set[Any]] = set()
        TRANSFORMS: Final = {
            **base.Generator.TRANSFORMS,
            Mark: lambda _, node: str(node.this),
            DoubleColon: lambda printer, node: f"{printer.sql(node, 'this')}::{printer.sql(node, 'to')}",
            TypedLiteral: lambda printer, node: f"{_LITERALS[node.to.this]} {printer.sql(node, 'this')}",
            exp.Interval: _interval,
            exp.Not: _not,
            **dict.fromkeys(plain, _plainly),
            **printed,
        }

        def join_sql(self, expression: Any) -> str:
            """A comma stays one: sqlglot makes another join of it, which some engines run otherwise."""
            if not any(expression.args.get(name) for name in ("side", "kind", "method", "on", "using")):
                return f", {self.sql(expression, 'this')}"
            return str(super().join_sql(expression))

    def to_json_path(_: Dialect, path: Any) -> Any:
        return path

    members = {
        "Parser": Parser,
        "Generator": Generator,
        "to_json_path": to_json_path,
        "NORMALIZE_NOT_NULL": False,
    }
    return type(f"Policed{base.__name__}", (base,), members)
