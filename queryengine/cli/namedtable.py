"""Named queries as people and as programs read them."""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from rich.table import Table
from rich.text import Text

from queryengine.cli import jsontext
from queryengine.cli.consoles import table_lines, terminal_width
from queryengine.cli.statuses import moment
from queryengine.cli.visible import visible
from queryengine.client import NamedQuery, QueryParameter
from queryengine.codec.type_names import data_type
from queryengine.codec.types import from_data_type, to_data_type


def list_lines(found: Sequence[NamedQuery]) -> list[str]:
    """A table that fits the terminal."""
    rows = []
    for each in found:
        definition = each.definition
        row = (each.name, str(each.version), _tags(each), _signature(each), definition.owner, definition.description)
        rows.append(row)
    return _lines(("name", "version", "tags", "takes", "owner", "description"), rows)


def version_lines(found: Sequence[NamedQuery]) -> list[str]:
    rows = []
    for each in found:
        tags = ", ".join(tag for tag, version in sorted(each.tags.items()) if version == each.version)
        made = f"{each.create_time.astimezone():%Y-%m-%d %H:%M}"
        rows.append((str(each.version), tags, made, each.created_by, _signature(each), each.definition.description))
    return _lines(("version", "tags", "made", "by", "takes", "description"), rows)


def detail_lines(found: NamedQuery) -> Iterator[str]:
    """Everything about a version, with its SQL at the end."""
    definition = found.definition
    yield about(found)
    facts: dict[str, Any] = {
        "description": definition.description,
        "owner": definition.owner,
        "engine": definition.engine,
        "catalog": definition.catalog,
        "schema": definition.schema,
        "settings": ", ".join(f"{name}={value}" for name, value in definition.session_settings.items()),
        "longest run": definition.execution_timeout,
        "most rows": definition.row_limit or "",
        "cached for": definition.cache_max_age,
        "roles": ", ".join(definition.roles),
        "made": f"{found.create_time.astimezone():%Y-%m-%d %H:%M} {found.created_by}".rstrip(),
        "deleted": f"{found.delete_time.astimezone():%Y-%m-%d %H:%M}" if found.delete_time else "",
    }
    for name, value in facts.items():
        if value not in ("", None):
            yield visible(f"  {name}: {value}")
    for each in definition.parameters:
        yield visible(f"  {parameter_text(each)}")
    if definition.sql:
        yield ""
        yield from (visible(line) for line in definition.sql.rstrip().splitlines())


def about(found: NamedQuery) -> str:
    """One line."""
    newest = "the newest" if found.version == found.latest_version else f"of {found.latest_version}"
    tags = _tags(found)
    return visible(f"{found.name}@{found.version}, {newest} version{f'; tags: {tags}' if tags else ''}")


def parameter_text(parameter: QueryParameter) -> str:
    """As --param takes it."""
    default = "" if parameter.is_required else f"={jsontext.text(_default(parameter))}"
    nullable = "?" if parameter.nullable else ""
    description = f"  # {parameter.description}" if parameter.description else ""
    return f"{parameter.name}:{parameter.type}{nullable}{default}{description}"


def as_json(found: NamedQuery) -> str:
    """What is not known is left out, and a parameter that must be given has no default."""
    values = _fields(found)
    values["definition"] = definition = _fields(found.definition)
    parameters = []
    for each in found.definition.parameters:
        fields = _fields(each)
        if each.is_required:
            del fields["default"]
        else:
            fields["default"] = _default(each)
        parameters.append(fields)
    definition["parameters"] = parameters
    return jsontext.text(values)


def _default(parameter: QueryParameter) -> Any:
    """As a value in JSON, in the form that rows have."""
    declared = data_type(parameter.type) if isinstance(parameter.type, str) else to_data_type(parameter.type)
    try:
        [found] = jsontext.values(pa.array([parameter.default], from_data_type(declared)))
    except pa.ArrowException:
        # No array of it is made of a value of Python.
        return str(parameter.default)
    return found


def _fields(value: Any) -> dict[str, Any]:
    found = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    return {name: _plain(each) for name, each in found.items() if each is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return moment(value)
    return value.total_seconds() if isinstance(value, dt.timedelta) else value


def _signature(found: NamedQuery) -> str:
    parts = []
    for each in found.definition.parameters:
        text = f"{each.name} {each.type}"
        parts.append(text if each.is_required else f"[{text}]")
    return ", ".join(parts)


def _tags(found: NamedQuery) -> str:
    return ", ".join(f"{tag}={version}" for tag, version in sorted(found.tags.items()))


def _lines(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    table = Table(show_edge=False)
    for name in names:
        table.add_column(name, no_wrap=name in ("name", "version"), overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table_lines(table, terminal_width())
