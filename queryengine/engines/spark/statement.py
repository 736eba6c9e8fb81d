"""A statement as Spark receives it: settings of its session, commands ahead, the query with its parameters, tags."""

from typing import Any, Final

import pyarrow as pa

from queryengine.engines.base import Statement
from queryengine.engines.kit.guarded import check_columns
from queryengine.engines.kit.session_settings import check_settings
from queryengine.engines.spark.check import check
from queryengine.engines.spark.client import Proto, proto
from queryengine.engines.spark.options import SESSION_SETTINGS
from queryengine.engines.spark.parameters import bind
from queryengine.engines.spark.types import field_of

GUARD: Final = "SELECT * FROM (\n"
"""Only a query can stand behind it, so that Spark's own parser refuses everything else. Its optimizer takes it away
again: the order of the rows, too, is that of the query.
"""

_ZONE: Final = "spark.sql.session.timeZone"
_EACH_SESSION: Final = {
    _ZONE: "UTC",
    # Files by path, as in text.`/etc/passwd`.
    "spark.sql.runSQLOnFiles": "false",
    # ${env:…} in SQL text would be replaced by variables of the server.
    "spark.sql.variable.substitute": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
    # What is staged keeps its type; Spark's default is a type that Parquet has given up.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
_TAG_LENGTH_MAX: Final = 200


class PreparedStatement:
    """Everything that is settled without asking Spark. Raises as Execution.start does."""

    def __init__(self, statement: Statement) -> None:
        check_settings(statement, SESSION_SETTINGS)
        checked = check(statement.sql, statement.allowed_functions)
        arguments = bind(statement.parameters, checked.placeholders)
        self.settings = {**_EACH_SESSION, **statement.session_settings}
        self.session_kind = (frozenset(self.settings.items()), statement.catalog, statement.schema)
        self.commands = tuple(_command(sql) for sql in _homes(statement))
        self.query = proto.Relation(sql=proto.SQL(query=f"{GUARD}{checked.query}\n)", **arguments))
        self.tags = _tags(statement)

    def schema(self, columns: Any) -> pa.Schema:
        """`columns` are the fields of Spark's schema."""
        check_columns(columns)
        return pa.schema([field_of(column, self.settings[_ZONE]) for column in columns])


def _homes(statement: Statement) -> list[str]:
    commands = []
    if statement.catalog:
        commands.append(f"SET CATALOG {_quoted(statement.catalog)}")
    if statement.schema:
        commands.append(f"USE DATABASE {_quoted(statement.schema)}")
    return commands


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _command(sql: str) -> Proto:
    command = proto.SqlCommand(input=proto.Relation(sql=proto.SQL(query=sql)))
    return proto.Plan(command=proto.Command(sql_command=command))


def _tags(statement: Statement) -> list[str]:
    labels = {"query": statement.query_id, "tenant": statement.tenant, "subject": statement.subject}
    # A comma stands between tags.
    return [f"{key}:{value}".replace(",", "_")[:_TAG_LENGTH_MAX] for key, value in labels.items() if value]
