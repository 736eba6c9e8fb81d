"""The RPCs about named queries: parse, call the use case, convert."""

from typing import Final

from queryengine.accepting.named import NamedQueries
from queryengine.domain.named_queries import LATEST, NAME, TAG, Found
from queryengine.edges.grpc.call import Caller, Unary
from queryengine.edges.grpc.definitions import to_definition, to_message
from queryengine.edges.grpc.fields import invalid, not_negative
from queryengine.edges.grpc.fitting import fitting
from queryengine.edges.grpc.page_tokens import list_token, listed_before
from queryengine.edges.grpc.requests import LimitsInForce, to_reference
from queryengine.v1 import named_query_service_pb2 as pb

LIST_SIZE_DEFAULT: Final = 50
LIST_SIZE_MAX: Final = 1_000


class NamedQueryRpcs:
    """The RPCs of NamedQueryService."""

    def __init__(self, named: NamedQueries, limits: LimitsInForce) -> None:
        self._named = named
        self._limits = limits

    def behaviours(self) -> dict[str, Unary]:
        return {
            "CreateNamedQuery": self.create,
            "UpdateNamedQuery": self.update,
            "GetNamedQuery": self.get,
            "ListNamedQueries": self.list,
            "ListNamedQueryVersions": self.versions,
            "DeleteNamedQuery": self.delete,
            "TagNamedQuery": self.tag,
            "UntagNamedQuery": self.untag,
        }

    async def create(self, request: pb.CreateNamedQueryRequest, caller: Caller) -> pb.CreateNamedQueryResponse:
        made = await self._named.create(
            caller.principal,
            _name(request.name),
            to_definition(request.definition, self._limits.now),
            leave_turn=caller.leave_turn,
            record=caller.record,
        )
        return pb.CreateNamedQueryResponse(named_query=to_message(made))

    async def update(self, request: pb.UpdateNamedQueryRequest, caller: Caller) -> pb.UpdateNamedQueryResponse:
        if request.expected_version < 1:
            raise invalid("expected_version", "must be the newest version, as it was when it was read")
        made = await self._named.update(
            caller.principal,
            _name(request.name),
            to_definition(request.definition, self._limits.now),
            expected=request.expected_version,
            leave_turn=caller.leave_turn,
            record=caller.record,
        )
        return pb.UpdateNamedQueryResponse(named_query=to_message(made))

    async def get(self, request: pb.GetNamedQueryRequest, caller: Caller) -> pb.GetNamedQueryResponse:
        found = await self._named.get(caller.principal, to_reference(request.named_query))
        return pb.GetNamedQueryResponse(named_query=to_message(found))

    async def list(self, request: pb.ListNamedQueriesRequest, caller: Caller) -> pb.ListNamedQueriesResponse:
        size = _size(request.page_size)
        last = listed_before(request.page_token)
        found = await self._named.list(
            caller.principal, prefix=_prefix(request.name_prefix), after="" if last is None else last[1], limit=size + 1
        )
        reply = pb.ListNamedQueriesResponse(named_queries=fitting(to_message(each) for each in found[:size]))
        if len(reply.named_queries) < len(found):
            reply.next_page_token = list_token(0, reply.named_queries[-1].name)
        return reply

    async def versions(
        self, request: pb.ListNamedQueryVersionsRequest, caller: Caller
    ) -> pb.ListNamedQueryVersionsResponse:
        size = _size(request.page_size)
        last = listed_before(request.page_token)
        named, found = await self._named.versions(
            caller.principal, _name(request.name), before=None if last is None else last[0], limit=size + 1
        )
        messages = fitting(to_message(Found(named, version)) for version in found[:size])
        reply = pb.ListNamedQueryVersionsResponse(versions=messages)
        if len(reply.versions) < len(found):
            reply.next_page_token = list_token(reply.versions[-1].version, "")
        return reply

    async def delete(self, request: pb.DeleteNamedQueryRequest, caller: Caller) -> pb.DeleteNamedQueryResponse:
        return pb.DeleteNamedQueryResponse(
            kept_versions=await self._named.delete(caller.principal, _name(request.name), record=caller.record)
        )

    async def tag(self, request: pb.TagNamedQueryRequest, caller: Caller) -> pb.TagNamedQueryResponse:
        if request.version < 1:
            raise invalid("version", "must be the number of a version")
        found = await self._named.tag(
            caller.principal, _name(request.name), _tag(request.tag), request.version, record=caller.record
        )
        return pb.TagNamedQueryResponse(named_query=to_message(found, with_sql=False))

    async def untag(self, request: pb.UntagNamedQueryRequest, caller: Caller) -> pb.UntagNamedQueryResponse:
        found = await self._named.untag(caller.principal, _name(request.name), _tag(request.tag), record=caller.record)
        return pb.UntagNamedQueryResponse(named_query=to_message(found, with_sql=False))


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise invalid("name", "must begin with a letter and have at most 100 letters, digits and _.- of ASCII")
    return text


def _prefix(text: str) -> str:
    return _name(text) if text else ""


def _tag(text: str) -> str:
    if not TAG.fullmatch(text):
        raise invalid("tag", "must begin with a letter and have at most 50 letters, digits and _.- of ASCII")
    if text == LATEST:
        raise invalid("tag", f"{LATEST!r} is always the newest version; choose another one")
    return text


def _size(page_size: int) -> int:
    return min(not_negative(page_size, "page_size") or LIST_SIZE_DEFAULT, LIST_SIZE_MAX)
