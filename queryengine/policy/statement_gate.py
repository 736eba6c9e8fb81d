"""The step that refuses statements by rules of the operator: their kind, what they call, and how large they are.

What the engine itself never runs was refused before. An engine without rules costs one look into a table.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from queryengine.domain.analysis import Analysis
from queryengine.domain.errors import QueryEngineError, Reason, error
from queryengine.domain.identity import Principal
from queryengine.domain.plan import Plan
from queryengine.domain.submission import Submission

ANY_ROLE: Final = "any"
_WHAT: Final = {
    "depth": "brackets and CASE {} levels deep",
    "joins": "{} joins",
    "set_operations": "{} set operations",
    "list_items": "a list of {} items",
    "placeholders": "{} parameters",
}
_INSTEAD: Final = {
    "depth": "nest less, or name parts of it with WITH",
    "joins": "join fewer tables, or run it in several statements",
    "set_operations": "combine fewer queries, or run it in several statements",
    "list_items": "join a table, or bind the list as one parameter",
    "placeholders": "bind a list as one parameter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """Of one engine; None is no rule."""

    kinds: Mapping[str, AbstractSet[str]] | None = None
    """By role, and under ANY_ROLE for everybody."""
    allowed: frozenset[str] = frozenset()
    """Functions, and tables of a system, that may be used although they reach beyond the tenant's data; `only` need not
    name them. In lower case, as all names here."""
    denied: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    computing: bool = False
    """With `only`: so may every function that is known to compute from its arguments alone."""
    text_bytes: int | None = None
    limits: Mapping[str, int]
    """By what is measured: fields of Measures, and placeholders."""
    strict: bool = False
    """What cannot be measured is refused where there is a limit."""


class StatementGate:
    """Steps, and the rules that they keep."""

    def __init__(self, rules: Mapping[str, GateRules]) -> None:
        """By engine; those that are not in it have no rules."""
        self._rules = rules

    def adopt(self, rules: Mapping[str, GateRules]) -> None:
        """Keep other rules for submissions that come now."""
        self._rules = rules

    def allowed(self, engine: str) -> tuple[str, ...]:
        """What texts for an engine may call whatever else refuses it, in order."""
        rules = self._rules.get(engine)
        return tuple(sorted(rules.allowed)) if rules is not None and rules.allowed else ()

    def refuse_long_text(self, _: Principal, submission: Submission, __: Analysis, plan: Plan) -> Plan:
        """The step before the text is analysed, so that what it refuses costs nothing. Raises STATEMENT_NOT_ALLOWED."""
        rules = self._rules.get(plan.engine)
        if rules is not None and rules.text_bytes is not None:
            size = len(submission.sql.encode("utf-8", "replace"))
            if size > rules.text_bytes:
                what = f"the statement has {size} bytes"
                raise _too_large(
                    plan.engine, "text_bytes", what, found=size, limit=rules.text_bytes, instead="send a shorter one"
                )
        return plan

    def __call__(self, principal: Principal, _: Submission, analysis: Analysis, plan: Plan) -> Plan:
        """The step behind the analysis. Raises STATEMENT_NOT_ALLOWED."""
        rules = self._rules.get(plan.engine)
        if rules is not None:
            if rules.kinds is not None:
                _check_kinds(plan.engine, rules.kinds, principal, analysis)
            if rules.denied or rules.only is not None:
                _check_functions(plan.engine, rules, analysis)
            if rules.limits:
                _check_measures(plan.engine, rules, analysis)
        if analysis.reaching:
            _check_reaching(plan.engine, rules.allowed if rules is not None else frozenset(), analysis.reaching)
        return plan


def _check_kinds(engine: str, kinds: Mapping[str, AbstractSet[str]], principal: Principal, analysis: Analysis) -> None:
    allowed = set[str]().union(*(kinds.get(role, ()) for role in (ANY_ROLE, *principal.roles)))
    if analysis.kinds is None:
        raise _refused(engine, "kinds", "which kinds of statements this one holds is not known, so it")
    if not analysis.kinds <= allowed:
        kind = min(analysis.kinds - allowed)
        message = (
            f"{kind} statements are not allowed for the roles of the caller on engine {engine!r} (rule statements."
            f"kinds); allowed: {', '.join(sorted(allowed)) or 'none'}"
        )
        raise error(
            Reason.STATEMENT_NOT_ALLOWED,
            message,
            engine=engine,
            rule="kinds",
            statement_type=kind,
            allowed=",".join(sorted(allowed)),
        )


def _check_reaching(engine: str, allowed: AbstractSet[str], reaching: AbstractSet[str]) -> None:
    if others := reaching - allowed:
        name = min(others)
        message = (
            f"{name!r} is not allowed on engine {engine!r}: it waits, or reaches beyond the tenant's own data; do "
            "without it, or ask the operator of the service to name it in statements.functions.allow"
        )
        raise error(Reason.STATEMENT_NOT_ALLOWED, message, engine=engine, rule="functions.allow", name=name)


def _check_functions(engine: str, rules: GateRules, analysis: Analysis) -> None:
    if analysis.functions is None or analysis.unproven is None:
        raise _refused(engine, "functions", "which functions the statement calls is not known, so it")
    if denied := rules.denied & (analysis.functions | analysis.parts):
        raise _refused(engine, "functions.deny", f"the function {min(denied)!r}", min(denied))
    if rules.only is not None:
        called = analysis.unproven if rules.computing else analysis.functions
        if others := called - rules.only - rules.allowed:
            raise _refused(engine, "functions.only", f"the function {min(others)!r}", min(others))


def _check_measures(engine: str, rules: GateRules, analysis: Analysis) -> None:
    for name, limit in rules.limits.items():
        if name == "placeholders":
            found = None if analysis.placeholders is None else len(analysis.placeholders)
        else:
            found = None if analysis.measures is None else int(getattr(analysis.measures, name))
        if found is None:
            if rules.strict:
                raise _refused(engine, "strict", f"the limit {name}_max cannot be measured for this engine; it")
        elif found > limit:
            what = f"the statement has {_WHAT[name].format(found)}"
            raise _too_large(engine, name, what, found=found, limit=limit, instead=_INSTEAD[name])


def _refused(engine: str, rule: str, what: str, name: str = "") -> QueryEngineError:
    message = (
        f"{what} is not allowed on engine {engine!r} (rule statements.{rule}); do without it, or ask the operator of "
        "the service"
    )
    return error(Reason.STATEMENT_NOT_ALLOWED, message, engine=engine, rule=rule, name=name)


def _too_large(engine: str, name: str, what: str, *, found: int, limit: int, instead: str) -> QueryEngineError:
    message = f"{what}, and engine {engine!r} allows {limit} (rule statements.{name}_max); {instead}"
    return error(Reason.STATEMENT_NOT_ALLOWED, message, engine=engine, rule=f"{name}_max", found=found, limit=limit)
