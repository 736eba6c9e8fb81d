"""docs/security.md names every field of an audit record."""

import json
from dataclasses import fields
from pathlib import Path

from queryengine.domain.audit import Decision, Planned, Verdict
from queryengine.domain.errors import Failure, Reason
from queryengine.domain.identity import Principal, Role
from queryengine.domain.lifecycle import QueryState
from queryengine.telemetry.audit import records
from tests.unit.core_values import query

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_field_is_on_the_page() -> None:
    principal = Principal(
        tenant="t", home_tenant="h", subject="s", roles=frozenset(Role), authenticator="jwt", credential_id="c"
    )
    planned = Planned(engine="e", sql="q", fingerprint="f", tables={("t",)}, row_policies=("p",), policy_version="v")
    made = Decision(
        principal=principal,
        peer="p",
        rpc="Submit",
        query_id="i",
        key_id="k",
        named_query="n",
        planned=planned,
        verdict=Verdict.FAILED,
        reason="INTERNAL_ERROR",
    )
    assert len(fields(Decision)) == 9
    ended = query("t1", state=QueryState.FAILED, failure=Failure(Reason.ENGINE_ERROR, "x"))
    section = PAGE[PAGE.index("## Audit") : PAGE.index("## Secrets")]
    for record in (records.decision(made, with_text=True), records.query_end(ended)):
        line = json.loads(records.line(record, now_us=0, server="s", sequence=1))
        assert {name for name in line if f"`{name}`" not in section} == set()
