"""`queryengine usage`: what queries have used, day by day."""

import datetime as dt
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.exits import ended

if TYPE_CHECKING:
    from queryengine.client import DailyUsage


class UsageFormat(StrEnum):
    """How usage is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@connected
def usage(
    config: ClientConfig,
    *,
    since: Annotated[str, typer.Option(metavar="DATE", help="First day, as 2026-11-28; 30 days by default.")] = "",
    until: Annotated[str, typer.Option(metavar="DATE", help="Last day; today by default.")] = "",
    by: Annotated[str, typer.Option(metavar="NAME", help="Only queries that this user submitted.")] = "",
    all_tenants: Annotated[bool, typer.Option("--all-tenants", help="Of all tenants; takes the role admin.")] = False,
    output_format: Annotated[
        UsageFormat, typer.Option("--format", "-f", help="table, json (one object per line) or csv.")
    ] = UsageFormat.TABLE,
) -> None:
    """Show what queries have used, by day of UTC, user and engine: your own, or all of the tenant for its admins.

    Queries count on the day of their end.
    """
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    days = _day("--since", since), _day("--until", until)
    with reported(config), connect(config) as client:
        found, token = list["DailyUsage"](), ""
        while True:
            part = client.usage(
                from_date=days[0], to_date=days[1], subject=by, all_tenants=all_tenants, page_token=token
            )
            found += part.usage
            token = part.next_page_token
            if not token:
                break
    for line in _lines(found, output_format, all_tenants=all_tenants):
        typer.echo(line)


def _day(option: str, given: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(given) if given else None
    except ValueError:
        raise ended(f"{option} takes a date, as 2026-11-28, not {given!r}") from None


def _lines(found: "list[DailyUsage]", output_format: UsageFormat, *, all_tenants: bool) -> list[str]:
    import dataclasses

    from queryengine.cli import jsontext

    rows = [dataclasses.asdict(each) | {"date": each.date.isoformat()} for each in found]
    match output_format:
        case UsageFormat.JSON:
            return [jsontext.text(row) for row in rows]
        case UsageFormat.CSV:
            return _csv(rows)
        case UsageFormat.TABLE:
            return _table(found, all_tenants=all_tenants)


def _csv(rows: list[dict[str, object]]) -> list[str]:
    import csv
    import io

    from queryengine.client import DailyUsage

    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(DailyUsage.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().splitlines()


def _table(found: "list[DailyUsage]", *, all_tenants: bool) -> list[str]:
    from rich.table import Table
    from rich.text import Text

    from queryengine.cli.consoles import table_lines, terminal_width
    from queryengine.cli.visible import visible

    table = Table(show_edge=False)
    texts = ("date", *(("tenant",) if all_tenants else ()), "user", "engine")
    for name in texts:
        table.add_column(name)
    for name in ("queries", "failed", "cancelled", "from cache", "engine s", "rows", "bytes stored", "bytes scanned"):
        table.add_column(name, justify="right")
    for each in found:
        numbers = (each.queries, each.failed, each.cancelled, each.cache_hits)
        table.add_row(
            each.date.isoformat(),
            *([Text(visible(each.tenant))] if all_tenants else []),
            Text(visible(each.subject)),
            each.engine,
            *(f"{number:,}" for number in numbers),
            f"{each.engine_seconds:,.1f}",
            *(f"{number:,}" for number in (each.rows, each.bytes_stored, each.bytes_scanned)),
        )
    return table_lines(table, terminal_width()) if found else ["no usage"]
