"""What can be said about settings beyond their values: variables that mean nothing, folders that others can use, files
and folders that are missing.
"""

import difflib
import os
import re
import stat
from collections.abc import Iterator
from typing import Final

from queryengine.engines.kit.places import missing
from queryengine.settings.exposure import exposed, readable
from queryengine.settings.model import CLIENT_VARIABLES, ENVIRONMENT_PREFIX, Settings, groups
from queryengine.settings.secret import keys_of_secret_files

_SERVICE_LINK: Final = re.compile(
    rf"{ENVIRONMENT_PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)=.*"
    rf"|{ENVIRONMENT_PREFIX}(\w+_)?PORT=\w+://.*"
)
"""What Kubernetes sets in every container beside a Service that is named queryengine or begins so."""


def warnings(settings: Settings) -> list[str]:
    """A line each, with the place of the key. Looks at names on the disk."""
    network = [line for line in (exposed(settings), readable(settings)) if line]
    return [*_meaningless(), *_open_folders(settings), *_open_secrets(settings), *network]


def missing_places(settings: Settings, *engines: str) -> list[str]:
    """A line, as for a mistake, for each file and folder that one of these engines, or of all, names and that cannot be
    used. The engine's queries wait until it can.
    """
    found = []
    for name in engines or settings.engines:
        engine = settings.engines[name]
        key = ("engines", name, "options")
        found += [
            f"{settings.origin(*key, *each.keys)}: {'.'.join(key)}: {each}"
            for each in missing(engine.type, engine.options)
        ]
    return found


def missing_audit_folder(settings: Settings) -> list[str]:
    """A line, as for a mistake, when the file of audit records cannot be made where it is to be: that ends a start."""
    path = settings.audit.path
    if path is None or path.parent.is_dir():
        return []
    return [f"{settings.origin('audit', 'to')}: audit.to: there is no folder {path.parent}"]


def unknown_variables() -> Iterator[tuple[str, str]]:
    """Variables of the environment that are named like keys and are none, with what is wrong: those with two
    underscores, which nothing else has, and those that are a key but for the underscores.
    """
    for name in _foreign():
        near = _suggestion(name)
        if "__" in name[len(ENVIRONMENT_PREFIX) :] or near.replace("__", "_") == name.upper():
            first = name[len(ENVIRONMENT_PREFIX) :].partition("__")[0].lower()
            hint = f"did you mean {near}?" if near else f"known here: {', '.join(Settings.model_fields)}"
            yield name, f"{first}: unknown key; {hint}"


def _foreign() -> list[str]:
    """Variables with our prefix that pydantic does not look at."""
    known = {name.upper() for name in Settings.model_fields}
    named = sorted(name for name in os.environ if name.upper().startswith(ENVIRONMENT_PREFIX))
    return [name for name in named if name[len(ENVIRONMENT_PREFIX) :].upper().split("__")[0] not in known]


def _suggestion(name: str) -> str:
    """The variable that may have been meant; empty when none is near."""
    rest = name.upper().removeprefix(ENVIRONMENT_PREFIX)
    names = {key.replace("__", "_"): key for key in _keys()}
    exact = names.get(rest.replace("__", "_"))
    if exact is not None:
        return f"{ENVIRONMENT_PREFIX}{exact}"
    if "__" in rest:
        first, _, below = rest.partition("__")
        near = difflib.get_close_matches(first.lower(), Settings.model_fields, n=1)
        return f"{ENVIRONMENT_PREFIX}{near[0].upper()}__{below}" if near else ""
    near = difflib.get_close_matches(rest, names, n=1, cutoff=0.8)
    return f"{ENVIRONMENT_PREFIX}{names[near[0]]}" if near else ""


def _keys() -> Iterator[str]:
    """Every key as the rest of its variable, without those of engines."""
    for group, model in groups():
        if model is not Settings and "." not in group:
            yield from (f"{group}__{key}".upper() for key in model.model_fields)
    yield "DEFAULT_ENGINE"


def _meaningless() -> Iterator[str]:
    reported = {name for name, _ in unknown_variables()}
    for name in _foreign():
        is_link = _SERVICE_LINK.fullmatch(f"{name}={os.environ[name]}")
        if name not in reported and name.upper() not in CLIENT_VARIABLES and not is_link:
            near = _suggestion(name)
            yield f"environment variable {name}: has no meaning" + (f"; did you mean {near}?" if near else "")


def _open_secrets(settings: Settings) -> Iterator[str]:
    """Files of secrets that others than the user of the server can read, as modes have it."""
    files = list(keys_of_secret_files(settings))
    if settings.tls.key is not None:
        files.append((("tls", "key"), settings.tls.key))
    for key, path in files:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077:
            what = f"other users of this machine can use {path} (mode {mode:03o}); chmod 600 {path}"
            yield f"{settings.origin(*key)}: {'.'.join(key)}: {what}"


def _open_folders(settings: Settings) -> Iterator[str]:
    state = settings.state
    for folder in (state.directory, state.spool, state.cuts):
        try:
            mode = stat.S_IMODE(folder.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077:
            where = settings.origin("state", "directory")
            what = f"other users of this machine can use {folder} (mode {mode:03o}); chmod 700 {folder}"
            yield f"{where}: state.directory: {what}"
