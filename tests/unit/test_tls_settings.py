"""Settings of TLS: what goes together, and that half of it is refused, never taken for less security."""

from pathlib import Path
from typing import Any

import pytest

from queryengine.settings import Settings, SettingsError, load, reloaded

PAIR = {"certificate": "/tls.crt", "key": "/tls.key"}
MUTUAL = {**PAIR, "client_ca": "/ca.crt"}
ALONE = "has no effect without tls.certificate"
AUTHORITY = "needs tls.client_ca, the authorities that sign certificates of clients"


@pytest.mark.parametrize(
    "tls",
    [
        {},
        PAIR,
        {**PAIR, "health": True},
        {**MUTUAL, "client_certificates": "required"},
        {**MUTUAL, "mutual_listen": "[::1]:0"},
    ],
)
def test_what_goes_together(tls: dict[str, Any]) -> None:
    found = Settings(tls=tls).tls
    assert found.is_on == bool(tls)
    for key, value in tls.items():
        assert getattr(found, key) == (Path(value) if key in MUTUAL else value)


@pytest.mark.parametrize(
    ("tls", "key", "problem"),
    [
        ({"certificate": "/tls.crt"}, "key", "must be set, as tls.certificate is"),
        ({"key": "/tls.key"}, "key", ALONE),
        ({"client_ca": "/ca.crt"}, "client_ca", ALONE),
        ({"client_certificates": "required"}, "client_certificates", ALONE),
        ({"mutual_listen": "localhost:1"}, "mutual_listen", ALONE),
        ({"health": True}, "health", ALONE),
        ({**PAIR, "client_certificates": "required"}, "client_certificates", AUTHORITY),
        ({**PAIR, "mutual_listen": "localhost:1"}, "mutual_listen", AUTHORITY),
        (MUTUAL, "mutual_listen", "tls.client_ca has no effect without either"),
        ({**MUTUAL, "client_certificates": "optional"}, "client_certificates", "set tls.mutual_listen to a second"),
        ({**MUTUAL, "client_certificates": "sometimes"}, "client_certificates", "expected 'none' or 'required'"),
        (
            {**MUTUAL, "client_certificates": "required", "mutual_listen": "localhost:1"},
            "mutual_listen",
            "requires them at server.listen already",
        ),
        ({**MUTUAL, "mutual_listen": "localhost"}, "mutual_listen", "expected host:port"),
        ({"certificate": "~nobody-of-this-name/x", "key": "/k"}, "certificate", "Set an absolute path"),
    ],
)
def test_half_of_it_is_refused(tls: dict[str, Any], key: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("\n".join(["tls:", *(f"  {name}: {str(value).lower()}" for name, value in tls.items())]))
    with pytest.raises(SettingsError) as raised:
        load(str(path))
    assert any(f": tls.{key}: " in line and problem in line for line in str(raised.value).splitlines())


def test_a_variable_of_the_command_line_is_no_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QUERYENGINE_TLS", "1")
    assert not load(None).tls.is_on
    monkeypatch.setenv("QUERYENGINE_TLS__CERTIFICATE", "/tls.crt")
    monkeypatch.setenv("QUERYENGINE_TLS__KEY", "/tls.key")
    assert load(None).tls.is_on
    path = tmp_path / "s.yaml"
    path.write_text("tls:\n  health: 7\n")
    with pytest.raises(SettingsError, match=f"{path}:2: tls.health"):
        load(str(path))


@pytest.mark.parametrize(
    ("old", "new", "needs_restart"),
    [
        (PAIR, {**PAIR, "certificate": "/b", "key": "/c"}, ()),
        (
            {**MUTUAL, "client_certificates": "required"},
            {**MUTUAL, "client_certificates": "required", "client_ca": "/d"},
            (),
        ),
        # Files go with what the ports ask for: a mixture is none that was checked.
        ({}, PAIR, ("tls.certificate", "tls.key")),
        (PAIR, {}, ("tls.certificate", "tls.key")),
        (
            PAIR,
            {**MUTUAL, "key": "/e", "client_certificates": "required"},
            ("tls.key", "tls.client_ca", "tls.client_certificates"),
        ),
    ],
)
def test_files_change_while_a_server_runs_and_ports_do_not(
    old: dict[str, Any], new: dict[str, Any], needs_restart: tuple[str, ...]
) -> None:
    running, wanted = Settings(tls=old), Settings(tls=new)
    done = reloaded(running, wanted)
    assert done.needs_restart == needs_restart
    assert done.settings.tls == (running if needs_restart else wanted).tls
