import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from queryengine.v1 import admin_service_pb2 as _admin_service_pb2
from queryengine.v1 import value_pb2 as _value_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NamedQueryParameter(_message.Message):
    __slots__ = ("name", "type", "description", "default_value", "nullable")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    NULLABLE_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: _value_pb2.DataType
    description: str
    default_value: _value_pb2.Value
    nullable: bool
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[_value_pb2.DataType, _Mapping]] = ..., description: _Optional[str] = ..., default_value: _Optional[_Union[_value_pb2.Value, _Mapping]] = ..., nullable: _Optional[bool] = ...) -> None: ...

class NamedQueryDefinition(_message.Message):
    __slots__ = ("sql", "parameters", "description", "owner", "engine", "catalog", "schema", "session_settings", "execution_timeout", "row_limit", "cache_max_age", "roles")
    class SessionSettingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SQL_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    CATALOG_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SESSION_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    ROW_LIMIT_FIELD_NUMBER: _ClassVar[int]
    CACHE_MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    sql: str
    parameters: _containers.RepeatedCompositeFieldContainer[NamedQueryParameter]
    description: str
    owner: str
    engine: str
    catalog: str
    schema: str
    session_settings: _containers.ScalarMap[str, str]
    execution_timeout: _duration_pb2.Duration
    row_limit: int
    cache_max_age: _duration_pb2.Duration
    roles: _containers.RepeatedScalarFieldContainer[_admin_service_pb2.Role]
    def __init__(self, sql: _Optional[str] = ..., parameters: _Optional[_Iterable[_Union[NamedQueryParameter, _Mapping]]] = ..., description: _Optional[str] = ..., owner: _Optional[str] = ..., engine: _Optional[str] = ..., catalog: _Optional[str] = ..., schema: _Optional[str] = ..., session_settings: _Optional[_Mapping[str, str]] = ..., execution_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., row_limit: _Optional[int] = ..., cache_max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., roles: _Optional[_Iterable[_Union[_admin_service_pb2.Role, str]]] = ...) -> None: ...

class NamedQuery(_message.Message):
    __slots__ = ("name", "version", "latest_version", "tags", "definition", "create_time", "created_by", "delete_time")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    latest_version: int
    tags: _containers.ScalarMap[str, int]
    definition: NamedQueryDefinition
    create_time: _timestamp_pb2.Timestamp
    created_by: str
    delete_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., latest_version: _Optional[int] = ..., tags: _Optional[_Mapping[str, int]] = ..., definition: _Optional[_Union[NamedQueryDefinition, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_by: _Optional[str] = ..., delete_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateNamedQueryRequest(_message.Message):
    __slots__ = ("name", "definition")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    name: str
    definition: NamedQueryDefinition
    def __init__(self, name: _Optional[str] = ..., definition: _Optional[_Union[NamedQueryDefinition, _Mapping]] = ...) -> None: ...

class CreateNamedQueryResponse(_message.Message):
    __slots__ = ("named_query",)
    NAMED_QUERY_FIELD_NUMBER: _ClassVar[int]
    named_query: NamedQuery
    def __init__(self, named_query: _Optional[_Union[NamedQuery, _Mapping]] = ...) -> None: ...

class UpdateNamedQueryRequest(_message.Message):
    __slots__ = ("name", "expected_version", "definition")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    name: str
    expected_version: int
    definition: NamedQueryDefinition
    def __init__(self, name: _Optional[str] = ..., expected_version: _Optional[int] = ..., definition: _Optional[_Union[NamedQueryDefinition, _Mapping]] = ...) -> None: ...

class UpdateNamedQueryResponse(_message.Message):
    __slots__ = ("named_query",)
    NAMED_QUERY_FIELD_NUMBER: _ClassVar[int]
    named_query: NamedQuery
    def __init__(self, named_query: _Optional[_Union[NamedQuery, _Mapping]] = ...) -> None: ...

class GetNamedQueryRequest(_message.Message):
    __slots__ = ("named_query",)
    NAMED_QUERY_FIELD_NUMBER: _ClassVar[int]
    named_query: str
    def __init__(self, named_query: _Optional[str] = ...) -> None: ...

class GetNamedQueryResponse(_message.Message):
    __slots__ = ("named_query",)
    NAMED_QUERY_FIELD_NUMBER: _ClassVar[int]
    named_query: NamedQuery
    def __init__(self, named_query: _Optional[_Union[NamedQuery, _Mapping]] = ...) -> None: ...

class ListNamedQueriesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "name_prefix")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    name_prefix: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., name_prefix: _Optional[str] = ...) -> None: ...

class ListNamedQueriesResponse(_message.Message):
    __slots__ = ("named_queries", "next_page_token")
    NAMED_QUERIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    named_queries: _containers.RepeatedCompositeFieldContainer[NamedQuery]
    next_page_token: str
    def __init__(self, named_queries: _Optional[_Iterable[_Union[NamedQuery, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListNamedQueryVersionsRequest(_message.Message):
    __slots__ = ("name", "page_size", "page_token")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    name: str
    page_size: int
    page_token: str
    def __init__(self, name: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListNamedQueryVersionsResponse(_message.Message):
    __slots__ = ("versions", "next_page_token")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[NamedQuery]
    next_page_token: str
    def __init__(self, versions: _Optional[_Iterable[_Union[NamedQuery, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteNamedQueryRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteNamedQueryResponse(_message.Message):
    __slots__ = ("kept_versions",)
    KEPT_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    kept_versions: int
    def __init__(self, kept_versions: _Optional[int] = ...) -> None: ...

class TagNamedQueryRequest(_message.Message):
    __slots__ = ("name", "tag", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    tag: str
    version: int
    def __init__(self, name: _Optional[str] = ..., tag: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class TagNamedQueryResponse(_message.Message):
    __slots__ = ("named_query",)
    NAMED_QUERY_FIELD_NUMBER: _ClassVar[int]
    named_query: NamedQuery
    def __init__(self, named_query: _Optional[_Union[NamedQuery, _Mapping]] = ...) -> None: ...

class UntagNamedQueryRequest(_message.Message):
    __slots__ = ("name", "tag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    tag: str
    def __init__(self, name: _Optional[str] = ..., tag: _Optional[str] = ...) -> None: ...

class UntagNamedQueryResponse(_message.Message):
    __slots__ = ("named_query",)
    NAMED_QUERY_FIELD_NUMBER: _ClassVar[int]
    named_query: NamedQuery
    def __init__(self, named_query: _Optional[_Union[NamedQuery, _Mapping]] = ...) -> None: ...
