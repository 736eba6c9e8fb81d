"""The engine type of the tests, `scripted`: the SQL text is a script of what happens, so a test reaches across process
boundaries.

A package beside this module, as pip would install it, brings the type by an entry point; tests/conftest.py puts both on
the path of every process of a test.

A script is a list of commands, parted by `;` or new lines. Commands up to a `start` run inside `start`, the others as
batches are asked for; without a `start` all are of the second kind.

| command | does |
|---|---|
| `columns n:int64, s:string` | names the columns; types: int64, double, string, binary, bool. Default: `n:int64` |
| `rows 1000 [size 4096]` | yields rows, in batches of at most 1,000; text and binary values are that long |
| `endless [size 4096]` | yields rows until it is cancelled |
| `echo` | yields one row of the statement's parameters; stands alone, or after a `start` |
| `gate /path/of/file` | waits until the file exists |
| `wait 250` | waits that many milliseconds |
| `spin` | keeps a processor busy until it is cancelled |
| `memory 1000000` | allocates that many bytes and keeps them until the end |
| `progress 0.5` | reports that fraction from here on |
| `scanned 1000 64000` | reports that many rows and bytes scanned |
| `fail ENGINE_ERROR any words` | fails with the reason and the words |
| `crash [3]` | ends the process at once, with that exit code |
| `release_fails` | the release of the execution fails, once everything is released |
| `ignore_cancel` | from here on a cancel is not heard; only a kill ends what follows |
| `write` | is refused, as any engine refuses a statement that writes |

Content depends on the number of the row alone: int64 is the number, double its half, string `row-<number>` and binary
the same in UTF-8, both padded with dots to the size, bool whether the number is odd.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from queryengine.domain.errors import Position, Reason, error
from queryengine.engines.base import Engine, EngineTraits, Execution, Progress, Statement
from queryengine.engines.kit.executions import OpenExecutions
from queryengine.engines.kit.interrupting import cancelled
from queryengine.engines.kit.parameters import check_names, name_of
from queryengine.engines.kit.sqltext import position_of_character

BATCH_ROWS: Final = 1_000
BATCH_BYTES: Final = 8 << 20
POLL_SECONDS: Final = 0.005

_OPTIONS: Final = ("embedded", "unavailable", "down_while", "cancel_confirmed")

_TYPES: Final[Mapping[str, pa.DataType]] = MappingProxyType(
    {
        "int64": pa.int64(),
        "double": pa.float64(),
        "string": pa.string(),
        "binary": pa.binary(),
        "bool": pa.bool_(),
    }
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a script."""

    command: str
    words: tuple[str, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class Script:
    """A script, parsed."""

    columns: tuple[tuple[str, pa.DataType], ...]
    before_start: tuple[Step, ...]
    steps: tuple[Step, ...]

    @property
    def echoes(self) -> bool:
        return any(step.command == "echo" for step in self.steps)


def parse(text: str) -> Script:
    """Raises SYNTAX_ERROR with the position of the command that makes no sense, NOT_ONE_STATEMENT for an
    empty script and STATEMENT_NOT_ALLOWED for one that writes.
    """
    columns: tuple[tuple[str, pa.DataType], ...] = (("n", pa.int64()),)
    before: tuple[Step, ...] = ()
    steps: list[Step] = []
    offset = 0
    for part in text.replace(";", "\n").split("\n"):
        position = position_of_character(text, offset + len(part) - len(part.lstrip()))
        offset += len(part) + 1
        command, _, rest = part.strip().partition(" ")
        step = Step(command, tuple(rest.split()), position)
        if not command:
            continue
        if command == "columns":
            columns = tuple(_column(word.strip(), position) for word in rest.split(","))
        elif command == "start":
            before, steps = tuple(steps), []
        else:
            _check_step(step)
            steps.append(step)
    if any(step.command == "write" for step in (*before, *steps)):
        raise error(Reason.STATEMENT_NOT_ALLOWED, "only a script that reads is allowed", statement_type="write")
    if not steps and not before:
        raise error(Reason.NOT_ONE_STATEMENT, "expected one script, got an empty text", statements=0)
    return Script(columns, before, tuple(steps))


def row_value(number: int, arrow_type: pa.DataType, size: int = 0) -> Any:
    """What a script yields in row `number`, counted from 0."""
    if arrow_type == pa.int64():
        return number
    if arrow_type == pa.float64():
        return number / 2
    if arrow_type == pa.bool_():
        return number % 2 == 1
    text = f"row-{number}".ljust(size, ".")
    return text if arrow_type == pa.string() else text.encode()


class ScriptedEngine(Engine):
    """Options: the traits `embedded` and `cancel_confirmed` (true by default), `unavailable` (a text: the engine cannot
    be reached, for that cause), `down_while` (a path: the engine does not answer while there is a file).
    """

    type_name = "scripted"

    @classmethod
    def traits(cls, options: Mapping[str, Any]) -> EngineTraits:
        for key in options:
            if key not in _OPTIONS:
                raise ValueError(f"unknown option {key!r} for a scripted engine; known: {', '.join(_OPTIONS)}")
        return EngineTraits(
            named_parameters=True,
            positional_parameters=True,
            streams=True,
            back_pressure=True,
            cancel_confirmed=bool(options.get("cancel_confirmed", True)),
            progress=True,
            scan_statistics=True,
            embedded=bool(options.get("embedded", True)),
        )

    @classmethod
    def check(cls, sql: str, options: Mapping[str, Any]) -> None:
        parse(sql)

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.traits(options)
        if cause := options.get("unavailable"):
            raise error(Reason.ENGINE_UNAVAILABLE, str(cause), engine=name)
        self._name = name
        self._down_while = Path(options["down_while"]) if "down_while" in options else None
        self._executions: OpenExecutions[ScriptedExecution] = OpenExecutions()

    def version(self) -> str:
        return "Scripted 1"

    def probe(self) -> None:
        if self._down_while is not None and self._down_while.exists():
            raise error(Reason.ENGINE_UNAVAILABLE, "connection refused, as scripted", engine=self._name)

    def open(self, statement: Statement) -> "ScriptedExecution":
        return self._executions.add(ScriptedExecution(statement, self.probe, self._executions.remove))

    def close(self) -> None:
        self._executions.close()


class ScriptedExecution(Execution):
    def __init__(
        self, statement: Statement, reach: Callable[[], None], forget: Callable[["ScriptedExecution"], None]
    ) -> None:
        self._statement = statement
        self._reach = reach
        self._forget = forget
        self._cancelled = threading.Event()
        self._listens = True
        self._release_fails = False
        self._is_confirmed = True
        self._idle = threading.Event()
        self._idle.set()
        self._script = Script((), (), ())
        self._schema = pa.schema([])
        self._rows = 0
        self._memory: list[bytearray] = []
        self._progress = Progress()

    def start(self) -> pa.Schema:
        with self._running():
            self._reach()
            refuse_what_traits_deny(self._statement)
            self._script = parse(self._statement.sql)
            self._schema = self._columns()
            for step in self._script.before_start:
                for _ in self._run(step):
                    raise error(Reason.STATEMENT_REJECTED, f"{step.command!r} before start", position=step.position)
        return self._schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        for step in self._script.steps:
            produced = self._run(step)
            while True:
                with self._running():
                    batch = next(produced, None)
                if batch is None:
                    break
                yield batch
        with self._running():
            self._progress = replace(self._progress, fraction=1.0)

    def progress(self) -> Progress:
        return self._progress

    def cancel(self) -> None:
        self._cancelled.set()
        self._idle.wait()
        if self._release_fails:
            self._release_fails = self._is_confirmed = False
            raise error(Reason.ENGINE_ERROR, "the release has failed, as scripted")

    @property
    def cancel_confirmed(self) -> bool:
        return self._is_confirmed

    def close(self) -> None:
        try:
            self.cancel()
        finally:
            self._memory.clear()
            self._forget(self)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Marks what runs on the engine, for `cancel` to wait for."""
        self._idle.clear()
        try:
            self._check_cancelled()
            yield
            self._check_cancelled()
        finally:
            self._idle.set()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set() and self._listens:
            raise cancelled()

    def _columns(self) -> pa.Schema:
        columns = self._script.columns
        if self._script.echoes:
            columns = tuple((name, array.type) for name, array in self._parameters())
        else:
            check_names(self._statement.parameters, ())
        return pa.schema([pa.field(name, kind, metadata={"engine_type": str(kind)}) for name, kind in columns])

    def _parameters(self) -> list[tuple[str, pa.Array]]:
        arrays = []
        for number, each in enumerate(self._statement.parameters, 1):
            try:
                arrays.append((each.name, pa.array([each.value], each.type)))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as cause:
                name = name_of(each, number)
                message = f"parameter {name}: not a value of {each.type}"
                raise error(Reason.PARAMETER_MISMATCH, message, parameter=name) from cause
        return arrays

    def _run(self, step: Step) -> Iterator[pa.RecordBatch]:
        words = step.words
        match step.command:
            case "rows":
                yield from self._emit(int(words[0]), _size(words[1:]))
            case "endless":
                yield from self._emit(None, _size(words))
            case "echo":
                arrays = [array for _, array in self._parameters()]
                yield pa.RecordBatch.from_arrays(arrays, schema=self._schema)
            case "gate":
                self._wait_until(Path(words[0]).exists)
            case "wait":
                deadline = time.monotonic() + int(words[0]) / 1000
                self._wait_until(lambda: time.monotonic() >= deadline)
            case "spin":
                while True:
                    self._check_cancelled()
            case "memory":
                self._memory.append(bytearray(b"\x01") * int(words[0]))
            case "progress":
                fraction = max(float(words[0]), self._progress.fraction or 0.0)
                self._progress = replace(self._progress, fraction=fraction)
            case "scanned":
                rows, scanned_bytes = int(words[0]), int(words[1])
                self._progress = replace(self._progress, rows_scanned=rows, bytes_scanned=scanned_bytes)
            case "fail":
                raise error(Reason(words[0]), " ".join(words[1:]) or "failed as the script says")
            case "crash":
                os._exit(int(words[0]) if words else 1)
            case "release_fails":
                self._release_fails = True
            case "ignore_cancel":
                self._listens = False
            case _:
                pass

    def _emit(self, count: int | None, size: int) -> Iterator[pa.RecordBatch]:
        per_batch = max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, size)))
        end = None if count is None else self._rows + count
        while end is None or self._rows < end:
            self._check_cancelled()
            numbers = range(self._rows, self._rows + per_batch if end is None else min(end, self._rows + per_batch))
            arrays = [
                pa.array([row_value(number, kind, size) for number in numbers], kind) for kind in self._schema.types
            ]
            self._rows = numbers.stop
            yield pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _wait_until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._check_cancelled()
            # A cancel that is not heard must not turn this into a busy loop.
            if self._listens:
                self._cancelled.wait(POLL_SECONDS)
            else:
                time.sleep(POLL_SECONDS)


def refuse_what_traits_deny(statement: Statement) -> None:
    """Raises UNSUPPORTED for what a scripted engine does not have."""
    asked = {
        "catalog": statement.catalog,
        "schema": statement.schema,
        "session_settings": statement.session_settings,
    }
    for feature, value in asked.items():
        if value:
            raise error(Reason.UNSUPPORTED, f"a scripted engine has no {feature}", feature=feature)


def _size(words: tuple[str, ...]) -> int:
    return int(words[1]) if words else 0


def _column(word: str, position: Position) -> tuple[str, pa.DataType]:
    name, _, kind = word.rpartition(":")
    if kind not in _TYPES:
        message = f"column {word!r} is not name:type with one of {', '.join(_TYPES)}"
        raise error(Reason.SYNTAX_ERROR, message, position=position)
    return name, _TYPES[kind]


_ARGUMENTS: Final[Mapping[str, Callable[[tuple[str, ...]], object]]] = MappingProxyType(
    {
        "crash": lambda words: [int(word) for word in words],
        "echo": lambda _: None,
        "endless": _size,
        "fail": lambda words: Reason(words[0]),
        "gate": lambda words: words[0],
        "ignore_cancel": lambda _: None,
        "memory": lambda words: int(words[0]),
        "progress": lambda words: float(words[0]),
        "release_fails": lambda _: None,
        "rows": lambda words: (int(words[0]), _size(words[1:])),
        "scanned": lambda words: (int(words[0]), int(words[1])),
        "spin": lambda _: None,
        "wait": lambda words: int(words[0]),
        "write": lambda _: None,
    }
)
"""Reads the arguments of each command; fails when they make no sense."""


def _check_step(step: Step) -> None:
    if step.command not in _ARGUMENTS:
        message = f"unknown command {step.command!r}; known: columns, start, {', '.join(_ARGUMENTS)}"
        raise error(Reason.SYNTAX_ERROR, message, position=step.position)
    try:
        _ARGUMENTS[step.command](step.words)
    except (ValueError, IndexError) as cause:
        message = f"wrong arguments of {step.command!r}: {' '.join(step.words)!r}"
        raise error(Reason.SYNTAX_ERROR, message, position=step.position) from cause
