"""What is kept back of an engine's words where row and column policies apply: values that it has met on its way."""

import re
from dataclasses import replace
from typing import Final

from queryengine.domain.errors import Failure, Reason
from queryengine.domain.query import Query

_BINDING: Final = re.compile(
    r"(?:Binder|Catalog|Parser) Error: |no such (?:column|table|function): |ambiguous column name: |"
    r"misuse of |wrong number of arguments |no query solution"
)
"""How engines begin when they have looked at the text alone, and at no row."""
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_BINDING_STATE: Final = "42"
"""The class of SQLSTATE for what a text says wrong."""
_KEPT: Final = frozenset(
    {
        Reason.ENGINE_UNAVAILABLE,
        Reason.INVALID_FIELD,
        Reason.OUT_OF_MEMORY,
        Reason.PARAMETER_MISMATCH,
        Reason.QUERY_CANCELLED,
        Reason.QUERY_TIMEOUT,
        Reason.RESULT_LIMIT,
        Reason.ROW_TOO_LARGE,
        Reason.RELATION_NOT_ALLOWED,
        Reason.SPOOL_FULL,
    }
)
"""The service says these in words of its own."""


def withheld(query: Query, failure: Failure) -> Failure:
    """The failure as the caller may see it. The reason and the SQLSTATE stay; a message stays as far as an engine says
    it of the text alone, without what it quotes that the caller has not written, and without its place, which is one
    in another text.
    """
    if not query.plan.policy_version or failure.reason in _KEPT:
        return failure
    first, _, _ = failure.message.partition("\n")
    if failure.sql_state.startswith(_BINDING_STATE) or _BINDING.match(first):
        written = query.submission.sql.lower()
        message = _QUOTED.sub(lambda found: found[0] if found[0][1:-1].lower() in written else "'…'", first)
    else:
        message = "the engine failed the statement; its message is withheld, as it may quote rows that policies hide"
    return replace(failure, message=message, metadata={}, position=None)
