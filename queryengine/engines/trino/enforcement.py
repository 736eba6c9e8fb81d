"""Whom Trino takes for the user of a query: access rules and row filters of the cluster go by that."""

from urllib.parse import quote

from queryengine.domain.errors import Reason, error
from queryengine.engines.base import Statement
from queryengine.engines.trino.options import TrinoOptions


def user_of(statement: Statement, options: TrinoOptions) -> str:
    """Raises RELATION_NOT_ALLOWED where the cluster has to know who asks, and the caller has no subject."""
    pattern = options.impersonate if isinstance(options.impersonate, str) else "{subject}"
    if not options.impersonate:
        return options.user
    if not statement.subject and "{subject}" in pattern:
        if statement.enforced is None and options.impersonate is True:
            return options.user
        message = "this engine runs queries as their subject, which the caller's credential does not have"
        raise error(Reason.RELATION_NOT_ALLOWED, message)
    if options.impersonate is True:
        return statement.subject
    values = {"{tenant}": statement.tenant, "{subject}": statement.subject}
    for placeholder, value in values.items():
        pattern = pattern.replace(placeholder, quote(value, safe=""))
    return pattern
