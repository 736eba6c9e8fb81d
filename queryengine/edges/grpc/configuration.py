"""ReloadStatus and Reload."""

from collections.abc import Sequence
from typing import Final

from queryengine.accepting.configuring import Configuring
from queryengine.domain.reloads import ReloadStatus
from queryengine.domain.texts import MESSAGE_BYTES_MAX, shortened
from queryengine.edges.grpc.call import Caller, Unary
from queryengine.edges.grpc.convert import timestamp
from queryengine.v1 import admin_service_pb2 as pb

LINES_MAX: Final = 1_000
"""Of keys, of mistakes and of warnings."""


class ConfigurationRpcs:
    """ReloadStatus and Reload."""

    def __init__(self, configuring: Configuring) -> None:
        self._configuring = configuring

    def behaviours(self) -> dict[str, Unary]:
        return {"ReloadStatus": self.reload_status, "Reload": self.reload}

    async def reload_status(self, _: pb.ReloadStatusRequest, caller: Caller) -> pb.ReloadStatusResponse:
        return pb.ReloadStatusResponse(configuration=to_message(self._configuring.status(caller.principal)))

    async def reload(self, _: pb.ReloadRequest, caller: Caller) -> pb.ReloadResponse:
        caller.leave_turn()
        status = await self._configuring.reload(caller.principal, record=caller.record)
        return pb.ReloadResponse(configuration=to_message(status))


def to_message(status: ReloadStatus) -> pb.Configuration:
    last = status.last
    return pb.Configuration(
        version=status.version,
        load_time=timestamp(status.since_us),
        needs_restart=_bounded(status.needs_restart),
        warnings=_bounded(status.warnings),
        last_attempt=pb.ReloadAttempt(
            trigger=f"RELOAD_TRIGGER_{last.trigger.name}",
            end_time=timestamp(last.end_us),
            applied=last.is_applied,
            changed=_bounded(last.changed),
            mistakes=_bounded(last.mistakes),
        ),
    )


def _bounded(lines: Sequence[str]) -> list[str]:
    return [shortened(line, MESSAGE_BYTES_MAX // 8) for line in lines[:LINES_MAX]]
