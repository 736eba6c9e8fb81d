"""Lists of API keys: what one reply holds, and where the next goes on."""

from typing import Any
from unittest.mock import AsyncMock

import pytest

from queryengine.domain.api_keys import ApiKey
from queryengine.domain.errors import QueryEngineError
from queryengine.domain.identity import Principal, Role
from queryengine.edges.grpc import fitting
from queryengine.edges.grpc.call import Caller
from queryengine.edges.grpc.keys import CIDRS_MAX, LIST_SIZE_MAX, KeyRpcs
from queryengine.edges.grpc.page_tokens import list_token, listed_before
from queryengine.v1 import admin_service_pb2 as pb

NETWORK = "1111:2222:3333:4444:5555:6666:7777:8888/128"


def largest(number: int) -> ApiKey:
    return ApiKey(
        key_id=f"{number:012}",
        tenant="t" * 128,
        subject="s" * 128,
        roles=frozenset(Role),
        label="\U0001f511" * 255,
        cidrs=(NETWORK,) * CIDRS_MAX,
        created_us=200_000_000_000_000_000 - number,
        created_by="b" * 128,
        replaces="r" * 12,
        expire_us=200_000_000_000_000_000,
        revoke_us=200_000_000_000_000_000,
        last_use_us=200_000_000_000_000_000,
    )


async def listed(**fields: Any) -> pb.ListApiKeysResponse:
    keys = AsyncMock()
    keys.list.return_value = [largest(number) for number in range(LIST_SIZE_MAX + 1)]
    caller = Caller(Principal(tenant="t"), lambda: None)
    return await KeyRpcs(keys).list(pb.ListApiKeysRequest(page_size=1 << 30, **fields), caller)


async def test_the_longest_list_of_the_largest_keys_fits_in_a_reply() -> None:
    reply = await listed(include_ended=True)
    assert len(reply.keys) == LIST_SIZE_MAX
    assert 2 << 20 < reply.ByteSize() <= fitting.REPLY_BYTES_MAX
    last = largest(LIST_SIZE_MAX - 1)
    assert listed_before(reply.next_page_token) == (last.created_us, last.key_id)


async def test_a_list_that_does_not_fit_goes_on_behind_what_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "CHUNK_BYTES", 10_000)
    reply = await listed()
    assert 1 <= len(reply.keys) < 10
    last = largest(len(reply.keys) - 1)
    assert listed_before(reply.next_page_token) == (last.created_us, last.key_id)


@pytest.mark.parametrize("token", [list_token(1, "a\0"), list_token(1, "\n"), list_token(1 << 63, "a"), "%", "YQ=="])
def test_a_token_that_no_answer_had_is_refused(token: str) -> None:
    with pytest.raises(QueryEngineError, match="page_token is not a token of an earlier answer"):
        listed_before(token)
