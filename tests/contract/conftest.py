"""`--by-engine` ends a run of the contract suite with one line for each engine. Every kind of store, opened."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from queryengine.store import Store
from tests.contract.store_case import STORE_CASES, StoreCase

OUTCOMES = pytest.StashKey[dict[str, Counter[str]]]()
GAPS = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--by-engine", action="store_true", help="end with one line per engine")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = defaultdict(Counter)
    config.stash[GAPS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    case = getattr(getattr(item, "callspec", None), "params", {}).get("case")
    if case is not None and (report.when == "call" or report.outcome != "passed"):
        item.config.stash[OUTCOMES][case.name][report.outcome] += 1
        item.config.stash[GAPS].update(value for key, value in report.user_properties if key == "gaps")
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--by-engine"):
        return
    terminalreporter.section("engines")
    for name, outcomes in config.stash[OUTCOMES].items():
        counts = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped"))
        terminalreporter.write_line(f"{name:<14}{counts}; declared gaps: {config.stash[GAPS].get(name, 'unknown')}")


@pytest.fixture(params=STORE_CASES, ids=lambda case: case.name)
def store_case(request: pytest.FixtureRequest) -> StoreCase:
    return request.param


@pytest.fixture
async def store(store_case: StoreCase, tmp_path: Path) -> AsyncIterator[Store]:
    store = await store_case.open(tmp_path)
    yield store
    await store.close()
