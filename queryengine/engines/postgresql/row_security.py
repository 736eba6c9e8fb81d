"""Row and column policies for PostgreSQL, which has no parser outside of a server: its functions are a list, and its
lexer judges what is called.
"""

from itertools import pairwise
from typing import Any, Final

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres

from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.kit.lexicons import POSTGRESQL
from queryengine.engines.kit.lexing import Kind
from queryengine.engines.kit.placeholders import by_colon, by_number, of_one_kind
from queryengine.engines.kit.reading import Placeholder, StatementText
from queryengine.engines.kit.row_security.grammar import Grammar, narrowed, refused
from queryengine.engines.kit.row_security.nodes import nodes
from queryengine.engines.kit.row_security.rewriting import Rewriter
from queryengine.engines.kit.row_security.securing import secured as secured_by
from queryengine.engines.kit.row_security.strings import plain_strings
from queryengine.engines.kit.row_security.types import PLAIN, words

FUNCTIONS: Final = words(
    """
    abs acos acosh age any_value array array_agg array_append array_cat array_dims array_fill array_length
    array_lower array_ndims array_position array_positions array_prepend array_remove array_replace array_sample
    array_to_json array_to_string array_upper ascii asin asinh atan atan2 atanh avg bit_and bit_count bit_length
    bit_or bit_xor bool_and bool_or broadcast btrim cardinality cbrt ceil ceiling char_length character_length chr
    clock_timestamp coalesce concat concat_ws corr cos cosh cot count covar_pop covar_samp cume_dist date_bin
    date_part date_trunc decode degrees dense_rank div encode erf erfc every exp extract factorial first_value floor
    format gcd greatest grouping initcap isfinite json_agg json_array_elements json_array_elements_text
    json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
    json_extract_path_text json_object json_object_agg json_object_keys json_strip_nulls json_typeof jsonb_agg
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
    jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object jsonb_object_agg
    jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array
    jsonb_path_query_first jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_typeof justify_days justify_hours
    justify_interval lag last_value lcm lead least left length ln localtimestamp log log10 lower lpad ltrim
    make_date make_interval make_time make_timestamp make_timestamptz max md5 min min_scale mod mode now nth_value
    ntile nullif num_nonnulls num_nulls octet_length overlay percent_rank percentile_cont percentile_disc pi
    position power quote_ident quote_literal quote_nullable radians rank regexp_count regexp_instr regexp_like
    regexp_match regexp_replace regexp_split_to_array regexp_substr regr_avgx regr_avgy regr_count regr_intercept
    regr_r2 regr_slope regr_sxx regr_sxy regr_syy repeat replace reverse right round row row_number row_to_json rpad
    rtrim scale sha224 sha256 sha384 sha512 sign sin sinh split_part sqrt starts_with statement_timestamp stddev
    stddev_pop stddev_samp string_agg string_to_array strpos substr substring sum tan tanh timezone to_char to_date
    to_hex to_json to_jsonb to_number to_timestamp transaction_timestamp translate trim trim_array trim_scale trunc
    unnest upper var_pop var_samp variance width_bucket convert_to convert_from
    """
)
TABLE_FUNCTIONS: Final = words(
    """
    generate_series generate_subscripts json_array_elements json_array_elements_text json_each json_each_text
    json_object_keys jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys
    regexp_matches regexp_split_to_table string_to_table unnest
    """
)
# fmt: off
_WORDS: Final = frozenset({
    "all", "and", "any", "array", "as", "between", "by", "case", "cast", "char", "coalesce", "cube", "current_time",
    "current_timestamp", "decimal", "distinct", "else", "except", "exists", "extract", "filter", "from", "grouping",
    "ilike", "in", "intersect", "interval", "is", "join", "lateral", "like", "limit", "materialized", "not", "offset",
    "on", "or", "over", "overlay", "position", "rollup", "select", "sets", "similar", "substring", "then", "time",
    "timestamp", "timestamptz", "to", "trim", "union", "unnest", "using", "values", "varchar", "when", "where", "with",
    "group", "end", "row", "within", "numeric", "escape", "set", "having",
})
# fmt: on
"""Words of the grammar and types, behind which a parenthesis calls nothing."""
_NODES: Final = """
    Array: expressions bracket_notation
    Bracket: this expressions offset safe
    Slice: this expression
    WithinGroup: this expression
    Localtimestamp: this
"""


def places(sql: str) -> list[Placeholder]:
    """`:name` or `$1`."""
    query = StatementText.read(sql, POSTGRESQL)
    return of_one_kind(by_colon(query), by_number(query))


GRAMMAR: Final = Grammar(
    dialect=narrowed(
        Postgres,
        kept={"CAST", "EXTRACT", "TRIM", "SUBSTRING", "POSITION", "OVERLAY", "CASE", "ANY"},
        printed={exp.Pow: lambda printer, node: printer.binary(node, "^")},
    ),
    functions=FUNCTIONS,
    table_functions=TABLE_FUNCTIONS,
    types=PLAIN | {"ARRAY"},
    nodes=nodes(_NODES),
    fence="OFFSET 0",
    folds_quoted=False,
    with_is_recursive=False,
    masks={
        "null": "CASE WHEN FALSE THEN {column} END",
        "hash": "encode(sha256(convert_to({salt} || CAST({column} AS TEXT), 'UTF8')), 'hex')",
        "last4": "CASE WHEN length(CAST({column} AS TEXT)) < 8 THEN '****' "
        "ELSE '****' || right(CAST({column} AS TEXT), 4) END",
    },
    places=places,
    plain_strings=lambda sql: plain_strings(sql, StatementText.read(sql, POSTGRESQL).tokens),
)


class _Judge:
    """Reads texts by the rules of PostgreSQL's lexer."""

    def same(self, sql: str, printed: str) -> None:
        """Nothing outside of a server can say it."""

    def reads(self, secured: str, rewriter: Rewriter) -> None:  # noqa: ARG002 - what it reads is known from its tree
        tokens = StatementText.read(secured, POSTGRESQL).tokens
        for number, (token, following) in enumerate(pairwise(tokens)):
            if not following.is_sign("(") or token.kind not in (Kind.WORD, Kind.QUOTED):
                continue
            # Behind AS stands what something is called, or a type, and its columns or its length in parentheses.
            if number and tokens[number - 1].is_word("AS", "WITH", "RECURSIVE"):
                continue
            if number and tokens[number - 1].is_sign(",") and token.text.startswith('"__qe_cte_'):
                continue
            name = POSTGRESQL.name(token).lower()
            known = token.kind is Kind.WORD and (name in FUNCTIONS or name in TABLE_FUNCTIONS or name in _WORDS)
            if not known:
                raise refused(f"function {name} is not among those that are known to be safe there")


def secured(sql: str, policy: RowPolicy) -> SecuredText:
    """What runs in place of a text. Raises as `Engine.secured` does."""
    return secured_by(sql, policy, GRAMMAR, _judge)


def _judge(_: RowPolicy) -> Any:
    return _Judge()
