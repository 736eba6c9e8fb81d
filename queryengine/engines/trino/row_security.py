"""Row and column policies for Trino, whose lexer judges what sqlglot has understood.

The fence is a LIMIT, as Trino leaves out an OFFSET of 0: what a policy shows of a table goes through one node.
"""

from typing import Final

from sqlglot import exp
from sqlglot.dialects.trino import Trino

from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.base import PolicyProblem
from queryengine.engines.kit.calls import computing
from queryengine.engines.kit.lexicons import TRINO
from queryengine.engines.kit.placeholders import by_colon, by_question_mark, of_one_kind
from queryengine.engines.kit.reading import Placeholder, StatementText
from queryengine.engines.kit.row_security.grammar import Grammar, narrowed
from queryengine.engines.kit.row_security.lexical import Lexical, LexicalJudge
from queryengine.engines.kit.row_security.nodes import nodes
from queryengine.engines.kit.row_security.problems import problems
from queryengine.engines.kit.row_security.securing import secured as secured_by
from queryengine.engines.kit.row_security.types import NESTED, PLAIN, words

_CATALOG_PARTS: Final = 3
_NO_FUNCTIONS: Final = words(
    "classifier columns define descriptor exclude_columns final first json_exists json_object json_query json_table "
    "json_value last match_number measures next partition passing path pattern permute prev running subset"
)
"""They compute elsewhere; here they are words of clauses that are not understood, or take a table."""
FUNCTIONS: Final = computing("queryengine.engines.trino") - _NO_FUNCTIONS
_WORDS: Final = words(
    "all and any array as between by case cast char coalesce cross cube decimal distinct else end except exists "
    "extract filter from full group grouping having if in inner intersect interval is join lateral left like "
    "limit map natural not nullif offset on or order over partition position rollup row rows range select sets "
    "substring then time timestamp trim try try_cast union unnest using values varchar when where window with "
    "within recursive right"
)
"""Words of the grammar and types, behind which a parenthesis calls nothing."""
_SYNONYMS: Final = {"int": "integer", "dec": "decimal", "substr": "substring"}
_NODES: Final = """
    Select: with_ expressions distinct from_ joins where group having windows order limit offset
    TryCast: this to
    TypedLiteral: this to
    LimitOptions: rows percent with_ties
    ColumnDef: this kind
    Array: expressions bracket_notation
    Bracket: this expressions offset safe
    Lambda: this expressions
    WithinGroup: this expression
    Localtime: this
    Localtimestamp: this
"""
_UNKNOWN: Final = words(
    "Overlay StrPosition Collate JSONExtract JSONExtractScalar JSONPath JSONBExtract JSONBExtractScalar Glob "
    "SimilarTo RegexpLike RegexpILike ArrayContainsAll ArrayContainedBy ArrayOverlaps BitwiseAnd BitwiseOr BitwiseXor "
    "BitwiseLeftShift BitwiseRightShift BitwiseNot IntDiv Pow ILike"
)
"""What Trino does not have, or reads otherwise: `->` makes a lambda there."""


def places(sql: str) -> list[Placeholder]:
    """`:name` or `?`."""
    query = StatementText.read(sql, TRINO)
    return of_one_kind(by_colon(query), by_question_mark(query))


def _text(written: str) -> str:
    """The value of a literal in single quotes; others as they are written."""
    return written[1:-1].replace("''", "'") if written.startswith("'") else written


GRAMMAR: Final = Grammar(
    dialect=narrowed(
        Trino,
        kept={"CAST", "TRY_CAST", "EXTRACT", "CASE", "TRIM", "SUBSTRING"},
        printed={
            exp.Array: lambda printer, node: f"ARRAY[{printer.expressions(node, flat=True)}]",
            exp.Tuple: lambda printer, node: f"({printer.expressions(node, flat=True)})",
            exp.Substring: lambda printer, node: f"SUBSTRING({printer.format_args(*node.args.values())})",
        },
        plain=(exp.AtTimeZone, exp.Select, exp.With, exp.Table, exp.Cast, exp.TryCast, exp.WithinGroup, exp.Lateral),
        colons=True,
    ),
    functions=FUNCTIONS,
    table_functions=words("unnest"),
    types=PLAIN | NESTED | words("TINYINT MAP STRUCT TIMETZ TIMESTAMPNTZ IPADDRESS"),
    nodes=nodes(_NODES, without=_UNKNOWN),
    fence="LIMIT 9223372036854775807",
    folds_quoted=True,
    with_is_recursive=False,
    masks={
        "null": "CASE WHEN FALSE THEN {column} END",
        "hash": "lower(to_hex(sha256(to_utf8({salt} || CAST({column} AS VARCHAR)))))",
        "last4": "CASE WHEN length(CAST({column} AS VARCHAR)) < 8 THEN '****' "
        "ELSE '****' || substr(CAST({column} AS VARCHAR), -4) END",
    },
    places=places,
)
_RULES: Final = Lexical(
    engine="Trino",
    lexer=TRINO,
    text=_text,
    synonyms=_SYNONYMS,
    defaults=frozenset({("nulls", "last")}),
    callable=FUNCTIONS | _WORDS,
)


def secured(sql: str, policy: RowPolicy) -> SecuredText:
    """What runs in place of a text. Raises as `Engine.secured` does."""
    return secured_by(sql, policy, GRAMMAR, lambda _: LexicalJudge(_RULES))


def policy_problems(policy: RowPolicy) -> list[PolicyProblem]:
    """As `Engine.policy_problems`."""
    found: list[PolicyProblem] = [*problems(policy, GRAMMAR)]
    found += [
        (number, "name its catalog, too, as in hive.sales.orders")
        for number, each in enumerate(policy.relations)
        if len(each.path) < _CATALOG_PARTS
    ]
    return found
