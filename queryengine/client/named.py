"""Named queries: the calls that manage them, and what a client learns of one."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
from google.protobuf import duration_pb2

from queryengine.client.arguments import Seconds, choices, flag, seconds, text, texts, whole
from queryengine.client.brief import Brief
from queryengine.client.calls import Call
from queryengine.client.errors import QueryEngineClientError
from queryengine.codec.infer import encode_value
from queryengine.codec.type_names import data_type, type_name
from queryengine.codec.types import to_data_type
from queryengine.codec.values import decode_value
from queryengine.domain.identity import Role
from queryengine.v1 import admin_service_pb2
from queryengine.v1 import named_query_service_pb2 as pb


class _Required:
    """Stands for no default."""

    def __repr__(self) -> str:
        return "<required>"


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True, repr=False)
class QueryParameter(Brief):
    """A parameter that a named query takes."""

    name: str
    type: str | pa.DataType
    """Such as "int64", "decimal(10, 2)", "date" or "list(string)", or of Arrow; read back as a text."""
    default: Any = REQUIRED
    """The value when none is given, as for `query`. Without one, a value has to be given."""
    description: str = ""
    nullable: bool = False
    """Takes None, too."""

    @property
    def is_required(self) -> bool:
        return isinstance(self.default, _Required)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class QueryDefinition(Brief):
    """What a version of a named query holds; the contract's NamedQueryDefinition says what each field promises.

    dataclasses.replace makes one that differs in some of it. Durations are seconds or a timedelta, and read back as
    timedelta; None leaves them open, as 0 does the row limit.
    """

    sql: str
    """Empty in lists, and for callers with the role named_only."""
    parameters: Sequence[QueryParameter] = ()
    description: str = ""
    owner: str = ""
    engine: str = ""
    catalog: str = ""
    schema: str = ""
    session_settings: Mapping[str, str] = field(default_factory=dict)
    execution_timeout: Seconds | None = None
    row_limit: int = 0
    cache_max_age: Seconds | None = None
    roles: Sequence[Role | str] = ()
    """Who may run it: callers with one of them; empty for everybody who may submit."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NamedQuery(Brief):
    """One version of a named query."""

    name: str
    version: int
    latest_version: int
    tags: Mapping[str, int]
    """Versions by tag; `latest` is not among them."""
    definition: QueryDefinition
    create_time: dt.datetime
    """When this version was made."""
    created_by: str
    """Who made this version; empty when that is not known."""
    delete_time: dt.datetime | None
    """When the named query was deleted; None while it is not."""


@dataclass(frozen=True, slots=True)
class NamedQueryList:
    """Some named queries, or versions of one, without their SQL."""

    named_queries: tuple[NamedQuery, ...]
    next_page_token: str
    """Where to go on; empty at the end."""


def create(name: str, definition: QueryDefinition | str) -> Call[NamedQuery]:
    """Raises ValueError and TypeError that name an argument and what it takes."""
    request = pb.CreateNamedQueryRequest(name=text("name", name), definition=_definition(definition))
    return Call("CreateNamedQuery", request, pb.CreateNamedQueryResponse, _one)


def update(name: str, definition: QueryDefinition | str, *, expected_version: int) -> Call[NamedQuery]:
    request = pb.UpdateNamedQueryRequest(
        name=text("name", name),
        expected_version=whole("expected_version", expected_version),
        definition=_definition(definition),
    )
    return Call("UpdateNamedQuery", request, pb.UpdateNamedQueryResponse, _one)


def get(reference: str) -> Call[NamedQuery]:
    request = pb.GetNamedQueryRequest(named_query=text("reference", reference))
    return Call("GetNamedQuery", request, pb.GetNamedQueryResponse, _one)


def list_named(*, prefix: str, page_size: int, page_token: str) -> Call[NamedQueryList]:
    request = pb.ListNamedQueriesRequest(
        page_size=whole("page_size", page_size, bits=32),
        page_token=text("page_token", page_token),
        name_prefix=text("prefix", prefix),
    )
    return Call("ListNamedQueries", request, pb.ListNamedQueriesResponse, _listed)


def versions(name: str, *, page_size: int, page_token: str) -> Call[NamedQueryList]:
    request = pb.ListNamedQueryVersionsRequest(
        name=text("name", name),
        page_size=whole("page_size", page_size, bits=32),
        page_token=text("page_token", page_token),
    )
    return Call("ListNamedQueryVersions", request, pb.ListNamedQueryVersionsResponse, _versions)


def delete(name: str) -> Call[int]:
    request = pb.DeleteNamedQueryRequest(name=text("name", name))
    return Call("DeleteNamedQuery", request, pb.DeleteNamedQueryResponse, _kept)


