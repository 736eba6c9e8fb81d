"""Texts, octets and what is written as text: identifiers, addresses, members of an Enum, JSON."""

import ipaddress
import json
import math
import uuid
from decimal import Decimal
from typing import Any

from queryengine.engines.clickhouse.types import Type
from queryengine.engines.kit.moments import (
    clock_text,
    date_text,
    days_of,
    is_date,
    is_instant,
    is_moment,
    is_time,
    moment_text,
    nanos_of,
)


def text(value: Any, _: Type) -> str | bytes:
    """Any plain value as its usual text."""
    match value:
        case str() | bytes():
            return value
        case bool():
            return str(value).lower()
        case int() | uuid.UUID():
            return str(value)
        case Decimal():
            return format(value, "f")
        case float():
            return repr(value)
        case _:
            return _moment(value)


def _moment(value: Any) -> str:
    if is_moment(value):
        return f"{moment_text(nanos_of(value), 9)}{'Z' if is_instant(value) else ''}"
    if is_date(value):
        return date_text(days_of(value))
    if is_time(value):
        return clock_text(nanos_of(value), 9)
    raise ValueError("it has no text")


def fixed(value: Any, declared: Type) -> str | bytes:
    length = int(declared.arguments[0].name)
    if not isinstance(value, str | bytes):
        raise ValueError("it is neither text nor octets")  # noqa: TRY004 - for the caller it is the value that is wrong
    found = len(value if isinstance(value, bytes) else value.encode())
    if found != length:
        raise ValueError(f"{declared} holds exactly {length} octets, and the value has {found}")
    return value


def member(value: Any, declared: Type) -> str:
    """The name of a member, for its number too."""
    names = {}
    number = 0
    for each in declared.arguments:
        number = int(each.label) if each.label else number + 1
        names[number] = each.name
    found = names.get(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if found not in names.values():
        raise ValueError(f"it is not a member of {declared.name}")
    return str(found)


def unique_id(value: Any, _: Type) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise ValueError("it is not a UUID") from None


def address(value: Any, declared: Type) -> str:
    if not isinstance(value, str):
        raise ValueError("an address is written as text")  # noqa: TRY004 - for the caller it is the value that is wrong
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"it is not an address of {declared.name}") from None
    if (declared.name == "IPv4" and found.version != 4) or "%" in value:
        raise ValueError(f"it is not an address of {declared.name}")
    return str(found)


def document(value: Any, declared: Type) -> str:
    """Raises ValueError for a number that the server would make a text or an infinity of."""
    if not isinstance(value, str):
        raise ValueError(f"{declared.name} is written as text")  # noqa: TRY004 - for the caller it is the value that is wrong
    try:
        json.loads(value, parse_int=_json_integer, parse_float=_json_float, parse_constant=_json_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def identifier(value: Any, _: Type) -> str:
    if not isinstance(value, str):
        raise ValueError("an identifier is text")  # noqa: TRY004 - for the caller it is the value that is wrong
    return value


def _json_integer(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**64:
        raise ValueError("it has a whole number beyond 64 bits")
    return number


def _json_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("it has a number that is out of range")
    return number


def _json_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")
