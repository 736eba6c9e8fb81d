"""Row and column policies for Spark, whose lexer judges what sqlglot has understood.

The fence is a condition that Spark takes for one of chance: it neither joins it with conditions of the caller, nor
moves those behind it. A LIMIT would end at two billion rows, and an OFFSET of 0 is left out.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlglot import exp
from sqlglot.dialects.spark import Spark

from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.base import PolicyProblem
from queryengine.engines.kit.calls import computing
from queryengine.engines.kit.lexicons import SPARK
from queryengine.engines.kit.placeholders import by_colon, by_question_mark, of_one_kind
from queryengine.engines.kit.reading import READING, Placeholder, StatementText
from queryengine.engines.kit.row_security.grammar import Grammar, narrowed, refused
from queryengine.engines.kit.row_security.lexical import Lexical, LexicalJudge
from queryengine.engines.kit.row_security.nodes import nodes
from queryengine.engines.kit.row_security.problems import problems
from queryengine.engines.kit.row_security.securing import secured as secured_by
from queryengine.engines.kit.row_security.types import NESTED, PLAIN, words

_KEPT: Final = (
    "policies cannot be applied to a Spark engine with `keep_sessions`, whose sessions go from caller to caller; take "
    "the option away"
)
_NO_FUNCTIONS: Final = words(
    "current_catalog current_database current_path current_schema current_user measure session_user sql_keywords user "
    "version from_avro to_avro from_xml"
)
"""They compute elsewhere; here they read the session, or may name a file."""
FUNCTIONS: Final = frozenset(
    name for name in computing("queryengine.engines.spark") - _NO_FUNCTIONS if re.fullmatch(r"\w+", name)
)
_TABLE_FUNCTIONS: Final = words(
    "explode explode_outer inline inline_outer json_tuple posexplode posexplode_outer range stack"
)
_WORDS: Final = words(
    "all and any array as between by case cast cross cube distinct else end except exists extract filter from full "
    "group grouping having if in inner intersect interval is join lateral left like limit map natural not offset on or "
    "order over partition recursive right rlike rollup row rows range select semi anti sets struct substring then "
    "timestamp trim try_cast union using values view when where window with within decimal outer"
)
"""Words of the grammar and types, behind which a parenthesis calls nothing."""
_SYNONYMS: Final = {
    "integer": "int",
    "dec": "decimal",
    "numeric": "decimal",
    "real": "float",
    "long": "bigint",
    "minus": "except",
}
_NODES: Final = """
    Lateral: this alias ordinality view outer
    Star: except_
    TryCast: this to
    DoubleColon: this to
    TypedLiteral: this to
    Array: expressions bracket_notation
    Bracket: this expressions offset safe
    Lambda: this expressions
    WithinGroup: this expression
    ColumnDef: this kind
"""
_UNKNOWN: Final = words(
    "Overlay StrPosition Collate AtTimeZone JSONExtract JSONExtractScalar JSONPath JSONBExtract JSONBExtractScalar "
    "Glob SimilarTo RegexpILike ArrayContainsAll ArrayContainedBy ArrayOverlaps Pow Fetch"
)
"""What Spark does not have, or reads otherwise: `->` makes a lambda there."""
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)", re.DOTALL)
_ESCAPES: Final = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}


def places(sql: str) -> list[Placeholder]:
    """`:name` or `?`."""
    query = StatementText.read(sql, SPARK, READING | {"FROM"})
    return of_one_kind(by_colon(query), by_question_mark(query))


def _text(written: str) -> str:
    """The value of a literal in quotes; one of another kind as it is written."""
    if written[0] not in "'\"":
        return written

    def character(match: re.Match[str]) -> str:
        escape = match[1]
        if len(escape) == 1:
            return _ESCAPES.get(escape, escape)
        return chr(int(escape[1:], 16) if escape[0] in "uU" else int(escape, 8))

    return _ESCAPE.sub(character, written[1:-1].replace(written[0] * 2, written[0]))


def _check(node: exp.Expr) -> None:
    if isinstance(node, exp.Identifier) and not str(node.this).isprintable():
        raise refused("a name has a control character")


def _lateral(printer: Any, node: exp.Lateral) -> str:
    """With its alias in quotation marks, which sqlglot prints as it is in a LATERAL VIEW."""
    if not node.args.get("view"):
        return str(printer.lateral_sql(node))
    alias = node.args["alias"]
    columns = ", ".join(printer.sql(each) for each in alias.columns)
    words = "LATERAL VIEW OUTER" if node.args.get("outer") else "LATERAL VIEW"
    return f" {words} {printer.sql(node, 'this')} {printer.sql(alias, 'this')}{f' AS {columns}' if columns else ''}"


GRAMMAR: Final = Grammar(
    dialect=narrowed(
        Spark,
        kept={"CAST", "TRY_CAST", "EXTRACT", "CASE", "TRIM", "SUBSTRING"},
        printed={
            exp.Array: lambda printer, node: f"array({printer.expressions(node, flat=True)})",
            exp.Tuple: lambda printer, node: f"({printer.expressions(node, flat=True)})",
            exp.RegexpLike: lambda printer, node: printer.binary(node, "RLIKE"),
            exp.IntDiv: lambda printer, node: printer.binary(node, "DIV"),
            exp.NullSafeEQ: lambda printer, node: printer.binary(node, "<=>"),
            exp.CurrentTimestamp: lambda _, __: "CURRENT_TIMESTAMP",
            exp.Lateral: _lateral,
        },
        plain=(exp.Select, exp.With, exp.Table, exp.Cast, exp.TryCast, exp.WithinGroup, exp.From),
        colons=True,
    ),
    functions=FUNCTIONS,
    table_functions=_TABLE_FUNCTIONS,
    types=PLAIN | NESTED | words("TINYINT MAP STRUCT TIMESTAMPNTZ TIMESTAMPLTZ BINARY"),
    nodes=nodes(_NODES, without=_UNKNOWN),
    fence="AND rand() >= 0",
    folds_quoted=True,
    with_is_recursive=False,
    masks={
        "null": "CASE WHEN FALSE THEN {column} END",
        "hash": "sha2(concat({salt}, CAST({column} AS STRING)), 256)",
        "last4": "CASE WHEN length(CAST({column} AS STRING)) < 8 THEN '****' "
        "ELSE concat('****', right(CAST({column} AS STRING), 4)) END",
    },
    places=places,
    # `_metadata` names files, and counts rows that are hidden.
    hands_on=True,
    check=_check,
)
_RULES: Final = Lexical(
    engine="Spark",
    lexer=SPARK,
    text=_text,
    synonyms=_SYNONYMS,
    defaults=frozenset(),
    callable=FUNCTIONS | _TABLE_FUNCTIONS | _WORDS,
)


def secured(sql: str, policy: RowPolicy) -> SecuredText:
    """What runs in place of a text. Raises as `Engine.secured` does."""
    return secured_by(sql, policy, GRAMMAR, lambda _: LexicalJudge(_RULES))


def policy_problems(policy: RowPolicy, options: Mapping[str, Any]) -> Sequence[PolicyProblem]:
    """As `Engine.policy_problems`."""
    found: list[PolicyProblem] = [*problems(policy, GRAMMAR)]
    if options.get("keep_sessions") is True:
        found.append((None, _KEPT))
    return found
