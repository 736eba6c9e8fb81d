"""What DuckDB's own parser says of a statement: of its tokens and of its tree, both of which a check has anyway."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

import duckdb

from queryengine.domain.analysis import Analysis, Name
from queryengine.engines.kit.analysing import CALLED_BARE

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
_CHOOSING: Final = frozenset({"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"})
"""What chooses rows by an order that the statement may not give."""


def analysed(sql: str, placeholders: Collection[str], tree: str | None, steady: Collection[str]) -> Analysis:
    """The analysis of one statement that is not refused. `tree` is its serialised form, None when there is none, and
    `steady` the functions of which the same arguments always give the same outcome.
    """
    kind, normalised = _of_tokens(sql)
    found = Analysis(kind=kind, placeholders=frozenset(placeholders), normalised=normalised)
    if tree is None:
        return found
    walk = _Walk()
    try:
        walk.visit(json.loads(tree), frozenset())
    except RecursionError:
        # Deeper than Python follows; DuckDB runs it all the same.
        return found
    return Analysis(
        kind=kind,
        tables=None if walk.shows else frozenset(walk.tables),
        functions=frozenset(walk.functions),
        placeholders=frozenset(placeholders),
        is_deterministic=None if kind == "EXPLAIN" else walk.is_deterministic(steady),
        normalised=normalised,
    )


def _of_tokens(sql: str) -> tuple[str, str]:
    """The first word, and the text without comments."""
    text = sql.encode("utf-8", "replace")
    tokens = [(start, kind is duckdb.token_type.comment) for start, kind in duckdb.tokenize(sql)]
    pieces, word, is_apart = list[bytes](), b"", False
    for number, (start, is_comment) in enumerate(tokens):
        end = tokens[number + 1][0] if number + 1 < len(tokens) else len(text)
        piece = text[start:end]
        bare = b"" if is_comment else piece.rstrip()
        if bare:
            pieces += [b" ", bare] if is_apart and pieces else [bare]
            word = word or bare.strip(b"(")
        is_apart = len(bare) < len(piece) or (is_apart and not bare)
    normalised = b"".join(pieces).decode("utf-8", "replace").rstrip("; ")
    return word.decode("utf-8", "replace").upper(), normalised


class _Walk:
    """Collects the names in a tree. A table that is a common table expression where it stands is left out."""

    def __init__(self) -> None:
        self.tables: set[Name] = set()
        self.functions: set[str] = set()
        self.shows = False
        """It describes tables or lists them, which the tree has in other forms."""
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
            self.functions.add(node["function_name"].lower())
        elif kind == "COLUMN_REF" and len(node["column_names"]) == 1:
            self.functions |= CALLED_BARE.intersection([node["column_names"][0].lower()])
        if node.get("class") == "WINDOW" or "distinct_on_targets" in node or kind in _CHOOSING:
            self._chooses = True
