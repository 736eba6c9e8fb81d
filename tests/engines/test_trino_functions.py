"""Trino's own functions: each was looked at for whether it reaches beyond its arguments."""

from urllib.parse import urlsplit

import trino
from trino_support import server

from queryengine.engines.kit.calls import computing

KNOWN = computing("queryengine.engines.trino")
LOOKED_AT = frozenset({"current_groups"})
"""Those that tell of the session."""


def test_every_function_of_the_server_was_looked_at() -> None:
    url = urlsplit(server().options()["url"])
    connection = trino.dbapi.connect(host=url.hostname, port=url.port, user="tester", catalog="tpch")
    try:
        cursor = connection.cursor()
        names = {row[0].lower() for row in cursor.execute("SHOW FUNCTIONS").fetchall()}
    finally:
        connection.close()
    assert len(names) > 300
    assert sorted(names - KNOWN - LOOKED_AT) == []
    assert not KNOWN & LOOKED_AT
