"""Values as all consumers write them: JSON of text, null and lists; a struct is a list of members, a map one of pairs.

Dates are days, times nanoseconds since 1970 or midnight, octets hexadecimal, an interval its three numbers.
"""

import math
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from queryengine.engines.kit.moments import days_of, nanos_of


def form(scalar: pa.Scalar) -> Any:
    kind = scalar.type
    if not scalar.is_valid or pa.types.is_null(kind):
        return None
    if isinstance(kind, pa.UuidType):
        return scalar.value.as_py().hex() if hasattr(scalar, "value") else scalar.as_py().bytes.hex()
    if isinstance(kind, pa.BaseExtensionType):
        return form(scalar.value)
    if pa.types.is_map(kind):
        return [[form(entry[0]), form(entry[1])] for entry in scalar.values]
    if pa.types.is_struct(kind):
        return [form(scalar[index]) for index in range(kind.num_fields)]
    if pa.types.is_nested(kind):
        return [form(each) for each in scalar.values]
    return _text(scalar, kind)


def _text(scalar: pa.Scalar, kind: pa.DataType) -> str:
    if pa.types.is_date(kind):
        return str(days_of(scalar))
    if pa.types.is_interval(kind):
        return " ".join(map(str, scalar.as_py()))
    if pa.types.is_temporal(kind):
        return str(nanos_of(scalar))
    value = scalar.as_py()
    if isinstance(value, bytes):
        return value.hex()
    return str(value).lower() if isinstance(value, bool) else str(value)


def same_form(sent: Any, read: Any, kind: pa.DataType) -> bool:
    """Numbers by value, everything else by text."""
    if isinstance(sent, list):
        if not isinstance(read, list) or len(sent) != len(read):
            return False
        return all(same_form(one, other, part) for one, other, part in zip(sent, read, _parts(kind, sent), strict=True))
    if sent is None or read is None:
        return sent is read
    if pa.types.is_floating(kind):
        one, other = float(sent), float(read)
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if pa.types.is_decimal(kind):
        try:
            return Decimal(sent) == Decimal(read)
        except InvalidOperation:
            return False
    return bool(sent == read)


def _parts(kind: pa.DataType, sent: list[Any]) -> list[pa.DataType]:
    if pa.types.is_struct(kind):
        return [field.type for field in kind]
    if pa.types.is_map(kind):
        return [pa.struct([("key", kind.key_type), ("value", kind.item_type)])] * len(sent)
    return [kind.value_type if pa.types.is_nested(kind) else kind] * len(sent)
