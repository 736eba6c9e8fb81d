"""Puts a subquery in place of each table of a tree, and new names in place of those of common table expressions."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp

from queryengine.domain.analysis import Name
from queryengine.domain.row_policy import RowPolicy
from queryengine.engines.kit.row_security.grammar import MARK, Grammar, Mark, lowered, refused
from queryengine.engines.kit.row_security.names import Relations
from queryengine.engines.kit.row_security.nodes import check_node, children, put
from queryengine.engines.kit.row_security.reserved import PREFIX
from queryengine.engines.kit.row_security.wrapping import wrapped

CTE: Final = f"{PREFIX}cte_"
_TABLE_PARENTS: Final = (exp.From, exp.Join, exp.Subquery, exp.Paren, exp.Pivot)
"""Where a table may stand. Anywhere else it may be something that sqlglot takes for one, or the other way round."""
_SOURCES: Final = (exp.Table, exp.Subquery, exp.Values, exp.Unnest, exp.Lateral, exp.Paren)
"""What may stand in a FROM clause."""
_LATERAL: Final = (exp.Subquery, exp.Anonymous, exp.Unnest)
"""What LATERAL may stand before. A name there would be a table that is no Table to sqlglot."""
_MOVED: Final = ("joins", "laterals", "pivots")

_COUNTED: Final = "?"
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

Defined = Mapping[str, str]
"""New names of the common table expressions that can be named at a place; empty for one that may not be named there,
as it is not certain what it would mean.
"""


def path_columns(policy: RowPolicy, path: Name) -> tuple[str, ...]:
    """The columns that a statement may name of a table."""
    return next((each.visible for each in policy.relations if each.path == path), ())


class Rewriter:
    """For one statement."""

    def __init__(self, policy: RowPolicy, grammar: Grammar, marks: list[str]) -> None:
        self.policy = policy
        self._grammar = grammar
        self._marks = marks
        self._relations = Relations(policy, grammar)
        self._expressions = 0
        self._bare: set[tuple[str, str]] = set()
        """Schema and name of the tables that stand without an alias."""
        self._aliased: set[str] = set()
        """Names of the tables that stand with another alias."""
        self.used: dict[Name, str] = {}
        """The subquery of each policed table that the statement reads."""
        self.open: set[Name] = set()
        """Names of tables that are open by default, as they are printed."""
        self.unlisted: set[Name] = set()
        """The same tables by their full names."""
        self.wraps = 0

    def plain(self, tree: Any) -> Any:
        """The tree as it was written, with a mark for each placeholder. Raises STATEMENT_NOT_ALLOWED for what is not
        known.
        """
        for node in list(tree.walk()):
            check_node(node, self._grammar.nodes)
            self._grammar.check(node)
            _check_source(node)
            self._check_call(node)
            if isinstance(node, exp.Identifier):
                self._canonical(node)
        return tree.transform(self._marked)

    def rewritten(self, tree: Any) -> Any:
        """The tree with its tables replaced; `tree` is one that `plain` has returned.

        Raises RELATION_NOT_ALLOWED and STATEMENT_NOT_ALLOWED.
        """
        if self._grammar.called is not None:
            for select in list(tree.find_all(exp.Select)):
                self._name_columns(select, self._grammar.called)
        tree = self._visit(tree, {})
        named = {lowered(each) for path in self.used for each in path_columns(self.policy, path)}
        for column in list(tree.find_all(exp.Column)):
            self._shorten(column)
            if self._grammar.keeps_names and column.table and self._grammar.fold(column.args["table"]) in self._aliased:
                raise refused(f"{column.table} has another name by AS; use that before a point")
            if self._grammar.fold(column.this) in self._grammar.unnamed - named and isinstance(
                column.this, exp.Identifier
            ):
                raise refused(f"{column.name} is no column that a policy names")
        return tree

    def filled(self, text: str) -> str:
        """A printed text with its placeholders. Raises STATEMENT_NOT_ALLOWED where those that are counted have another
        order in it.
        """
        numbers = [int(number) for number in MARK.findall(text)]
        if _COUNTED in self._marks and numbers != list(range(len(self._marks))):
            raise refused("its placeholders would have another order; give them names")
        return MARK.sub(lambda match: self._marks[int(match[1])], text)

    def _name_columns(self, select: exp.Select, called: Callable[[str], str]) -> None:
        """Name each column that has a query in it and no name, as the engine would after what takes the query's place:
        conditions, masks and the key of hashes.
        """
        for item in list(select.expressions):
            if isinstance(item, exp.Alias) or item.find(exp.Query) is None:
                continue
            if any(str(each.this).lower() == "columns" for each in item.find_all(exp.Anonymous)) or item.find(
                exp.Columns
            ):
                raise refused("a query stands beside COLUMNS, so its columns have no certain names")
            if not isinstance(item, exp.Star):
                name = MARK.sub(lambda match: self._marks[int(match[1])], called(self._grammar.print(item)))
                item.replace(exp.alias_(item.copy(), exp.to_identifier(name, quoted=True)))

    def _canonical(self, node: exp.Identifier) -> None:
        """A name as its engine reads it, to be printed with quotation marks."""
        folds = not self._grammar.folds_quoted and not self._grammar.is_case_sensitive
        if folds and not node.args.get("quoted"):
            node.set("this", lowered(str(node.this)))
        node.set("quoted", True)

    def _marked(self, node: Any) -> Any:
        if isinstance(node, exp.Column) and (mark := MARK.fullmatch(str(node.name))):
            if len(node.parts) > 1:
                raise refused("a placeholder stands where a name is due")
            return Mark(this=mark[0])
        if isinstance(node, exp.Identifier) and MARK.fullmatch(str(node.this)):
            raise refused("a placeholder stands where a name is due")
        return node

    def _check_call(self, node: Any) -> None:
        if isinstance(node, exp.Var) and not _WORD.fullmatch(str(node.this)):
            raise refused(f"{str(node.this)[:40]!r} is not among what is known to be safe there")
        if isinstance(node, exp.DataType):
            self._check_type(node)
        if isinstance(node, exp.Lateral) and not isinstance(node.this, _LATERAL):
            raise refused("LATERAL stands before something else than a query or a function")
        if not isinstance(node, self._grammar.calls):
            return
        name = node.this
        if isinstance(node.parent, exp.Dot):
            raise refused("a function is called by a name with a schema, or behind a point; call it by its name alone")
        is_table = isinstance(node.parent, exp.Table | exp.Lateral)
        allowed = self._grammar.table_functions if is_table else self._grammar.functions
        if not isinstance(name, str) or name.lower() not in allowed:
            shown = name if isinstance(name, str) else name.name
            place = " in a FROM clause" if is_table else ""
            raise refused(f"function {shown}{place} is not among those that are known to be safe there")

    def _check_type(self, node: Any) -> None:
        name = node.this.name if isinstance(node.this, exp.DType) else str(node.this)
        if name not in self._grammar.types:
            raise refused(f"type {node.sql()} is not among those that are known to be safe there")

    def _visit(self, node: Any, defined: Defined) -> Any:
        """What takes the place of a node."""
        if isinstance(node, exp.Table):
            return self._table(node, defined)
        if node.args.get("with_") is not None:
            defined = self._with(node.args["with_"], defined)
        for name, index, child in children(node):
            if name != "with_":
                found = self._visit(child, defined)
                if found is not child:
                    put(node, name, index, found)
        return node

    def _with(self, clause: exp.With, defined: Defined) -> Defined:
        """Give each common table expression a new name; returns what is defined behind them."""
        is_recursive = bool(clause.args.get("recursive")) or self._grammar.with_is_recursive
        names = [self._grammar.fold(each.args["alias"].this) for each in clause.expressions]
        if not all(names):
            raise refused("a part of a WITH has no name")
        if len(set(names)) != len(names):
            raise refused("a WITH defines a name twice")
        scope = dict(defined)
        if is_recursive or self._grammar.with_names_later:
            # A name of one further down could mean it, or something outside.
            scope.update(dict.fromkeys(names, ""))
        for name, each in zip(names, clause.expressions, strict=True):
            if each.args.get("scalar"):
                # An expression with a name, which is none of a table.
                each.set("this", self._visit(each.this, scope))
                continue
            new = self._new_name()
            if is_recursive:
                scope[name] = new
            elif self._grammar.with_names_later:
                # It does not see itself.
                scope.pop(name, None)
                scope.update({name: defined[name]} if name in defined else {})
            each.set("this", self._visit(each.this, scope))
            scope[name] = new
            each.args["alias"].set("this", exp.to_identifier(new, quoted=True))
        return scope

    def _table(self, table: exp.Table, defined: Defined) -> Any:
        if not isinstance(table.parent, _TABLE_PARENTS):
            raise refused("a table stands where none is expected")
        for name in _MOVED:
            for index, child in enumerate(table.args.get(name) or ()):
                put(table, name, index, self._visit(child, defined))
        if isinstance(table.this, exp.Anonymous):
            for index, argument in enumerate(table.this.expressions):
                put(table.this, "expressions", index, self._visit(argument, defined))
            return table
        parts = table.parts
        if not all(isinstance(part, exp.Identifier) for part in parts):
            raise refused("a table is named in a way that is not understood")
        return self._replacement(table, parts, defined)

    def _replacement(self, table: exp.Table, parts: list[Any], defined: Defined) -> Any:
        alias = table.args.get("alias") or exp.TableAlias()
        if alias.args.get("this") is None:
            alias.set("this", parts[-1].copy())
            if len(parts) > 1:
                self._bare.add((self._grammar.fold(parts[-2]), self._grammar.fold(parts[-1])))
        elif self._grammar.fold(alias.this) != self._grammar.fold(parts[-1]):
            self._aliased.add(self._grammar.fold(parts[-1]))
        moved = {name: table.args[name] for name in _MOVED if table.args.get(name)}
        name = self._grammar.fold(parts[0])
        if len(parts) == 1 and name in defined:
            if not defined[name]:
                raise refused(f"{name} is read before the WITH that defines it has ended")
            return exp.Table(this=exp.to_identifier(defined[name], quoted=True), alias=alias, **moved)
        relation = self._relations.find(parts)
        if relation is None:
            self.open.add(tuple(str(part.this) for part in parts))
            self.unlisted.add(self._relations.full(parts))
            table.set("alias", alias)
            return table
        select = wrapped(relation, self.policy.values, self._grammar, salt=self.policy.hash_salt)
        self.used[relation.path] = self._grammar.print(select)
        self.wraps += 1
        if self._grammar.hands_on:
            name = exp.to_identifier(self._new_name(), quoted=True)
            clause = exp.With(expressions=[exp.CTE(this=select, alias=exp.TableAlias(this=name))])
            source = exp.From(this=exp.Table(this=name.copy()))
            select = exp.Select(expressions=[exp.Star()], from_=source, with_=clause)
        return exp.Subquery(this=select, alias=alias, **moved)

    def _new_name(self) -> str:
        self._expressions += 1
        return f"{CTE}{self._expressions - 1}"

    def _shorten(self, column: exp.Column) -> None:
        """`schema.table.column` means the column of the table that stands without an alias."""
        schema, table = column.args.get("db"), column.args.get("table")
        if schema is None or column.args.get("catalog") is not None:
            return
        if (self._grammar.fold(schema), self._grammar.fold(table)) in self._bare:
            column.set("db", None)


def _check_source(node: exp.Expr) -> None:
    """Refuse what sqlglot takes for an expression where an engine may find a table."""
    if not isinstance(node, exp.From | exp.Join):
        return
    is_array = isinstance(node, exp.Join) and node.args.get("kind") == "ARRAY"
    if not is_array and not isinstance(node.this, _SOURCES):
        raise refused(f"a {type(node.this).__name__} stands where a table or a query is due")
    if is_array and node.find(exp.Query, exp.Table) is not None:
        raise refused("an ARRAY JOIN has a query in it; give it a name in a query around")
