"""PostgreSQL's errors: a user's mistakes are the user's."""

from collections.abc import Iterator

import pytest
from postgresql_support import shared_server

from queryengine.domain.errors import QueryEngineError, Reason
from queryengine.engines.databases import SQLAlchemyEngine
from tests.executing import table


@pytest.fixture(scope="module")
def engine() -> Iterator[SQLAlchemyEngine]:
    server = shared_server()
    with server.connect() as owner:
        owner.execute("CREATE SEQUENCE unused")
        owner.execute("CREATE DOMAIN positive AS integer CHECK (value > 0)")
        owner.execute("GRANT ALL ON SEQUENCE unused TO PUBLIC")
    engine = SQLAlchemyEngine("pg", server.options())
    yield engine
    engine.close()
    with server.connect() as owner:
        owner.execute("DROP SEQUENCE unused")
        owner.execute("DROP DOMAIN positive")


@pytest.mark.parametrize(
    ("sql", "reason", "state"),
    [
        ("SELECT currval('unused')", Reason.STATEMENT_REJECTED, "55000"),
        ("SELECT lastval()", Reason.STATEMENT_REJECTED, "55000"),
        ("SELECT (-1)::positive", Reason.STATEMENT_REJECTED, "23514"),
        ("SELECT cursor_to_xml('nowhere', 1, true, true, '')", Reason.STATEMENT_NOT_ALLOWED, ""),
        ("SELECT 1 / (n - 3) FROM generate_series(1, 9) AS a (n)", Reason.STATEMENT_REJECTED, "22012"),
        ("SELECT (SELECT n FROM generate_series(1, 9) AS a (n))", Reason.STATEMENT_REJECTED, "21000"),
        ("SELECT nextval('unused')", Reason.STATEMENT_NOT_ALLOWED, ""),
    ],
)
def test_a_users_mistake_is_the_users(engine: SQLAlchemyEngine, sql: str, reason: Reason, state: str) -> None:
    with pytest.raises(QueryEngineError) as caught:
        table(engine, sql)
    assert (caught.value.failure.reason, caught.value.failure.sql_state) == (reason, state)
