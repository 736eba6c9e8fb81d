"""How the values of this client show themselves."""

import datetime as dt
from dataclasses import fields
from enum import StrEnum
from typing import Any

import pyarrow as pa


class Brief:
    """Shows the fields that say something, times in ISO 8601."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = []
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            if value is None or value in ("", (), {}):
                continue
            is_plain = isinstance(value, dt.datetime | StrEnum | pa.RecordBatch)
            shown.append(f"{each.name}={_plain(value) if is_plain else repr(value)}")
        return f"<{type(self).__name__} {' '.join(shown)}>"


def _plain(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, pa.RecordBatch):
        return f"{value.num_rows} rows of {', '.join(value.schema.names[:20])}"
    return str(value)
