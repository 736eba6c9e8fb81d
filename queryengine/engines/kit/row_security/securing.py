"""From the text of a user to the text that runs, and the proof that it reads nothing else."""

from collections.abc import Callable
from typing import Any, Protocol

from sqlglot import exp

from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.row_policy import RowPolicy, SecuredText
from queryengine.engines.kit.row_security.grammar import Grammar, refused
from queryengine.engines.kit.row_security.nodes import check_node
from queryengine.engines.kit.row_security.rewriting import CTE, Rewriter
from queryengine.engines.kit.row_security.wrapping import PolicyError


class Engines(Protocol):
    """What the engine's own parser can say of texts. Both raise QueryEngineError."""

    def same(self, sql: str, printed: str) -> None:
        """Refuse a text that sqlglot has printed with another meaning."""

    def reads(self, secured: str, rewriter: Rewriter) -> None:
        """Refuse a text that reads or calls what it should not."""


def secured(
    sql: str,
    policy: RowPolicy,
    grammar: Grammar,
    own: Callable[[RowPolicy], Engines] | None,
    named: Callable[[str, Any], None] | None = None,
) -> SecuredText:
    """The text that runs in place of `sql` for the principal of the policy. `own` makes the engine's own judgement;
    `named` gives the columns of the result the names that the text of the user would have given them.

    Raises RELATION_NOT_ALLOWED, STATEMENT_NOT_ALLOWED, STATEMENT_TOO_COMPLEX, NOT_ONE_STATEMENT.
    """
    try:
        tree, marks = grammar.parse(grammar.plain_strings(sql))
        if isinstance(tree, exp.Pivot):
            tree = _query_of(tree)
        if isinstance(tree, exp.Alias | exp.Condition) and not isinstance(tree, exp.Query):
            raise refused("it is not understood as a query; begin it with SELECT or WITH")
        rewriter = Rewriter(policy, grammar, marks)
        plain = rewriter.plain(tree)
        if not isinstance(plain, exp.Query | exp.Values):
            # Such as `TABLE t`, which sqlglot takes for an expression and its name.
            raise refused("it begins as no query does that is understood, so the engine may read it otherwise")
        judge = own(policy) if own is not None else None
        printed = rewriter.filled(grammar.print(plain))
        if named is not None:
            named(sql, plain)
        text = grammar.print(rewriter.rewritten(plain))
        # After the names have been judged, as what an engine says of a text has names in it.
        if judge is not None:
            judge.same(sql, printed)
        _verify(text, rewriter, grammar)
        text = rewriter.filled(text)
        if judge is not None:
            judge.reads(text, rewriter)
    except PolicyError as cause:
        message = f"a policy of this engine cannot be used: {cause}; its operator has to mend it"
        raise error(Reason.RELATION_NOT_ALLOWED, message) from cause
    except RecursionError as cause:
        raise error(Reason.STATEMENT_TOO_COMPLEX, "the statement is nested too deeply") from cause
    return SecuredText(text, tuple(sorted(rewriter.used)), tuple(sorted(rewriter.unlisted)))


def _query_of(pivot: exp.Pivot) -> exp.Select:
    """`PIVOT t ON a IN (1, 2) USING sum(b)` as the query that it stands for."""
    parts = {name: part for name, part in pivot.args.items() if part}
    source, fields = parts.get("this"), parts.get("expressions", ())
    is_plain = parts.keys() <= {"this", "expressions", "using", "group", "with_"} and "using" in parts
    if not is_plain or not isinstance(source, exp.Table | exp.Subquery) or source.args.get("pivots"):
        raise refused("write a PIVOT in a FROM clause, as in SELECT * FROM t PIVOT (sum(b) FOR a IN (1, 2))")
    if not all(isinstance(each, exp.In) for each in fields):
        raise refused("give a PIVOT its values, as in PIVOT t ON a IN (1, 2) USING sum(b)")
    source.set(
        "pivots", [exp.Pivot(expressions=parts["using"], fields=fields, group=parts.get("group"), unpivot=False)]
    )
    return exp.Select(expressions=[exp.Star()], from_=exp.From(this=source), with_=parts.get("with_"))


def _verify(text: str, rewriter: Rewriter, grammar: Grammar) -> None:
    """Read the text again: it must have the tables that were put into it, each in its subquery, and no other."""
    try:
        again = Rewriter(rewriter.policy, grammar, []).plain(grammar.parse_ours(text))
    except QueryEngineError as cause:
        raise refused("what would run cannot be read again") from cause
    if grammar.print(again) != text:
        raise refused("what would run reads otherwise than it was written")
    wraps = 0
    for table in again.find_all(exp.Table):
        check_node(table, grammar.nodes)
        if isinstance(table.this, exp.Anonymous):
            continue
        path = tuple(str(part.this) for part in table.parts)
        if len(path) == 1 and path[0].startswith(CTE):
            continue
        if path in rewriter.used:
            select = table.find_ancestor(exp.Select)
            if select is None or grammar.print(select) != rewriter.used[path]:
                raise refused("a table would be read outside of its policy")
            wraps += 1
        elif path not in rewriter.open:
            raise refused("a table would be read that the statement does not name")
    if wraps != rewriter.wraps:
        raise refused("a table would not be read where the statement names it")
