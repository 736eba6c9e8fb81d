"""What the server says, in the words of the command line: its commands and options in place of the names that calls and
fields have in the contract.
"""

import re
from collections.abc import Mapping
from typing import Final

from queryengine.domain.errors import Reason

_CALLS: Final = {
    "WatchStatus": "watch",
    "GetStatus": "status",
    "FetchPage": "fetch",
    "ReleaseResults": "release",
}
"""By call about one query: the command. Calls that are words of the language, as Cancel, stay as they are."""
_COMMANDS: Final = {
    "ListQueries": "ps",
    "WatchQueries": "ps --watch",
    "CancelQueries": "cancel",
    "ListEngines": "engines",
    "RefreshEngine": "engines refresh",
    "ListApiKeys": "keys list",
    "CreateApiKey": "keys create",
    "RotateApiKey": "keys rotate",
    "RevokeApiKey": "keys revoke",
    "ReloadStatus": "config status",
    "CreateNamedQuery": "named create",
    "UpdateNamedQuery": "named update",
    "ListNamedQueries": "named list",
}
_OPTIONS: Final = {
    "x-tenant-id": "--tenant",
    "x-user-id": "--user",
    "execution_timeout": "--timeout",
    "queue_timeout": "--queue-timeout",
    "row_limit": "--limit",
    "byte_limit": "--byte-limit",
    "on_limit": "--on-limit",
    "wide_integers": "--wide-integers",
    "session_settings": "--setting",
    "page_size": "--size",
    "expire_time": "--expires",
    "submitted_after": "--since",
    "submitted_before": "--until",
}
"""By name of a field or a header that no text has by chance: the option that sets it."""
_FIELDS: Final = {
    **_OPTIONS,
    "ttl": "--keep",
    "priority": "--priority",
    "labels": "--label",
    "catalog": "--catalog",
    "schema": "--schema",
    "engine": "--engine",
    "parameters": "--parameter",
    "offset": "--offset",
    "page": "--page",
    "reason": "--reason",
    "subject": "--by",
    "roles": "--role",
    "cidrs": "--cidr",
    "label": "--label",
}
"""The same where a message begins with the field that it is about."""

_STREAM: Final = re.compile(r"WatchStatus or StreamResults")
# Behind a point it is the last part of a settings key, such as tenants.acme.row_limit.
_NAME: Final = re.compile(r"(?<![\w.-])(" + "|".join(map(re.escape, [*_CALLS, *_COMMANDS, *_OPTIONS])) + r")(?![\w-])")
_OF_ENGINES: Final = frozenset({Reason.SYNTAX_ERROR, Reason.ENGINE_ERROR, Reason.STATEMENT_REJECTED})
"""Their messages are mostly the engine's, and quote the statement."""


def in_commands(message: str, *, query_id: str = "", program: str = "queryengine") -> str:
    """A text of the service."""

    def name(found: re.Match[str]) -> str:
        word = found[1]
        if word in _OPTIONS:
            return _OPTIONS[word]
        command = f"{_CALLS[word]} {query_id or 'ID'}" if word in _CALLS else _COMMANDS[word]
        return f"`{program} {command}`"

    text = _STREAM.sub("WatchStatus", message).replace("the result option wide_integers", "wide_integers")
    text = text.replace("StreamResults", f"`client.attach({query_id or 'ID'!r}).result()` of the Python client")
    return _NAME.sub(name, text)


def message_in_commands(
    reason: str, message: str, metadata: Mapping[str, str], *, query_id: str = "", program: str = "queryengine"
) -> str:
    """The message of a failure. One of an engine stays as it is."""
    if not reason or (reason in _OF_ENGINES and "wide_integers" not in metadata):
        return message
    path = metadata.get("field", "")
    field = path.partition(".")[0].partition("[")[0]
    if field in _FIELDS and message.startswith(f"{path} "):
        message = _FIELDS[field] + message.removeprefix(field)
    return in_commands(message, query_id=query_id, program=program)
