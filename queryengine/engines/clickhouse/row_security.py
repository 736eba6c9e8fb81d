"""Row and column policies for ClickHouse, whose lexer judges what sqlglot has understood.

An alias is visible everywhere in ClickHouse, and a name for a lambda takes the place of a function or an operator in
subqueries, too: `WITH (a, b) -> 1 AS equals` would make every predicate of a policy true. So a lambda has no name here.
"""

import re
from typing import Any, Final

from sqlglot import exp
from sqlglot.dialects.clickhouse import ClickHouse

from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.clickhouse.check import check
from queryengine.engines.clickhouse.functions import KNOWN
from queryengine.engines.kit.lexicons import CLICKHOUSE
from queryengine.engines.kit.reading import Placeholder
from queryengine.engines.kit.row_security.grammar import Grammar, narrowed, refused
from queryengine.engines.kit.row_security.lexical import Lexical, LexicalJudge
from queryengine.engines.kit.row_security.nodes import nodes
from queryengine.engines.kit.row_security.reserved import PREFIX
from queryengine.engines.kit.row_security.securing import secured as secured_by
from queryengine.engines.kit.row_security.types import NESTED, PLAIN, WIDE, words

# fmt: off
_CALLS: Final = (
    exp.Anonymous, exp.AnonymousAggFunc, exp.CombinedAggFunc, exp.ParameterizedAgg, exp.CombinedParameterizedAgg,
)
_NO_FUNCTIONS: Final = frozenset({
    "currentdatabase", "current_database", "currentuser", "current_user", "database", "defaultvalueoftypename",
    "errorcodetoname", "in", "indexhint", "notin", "partitionid", "schema", "servertimezone", "session_user",
    "timezone", "user", "version",
})
"""They compute elsewhere; here they read the session, or take a name as a text."""
_WORDS: Final = words(
    "all and any anti array as asof between by case cast columns cross cube else end except exists from full global "
    "group grouping having if in inner intersect interval is join left like ilike limit not offset on or order over "
    "partition qualify rollup rows range select semi sets then union using values when where window with right "
    "distinct recursive asc desc filter natural"
)
# fmt: on
"""Words of the grammar, behind which a parenthesis calls nothing."""
_TABLE_FUNCTIONS: Final = words("generate_series generateseries numbers numbers_mt zeros zeros_mt")
_TYPES: Final = words(
    "NULLABLE LOWCARDINALITY STRUCT MAP DATETIME DATETIME64 DATE32 FIXEDSTRING ENUM ENUM8 ENUM16 IPV4 IPV6 INT256 "
    "UINT256 DECIMAL32 DECIMAL64 DECIMAL128 DECIMAL256 TIMESTAMPNTZ"
)
_SYNONYMS: Final = {
    **dict.fromkeys(words("text varchar char character clob blob varbinary bytea"), "string"),
    **dict.fromkeys(words("int integer mediumint"), "int32"),
    "bigint": "int64", "smallint": "int16", "tinyint": "int8", "double": "float64", "float": "float32",
    "real": "float32", "boolean": "bool", "timestamp": "datetime", "dec": "decimal", "numeric": "decimal",
}  # fmt: skip
_NODES: Final = """
    Select: with_ expressions distinct from_ joins where group having qualify windows order limit offset
    With: expressions recursive
    CTE: this alias scalar
    Table: this db alias joins
    Join: this on side kind using method global_ expressions
    Star: except_ replace
    In: this expressions query is_global
    Group: expressions grouping_sets cube rollup all totals
    Limit: this expression offset expressions limit_options
    LimitOptions: rows percent with_ties
    HexString: this is_integer
    DoubleColon: this to
    CastToStrType: this to
    DataType: this expressions nested nullable values
    AnonymousAggFunc: this expressions
    CombinedAggFunc: this expressions
    ParameterizedAgg: this expressions params
    CombinedParameterizedAgg: this expressions params
    Array: expressions bracket_notation
    Bracket: this expressions offset safe
    Lambda: this expressions
"""
_UNKNOWN: Final = words(
    "Values Lateral Unnest Any All Overlay StrPosition Collate AtTimeZone JSONExtract JSONExtractScalar JSONPath "
    "JSONBExtract JSONBExtractScalar Glob SimilarTo RegexpLike RegexpILike ArrayContainsAll ArrayContainedBy "
    "ArrayOverlaps BitwiseAnd BitwiseOr BitwiseXor BitwiseLeftShift BitwiseRightShift BitwiseNot IntDiv Pow Escape "
    "Fetch"
)
"""What ClickHouse does not have, or reads otherwise: `->` makes a lambda there."""
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|.)|''", re.DOTALL)
_ESCAPES: Final = {
    "b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "0": "\0", "a": "\a", "v": "\v", "e": "\x1b",
    "\\": "\\", "'": "'", '"': '"', "`": "`", "/": "/", "=": "=",
}  # fmt: skip


