"""What the suite spends its time on: the slowest files at the end of a run, and why a file may take long."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import pytest

from tests.templates import original

SHOWN: Final = 10
LONG_SECONDS: Final = 30.0
"""Of processor time, so that it does not depend on what else the machine does."""
TO_THE_END: Final = "what lives as long as the session: engine servers, shared services"

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tests/contract/test_engine_contract.py": "one suite over seven engines",
        "tests/faults/test_server_kill.py": "a server is started and killed over and over",
        "tests/faults/test_stalled_readers.py": "two million rows, and ten thousand calls at once",
        "tests/faults/test_start_and_stop.py": "starts thirty servers as programs: signals, output, exit codes",
        "tests/policies/test_oracle.py": "hundreds of texts, each on two databases, on six engines",
        "tests/service/test_installed_package.py": "builds a wheel and installs it, with and without the server",
        "tests/service/test_typed_package.py": "checks a program with mypy against the installed package",
    }
)
"""Why a file takes more than LONG_SECONDS of processor time. Any other is to be made cheaper, see CONTRIBUTING.md."""


@dataclass
class Spent:
    """By the tests of one file, with their fixtures."""

    tests: int = 0
    seconds: float = 0.0
    core_seconds: float = 0.0


def core_seconds() -> float:
    """Processor time of this process and of the processes that it, or a template of its servers, saw end."""
    return sum(os.times()[:4]) + original().core_seconds


class SlowestFiles:
    """A plugin, in the process that reports and in those that run tests."""

    def __init__(self) -> None:
        self._before: float | None = None
        self._is_last = False
        self._files: dict[str, Spent] = defaultdict(Spent)

    def pytest_runtest_teardown(self, nextitem: pytest.Item | None) -> None:
        self._is_last = nextitem is None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report = yield
        if report.when == "teardown":
            now = core_seconds()
            # It goes along with the report to the process that collects them.
            report.core_seconds = 0.0 if self._before is None else now - self._before
            report.ends_session = self._is_last
            self._before = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        spent = self._files[report.nodeid.partition("::")[0]]
        spent.tests += report.when == "call"
        spent.seconds += report.duration
        charged = self._files[TO_THE_END] if getattr(report, "ends_session", False) else spent
        charged.core_seconds += getattr(report, "core_seconds", 0.0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        slowest = sorted(self._files.items(), key=lambda each: -each[1].core_seconds)
        if sum(spent.core_seconds for _, spent in slowest) < LONG_SECONDS:
            return
        terminalreporter.section("slowest files, by core-seconds")
        total = Spent(
            sum(each.tests for each in self._files.values()),
            sum(each.seconds for each in self._files.values()),
            sum(each.core_seconds for each in self._files.values()),
        )
        for name, spent in [*slowest[:SHOWN], ("all", total)]:
            times = f"{spent.core_seconds:8.1f} of {spent.seconds:7.1f} seconds"
            terminalreporter.line(f"{times} {spent.tests:6} tests  {name}")
        for name, spent in slowest:
            if spent.core_seconds > LONG_SECONDS and name not in (*REASONS, TO_THE_END):
                terminalreporter.line(f"{name} takes over {LONG_SECONDS:g} core-seconds and has no reason to")
