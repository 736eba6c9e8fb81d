"""The configuration of a server: the calls about it, and what a client learns."""

import datetime as dt
from dataclasses import dataclass

from queryengine.client.calls import Call
from queryengine.v1 import admin_service_pb2 as pb


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadAttempt:
    """One attempt to load the configuration."""

    trigger: str
    """start, signal, file or call; empty for one that this client does not know."""
    end_time: dt.datetime
    applied: bool
    """Whether it was applied; else everything stayed as it was."""
    changed: tuple[str, ...]
    """Keys that have another value since, and files that were read again."""
    mistakes: tuple[str, ...]
    """Why it was refused, each with its place and key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfiguration:
    """What one server uses; the contract's Configuration says what each field promises."""

    version: str
    load_time: dt.datetime
    needs_restart: tuple[str, ...]
    last_attempt: ReloadAttempt
    warnings: tuple[str, ...] = ()


def reload_status() -> Call[ServerConfiguration]:
    return Call("ReloadStatus", pb.ReloadStatusRequest(), pb.ReloadStatusResponse, _configuration)


def reload() -> Call[ServerConfiguration]:
    return Call("Reload", pb.ReloadRequest(), pb.ReloadResponse, _configuration)


def _configuration(reply: pb.ReloadStatusResponse | pb.ReloadResponse) -> ServerConfiguration:
    found = reply.configuration
    last = found.last_attempt
    known = last.trigger in pb.ReloadTrigger.values()
    name = pb.ReloadTrigger.Name(last.trigger) if known else ""
    return ServerConfiguration(
        version=found.version,
        load_time=found.load_time.ToDatetime(dt.UTC),
        needs_restart=tuple(found.needs_restart),
        warnings=tuple(found.warnings),
        last_attempt=ReloadAttempt(
            trigger=name.removeprefix("RELOAD_TRIGGER_").lower(),
            end_time=last.end_time.ToDatetime(dt.UTC),
            applied=last.applied,
            changed=tuple(last.changed),
            mistakes=tuple(last.mistakes),
        ),
    )
