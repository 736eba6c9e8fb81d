"""The lifecycle table itself, and the page that shows it."""

from pathlib import Path

import pytest

from queryengine.domain.lifecycle import FINAL, TRANSITIONS, Event, QueryState, sources, to_mermaid

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"


def test_final_states_are_left_by_nothing() -> None:
    assert set(FINAL) == {QueryState.COMPLETED, QueryState.FAILED, QueryState.CANCELLED}
    assert not {state for state, _ in TRANSITIONS} & FINAL


@pytest.mark.parametrize("event", Event)
def test_the_sources_of_an_event_are_the_states_the_table_has_it_in(event: Event) -> None:
    assert sources(event) == {state for state in QueryState if (state, event) in TRANSITIONS}
    assert sources(event)


def test_every_state_is_reached_and_every_live_one_can_end() -> None:
    reached = {QueryState.QUEUED}
    while new := {target for (state, _), target in TRANSITIONS.items() if state in reached} - reached:
        reached |= new
    assert reached == set(QueryState)
    for state in set(QueryState) - FINAL:
        assert {TRANSITIONS[state, Event.FAIL], TRANSITIONS[state, Event.CANCEL]} <= FINAL


def test_the_page_shows_the_table() -> None:
    diagram = PAGE.read_text(encoding="utf-8").split("```mermaid\n")[1].split("\n```")[0]
    assert diagram == to_mermaid()


def test_the_page_says_who_moves_what() -> None:
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    told = {(row[0], row[1]): row[2] for row in rows if len(row) == 4}
    assert told == {(state.value, event.value): target.value for (state, event), target in TRANSITIONS.items()}
    assert all(row[3] for row in rows if len(row) == 4)
