"""Rules on statements, as a client meets them."""

import sqlite3
from pathlib import Path

import grpc

from queryengine.domain.reloads import Trigger
from tests.settings_file import ENGINES, with_file, write_settings
from tests.support import WAIT, Api, Refusal, new_id, refused, served

RULES = {"kinds": {"any": ["SELECT"]}, "functions": {"deny": ["upper"]}, "joins_max": 1, "text_bytes_max": 20_000}


async def test_a_rule_refuses_before_anything_is_recorded(tmp_path: Path) -> None:
    async with served(tmp_path, statements=RULES) as (_, api):
        many = "SELECT 1 FROM range(1) a, range(1) b, range(1) c"
        cases = {
            "EXPLAIN SELECT 1": {"rule": "kinds", "statement_type": "EXPLAIN"},
            "SELECT upper('a')": {"rule": "functions.deny", "name": "upper"},
            many: {"rule": "joins_max", "found": "2", "limit": "1"},
            f"SELECT '{'x' * 20_000}'": {"rule": "text_bytes_max", "limit": "20000"},
        }
        for sql, facts in cases.items():
            # The second time its analysis is remembered.
            for _ in range(2):
                query_id = new_id()
                found: Refusal = await refused(api.submit(sql, query_id=query_id))
                assert found.reason == "STATEMENT_NOT_ALLOWED"
                assert facts.items() <= found.metadata.items()
                assert found.metadata["engine"] == "duckdb"
                assert (await refused(api.status(query_id))).reason == "QUERY_NOT_FOUND"
        reply = await api.submit("SELECT lower('A') FROM range(1) a, range(1) b", wait_timeout=WAIT)
        assert reply.HasField("end")


async def test_what_was_accepted_before_a_rule_is_answered_again(tmp_path: Path) -> None:
    query_id = new_id()
    async with served(tmp_path) as (_, api):
        await api.submit("SELECT upper('a')", query_id=query_id, wait_timeout=WAIT)
    async with served(tmp_path, statements=RULES) as (_, api):
        assert (await api.submit("SELECT upper('a')", query_id=query_id)).existing


async def test_an_engine_type_that_knows_nothing_of_its_texts_has_no_measures(tmp_path: Path) -> None:
    async with served(tmp_path, statements={"joins_max": 1}) as (_, api):
        assert (await api.script("rows 1", wait_timeout=WAIT)).HasField("end")
    async with served(tmp_path / "strict", statements={"joins_max": 1, "strict": True}) as (_, api):
        assert (await refused(api.script("rows 1"))).metadata["rule"] == "strict"


async def test_what_is_allowed_by_name_changes_while_the_server_runs(tmp_path: Path) -> None:
    """The check of the text, the gate and the worker of the engine are all asked."""
    database = tmp_path / "x.db"
    sqlite3.connect(database).close()
    engines = {
        **ENGINES,
        "duckdb": {"type": "duckdb", "workers": 1},
        "sqlite": {"type": "sqlalchemy", "workers": 1, "options": {"url": f"sqlite:///{database}"}},
    }
    texts = {"duckdb": "SELECT current_setting('threads') > 0", "sqlite": "SELECT fts3_tokenizer(1) IS NULL"}
    async with with_file(tmp_path, engines=engines) as service, grpc.aio.insecure_channel(service.address) as channel:
        api = Api(channel, "tenant")

        async def answers(engine: str) -> str:
            """The reason of the refusal or of the failure; empty when the statement completes."""
            try:
                reply = await api.submit(texts[engine], engine=engine, wait_timeout=WAIT)
            except grpc.aio.AioRpcError as cause:
                return Refusal.of(cause).reason
            return str(reply.status.error.reason)

        async def reload_with(**functions: list[str]) -> None:
            write_settings(tmp_path, engines=engines, statements={"functions": functions})
            assert not (await service.reload(Trigger.FILE)).last.mistakes
            assert not (await service.reload(Trigger.FILE)).needs_restart

        for engine in texts:
            assert await answers(engine) == "STATEMENT_NOT_ALLOWED"
        await reload_with(allow=["current_setting", "fts3_tokenizer"])
        assert await answers("duckdb") == ""
        # SQLite itself has the last word.
        assert await answers("sqlite") != "STATEMENT_NOT_ALLOWED"
        await reload_with(allow=[])
        for engine in texts:
            assert await answers(engine) == "STATEMENT_NOT_ALLOWED"
