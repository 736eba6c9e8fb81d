"""The reference of all keys, printed by `python -m queryengine.settings` into docs/configuration.md."""

from collections.abc import Iterator, Sequence
from typing import Final, get_origin

from pydantic.fields import FieldInfo

from queryengine.settings.model import EngineSettings, Settings, groups
from queryengine.settings.places import groups_in, type_of
from queryengine.settings.reload import RELOADABLE

_HEAD: Final = "| key | unit | default | SIGHUP | meaning |\n| --- | --- | --- | --- | --- |"
_UNITS: Final = {"bytes": "bytes", "seconds": "s", "ms": "ms", "mib": "MiB", "percent": "%", "rows": "rows"}


def to_markdown() -> str:
    """Every key with its unit, default and meaning, one table per group."""
    return "\n\n".join(_sections()) + "\n"


def _sections() -> Iterator[str]:
    for name, group in groups():
        about = "" if group is Settings else f"{' '.join((group.__doc__ or '').split())}\n\n"
        prefix = {EngineSettings: "engines.NAME.", Settings: ""}.get(group, f"{name}.")
        rows = [_row(prefix + key, field, _reload(name, key)) for key, field in group.model_fields.items()]
        yield "\n".join([f"### {name}\n\n{about}{_HEAD}", *filter(None, rows)])
        if group is not Settings:
            for key, field in group.model_fields.items():
                yield from _members(prefix + key, field, _reload(name, key))


def _members(name: str, field: FieldInfo, reload: str) -> Iterator[str]:
    """The sections of what a list may hold; it is taken over with the list."""
    for member in groups_in(field.annotation) if get_origin(field.annotation) is Sequence else ():
        kind = type_of(member)
        rows = [_row(key, its, reload) for key, its in member.model_fields.items() if key != "type"]
        about = " ".join((member.__doc__ or "").split())
        title = f"#### {name}, type `{kind}`" if kind else f"#### {name}"
        yield "\n".join([f"{title}\n\n{about}", *([f"\n{_HEAD}", *filter(None, rows)] if rows else [])])
        for key, its in member.model_fields.items():
            yield from _members(f"{name}[].{key}", its, reload)


def _row(key: str, field: FieldInfo, reload: str) -> str:
    if not field.description:
        return ""
    unit = _unit(key.rpartition(".")[2])
    return f"| `{key}` | {unit} | {_default(field)} | {reload} | {field.description} |"


def _reload(group: str, key: str) -> str:
    """Whether a running server takes over another value of a key."""
    if "tenants" in (key, group.partition(".")[0]):
        return "applies"
    top, _, below = group.partition(".")
    name = below.partition(".")[0] or key
    return "applies" if name in RELOADABLE.get(top, ()) else "restart"


def _unit(key: str) -> str:
    """The last word of a key that is a unit."""
    return next((_UNITS[word] for word in reversed(key.split("_")) if word in _UNITS), "")


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default" in extra:
        return str(extra["default"])
    if field.is_required():
        return "must be set"
    value = field.default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
