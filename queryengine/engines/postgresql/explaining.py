"""A statement that PostgreSQL explains: as an execution of it in all that may refuse it, and nothing of it runs."""

from typing import Any

import pyarrow as pa

from queryengine.engines.kit.sqltemplate import PlacedText
from queryengine.engines.postgresql.execution import PostgreSQLExecution
from queryengine.engines.postgresql.session import Session


class Explanation(PostgreSQLExecution):
    """Has no rows; once it has started, `explained` is how the server would run the statement."""

    explained = ""

    def _run(self, session: Session, text: PlacedText, described: Any) -> pa.Schema:  # noqa: ARG002 - of the plan itself
        self._sent = text.within("EXPLAIN ", "")
        self.explained = "\n".join(row["QUERY PLAN"] for row in session.query(self._sent.sql))
        self._has_ended = True
        return pa.schema([("QUERY PLAN", pa.string())])
