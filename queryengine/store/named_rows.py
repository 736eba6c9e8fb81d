"""Named queries to rows and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from queryengine.domain.identity import Role
from queryengine.domain.named_queries import Definition, NamedQuery, Version
from queryengine.store.rows import plain
from queryengine.store.tables import NAMED_QUERY_VERSIONS

_V: Final = NAMED_QUERY_VERSIONS.c
WHOLE: Final[tuple[sa.ColumnElement[Any], ...]] = (
    _V.version,
    _V.created_us,
    _V.created_by,
    _V.facts,
    _V.parameters,
    _V.sql,
)
BRIEF: Final[tuple[sa.ColumnElement[Any], ...]] = (*WHOLE[:-1], sa.cast(sa.literal(b""), sa.LargeBinary))
"""Without the SQL."""

_SHORT: Final = (
    "is_positional",
    "description",
    "owner",
    "engine",
    "catalog",
    "schema",
    "session_settings",
    "execution_timeout_ms",
    "row_limit",
    "cache_max_age_ms",
)
# ASCII only, so that no character of a text can fail a write.
_json: Final = json.JSONEncoder(separators=(",", ":"), default=dict).encode


def version_row(named: NamedQuery, version: Version) -> dict[str, Any]:
    definition = version.definition
    facts = {name: getattr(definition, name) for name in _SHORT}
    facts["roles"] = sorted(definition.roles)
    return {
        "tenant": named.tenant,
        "name": named.name,
        "version": version.number,
        "bytes": definition.record_bytes(),
        "created_us": version.created_us,
        "created_by": plain(version.created_by),
        "facts": _json(facts),
        "parameters": definition.parameters,
        "sql": definition.sql.encode("utf-8", "replace"),
    }


def to_version(row: Sequence[Any]) -> Version:
    """From the columns WHOLE or BRIEF."""
    number, created_us, created_by, text, parameters, sql = row
    facts = json.loads(text)
    roles = frozenset(Role(role) for role in facts.pop("roles"))
    definition = Definition(sql=bytes(sql).decode("utf-8"), parameters=bytes(parameters), roles=roles, **facts)
    return Version(number=number, definition=definition, created_us=created_us, created_by=created_by)


def to_named(row: Sequence[Any], tags: Mapping[str, int]) -> NamedQuery:
    """From the columns of the table."""
    tenant, name, latest, roles, delete_us = row
    found = frozenset(Role(role) for role in roles.split())
    return NamedQuery(tenant=tenant, name=name, latest=latest, tags=dict(tags), roles=found, delete_us=delete_us)
