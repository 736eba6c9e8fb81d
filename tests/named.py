"""Named queries in tests: definitions, and the calls about them."""

from collections.abc import Mapping
from typing import Any

from queryengine.codec.infer import encode_value
from queryengine.codec.values import encode_parameters
from queryengine.v1 import named_query_service_pb2 as pb
from queryengine.v1 import named_query_service_pb2_grpc as pb_grpc
from queryengine.v1 import value_pb2
from queryengine.v1.named_query_service_pb2 import NamedQuery, NamedQueryDefinition, NamedQueryParameter
from queryengine.v1.query_service_pb2 import SubmitResponse
from queryengine.v1.value_pb2 import Column, DataType
from tests.support import ROWS, WAIT, Api

DATE = DataType(kind=value_pb2.TYPE_KIND_DATE)
INT64 = DataType(kind=value_pb2.TYPE_KIND_INT, bit_width=64)
STRING = DataType(kind=value_pb2.TYPE_KIND_STRING)
PRICE = DataType(kind=value_pb2.TYPE_KIND_DECIMAL, precision=10, scale=2)
INTS = DataType(kind=value_pb2.TYPE_KIND_LIST, fields=[Column(name="item", type=INT64, nullable=True)])


def parameter(name: str, declared: DataType, **fields: Any) -> NamedQueryParameter:
    """`default` is a Python value."""
    found = NamedQueryParameter(name=name, type=declared)
    if "default" in fields:
        found.default_value.CopyFrom(encode_value(fields.pop("default"))[0])
    found.MergeFrom(NamedQueryParameter(**fields))
    return found


def definition(sql: str, *parameters: NamedQueryParameter, **fields: Any) -> NamedQueryDefinition:
    return NamedQueryDefinition(sql=sql, parameters=parameters, **fields)


class NamedApi:
    """The RPCs about named queries, as a tenant of a service without credentials calls them."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._stub = pb_grpc.NamedQueryServiceStub(api.channel)

    async def call(self, method: str, request: Any) -> Any:
        return await getattr(self._stub, method)(request, metadata=self.api.metadata, timeout=60.0)

    async def create(self, name: str, made: NamedQueryDefinition | str) -> NamedQuery:
        made = definition(made) if isinstance(made, str) else made
        reply = await self.call("CreateNamedQuery", pb.CreateNamedQueryRequest(name=name, definition=made))
        found: NamedQuery = reply.named_query
        return found

    async def update(self, name: str, made: NamedQueryDefinition | str, expected: int) -> NamedQuery:
        made = definition(made) if isinstance(made, str) else made
        request = pb.UpdateNamedQueryRequest(name=name, definition=made, expected_version=expected)
        found: NamedQuery = (await self.call("UpdateNamedQuery", request)).named_query
        return found

    async def get(self, reference: str) -> NamedQuery:
        reply = await self.call("GetNamedQuery", pb.GetNamedQueryRequest(named_query=reference))
        found: NamedQuery = reply.named_query
        return found

    async def tag(self, name: str, tag: str, version: int) -> NamedQuery:
        reply = await self.call("TagNamedQuery", pb.TagNamedQueryRequest(name=name, tag=tag, version=version))
        found: NamedQuery = reply.named_query
        return found

    async def delete(self, name: str) -> int:
        reply = await self.call("DeleteNamedQuery", pb.DeleteNamedQueryRequest(name=name))
        return int(reply.kept_versions)

    async def run(self, reference: str, values: Mapping[str, Any] | None = None, **fields: Any) -> SubmitResponse:
        """Run to the end, with values of Python."""
        given = encode_parameters(values).parameters
        reply: SubmitResponse = await self.api.submit(
            "", named_query=reference, parameters=given, result={"inline_format": ROWS}, wait_timeout=WAIT, **fields
        )
        return reply


def row(reply: SubmitResponse) -> list[Any]:
    """The first row, as values of the contract."""
    return list(reply.pages[0].rows.rows[0].values)
