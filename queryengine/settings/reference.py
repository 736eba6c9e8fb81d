"""The reference of all keys, printed by `python -m queryengine.settings` into docs/configuration.md."""

from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from queryengine.settings.model import EngineSettings, Settings, groups
from queryengine.settings.reload import RELOADABLE

_HEAD: Final = "| key | unit | default | SIGHUP | meaning |\n| --- | --- | --- | --- | --- |"
_UNITS: Final = {"bytes": "bytes", "seconds": "s", "ms": "ms", "mib": "MiB", "percent": "%", "rows": "rows"}


def to_markdown() -> str:
    """Every key with its unit, default and meaning, one table per group."""
    parts = []
    for name, group in groups():
        about = "" if group is Settings else f"{group.__doc__}\n\n"
        prefix = {EngineSettings: "engines.NAME.", Settings: ""}.get(group, f"{name}.")
        parts.append(f"### {name}\n\n{about}{_HEAD}")
        parts += [
            f"| `{prefix}{key}` | {_unit(key)} | {_default(field)} | {_reload(name, key)} | {field.description} |"
            for key, field in group.model_fields.items()
            if field.description
        ]
        for key, kind, member in _members(group):
            parts.append(f"\n#### {prefix}{key}, type `{kind}`\n")
            parts.append(f"{member.__doc__}\n")
            parts += [_HEAD] * (len(member.model_fields) > 1)
            parts += [
                f"| `{within}` | {_unit(within)} | {_default(field)} | {_reload(name, key)} | {field.description} |"
                for within, field in member.model_fields.items()
                if within != "type"
            ]
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _members(group: type[BaseModel]) -> Iterator[tuple[str, str, type[BaseModel]]]:
    """What the lists of a group may hold, by the key of the list and by the type that tells them apart."""
    for key, field in group.model_fields.items():
        found = [field.annotation]
        while found:
            each: Any = found.pop(0)
            if isinstance(each, type) and issubclass(each, BaseModel) and "type" in each.model_fields:
                yield from ((key, name, each) for name in get_args(each.model_fields["type"].annotation))
            found += get_args(each)


def _reload(group: str, key: str) -> str:
    """Whether a running server takes over another value of a key."""
    if group == "statements.functions":
        return "restart" if key == "allow" else "applies"
    return "applies" if key in RELOADABLE.get(group, ()) else "restart"


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
