"""What queries that ended have used, read and tidied. Triggers count each query in the transaction of its end, see
`store/counting.py`; nothing here counts.
"""

from typing import Any, Final

import sqlalchemy as sa

from queryengine.domain.consumption import DAY_HOURS, Consumption
from queryengine.store.counting import COUNTED
from queryengine.store.prepared import Prepared
from queryengine.store.reader import Reader
from queryengine.store.rows import plain
from queryengine.store.tables import USAGE_HOURS
from queryengine.store.writer import Writer

_H: Final = USAGE_HOURS.c
# Literal, so that PostgreSQL sees that it groups and orders by what it selects.
_DAY: Final[sa.ColumnElement[int]] = sa.literal_column(f"hour - hour % {DAY_HOURS}", sa.BigInteger)
_SUMS: Final = tuple(sa.cast(sa.func.sum(_H[name]), sa.BigInteger).label(name) for name in COUNTED)
_KEYS: Final = ("tenant", "hour", "subject", "engine", "api_key")


def _bind(name: str) -> sa.BindParameter[Any]:
    # A value now, or compiling ahead of running refuses.
    return sa.bindparam(name, value=None)


_SINCE: Final = Prepared(
    sa.select(_H.tenant, _H.hour, _H.subject, _H.engine, _H.api_key, *(_H[name] for name in COUNTED)).where(
        _H.hour >= _bind("from_hour")
    )
)


class Ledger:
    """The usage of all tenants."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def days(
        self,
        *,
        tenant: str | None,
        subject: str | None,
        from_hour: int,
        to_hour: int,
        skip: int = 0,
        limit: int,
    ) -> list[Consumption]:
        """One for each day, tenant, subject and engine, in this order, the oldest day first; `to_hour` is the first
        that is not counted any more. None stands for all.
        """
        names = (_H.tenant, _H.subject, _H.engine)
        select = sa.select(_H.tenant, _DAY, _H.subject, _H.engine, sa.literal(""), *_SUMS)
        select = select.where(_H.hour >= from_hour, _H.hour < to_hour)
        if tenant is not None:
            select = select.where(_H.tenant == tenant)
        if subject is not None:
            select = select.where(_H.subject == plain(subject))
        ordered = select.group_by(_DAY, *names).order_by(_DAY, *names).offset(skip).limit(limit)
        return await self._reader.read(lambda connection: [_consumption(row) for row in connection.execute(ordered)])

    async def since(self, from_hour: int) -> list[Consumption]:
        """By hour and API key, of all tenants. For the start of a server."""
        return await self._reader.read(
            lambda connection: [_consumption(row) for row in _SINCE.run(connection, {"from_hour": from_hour})]
        )

    async def tidy(self, *, fold_before_hour: int, forget_before_hour: int) -> None:
        """Add up the hours of the days before one in the first hour of each, and forget what is older than another."""

        def tidy(connection: sa.Connection) -> None:
            connection.execute(sa.delete(USAGE_HOURS).where(_H.hour < forget_before_hour))
            old = sa.and_(_H.hour < fold_before_hour, _H.hour % DAY_HOURS != 0)
            for day in list(connection.execute(sa.select(_DAY).distinct().where(old)).scalars()):
                _fold(connection, day)

        await self._writer.write(tidy)


def _fold(connection: sa.Connection, day: int) -> None:
    """Replace the rows of a day by their sums."""
    of_day = (_H.hour >= day, _H.hour < day + DAY_HOURS)
    others = (_H.tenant, _H.subject, _H.engine, _H.api_key)
    sums = sa.select(_H.tenant, sa.literal(day), *others[1:], *_SUMS).where(*of_day).group_by(*others)
    folded = [dict(zip((*_KEYS, *COUNTED), row, strict=True)) for row in connection.execute(sums)]
    connection.execute(sa.delete(USAGE_HOURS).where(*of_day))
    connection.execute(sa.insert(USAGE_HOURS), folded)


def _consumption(row: Any) -> Consumption:
    return Consumption(**dict(zip((*_KEYS, *COUNTED), row, strict=True)))
