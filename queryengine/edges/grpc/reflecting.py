"""gRPC reflection under both of its names: tools ask for v1 first, older ones for v1alpha.

grpcio-reflection serves v1alpha only. Both versions have the same messages on the wire, so one servicer answers both;
what v1 lacks is its descriptor, which is made from that of v1alpha.
"""

from collections.abc import Sequence
from typing import Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc.aio import Server
from grpc_reflection.v1alpha import reflection, reflection_pb2

_V1ALPHA: Final = "grpc.reflection.v1alpha"
_V1: Final = "grpc.reflection.v1"
_FILE: Final = "grpc/reflection/v1/reflection.proto"
NAMES: Final = (f"{_V1}.ServerReflection", reflection.SERVICE_NAME)


def reflect(server: Server, services: Sequence[str]) -> None:
    """Let clients ask a server for the contract of these services, and for that of reflection."""
    pool = descriptor_pool.Default()
    _describe_v1(pool)
    names = (*services, *NAMES)
    servicer = reflection.aio.ReflectionServicer(names, pool=pool)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method}) for name in NAMES)
    )


def _describe_v1(pool: descriptor_pool.DescriptorPool) -> None:
    """Add the file of v1, unless a library has brought it."""
    try:
        pool.FindFileByName(_FILE)
    except KeyError:
        file = descriptor_pb2.FileDescriptorProto()
        reflection_pb2.DESCRIPTOR.CopyToProto(file)
        file.name, file.package = _FILE, _V1
        old, new = f".{_V1ALPHA}.", f".{_V1}."
        for message in file.message_type:
            for field in message.field:
                if field.type_name:
                    field.type_name = field.type_name.replace(old, new)
        for method in file.service[0].method:
            method.input_type = method.input_type.replace(old, new)
            method.output_type = method.output_type.replace(old, new)
        pool.AddSerializedFile(file.SerializeToString())
