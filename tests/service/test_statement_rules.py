"""Rules on statements, as a client meets them."""

from pathlib import Path

from tests.support import WAIT, Refusal, new_id, refused, served

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