def _text(written: str) -> str:
    """The value of a literal in single quotes; others as they are written."""
    if not written.startswith("'"):
        return written

    def character(match: re.Match[str]) -> str:
        letter = match[1]
        if letter is None:
            return "'"
        if letter[0] == "x" and len(letter) > 1:
            return chr(int(letter[1:], 16))
        return _ESCAPES.get(letter, "\\" + letter)

    return _ESCAPE.sub(character, written[1:-1])


def places(sql: str) -> list[Placeholder]:
    """`?` and `{name:Type}`. Raises STATEMENT_NOT_ALLOWED for one that is a name."""
    checked = check(sql)
    if any(kind.lower().startswith("identifier") for kind in checked.types.values()):
        raise refused("a placeholder of the type Identifier names what its value says; write the name into the text")
    return list(checked.placeholders)


def _is_name(node: Any) -> bool:
    """Of a user: a placeholder, also one of a policy, has a name of ours by now."""
    return isinstance(node, exp.Column | exp.Dot) and not str(node.name).startswith(PREFIX)


def _check(node: exp.Expr) -> None:
    """Refuse names of expressions anywhere but in the list of a SELECT and in a WITH, and a name for a lambda."""
    parent = node.parent
    match node:
        case exp.Alias():
            is_array = isinstance(parent, exp.Join) and parent.args.get("kind") == "ARRAY"
            is_item = isinstance(parent, exp.Select | exp.Star) and node.arg_key in ("expressions", "replace")
            if not is_array and not is_item:
                raise refused("a name by AS stands elsewhere than in the list of a SELECT or behind ARRAY JOIN")
        case exp.In() if len(node.expressions) == 1 and _is_name(node.expressions[0].unnest()):
            raise refused("IN has one name behind it, which ClickHouse takes for a table; write = or IN (SELECT …)")
        case exp.Lambda() if not isinstance(parent, _CALLS):
            raise refused("a lambda stands elsewhere than between the arguments of a function")
        case exp.Identifier() if "\\" in str(node.this) or not str(node.this).isprintable():
            raise refused("a name has a backslash or a control character")
        case exp.If() if not isinstance(parent, exp.Case):
            raise refused("write if(a, b, c) in place of a ? b : c")


class _Functions:
    """What may be called: an aggregate with combinators, too."""

    def __contains__(self, name: object) -> bool:
        return name in KNOWN and name not in _NO_FUNCTIONS


class _Callable(_Functions):
    """What may stand before a parenthesis."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in _WORDS


GRAMMAR: Final = Grammar(
    dialect=narrowed(
        ClickHouse,
        kept={"CAST", "EXTRACT", "CASE", "TRIM", "SUBSTRING"},
        printed={
            exp.Tuple: lambda printer, node: f"({printer.expressions(node, flat=True)})",
        },
        colons=True,
    ),
    functions=_Functions(),
    table_functions=_TABLE_FUNCTIONS,
    types=PLAIN | WIDE | NESTED | _TYPES,
    nodes=nodes(_NODES, without=_UNKNOWN),
    fence="LIMIT 18446744073709551615",
    folds_quoted=False,
    with_is_recursive=False,
    masks={
        "null": "CASE WHEN FALSE THEN {column} END",
        "hash": "lower(hex(SHA256(concat({salt}, toString({column})))))",
        "last4": "CASE WHEN lengthUTF8(toString({column})) < 8 THEN '****' "
        "ELSE concat('****', rightUTF8(toString({column}), 4)) END",
    },
    places=places,
    is_case_sensitive=True,
    with_names_later=True,
    keeps_names=True,
    calls=_CALLS,
    check=_check,
)
_RULES: Final = Lexical(
    engine="ClickHouse",
    lexer=CLICKHOUSE,
    text=_text,
    synonyms=_SYNONYMS,
    defaults=frozenset({("nulls", "last")}),
    callable=_Callable(),
)


def secured(sql: str, policy: RowPolicy) -> SecuredText:
    """What runs in place of a text. Raises as `Engine.secured` does."""
    return secured_by(sql, policy, GRAMMAR, lambda _: LexicalJudge(_RULES))
