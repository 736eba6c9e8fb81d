"""Where in the settings a mistake is: the way to its key, and the groups whose keys may stand there."""

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from queryengine.settings.model import Settings


def place_of(location: Sequence[int | str]) -> tuple[tuple[str, ...], Sequence[type[BaseModel]]]:
    """The key of a location as pydantic gives it, without what it adds: `[key]`, and the type of a member of a list
    whose members have different keys. With it the groups that its last part is, or should be, a key of.
    """
    key: list[str] = []
    owners: Sequence[type[BaseModel]] = ()
    models: Sequence[type[BaseModel]] = (Settings,)
    is_member = False
    """Whether the next part is a number in a list or a name in a mapping."""
    before: int | str = ""
    for part in location:
        tagged = [each for each in models if isinstance(before, int) and type_of(each) == part]
        before = part
        if tagged:
            models = tagged
        elif part != "[key]":
            key.append(str(part))
            owners = models
            field = None if is_member else next((each.model_fields.get(str(part)) for each in models), None)
            is_member = not is_member and field is not None and not _is_group(field.annotation)
            models = models if field is None else groups_in(field.annotation)
    return tuple(key), owners


def groups_in(annotation: Any) -> Sequence[type[BaseModel]]:
    """The groups of keys within a type, as those of a list, in their order."""
    return tuple(_groups_in(annotation))


def type_of(group: type[BaseModel]) -> str:
    """What its key `type` must be, where it tells a group from others of one list; else empty."""
    field = group.model_fields.get("type")
    allowed = () if field is None else get_args(field.annotation)
    return str(allowed[0]) if len(allowed) == 1 else ""


def _groups_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if _is_group(annotation):
        yield annotation
    for each in get_args(annotation):
        yield from _groups_in(each)


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
