"""Without authentication a server serves this machine alone, unless somebody asks for more in so many words."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from queryengine.app.process import banner
from queryengine.app.service import Service
from queryengine.domain.reloads import Trigger
from queryengine.settings import Settings, SettingsError, Source, exposed, load, warnings
from tests.server_process import server_process
from tests.support import LOOPBACK
from tests.tls_files import Files

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENGINES = {"scripted": {"type": "scripted", "workers": 1}}
EVERYWHERE = "0.0.0.0:0"
PROBLEM = (
    "other hosts can reach {}, where without authentication every caller is whoever it claims to be; set "
    "auth.authenticators (without `none`), or listen on 127.0.0.1, or start with `serve --insecure`"
)
NONE = {"authenticators": [{"type": "none"}]}


def settings(folder: Path, listen: str, **groups: Any) -> Settings:
    server = {**LOOPBACK, "listen": listen, "watch_seconds": 0}
    return Settings(server=server, engines=ENGINES, state={"directory": folder / "state"}, **groups)


@pytest.mark.parametrize("listen", [EVERYWHERE, "[::]:0", "10.1.2.3:8815", "sql.example.org:8815"])
@pytest.mark.parametrize("groups", [{}, {"auth": NONE}], ids=["nothing", "none"])
async def test_an_address_of_other_hosts_is_refused_before_anything_starts(
    tmp_path: Path, listen: str, groups: dict[str, Any]
) -> None:
    service = Service(settings(tmp_path, listen, **groups))
    with pytest.raises(SettingsError) as raised:
        await service.start()
    assert str(raised.value) == f"settings: server.listen: {PROBLEM.format(listen)}"
    assert not (tmp_path / "state").exists()


async def test_a_certificate_says_nothing_of_a_tenant_without_an_authenticator(tmp_path: Path) -> None:
    files = Files(tmp_path / "tls", trustme.CA())
    with pytest.raises(SettingsError, match=r"server\.listen: other hosts"):
        await Service(settings(tmp_path, EVERYWHERE, tls=files.settings(required=True))).start()
    with pytest.raises(SettingsError, match=r"tls.mutual_listen: other hosts can reach 0\.0\.0\.0:0"):
        await Service(settings(tmp_path, "127.0.0.1:0", tls=files.settings(mutual=EVERYWHERE))).start()


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0", "unix:{}/socket"])
async def test_this_machine_is_served_without_more(tmp_path: Path, listen: str) -> None:
    found = settings(tmp_path, listen.format(tmp_path))
    assert not exposed(found)
    assert not [line for line in warnings(found) if "other hosts" in line]


async def test_insecure_serves_it_and_says_so(tmp_path: Path) -> None:
    service = Service(settings(tmp_path, EVERYWHERE), insecure=True)
    await service.start()
    try:
        assert "  INSECURE other hosts reach it" in banner(service, "queryengine")
        said = "\n".join(warnings(service.settings))
        assert PROBLEM.format(EVERYWHERE) in said
        assert "in plain text" in said
    finally:
        await service.stop(0)


async def test_a_reload_exposes_nothing_either(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"

    def write(**groups: Any) -> None:
        found = {"server": dict(LOOPBACK), "engines": ENGINES, "state": {"directory": str(tmp_path / "s")}, **groups}
        path.write_text(yaml.safe_dump(found))

    write()
    service = Service(load(str(path)), source=Source(path))
    await service.start()
    try:
        # The address waits for a restart, so what holds is not exposed.
        write(server={**LOOPBACK, "listen": EVERYWHERE}, limits={"sql_bytes": 77})
        assert not (await service.reload(Trigger.FILE)).last.mistakes
        assert service.settings.limits.sql_bytes == 77
    finally:
        await service.stop(0)


async def test_the_command_ends_in_one_line(tmp_path: Path) -> None:
    with server_process(tmp_path, engines=ENGINES, server={**LOOPBACK, "listen": EVERYWHERE}) as server:
        assert await asyncio.to_thread(server.launch().wait, 30) == 1
        (line,) = server.errors.splitlines()
        assert line.startswith(f"queryengine: {tmp_path / 'queryengine.yaml'}:")
        assert line.endswith(f": server.listen: {PROBLEM.format(EVERYWHERE)}")
        server.arguments = ("--insecure",)
        server.start()
        assert "  INSECURE " in server.output
        assert "every caller is whoever it claims to be" in server.errors
