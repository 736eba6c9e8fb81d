"""The prompt of `queryengine sql`: statements of several lines, a history, and a few commands of its own."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import typer
from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from queryengine import __version__
from queryengine.cli import running
from queryengine.cli.catalog import CATALOG_REASONS, CatalogRefused, columns_of
from queryengine.cli.clientconfig import ClientConfig
from queryengine.cli.dialects import dialect_of
from queryengine.cli.failures import reported
from queryengine.cli.interrupt import Interrupted, raised
from queryengine.cli.options import Expanded
from queryengine.cli.progress import progress_of
from queryengine.client import Client, QueryEngineClientError, SubmitOptions

HELP: Final = r"""
SELECT …;           run a statement; it may have several lines and ends with ;
\d                  list tables and views
\d NAME             list the columns of a table
\x [on|off|auto]    rows one below the other; auto does so where a table would be too wide
\timing [on|off]    say how long each statement took
\?, help            this list
\q, quit, exit      quit, as Ctrl-D does

Ctrl-C cancels the statement that runs, and clears one that is being written.
""".strip()


_WORDS: Final = frozenset({"exit", "quit", "help"})
"""What other prompts take for \\q and \\?, without a `;`."""


def history_file() -> Path:
    """Readable by its owner only, as SQL may hold what is nobody else's business."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    path = Path(home) / "queryengine" / "sql_history"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return path


class Shell:
    """Reads and runs until it is asked to quit."""

    def __init__(
        self,
        client: Client,
        config: ClientConfig,
        options: SubmitOptions,
        sink: running.Sink,
        *,
        is_shown: bool | None,
    ) -> None:
        self._client = client
        self._config = config
        self._options = options
        self._sink = sink
        self._is_shown = is_shown
        self._is_timed = False
        self._commands: dict[str, Callable[[str], None]] = {
            "\\d": self._describe,
            "\\x": self._expand,
            "\\timing": self._time,
            "\\?": lambda _: typer.echo(HELP),
        }

    def run(self) -> None:
        """Raises ServiceUnavailable when no server answers at the start; Interrupted at TERM and HUP."""
        engines = self._client.engines()
        wanted = self._options.get("engine")
        engine = next((each for each in engines if (each.name == wanted if wanted else each.is_default)), None)
        self._dialect = dialect_of(engine)
        typer.echo(
            f"queryengine {__version__}: {self._config.server}, {self._config.tenant_in_words}, "
            f"engine {engine.name if engine else wanted or 'default'}; \\? lists the commands"
        )
        session: PromptSession[str] = PromptSession(
            history=FileHistory(str(history_file())),
            key_bindings=self._keys(),
            multiline=True,
            prompt_continuation="     -> ",
            reserve_space_for_menu=0,
        )
        with raised():
            while (text := _next(session)) is not None:
                self._take(text.strip())

    def _take(self, text: str) -> None:
        """Run what was entered."""
        if text.startswith("\\"):
            word, _, rest = text.partition(" ")
            known = self._commands.get(word)
            if known is None:
                typer.echo(f"there is no command {word}; \\? lists them", err=True)
            else:
                known(rest.strip().removesuffix(";"))
            return
        for statement in self._dialect.statements(text) or ():
            if self._run(statement) is None:
                return

    def _run(self, statement: str, *, is_about_catalog: bool = False) -> int | None:
        """Run it and show its rows, or why it failed. Returns the number of rows; None when it failed.

        Raises CatalogRefused for a statement about the catalog that the caller may not read.
        """
        asked = running.Submission.of(statement, None, self._options)
        began = time.monotonic()
        try:
            with reported(self._config, sql=statement):
                shown = progress_of(asked.query_id, is_shown=self._is_shown)
                try:
                    rows = running.run(self._client, self._config, asked, self._sink, shown)
                except Interrupted as interrupted:
                    if interrupted.number == signal.SIGINT:
                        return None
                    raise SystemExit(interrupted.exit_code) from None
                except QueryEngineClientError as error:
                    if is_about_catalog and error.reason in CATALOG_REASONS:
                        raise CatalogRefused(error) from error
                    raise
        except typer.Exit:
            return None
        if self._is_timed:
            typer.echo(f"(took {time.monotonic() - began:.3f} s)", err=True)
        return rows

    def _describe(self, name: str) -> None:
        try:
            rows = self._run(self._dialect.describe(name) if name else self._dialect.tables, is_about_catalog=True)
        except CatalogRefused as refused:
            self._describe_without_catalog(name, refused)
            return
        if rows == 0 and name:
            typer.echo(f"there is no table or view {name}; \\d lists those there are", err=True)

    def _describe_without_catalog(self, name: str, refused: CatalogRefused) -> None:
        """What is known beside the catalog: the tables that the refusal names, and the columns of a result."""
        if not name:
            typer.echo(f"{refused}; \\d NAME lists the columns of a table that you may read", err=True)
            return
        with suppress(typer.Exit), reported(self._config):
            for line in columns_of(self._client, name, self._options):
                typer.echo(line)

    def _expand(self, word: str) -> None:
        given = {each.value: each for each in Expanded}
        usual = Expanded.OFF if self._sink.expanded is Expanded.ON else Expanded.ON
        if word and word not in given:
            typer.echo(f"\\x takes {', '.join(given)} or nothing", err=True)
            return
        self._sink = replace(self._sink, expanded=given.get(word, usual))
        typer.echo(f"rows one below the other: {self._sink.expanded}")

    def _time(self, word: str) -> None:
        if word not in ("", "on", "off"):
            typer.echo("\\timing takes on, off or nothing", err=True)
            return
        self._is_timed = word == "on" if word else not self._is_timed
        typer.echo(f"timing: {'on' if self._is_timed else 'off'}")

    def _keys(self) -> KeyBindings:
        """Enter ends what is whole and begins a line of what is not."""
        keys = KeyBindings()

        @keys.add("enter")
        def _(event: KeyPressEvent) -> None:
            text = event.current_buffer.text
            is_whole = (
                text.lstrip().startswith("\\")
                or text.strip().lower() in _WORDS
                or self._dialect.statements(text) is not None
            )
            if is_whole:
                event.current_buffer.validate_and_handle()
            else:
                event.current_buffer.insert_text("\n")

        return keys


def _next(session: PromptSession[str]) -> str | None:
    """What was entered; None to quit."""
    while True:
        try:
            text = session.prompt("queryengine> ")
        except EOFError:
            return None
        except Interrupted:
            raise
        except KeyboardInterrupt:
            # Ctrl-C clears what is being written.
            continue
        word = text.strip().rstrip("; ").lower()
        if word in ("\\q", "exit", "quit"):
            return None
        if word:
            return "\\?" if word == "help" else text