def tag(name: str, tag: str, version: int) -> Call[NamedQuery]:
    request = pb.TagNamedQueryRequest(name=text("name", name), tag=text("tag", tag), version=whole("version", version))
    return Call("TagNamedQuery", request, pb.TagNamedQueryResponse, _one)


def untag(name: str, tag: str) -> Call[NamedQuery]:
    request = pb.UntagNamedQueryRequest(name=text("name", name), tag=text("tag", tag))
    return Call("UntagNamedQuery", request, pb.UntagNamedQueryResponse, _one)


def _definition(given: QueryDefinition | str) -> pb.NamedQueryDefinition:
    if not isinstance(given, QueryDefinition):
        return pb.NamedQueryDefinition(sql=text("definition", given))
    return pb.NamedQueryDefinition(
        sql=text("sql", given.sql),
        parameters=[_declared(each) for each in given.parameters],
        description=text("description", given.description),
        owner=text("owner", given.owner),
        engine=text("engine", given.engine),
        catalog=text("catalog", given.catalog),
        schema=text("schema", given.schema),
        session_settings=texts("session_settings", given.session_settings),
        execution_timeout=_duration("execution_timeout", given.execution_timeout),
        row_limit=whole("row_limit", given.row_limit),
        cache_max_age=_duration("cache_max_age", given.cache_max_age),
        roles=[f"ROLE_{role.name}" for role in choices("roles", given.roles, Role)],
    )


def _declared(given: QueryParameter) -> pb.NamedQueryParameter:
    if not isinstance(given, QueryParameter):
        raise TypeError(f"parameters takes a list of QueryParameter, not {given!r}")
    declared = given.type
    try:
        message = pb.NamedQueryParameter(
            name=text("name", given.name),
            type=data_type(declared) if isinstance(declared, str) else to_data_type(declared),
            description=text("description", given.description),
            nullable=flag("nullable", given.nullable),
        )
        if not given.is_required:
            message.default_value.CopyFrom(encode_value(given.default)[0])
    except ValueError as error:
        raise ValueError(f"parameter {given.name!r}: {error}") from error
    return message


def _duration(name: str, given: Seconds | None) -> duration_pb2.Duration | None:
    if given is None:
        return None
    whole_seconds, nanos = divmod(round(seconds(name, given) * 1e9), 1_000_000_000)
    return duration_pb2.Duration(seconds=whole_seconds, nanos=nanos)


def _one(reply: Any) -> NamedQuery:
    return _named(reply.named_query)


def _listed(reply: pb.ListNamedQueriesResponse) -> NamedQueryList:
    return _list(reply.named_queries, reply.next_page_token)


def _versions(reply: pb.ListNamedQueryVersionsResponse) -> NamedQueryList:
    return _list(reply.versions, reply.next_page_token)


def _list(found: Iterable[pb.NamedQuery], token: str) -> NamedQueryList:
    return NamedQueryList(tuple(_named(each) for each in found), token)


def _kept(reply: pb.DeleteNamedQueryResponse) -> int:
    return reply.kept_versions


def _named(message: pb.NamedQuery) -> NamedQuery:
    """Raises QueryEngineClientError for a role of a newer contract."""
    found = message.definition
    return NamedQuery(
        name=message.name,
        version=message.version,
        latest_version=message.latest_version,
        tags=dict(message.tags),
        definition=QueryDefinition(
            sql=found.sql,
            parameters=tuple(_parameter(each) for each in found.parameters),
            description=found.description,
            owner=found.owner,
            engine=found.engine,
            catalog=found.catalog,
            schema=found.schema,
            session_settings=dict(found.session_settings),
            execution_timeout=found.execution_timeout.ToTimedelta() if found.HasField("execution_timeout") else None,
            row_limit=found.row_limit,
            cache_max_age=found.cache_max_age.ToTimedelta() if found.HasField("cache_max_age") else None,
            roles=tuple(_role(number) for number in found.roles),
        ),
        create_time=message.create_time.ToDatetime(dt.UTC),
        created_by=message.created_by,
        delete_time=message.delete_time.ToDatetime(dt.UTC) if message.HasField("delete_time") else None,
    )


def _parameter(message: pb.NamedQueryParameter) -> QueryParameter:
    has_default = message.HasField("default_value")
    return QueryParameter(
        message.name,
        type_name(message.type),
        default=decode_value(message.default_value, message.type) if has_default else REQUIRED,
        description=message.description,
        nullable=message.nullable,
    )


def _role(number: int) -> Role:
    name = admin_service_pb2.Role.Name(number) if number in admin_service_pb2.Role.values() else str(number)
    found = name.removeprefix("ROLE_")
    if found not in Role.__members__:
        raise QueryEngineClientError(f"the server sent the role {found}, which this client does not know")
    return Role[found]
