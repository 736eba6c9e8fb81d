"""A server as a process: its log, its signals, what it prints, its exit code."""

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import uvloop

from queryengine import __version__
from queryengine.app.service import Service
from queryengine.codec.memory import keep_malloc_memory
from queryengine.domain.errors import QueryEngineError
from queryengine.domain.reloads import Trigger
from queryengine.edges.grpc.server import PortTaken
from queryengine.settings import Settings, SettingsError, Source, exposed
from queryengine.store import StoreUnusable
from queryengine.telemetry.logs import set_up_logging

ENGINES_SECONDS = 5.0
"""How long the banner waits to say which engines are down."""
LOOK_SECONDS = 0.02
INSECURE = "  INSECURE other hosts reach it, and every caller is whoever it claims to be"

_OPTIONS: Final = {
    "api_key": " --api-key-file FILE",
    "jwt": " --token-file FILE",
    "mtls": " --cert FILE --key FILE",
}
"""Of the command line, by kind of authenticator."""

logger = logging.getLogger(__name__)


def serve(
    settings: Settings,
    *,
    program: str,
    guide: Callable[[str], str] | None = None,
    source: Source | None = None,
    insecure: bool = False,
) -> int:
    """Run a server until SIGTERM or SIGINT; a second signal ends it at once. Returns the exit code. The program is what
    a person types to call the command line. `guide` makes the text that follows the banner from the server's address.
    SIGHUP, or a change of a file of `source`, has the settings loaded again; it never ends a server.
    `insecure` lets callers of other hosts in without authentication.
    """
    set_up_logging(settings.log.style)
    # Whatever is written from here on, by workers too, holds what tenants ask and get: it is for this user alone.
    os.umask(0o077)
    # Nor is it left in a file by a crash; a program that the kernel hands core dumps to decides for itself.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    keep_malloc_memory()
    return uvloop.run(_serve(Service(settings, source=source, insecure=insecure), program, guide, source))


async def _serve(service: Service, program: str, guide: Callable[[str], str] | None, source: Source | None) -> int:
    settings = service.settings
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stopping.is_set():
            logger.warning("second signal: ending at once; unfinished queries recover at the next start")
            os._exit(1)
        stopping.set()

    started = False
    asked_early = False

    def on_hangup() -> None:
        nonlocal asked_early
        if source is None:
            logger.info("SIGHUP: there is no file of settings to read again")
        elif not started:
            asked_early = True
        elif not stopping.is_set():
            service.ask_to_reload(Trigger.SIGNAL)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, on_signal)
    try:
        await service.start()
    except (PortTaken, SettingsError, StoreUnusable, QueryEngineError) as cause:
        if settings.log.style.as_json:
            logger.critical("%s", cause)
        else:
            print(f"queryengine: {cause}", file=sys.stderr)  # noqa: T201
        return 1
    started = True
    if asked_early:
        on_hangup()
    # What is there by now stays: collections need not look at it again and again.
    gc.collect()
    gc.freeze()
    await _first_word_of_engines(service, stopping)
    print(banner(service, program), flush=True)  # noqa: T201
    if guide is not None:
        print(guide(service.address), flush=True)  # noqa: T201
    await stopping.wait()
    logger.info("stopping: streams rotate, running queries get their time")
    with suppress(asyncio.CancelledError):
        await service.stop()
    return 0


async def _first_word_of_engines(service: Service, stopping: asyncio.Event) -> None:
    """Return once every engine is up or known to be down, and anyway after a while: queries are taken meanwhile."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ENGINES_SECONDS):
            for name in service.settings.engines:
                while service.pool.load(name).is_starting and not stopping.is_set():  # noqa: ASYNC110 - once.
                    await asyncio.sleep(LOOK_SECONDS)


def banner(service: Service, program: str) -> str:
    """What a person sees at start: addresses, engines and which are down, state, and the first command to paste."""
    settings = service.settings
    engines = [_engine(service, name) for name in settings.engines]
    server = "" if service.address == "127.0.0.1:8815" else f" --server {service.address}"
    server += " --tls" if settings.tls.is_on else ""
    server += credential_options(settings)
    lines = [
        f"queryengine {__version__}",
        f"  gRPC     {service.address}{_traits(settings)}",
        *([f"  gRPC     {service.mutual_address} (TLS with client certificates)"] if service.mutual_address else []),
        *([INSECURE] if exposed(settings) else []),
        f"  health   {service.admin_address} (gRPC)",
        *([f"  metrics  http://{service.metrics_address}/metrics and /readyz"] if service.metrics_address else []),
        *engines,
        f"  state    {settings.state.directory.resolve()}",
        f'  try      {program} sql{server} "SELECT 42 AS answer"',
    ]
    return "\n".join(lines)


def credential_options(settings: Settings) -> str:
    """The options by which the first command shows who calls, where the server asks for that."""
    kinds = [each.type for each in settings.auth.authenticators]
    shown = "" if "none" in kinds else next((_OPTIONS[kind] for kind in kinds if kind in _OPTIONS), "")
    asks_connection = settings.tls.client_certificates == "required"
    return _OPTIONS["mtls"] + (shown if shown != _OPTIONS["mtls"] else "") if asks_connection else shown


def _traits(settings: Settings) -> str:
    """Of the service's port, in parentheses."""
    kind = "TLS with client certificates" if settings.tls.client_certificates == "required" else "TLS"
    traits = [kind] if settings.tls.is_on else []
    traits += ["reflection on"] if settings.server.reflection else []
    return f" ({', '.join(traits)})" if traits else ""


def _engine(service: Service, name: str) -> str:
    engine = service.settings.engines[name]
    load = service.pool.load(name)
    workers = f"{engine.workers} worker{'s' if engine.workers > 1 else ''}"
    text = f"  engine   {name} ({engine.type}, {workers})"
    if name == service.settings.default_engine:
        text += " default"
    if load.is_starting:
        return f"{text} starting"
    # The rest of the reason may have many lines; `queryengine engines` shows it.
    return text if load.available else f"{text} DOWN: {load.detail.partition(chr(10))[0]}"
