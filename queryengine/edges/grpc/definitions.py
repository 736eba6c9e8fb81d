"""Definitions of named queries, from the contract and back."""

import re
from collections.abc import Iterable
from typing import Final

from google.protobuf.duration_pb2 import Duration

from queryengine.codec.declarations import Declarations, checked
from queryengine.domain.named_queries import PARAMETERS_MAX, Definition, Found
from queryengine.edges.grpc.convert import duration, timestamp
from queryengine.edges.grpc.fields import choice, invalid, mapping, milliseconds, not_negative, short
from queryengine.edges.grpc.keys import ROLES, role_names
from queryengine.edges.grpc.requests import TIMEOUT_MAX_SECONDS, RequestLimits, check_sql
from queryengine.v1 import named_query_service_pb2 as pb

DESCRIPTION_CHARACTERS_MAX: Final = 4_000
PARAMETER_DESCRIPTION_CHARACTERS_MAX: Final = 1_000
OWNER_CHARACTERS_MAX: Final = 128
PARAMETERS_BYTES_MAX: Final = 64 << 10
"""Of all declarations, with descriptions and defaults."""
CACHE_AGE_MAX_SECONDS: Final = 30 * 24 * 3600.0
_PARAMETER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def to_definition(message: pb.NamedQueryDefinition, limits: RequestLimits) -> Definition:
    """Raises INVALID_FIELD, and NOT_ONE_STATEMENT without a text."""
    check_sql(message.sql, limits, "definition.sql")
    _check_length(message.description, "definition.description", DESCRIPTION_CHARACTERS_MAX)
    _check_length(message.owner, "definition.owner", OWNER_CHARACTERS_MAX)
    execution_ms = milliseconds(message, "execution_timeout", TIMEOUT_MAX_SECONDS)
    if execution_ms == 0:
        raise invalid("definition.execution_timeout", "must be longer than 0 seconds")
    return Definition(
        sql=message.sql,
        parameters=_parameters(message.parameters),
        description=message.description,
        owner=message.owner,
        engine=short(message.engine, "definition.engine"),
        catalog=short(message.catalog, "definition.catalog"),
        schema=short(message.schema, "definition.schema"),
        session_settings=mapping(message.session_settings, "definition.session_settings", 63, 255),
        execution_timeout_ms=execution_ms,
        row_limit=not_negative(message.row_limit, "definition.row_limit"),
        cache_max_age_ms=milliseconds(message, "cache_max_age", CACHE_AGE_MAX_SECONDS),
        roles=frozenset(choice(ROLES, role, "definition.roles") for role in message.roles),
    )


def to_message(found: Found, *, with_sql: bool = True) -> pb.NamedQuery:
    named, version = found.named, found.version
    definition = version.definition
    message = pb.NamedQueryDefinition.FromString(definition.parameters)
    message.MergeFrom(
        pb.NamedQueryDefinition(
            sql=definition.sql if with_sql else "",
            description=definition.description,
            owner=definition.owner,
            engine=definition.engine,
            catalog=definition.catalog,
            schema=definition.schema,
            session_settings=definition.session_settings,
            execution_timeout=_duration(definition.execution_timeout_ms),
            row_limit=definition.row_limit,
            cache_max_age=_duration(definition.cache_max_age_ms),
            roles=role_names(definition.roles),
        )
    )
    return pb.NamedQuery(
        name=named.name,
        version=version.number,
        latest_version=named.latest,
        tags=named.tags,
        definition=message,
        create_time=timestamp(version.created_us),
        created_by=version.created_by,
        delete_time=timestamp(named.delete_us),
    )


def _parameters(declared: Iterable[pb.NamedQueryParameter]) -> bytes:
    """As Definition has them, with defaults in their type. Raises INVALID_FIELD."""
    found = []
    names = set[str]()
    declared = list(declared)
    # Before their defaults are looked at, which may be long lists.
    size = sum(each.ByteSize() for each in declared)
    if size > PARAMETERS_BYTES_MAX:
        raise invalid("definition.parameters", f"takes {size} bytes; at most {PARAMETERS_BYTES_MAX} are kept")
    for number, each in enumerate(declared):
        field = f"definition.parameters[{number}]"
        if number >= PARAMETERS_MAX:
            raise invalid("definition.parameters", f"holds more than {PARAMETERS_MAX} parameters")
        if not _PARAMETER.fullmatch(each.name):
            raise invalid(f"{field}.name", "must be a letter or _, then letters, digits and _ of ASCII, at most 100")
        if each.name in names:
            raise invalid(f"{field}.name", f"{each.name!r} is declared twice")
        names.add(each.name)
        _check_length(each.description, f"{field}.description", PARAMETER_DESCRIPTION_CHARACTERS_MAX)
        try:
            found.append(checked(each))
        except ValueError as cause:
            raise invalid(field, f"{each.name!r} cannot be declared so: {cause}") from cause
    return Declarations(found).encoded()


def _check_length(text: str, field: str, maximum: int) -> None:
    if len(text) > maximum:
        raise invalid(field, f"has more than {maximum} characters")


def _duration(limit_ms: int | None) -> Duration | None:
    return duration(None if limit_ms is None else limit_ms * 1000)
