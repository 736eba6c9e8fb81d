"""Conditions of rules. Each is made from what a rule says, and answers with the fact that it holds by, or None.

Those about the submission need nothing else; those about the text need its analysis, and what is not known of a text
meets no condition.
"""

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet

from queryengine.domain.analysis import KINDS, Analysis, Name
from queryengine.domain.identity import Principal
from queryengine.domain.routing import NO_ESTIMATE, Estimate
from queryengine.domain.submission import Submission
from queryengine.policy.routing.patterns import Names, Tables

OfSubmission = Callable[[Principal, Submission], str | None]
OfText = Callable[[Submission, Analysis], str | None]


def of_tenant(patterns: Names) -> OfSubmission:
    return lambda principal, _: _found("tenant", principal.tenant, patterns)


def of_subject(patterns: Names) -> OfSubmission:
    return lambda principal, _: _found("subject", principal.subject, patterns)


def of_roles(roles: AbstractSet[str]) -> OfSubmission:
    def check(principal: Principal, _: Submission) -> str | None:
        held = roles & principal.roles
        return f"role {min(held)}" if held else None

    return check


def of_label(key: str, patterns: Names) -> OfSubmission:
    def check(_: Principal, submission: Submission) -> str | None:
        value = submission.labels.get(key)
        return None if value is None or patterns.of(value) is None else f"label {key}={value}"

    return check


def of_catalog(patterns: Names) -> OfSubmission:
    return lambda _, submission: _found("catalog", submission.catalog, patterns)


def of_schema(patterns: Names) -> OfSubmission:
    return lambda _, submission: _found("schema", submission.schema, patterns)


def of_dialect(dialects: Collection[str]) -> OfSubmission:
    return lambda _, submission: f"dialect {submission.dialect}" if submission.dialect in dialects else None


def of_named(patterns: Names) -> OfSubmission:
    """Whether it runs one of these named queries, whichever version of it."""
    return lambda _, submission: _found("named query", submission.named_query.partition("@")[0], patterns)


def of_row_limit(*, below: int | None, least: int | None) -> OfSubmission:
    """A submission without a limit asks for more rows than any number."""

    def check(_: Principal, submission: Submission) -> str | None:
        limit = submission.row_limit
        if below is not None and (not limit or limit >= below):
            return None
        if least is not None and limit and limit < least:
            return None
        return f"row limit {limit or 'none'}"

    return check


def of_kinds(kinds: AbstractSet[str]) -> OfText:
    def check(_: Submission, analysis: Analysis) -> str | None:
        kind = KINDS.get(analysis.kind or "")
        return f"kind {kind}" if kind in kinds else None

    return check


def of_functions(patterns: Names) -> OfText:
    """Whether the statement calls one of them."""

    def check(_: Submission, analysis: Analysis) -> str | None:
        called = sorted(name for name in analysis.functions or () if patterns.of(name) is not None)
        return f"function {called[0]}" if called else None

    return check


def of_all_tables(patterns: Tables) -> OfText:
    """Whether it reads tables, and none that matches no pattern."""

    def check(submission: Submission, analysis: Analysis) -> str | None:
        found = [patterns.of(_full(table, submission)) for table in analysis.tables or ()]
        matched = sorted({each for each in found if each is not None})
        return f"tables {', '.join(matched)}" if found and None not in found else None

    return check


def of_any_table(patterns: Tables) -> OfText:
    """Whether it reads one that matches a pattern."""

    def check(submission: Submission, analysis: Analysis) -> str | None:
        found = [patterns.of(_full(table, submission)) for table in analysis.tables or ()]
        matched = sorted({each for each in found if each is not None})
        return f"table {matched[0]}" if matched else None

    return check


class OfEstimate:
    """Bounds on what a statement is expected to take."""

    def __init__(self, below: Mapping[str, float], least: Mapping[str, float], *, or_unknown: bool) -> None:
        """By field of Estimate. With `or_unknown`, what is not known keeps within every bound."""
        self._below = below
        self._least = least
        self._or_unknown = or_unknown

    def __call__(self, estimate: Estimate = NO_ESTIMATE) -> str | None:
        shown = []
        for name in ("seconds", "rows", "bytes"):
            below, least = self._below.get(name), self._least.get(name)
            if below is None and least is None:
                continue
            value = getattr(estimate, name)
            if value is None:
                if not self._or_unknown:
                    return None
                continue
            if (below is not None and value >= below) or (least is not None and value < least):
                return None
            shown.append(f"{value:.3g} s" if name == "seconds" else f"{value} {name}")
        return f"estimated {', '.join(shown)}" if shown else "no estimate"


def _found(what: str, name: str, patterns: Names) -> str | None:
    return None if not name or patterns.of(name) is None else f"{what} {name}"


def _full(table: Name, submission: Submission) -> Name:
    """A table's name with the schema and catalog that the submission wants unqualified names to be looked up in."""
    if len(table) == 1 and submission.schema:
        table = (submission.schema, *table)
    if len(table) == 2 and submission.catalog:
        table = (submission.catalog, *table)
    return table
