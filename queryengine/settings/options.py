"""Options of an engine as they are written, with the secrets that they refer to."""

from collections.abc import Mapping
from typing import Any, Final

from queryengine.settings.secret import resolved, secret_error

SECRET_OPTIONS: Final = frozenset({"url", "password", "token", "init_sql", "connect_args"})
"""Options whose texts, and texts within them, may be references. Elsewhere `file:/path` is a place of an engine, such
as the folder that Spark stages results in.
"""


class Options(dict[str, Any]):
    """Options that do not show their values, which may be passwords given as they are."""

    def __repr__(self) -> str:
        return f"<{', '.join(self)}>"


def with_secrets(options: Mapping[str, Any]) -> Options:
    """The options with the value of each `file:/path` and `env:NAME`; other texts stay as they are. Raises a validation
    error that names the option.
    """
    return Options({key: _within(value, (key,)) if key in SECRET_OPTIONS else value for key, value in options.items()})


def _within(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return _of(value, keys)
    if isinstance(value, Mapping):
        return {key: _within(each, (*keys, str(key))) for key, each in value.items()}
    if isinstance(value, list):
        return [_within(each, keys) for each in value]
    return value


def _of(text: str, keys: tuple[str, ...]) -> str:
    try:
        return resolved(text)
    except ValueError as cause:
        raise secret_error(f"option {' > '.join(keys)!r}: {cause}", inside=keys) from cause
