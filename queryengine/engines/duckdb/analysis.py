"""What DuckDB's own parser says of a statement: of its tokens and of its tree, both of which a check has anyway."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from queryengine.domain.analysis import Analysis, Name
from queryengine.engines.duckdb.functions import COMPUTING
from queryengine.engines.duckdb.tokens import tokens_of
from queryengine.engines.kit.analysing import CALLED_BARE
from queryengine.engines.kit.lexing import Kind, Token
from queryengine.engines.kit.measuring import kinds_in, measured

# fmt: off
_BY_ORDER: Final = frozenset({
    "any_value", "arbitrary", "arg_max", "arg_max_null", "arg_min", "arg_min_null", "argmax", "argmin", "array_agg",
    "first", "group_concat", "last", "list", "listagg", "max_by", "min_by", "mode", "string_agg",
})
"""Aggregates whose outcome may depend on the order of rows."""
_VARYING: Final = CALLED_BARE | {
    "current_query", "gen_random_uuid", "get_current_time", "get_current_timestamp", "nextval", "now", "random",
    "today", "transaction_timestamp", "uuid", "uuidv4", "uuidv7",
}
"""What differs from call to call, or from query to query."""
# fmt: on
_BY_NAME: Final = frozenset({"aggregate", "array_aggr", "array_aggregate", "list_aggr", "list_aggregate"})
"""Functions whose second argument is the name of the function that they call."""
_CHOOSING: Final = frozenset({"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"})
"""What chooses rows by an order that the statement may not give."""


def analysed(
    sql: str,
    placeholders: Collection[str],
    *,
    called: Collection[str] | None,
    tree: str | None,
    steady: Collection[str],
    made_of: Mapping[str, str],
) -> Analysis:
    """The analysis of one statement that is not refused. `called` are the functions of its tree, None when it has none;
    `tree` is its serialised form, None when there is none or the text is long; `steady` are the functions of which the
    same arguments always give the same outcome; `made_of` says what a function calls that is a macro of DuckDB.
    """
    tokens = tokens_of(sql)
    functions = None if called is None else frozenset(map(str.lower, called)) | _called_bare(tokens)
    if functions is not None and tree is None and not _BY_NAME.isdisjoint(functions):
        # Which names they are given, only the tree says.
        functions = None
    found = Analysis(
        kind=_first_word(tokens),
        kinds=kinds_in(tokens, reserved=True),
        **_calls(functions, made_of),
        measures=measured(tokens),
        placeholders=frozenset(placeholders),
        normalised=_normalised(tokens),
    )
    if tree is None or functions is None:
        return found
    walk = _Walk()
    try:
        walk.visit(json.loads(tree), frozenset())
    except RecursionError:
        # Deeper than Python follows; DuckDB runs it all the same.
        return found if _BY_NAME.isdisjoint(functions) else replace(found, **_calls(None, made_of))
    return replace(
        found,
        tables=None if walk.shows else frozenset(walk.tables),
        **_calls(frozenset(walk.functions) if walk.names_all else None, made_of),
        is_deterministic=None if found.kind == "EXPLAIN" else walk.is_deterministic(steady),
    )


def _calls(functions: frozenset[str] | None, made_of: Mapping[str, str]) -> dict[str, Any]:
    """What an analysis says of what is called; nothing where that is not known."""
    if functions is None:
        return {"functions": None, "unproven": None, "parts": frozenset()}
    return {
        "functions": functions,
        "unproven": functions - COMPUTING - CALLED_BARE,
        "parts": frozenset(made_of[name] for name in functions if name in made_of),
    }


def _called_bare(tokens: Sequence[Token]) -> frozenset[str]:
    """Functions that a name alone may call; a column of that name counts, too."""
    return CALLED_BARE.intersection(token.text.lower() for token in tokens if token.kind is Kind.WORD)


def _first_word(tokens: Sequence[Token]) -> str:
    return next((token.text.upper() for token in tokens if not token.is_sign("(")), "")


def _normalised(tokens: Sequence[Token]) -> str:
    """The text without comments."""
    pieces = list[str]()
    for number, token in enumerate(tokens):
        if number and tokens[number - 1].end < token.start:
            pieces.append(" ")
        pieces.append(token.text)
    return "".join(pieces).rstrip("; ")


class _Walk:
    """Collects the names in a tree. A table that is a common table expression where it stands is left out."""

    def __init__(self) -> None:
        self.tables: set[Name] = set()
        self.functions: set[str] = set()
        self.shows = False
        """It describes tables or lists them, which the tree has in other forms."""
        self.names_all = True
        """No function is called by a name that is computed."""
        self._chooses = False
        self._samples = False

    def visit(self, node: Any, expressions: frozenset[str]) -> None:
        if isinstance(node, list):
            for each in node:
                self.visit(each, expressions)
        elif isinstance(node, dict):
            expressions = self._defined(node, expressions)
            self._look(node, expressions)
            for name, each in node.items():
                if name != "cte_map":
                    self.visit(each, expressions)

    def is_deterministic(self, steady: Collection[str]) -> bool | None:
        if self._samples or not _VARYING.isdisjoint(self.functions):
            return False
        if self._chooses or self.shows or not _BY_ORDER.isdisjoint(self.functions):
            return None
        return True if all(name in steady for name in self.functions) else None

    def _defined(self, node: Mapping[str, Any], expressions: frozenset[str]) -> frozenset[str]:
        """Visit what a WITH defines; returns the names that are defined behind it. An expression may read a table of
        its own name.
        """
        for each in node.get("cte_map", {}).get("map", ()):
            self.visit(each["value"], expressions)
            expressions |= {each["key"].lower()}
        return expressions

    def _look(self, node: Mapping[str, Any], expressions: frozenset[str]) -> None:
        kind = node.get("type")
        if not isinstance(kind, str):
            # The type of a value.
            return
        if "sample" in node:
            self._samples = True
        if kind == "BASE_TABLE":
            path = tuple(node[part] for part in ("catalog_name", "schema_name", "table_name") if node.get(part))
            if len(path) > 1 or path[0].lower() not in expressions:
                self.tables.add(path)
        elif kind == "SHOW_REF":
            self.shows = True
        elif "function_name" in node:
            self._call(node)
        elif kind == "COLUMN_REF" and len(node["column_names"]) == 1:
            self.functions |= CALLED_BARE.intersection([node["column_names"][0].lower()])
        if node.get("class") == "WINDOW" or "distinct_on_targets" in node or kind in _CHOOSING:
            self._chooses = True

    def _call(self, node: Mapping[str, Any]) -> None:
        name = node["function_name"].lower()
        self.functions.add(name)
        if name not in _BY_NAME:
            return
        match node.get("arguments"):
            case [_, {"name": _}, *_]:
                self.names_all = False
            case [_, {"expression": {"literal": {"kind": "STRING", "text": str(called)}}}, *_]:
                self.functions.add(called.lower())
            case _:
                self.names_all = False
