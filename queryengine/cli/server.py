"""Commands that need no server: serve starts one, config check reads its settings."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from queryengine.cli.exits import ended
from queryengine.cli.hints import program
from queryengine.cli.installed import server_installed

if TYPE_CHECKING:
    from queryengine.engines.base import OptionError
    from queryengine.settings import Settings

# The parts of the server are imported inside the commands, so that the others start without them.


def serve(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings, a YAML file.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="For trying: flights and TPC-H to query, removed when the server stops.")
    ] = False,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Start also where other hosts reach the server without authentication: whoever can connect then reads "
            "and stops the queries of every tenant.",
        ),
    ] = False,
) -> None:
    """Run a server until Ctrl-C or TERM.

    Environment variables such as QUERYENGINE_SERVER__LISTEN=127.0.0.1:9000 win over the file, also with --demo; without
    either the server listens on 127.0.0.1:8815 with one in-memory DuckDB. HUP reads the settings again.
    """
    # Until the server handles it: a SIGHUP that comes early must not end it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if demo:
        _serve_demo(config, insecure=insecure)
    with server_installed():
        from queryengine import settings
        from queryengine.app import process

    path = str(config) if config is not None else None
    try:
        loaded = settings.load(path)
    except settings.SettingsError as error:
        raise ended(str(error)) from error
    raise typer.Exit(process.serve(loaded, program=program(), source=settings.Source(config), insecure=insecure))


def _serve_demo(config: Path | None, *, insecure: bool) -> NoReturn:
    with server_installed("demo"):
        from queryengine.demo import serving
        from queryengine.demo.data import DataMissingError
        from queryengine.settings import SettingsError

    if config is not None:
        raise typer.BadParameter("--demo has settings of its own; leave --config out")
    try:
        raise typer.Exit(serving.serve(program(), lambda text: typer.echo(text, err=True), insecure=insecure))
    except (DataMissingError, SettingsError) as error:
        raise ended(str(error)) from error


def check(config: Annotated[Path, typer.Argument(metavar="FILE", help="Settings, a YAML file.")]) -> None:
    """Check a settings file for `serve`."""
    with server_installed():
        from queryengine import settings
        from queryengine.app.certificates import certificates
        from queryengine.domain.clock import SystemClock

    try:
        loaded = settings.load(str(config))
        certificates(loaded, SystemClock())
        _check_policies(loaded)
        warnings = [*settings.warnings(loaded), *_check_options(loaded)]
    except settings.SettingsError as error:
        raise ended(str(error)) from error
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{config}: ok; engines: {', '.join(loaded.engines)}")


def _check_policies(loaded: "Settings") -> None:
    """Row and column policies, as the adapter of each engine reads them. Raises SettingsError."""
    from queryengine.app.policies import checked_policies
    from queryengine.domain.row_policy import RowPolicy
    from queryengine.engines.base import PolicyProblem
    from queryengine.engines.registry import engine_class

    async def ask(name: str, policy: RowPolicy) -> Sequence[PolicyProblem]:
        engine = loaded.engines[name]
        return engine_class(engine.type).policy_problems(policy, engine.options)

    asyncio.run(checked_policies(loaded, ask))


def _check_options(loaded: "Settings") -> list[str]:
    """The options of each engine and what they name on this machine, which only its adapter can judge: a line for each
    one without effect. Raises SettingsError, a line for each mistake.
    """
    from queryengine.domain.errors import QueryEngineError
    from queryengine.engines.base import OptionError
    from queryengine.engines.kit.reach import reach
    from queryengine.engines.registry import engine_class
    from queryengine.settings import SettingsError, missing_audit_folder, missing_places
    from queryengine.workers.confinement import lacking

    mistakes: list[str] = []
    unusable: list[str] = missing_audit_folder(loaded)
    warnings: list[str] = []
    for name, engine in loaded.engines.items():
        key = ("engines", name, "options")
        try:
            adapter = engine_class(engine.type)
            traits = adapter.traits(engine.options)
            unusable += missing_places(loaded, name)
            unusable += [_line(loaded, name, each) for each in adapter.problems(engine.options)]
            warnings += [_line(loaded, name, each) for each in adapter.warnings(engine.options)]
            key = ("engines", name, "slots_per_worker")
            traits.check_slots(engine.slots_per_worker)
            if engine.confine and reach(engine.type, engine.options) is not None and (lacks := lacking()):
                where = f"{loaded.origin('engines', name)}: engines.{name}"
                warnings.append(f"{where}: its workers are less confined than they could be: {'; '.join(lacks)}")
        except QueryEngineError as cause:
            mistakes.append(f"{loaded.origin(*key)}: engines.{name}: {cause.failure.message}")
        except ValueError as cause:
            inside = cause.keys if isinstance(cause, OptionError) else ()
            mistakes.append(f"{loaded.origin(*key, *inside)}: {'.'.join(key)}: {cause}")
    if mistakes or unusable:
        raise SettingsError("\n".join([*mistakes, *unusable]))
    return warnings


def _line(loaded: "Settings", engine: str, what: "OptionError") -> str:
    key = ("engines", engine, "options")
    return f"{loaded.origin(*key, *what.keys)}: {'.'.join(key)}: {what}"
