"""Which server to call, as whom and how securely: a flag wins over the environment, the environment over the file.

Imports neither the client nor the server, so that `--help` stays quick.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

DEFAULT_SERVER: Final = "127.0.0.1:8815"
DEFAULT_TENANT: Final = "default"
DEFAULT: Final = "default"
"""The origin of what nobody has set."""

OWN_HEADERS: Final = {"x-tenant-id": "tenant", "x-user-id": "user", "authorization": "token_file"}
HEADER_SIGNS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
CREDENTIALS: Final = ("token_file", "api_key_file", "api_key")
_AT_LINE: Final = re.compile(r"at line (\d+)")
_ASSIGNED: Final = re.compile(r"\s*(?P<key>[\w-]+)\s*(?P<sign>[:=])\s*(?P<value>.*)")
_TOML_BEGINS: Final = ('"', "'", "[", "{")
_SWITCHES: Final = frozenset({"tls", "allow_insecure_credentials"})
TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})

Header = tuple[str, str]


class ConfigError(ValueError):
    """A value that cannot be used; the message says where it was set."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that may be set, and how its text or its TOML value is read."""

    key: str
    flag: str
    default: Any
    read: Callable[[Any], Any]

    @property
    def variable(self) -> str:
        return VARIABLES[self.key]


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What is in force, and where each value came from."""

    server: str = DEFAULT_SERVER
    """HOST:PORT, or any target of gRPC."""
    tenant: str = DEFAULT_TENANT
    user: str = ""
    tls: bool = False
    ca: Path | None = None
    """Certificates to trust, PEM; None means those that gRPC brings."""
    cert: Path | None = None
    """The client's own certificate, PEM, which `key` belongs to."""
    key: Path | None = None
    token_file: Path | None = None
    api_key_file: Path | None = None
    api_key: str | None = field(default=None, repr=False)
    """From the environment alone: arguments of a process are seen by others, and files are named."""
    allow_insecure_credentials: bool = False
    """Whether a token or a key may be sent in plain text to another machine."""
    headers: tuple[Header, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    """By key: a flag, a variable, the file, or "default"."""

    @property
    def has_credential(self) -> bool:
        files = (self.token_file, self.api_key_file, self.api_key, self.cert)
        return any(each is not None for each in files) or any(name == "authorization" for name, _ in self.headers)

    @property
    def tenant_given(self) -> str:
        """What a call says: empty where the credential says it, as nobody has named a tenant beside one."""
        return "" if self.origins.get("tenant", DEFAULT) == DEFAULT and self.has_credential else self.tenant

    @property
    def tenant_in_words(self) -> str:
        return f"tenant {self.tenant_given}" if self.tenant_given else "the tenant of the credential"


def config_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the file is looked for; it need not be there."""
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "queryengine" / "client.toml"


def resolve(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> ClientConfig:
    """What is in force. `flags` has None, or an empty list, for what was not given.

    Raises ConfigError for a value, a key or a file that cannot be read.
    """
    path = config_file(environment)
    layers: list[tuple[Callable[[Setting], str], Mapping[str, Any]]] = [
        (lambda setting: setting.flag, {key: value for key, value in flags.items() if value not in (None, [], "")}),
        (lambda setting: setting.variable, _from_environment(environment)),
        (lambda _: str(path), _from_file(path)),
    ]
    values: dict[str, Any] = {setting.key: setting.default for setting in SETTINGS}
    origins = dict.fromkeys(values, DEFAULT)
    for named, layer in reversed(layers):
        for setting in SETTINGS:
            if setting.key not in layer:
                continue
            try:
                value = setting.read(layer[setting.key])
            except ValueError as error:
                place = named(setting)
                where = f"{place}: {setting.key}" if place == str(path) else place
                raise ConfigError(f"{where}: {error}") from error
            if setting.key == "headers":
                # A header of a stronger place replaces that of the same name only.
                value = tuple({**dict(values["headers"]), **dict(value)}.items())
            values[setting.key], origins[setting.key] = value, named(setting)
    for key in ("ca", "cert"):
        if values[key] is not None and origins["tls"] == DEFAULT:
            values["tls"], origins["tls"] = True, origins[key]
    _keep_strongest_credential(values, origins)
    return ClientConfig(**values, origins=origins)


def _keep_strongest_credential(values: dict[str, Any], origins: dict[str, str]) -> None:
    """Of several ways to say who calls the one of the strongest place counts. Two in one place are a mistake."""
    given = [key for key in CREDENTIALS if values[key] is not None]
    places = [_rank(key, origins[key]) for key in given]
    for key, rank in zip(given, places, strict=True):
        if rank > min(places):
            values[key], origins[key] = None, DEFAULT
    left = [key for key in given if values[key] is not None]
    if len(left) > 1:
        raise ConfigError(f"{' and '.join(origins[key] for key in left)}: give one of them")


def _rank(key: str, origin: str) -> int:
    return 0 if origin.startswith("--") else 1 if origin == VARIABLES[key] else 2


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    return {key: environment[variable] for key, variable in VARIABLES.items() if environment.get(variable)}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = _parsed(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the file is not UTF-8 text") from error
    keys = [key for key in VARIABLES if key != "api_key"]
    unknown = sorted(set(found) - set(keys))
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; the keys are {', '.join(keys)}")
    return found


def _parsed(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        lines = text.splitlines()
        at = _AT_LINE.search(str(error))
        number = min(int(at[1]) if at is not None else len(lines), len(lines))
        raise ConfigError(f"{path}:{number}: not TOML: {_hint(lines[number - 1], str(error))}") from error


def _hint(line: str, said: str) -> str:
    """What to do about a line of TOML that cannot be read. Of the line only the key is repeated: the value of a header
    may be a secret.
    """
    if "overwrite" in said:
        return "this key is set twice"
    found = _ASSIGNED.match(line)
    if found is not None and (found["sign"] == ":" or not found["value"].startswith(_TOML_BEGINS)):
        key = found["key"]
        if key in _SWITCHES:
            return f"expected {key} = true or {key} = false"
        return f'a text stands in quotation marks, behind `=`: {key} = "…"'
    return "check the quotation marks and brackets in this line"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {value!r}")  # noqa: TRY004 - it becomes a ConfigError
    return value


def _yes_or_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).lower()
    if word not in TRUE | FALSE:
        raise ValueError(f"expected true or false, found {value!r}")
    return word in TRUE


def _path(value: Any) -> Path:
    return Path(_text(str(value) if isinstance(value, Path) else value)).expanduser()


def _headers(value: Any) -> tuple[Header, ...]:
    """A table of the file, the values of --header, or the lines of the variable."""
    if isinstance(value, Mapping):
        pairs = [(name, _text(each)) for name, each in value.items()]
    else:
        lines: Sequence[str] = value.splitlines() if isinstance(value, str) else value
        pairs = [_pair(line) for line in lines if line.strip()]
    return tuple((_header_name(name), _header_value(name, each)) for name, each in pairs)


def _pair(line: str) -> Header:
    name, colon, value = line.partition(":")
    if not colon:
        # Not the text itself, which may be a secret.
        raise ValueError("a header is written 'NAME: VALUE'")
    return name.strip(), value.strip()


def _header_name(text: str) -> str:
    name = text.lower()
    if not name or not HEADER_SIGNS.issuperset(name) or name.startswith("grpc-") or name.endswith("-bin"):
        raise ValueError(
            f"{text!r} cannot be the name of a header: letters, digits, - _ . and neither grpc-… nor …-bin, "
            "which gRPC keeps for itself"
        )
    if name in ("x-tenant-id", "x-user-id"):
        raise ValueError(f"header {name} is what --{OWN_HEADERS[name]} sets")
    return name


def _header_value(name: str, value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"the value of header {name!r} holds characters other than printable ASCII")
    return value


VARIABLES: Final[Mapping[str, str]] = {
    "server": "QUERYENGINE_TARGET",
    "tenant": "QUERYENGINE_TENANT",
    "user": "QUERYENGINE_USER",
    "tls": "QUERYENGINE_TLS",
    "ca": "QUERYENGINE_CA",
    "cert": "QUERYENGINE_CERT",
    "key": "QUERYENGINE_KEY",
    "token_file": "QUERYENGINE_TOKEN_FILE",
    "api_key_file": "QUERYENGINE_API_KEY_FILE",
    "api_key": "QUERYENGINE_API_KEY",
    "allow_insecure_credentials": "QUERYENGINE_ALLOW_INSECURE_CREDENTIALS",
    "headers": "QUERYENGINE_HEADERS",
}
"""By key of the file: the environment variable. QUERYENGINE_SERVER is a group of the server's own settings."""

SETTINGS: Final = (
    Setting("server", "--server", DEFAULT_SERVER, _text),
    Setting("tenant", "--tenant", DEFAULT_TENANT, _text),
    Setting("user", "--user", "", _text),
    Setting("tls", "--tls", default=False, read=_yes_or_no),
    Setting("ca", "--ca", None, _path),
    Setting("cert", "--cert", None, _path),
    Setting("key", "--key", None, _path),
    Setting("token_file", "--token-file", None, _path),
    Setting("api_key_file", "--api-key-file", None, _path),
    Setting("api_key", "", None, _text),
    Setting("allow_insecure_credentials", "--allow-insecure-credentials", default=False, read=_yes_or_no),
    Setting("headers", "--header", (), _headers),
)
