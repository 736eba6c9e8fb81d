"""Around the RPCs: who calls, what health says, and what reflection tells."""

import asyncio

import grpc
import pytest
from google.protobuf import descriptor, descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from queryengine.app.service import Service
from queryengine.edges.grpc.server import ADMIN_SERVICE, NAMED_QUERY_SERVICE, SERVICES
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc
from tests.scraping import get
from tests.support import COMPLETED, SERVICE, WAIT, Api, new_id, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("port", ["address", "admin_address"])
async def test_health_is_reported_on_both_ports(service: Service, port: str) -> None:
    async with grpc.aio.insecure_channel(getattr(service, port)) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE.full_name):
            assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == SERVING
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE.full_name))
        assert (await watch.read()).status == SERVING
        watch.cancel()
        refusal = await refused(stub.Check(health_pb2.HealthCheckRequest(service="nobody")))
        assert refusal.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("path", "body"),
    [("/livez", b"alive\n"), ("/healthz", b"alive\n"), ("/readyz", b"ready\n"), ("/readyz?a=b", b"ready\n")],
)
async def test_health_is_reported_over_http(service: Service, path: str, body: bytes) -> None:
    assert await asyncio.to_thread(get, service.metrics_address, path=path) == body


class Reflection:
    """A client as grpcurl is one: it knows nothing of the contract but what the server says of it."""

    def __init__(self, channel: grpc.aio.Channel, version: str) -> None:
        self._call = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        self.pool = descriptor_pool.DescriptorPool()
        self._added: set[str] = set()

    async def ask(self, **request: str) -> reflection_pb2.ServerReflectionResponse:
        (reply,) = [each async for each in self._call(iter([reflection_pb2.ServerReflectionRequest(**request)]))]
        return reply

    async def services(self) -> set[str]:
        return {each.name for each in (await self.ask(list_services="")).list_services_response.service}

    async def service(self, name: str) -> descriptor.ServiceDescriptor:
        await self._add(await self.ask(file_containing_symbol=name))
        return self.pool.FindServiceByName(name)

    async def _add(self, reply: reflection_pb2.ServerReflectionResponse) -> None:
        for encoded in reply.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(encoded)
            if file.name not in self._added:
                self._added.add(file.name)
                for needed in file.dependency:
                    await self._add(await self.ask(file_by_filename=needed))
                self.pool.Add(file)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_is_all_that_a_client_needs(channel: grpc.aio.Channel, version: str) -> None:
    reflection = Reflection(channel, version)
    names = await reflection.services()
    assert names == {
        SERVICE.full_name,
        ADMIN_SERVICE.full_name,
        NAMED_QUERY_SERVICE.full_name,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    for name in names:
        for method in (await reflection.service(name)).methods:
            assert method.input_type.full_name
    method = (await reflection.service(SERVICE.full_name)).FindMethodByName("ListEngines")
    call = channel.unary_unary(
        f"/{SERVICE.full_name}/{method.name}",
        request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    reply = await call(message_factory.GetMessageClass(method.input_type)())
    assert {engine.name for engine in reply.engines} >= {"duckdb"}
    assert (await reflection.ask(file_containing_symbol="no.Such")).error_response.error_code == 5


async def test_no_two_rpcs_have_one_name() -> None:
    names = [method.name for service in SERVICES for method in service.methods]
    assert len(names) == len(set(names))


async def test_the_admin_port_describes_itself(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.admin_address) as channel:
        names = await Reflection(channel, "v1").services()
    assert names == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_without_a_tenant_the_caller_is_the_default_one(channel: grpc.aio.Channel) -> None:
    stub = pb_grpc.QueryServiceStub(channel)
    query_id = new_id()
    await stub.Submit(pb.SubmitRequest(sql="SELECT 1", query_id=query_id, wait_timeout=WAIT))
    found = await Api(channel, "default").status(query_id)
    assert found.state == COMPLETED


@pytest.mark.parametrize(("key", "value"), [("x-tenant-id", "x" * 129), ("x-user-id", "y" * 129)])
async def test_a_name_that_is_too_long_is_refused(channel: grpc.aio.Channel, key: str, value: str) -> None:
    stub = pb_grpc.QueryServiceStub(channel)
    refusal = await refused(stub.ListEngines(pb.ListEnginesRequest(), metadata=((key, value),)))
    assert (refusal.code.name, refusal.reason, refusal.field) == ("INVALID_ARGUMENT", "INVALID_FIELD", key)


@pytest.mark.parametrize("key", ["x-tenant-id", "x-user-id"])
async def test_two_names_for_one_caller_are_refused(channel: grpc.aio.Channel, key: str) -> None:
    stub = pb_grpc.QueryServiceStub(channel)
    refusal = await refused(stub.ListEngines(pb.ListEnginesRequest(), metadata=((key, "mine"), (key, "theirs"))))
    assert (refusal.code.name, refusal.reason, refusal.field) == ("INVALID_ARGUMENT", "INVALID_FIELD", key)
    assert "once" in refusal.message


async def test_a_tenant_sees_its_own_queries_only(api: Api, other: Api) -> None:
    query_id = (await api.submit("SELECT 'mine'", wait_timeout=WAIT)).status.query_id
    assert [query.query_id for query in (await api.listed()).queries] == [query_id]
    assert not (await other.listed()).queries


async def test_an_rpc_that_is_not_there_is_unimplemented(channel: grpc.aio.Channel) -> None:
    call = channel.unary_unary("/queryengine.v1.QueryService/Nothing")
    assert (await refused(call(b""))).code is grpc.StatusCode.UNIMPLEMENTED
