"""A query by the beginning of its id, wherever a command takes an id."""

from queryengine.cli.exits import ExitCode, ended
from queryengine.cli.statuses import line
from queryengine.cli.visible import visible
from queryengine.client import Client

WHOLE_CHARACTERS = 36
CANDIDATES_SHOWN = 10
PREVIEW_CHARACTERS = 40
SIGNS = frozenset("0123456789abcdef-")


def whole(client: Client, text: str) -> str:
    """The id of the tenant's only query that begins with this text; a whole id as it is, without a call.

    Ends the command when none or more than one begins so.
    """
    prefix = text.strip().lower()
    if len(prefix) >= WHOLE_CHARACTERS:
        return prefix
    if not prefix or not SIGNS.issuperset(prefix):
        raise ended(f"{text!r} is neither the id of a query nor the beginning of one")
    listed = client.list_queries(query_id_prefix=prefix, page_size=CANDIDATES_SHOWN + 1).queries
    if not listed:
        tenant = client.connection.tenant
        whose = f"tenant {tenant}" if tenant else "the tenant of the credential"
        message = f"no query of {whose} has an id that begins with {prefix}"
        raise ended(message, ExitCode.NOT_FOUND)
    if len(listed) == 1:
        return listed[0].query_id
    shown = [
        f"  {each.query_id}  {line(each)}  {visible(each.sql_preview[:PREVIEW_CHARACTERS])}"
        for each in listed[:CANDIDATES_SHOWN]
    ]
    more = ["  …"] if len(listed) > CANDIDATES_SHOWN else []
    begun = f"more than one query has an id that begins with {prefix}; give more of it:"
    raise ended("\n".join([begun, *shown, *more]))


def beginning(query_id: str, others: list[str], *, least: int = 8) -> str:
    """As much of an id as distinguishes it from the others, for people who type it."""
    length = least
    while length < len(query_id) and any(each != query_id and each[:length] == query_id[:length] for each in others):
        length += 1
    return query_id[:length]
