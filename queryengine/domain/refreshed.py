"""What an engine over a folder of files found when it looked at the folder again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from queryengine.domain.texts import MESSAGE_BYTES_MAX, NAME_BYTES_MAX, shortened
from queryengine.domain.views import ViewChangeKind

CHANGES_MAX: Final = 10_000
"""That one worker reports."""


@dataclass(frozen=True, slots=True)
class ViewChange:
    """Name and reason are cut to their bounds."""

    view: str
    kind: ViewChangeKind
    reason: str = ""
    """Why it cannot be read."""

    def __post_init__(self) -> None:
        # The way to set a field of a frozen dataclass while it is made.
        object.__setattr__(self, "view", shortened(self.view, NAME_BYTES_MAX))
        object.__setattr__(self, "reason", shortened(self.reason, MESSAGE_BYTES_MAX))


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Of one worker."""

    views: int
    """That can be read now."""
    changes: tuple[ViewChange, ...]
    left_out: int = 0
    """Changes beyond those that are reported."""

    @classmethod
    def of(cls, views: int, changes: Sequence[ViewChange]) -> "Refreshed":
        """With as many changes as are reported, those that cannot be read first."""
        ordered = sorted(changes, key=lambda change: (change.kind is not ViewChangeKind.UNREADABLE, change.view))
        return cls(views, tuple(ordered[:CHANGES_MAX]), max(0, len(ordered) - CHANGES_MAX))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Refreshed":
        changes = [ViewChange(each["view"], ViewChangeKind(each["kind"]), each["reason"]) for each in values["changes"]]
        return cls(values["views"], tuple(changes), values["left_out"])


def merged(answers: Iterable[Refreshed]) -> Refreshed:
    """What the workers of an engine found together: a worker that has started since does not know what was before."""
    views = left_out = 0
    changes: dict[str, ViewChange] = {}
    for answer in answers:
        views, left_out = max(views, answer.views), max(left_out, answer.left_out)
        for change in answer.changes:
            changes.setdefault(change.view, change)
    found = Refreshed.of(views, list(changes.values()))
    return Refreshed(views, found.changes, found.left_out + left_out)
