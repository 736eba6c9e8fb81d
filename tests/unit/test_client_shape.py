"""Both clients have one shape: the same members with the same arguments, awaited in one of them."""

import dataclasses
import inspect

import pytest

from queryengine.client import (
    AsyncClient,
    AsyncQueryHandle,
    AsyncQueryResult,
    Client,
    QueryHandle,
    QueryOptions,
    QueryResult,
    QueryStatus,
    SubmitOptions,
)
from queryengine.client.options import CHECKS
from queryengine.v1 import query_pb2

PAIRS = [(Client, AsyncClient), (QueryHandle, AsyncQueryHandle), (QueryResult, AsyncQueryResult)]

ONLY_BLOCKING = {"__arrow_c_stream__", "__arrow_c_schema__"}
"""A consumer of an Arrow stream cannot await it."""
NEVER_AWAITED = {"attach", "result", "watch", "watch_queries", "close", "start", "abandon"}
"""Of the asyncio client. `watch` and `watch_queries` return asynchronous generators, `close` of a result ends it at
once, and what `start` and `abandon` return may be awaited.
"""
PROTOCOLS = {"__iter__", "__aiter__", "__enter__", "__exit__", "__aenter__", "__aexit__"}


def members(kind: type) -> dict[str, object]:
    return {
        name: inspect.getattr_static(kind, name)
        for name in dir(kind)
        if (not name.startswith("_") or name.startswith("__arrow")) and name not in PROTOCOLS
    }


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS)
def test_both_have_the_same_members(blocking: type, awaited: type) -> None:
    assert set(members(blocking)) - ONLY_BLOCKING == set(members(awaited))


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS)
def test_members_take_the_same_arguments(blocking: type, awaited: type) -> None:
    for name, member in members(blocking).items():
        if name not in ONLY_BLOCKING and inspect.isfunction(member):
            other = inspect.getattr_static(awaited, name)
            taken = [list(map(str, inspect.signature(each).parameters.values())) for each in (member, other)]
            assert taken[0] == taken[1], name
            # Closing the channel of a client takes a moment.
            is_awaited = name not in NEVER_AWAITED or (awaited, name) == (AsyncClient, "close")
            assert inspect.iscoroutinefunction(other) is is_awaited, name


def test_properties_are_awaited_where_they_wait() -> None:
    assert isinstance(members(QueryResult)["schema"], property)
    assert inspect.iscoroutinefunction(members(AsyncQueryResult)["schema"])
    for kind in (QueryResult, AsyncQueryResult):
        for name in ("query_id", "status", "end", "next_row"):
            assert isinstance(members(kind)[name], property)


@pytest.mark.parametrize("kind", [each for pair in PAIRS for each in pair])
def test_everything_says_what_it_does(kind: type) -> None:
    assert inspect.getdoc(kind)
    silent = [name for name, member in members(kind).items() if not inspect.getdoc(member) and callable(member)]
    assert silent == []


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_help_names_every_option(kind: type) -> None:
    for method, options in (("submit", SubmitOptions), ("query", QueryOptions)):
        function = getattr(kind, method)
        for name in options.__optional_keys__:
            assert f"\n    {name}: " in function.__doc__
            assert inspect.signature(function).parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    for name in inspect.signature(kind).parameters:
        assert name in kind.__init__.__doc__


def test_every_option_is_checked() -> None:
    assert CHECKS.keys() == SubmitOptions.__optional_keys__ | QueryOptions.__optional_keys__


def test_a_status_has_every_field_of_the_contract() -> None:
    """A field that the contract gains is one that its clients can read."""
    described = query_pb2.QueryStatus.DESCRIPTOR.fields_by_name
    parts = {"progress", "stats"}
    fields = set(described) - parts
    for part in parts:
        fields |= set(described[part].message_type.fields_by_name)
    renamed = {name: name.replace("_time", "_seconds") for name in ("queue_time", "execution_time", "throttled_time")}
    assert {renamed.get(name, name) for name in fields} - {
        each.name for each in dataclasses.fields(QueryStatus)
    } == set()
