"""`queryengine explain`: what would become of a statement, and why; nothing runs."""

from typing import TYPE_CHECKING, Any

import typer

from queryengine.cli import options
from queryengine.cli import sqloptions as of
from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.connected import connected
from queryengine.cli.exits import ended
from queryengine.cli.options import Json
from queryengine.cli.sql import text_of

if TYPE_CHECKING:
    from queryengine.client import Explanation


@connected
def explain(
    config: ClientConfig,
    statement: of.Statement = None,
    *,
    named: of.Named = "",
    parameter: of.Parameter = None,
    engine: of.Engine = "",
    catalog: of.Catalog = "",
    schema: of.Schema = "",
    setting: of.Setting = None,
    label: of.Label = None,
    limit: of.Limit = 0,
    dialect: of.Dialect = "",
    strict: of.Strict = False,
    as_json: Json = False,
) -> None:
    """Say which engine would run a statement and why, what it reads, and what it is expected to take.

    Nothing runs. What a run would be refused for is refused here, too. Give the options that the run would have, since
    routing rules may look at them.
    """
    values = options.parameters(parameter or ())
    chosen = of.submit_options(
        engine=engine,
        catalog=catalog,
        schema=schema,
        setting=setting,
        label=label,
        limit=limit,
        dialect=dialect,
        strict=strict,
    )
    if named and statement is not None:
        raise ended("--named stands in the place of the statement; give one of the two")
    text = "" if named else text_of(statement)
    if named:
        chosen["named"] = named
    from queryengine.cli import jsontext
    from queryengine.cli.connecting import connect
    from queryengine.cli.failures import reported

    with reported(config, sql=text), connect(config) as client:
        found = client.explain(text, values, **chosen)
    typer.echo(jsontext.text(_values(found)) if as_json else lines(found))


def _values(found: "Explanation") -> dict[str, Any]:
    import dataclasses

    return {name: value for name, value in dataclasses.asdict(found).items() if value not in (None, "")}


def lines(found: "Explanation") -> str:
    """A line for each thing that is known; then the SQL that runs, where it was translated, and the engine's plan."""
    from queryengine.cli.statuses import byte_text, count_text
    from queryengine.cli.visible import visible

    known: list[tuple[str, str]] = [("engine", f"{found.engine} ({found.engine_type})"), ("why", found.routing_reason)]
    if found.routing is not None:
        known += [("passed over", f"{each.engine}: {each.why}") for each in found.routing.passed_over]
    known.append(("kinds", ", ".join(found.kinds) or "not known"))
    known.append(("tables", "not known" if found.tables is None else ", ".join(found.tables) or "none"))
    if found.row_policies:
        known.append(("policies", ", ".join(found.row_policies)))
    known.append(("may wait", f"{found.queue_timeout_seconds:g} s"))
    known.append(("may run", f"{found.execution_timeout_seconds:g} s"))
    if found.row_limit is not None:
        known.append(("rows at most", f"{found.row_limit:,}"))
    expected = []
    if found.estimated_seconds is not None:
        expected.append(f"{found.estimated_seconds:.3g} s")
    if found.estimated_rows is not None:
        expected.append(count_text(found.estimated_rows, "row"))
    if found.estimated_bytes_scanned is not None:
        expected.append(f"{byte_text(found.estimated_bytes_scanned)} read")
    known.append(("expected", ", ".join(expected) or "not known: it has not run here yet"))
    known.append(("query hash", found.query_hash))
    if found.engine_plan_withheld:
        known.append(("no plan", found.engine_plan_withheld))
    listed = "\n".join(f"{name:<16}{visible(value)}" for name, value in known)
    is_translated = found.routing is not None and bool(found.routing.translated_from)
    parts = [listed, visible(found.executed_sql) if is_translated else "", visible(found.engine_plan)]
    return "\n\n".join(filter(None, parts))
