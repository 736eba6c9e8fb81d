"""Around the RPCs: who calls, what health says, and what reflection tells."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from queryengine.app import Service
from queryengine.v1 import query_service_pb2 as pb
from queryengine.v1 import query_service_pb2_grpc as pb_grpc
from tests.support import COMPLETED, SERVICE, WAIT, Api, new_id, refused

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("name", ["", SERVICE.full_name])
async def test_health_is_told_on_the_admin_port(service: Service, name: str) -> None:
    async with grpc.aio.insecure_channel(service.admin_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == SERVING


async def test_health_does_not_know_other_services(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.admin_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        refusal = await refused(stub.Check(health_pb2.HealthCheckRequest(service="nobody")))
        assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_service_and_its_contract(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE.full_name),
    ]
    listed, described = [reply async for reply in stub.ServerReflectionInfo(iter(requests))]
    assert SERVICE.full_name in {each.name for each in listed.list_services_response.service}
    assert described.file_descriptor_response.file_descriptor_proto


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
