"""A file of audit records is appended to as a whole or not at all, put aside in time, and found again after a move."""

import errno
import os
import stat
from pathlib import Path

import pytest

from queryengine.telemetry.audit import AuditFile, Rotation, files
from tests.unit.core_values import HandClock

HOUR = 3600


class Log:
    """A file of records, in a folder of its own."""

    def __init__(self, folder: Path, **rotation: float) -> None:
        self.path = folder / "audit.jsonl"
        self.clock = HandClock()
        self.file = AuditFile(self.path, Rotation(**rotation), clock=self.clock)  # type: ignore[arg-type]

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    def aside(self) -> list[str]:
        """What was put aside, the oldest first."""
        return [each.read_text() for each in sorted(self.path.parent.glob("audit.jsonl.*Z"))]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_records_are_appended_and_private(log: Log) -> None:
    log.file.append(b"1\n")
    log.file.append(b"2\n3\n")
    log.file.close()
    again = AuditFile(log.path, Rotation(), clock=log.clock)
    again.append(b"4\n")
    assert log.lines() == ["1", "2", "3", "4"]
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    again.close()


def test_a_file_is_put_aside_by_size(tmp_path: Path) -> None:
    log = Log(tmp_path, bytes_max=10)
    for number in range(6):
        log.file.append(f"{number}aaa\n".encode())
    assert (log.aside(), log.lines()) == (["0aaa\n1aaa\n", "2aaa\n3aaa\n"], ["4aaa", "5aaa"])
    # A record that is larger than the bound is one file.
    log.file.append(b"x" * 50 + b"\n")
    assert log.lines() == ["x" * 50]
    log.file.close()


def test_a_file_is_put_aside_by_time(tmp_path: Path) -> None:
    log = Log(tmp_path, seconds=HOUR)
    log.file.append(b"1\n")
    log.clock.pass_seconds(HOUR - 1 - log.clock.now_us() / 1e6 % HOUR)
    log.file.append(b"2\n")
    assert log.aside() == []
    log.clock.pass_seconds(1)
    log.file.append(b"3\n")
    log.clock.pass_seconds(5 * HOUR)
    log.file.append(b"4\n")
    assert (log.aside(), log.lines()) == (["1\n2\n", "3\n"], ["4"])
    log.file.close()


def test_the_oldest_files_beyond_those_that_are_kept_go(tmp_path: Path) -> None:
    for name in ("audit.jsonl.gz", "audit.jsonl.1", "audit.jsonl2.20200101T000000.000000Z"):
        (tmp_path / name).write_text("of others")
    log = Log(tmp_path, bytes_max=1, keep_files=2)
    for number in range(5):
        log.clock.pass_seconds(1)
        log.file.append(f"{number}\n".encode())
    assert (log.aside(), log.lines()) == (["2\n", "3\n"], ["4"])
    assert len(list(tmp_path.iterdir())) == 3 + 2 + 1
    log.file.close()


@pytest.mark.parametrize("is_told", [True, False], ids=["reopened", "noticed"])
def test_a_file_that_was_moved_away_is_made_anew(log: Log, tmp_path: Path, is_told: bool) -> None:
    log.file.append(b"1\n")
    log.path.rename(tmp_path / "moved")
    if is_told:
        log.file.reopen()
    log.file.append(b"2\n")
    assert ((tmp_path / "moved").read_text(), log.lines()) == ("1\n", ["2"])
    log.path.unlink()
    log.file.append(b"3\n")
    assert log.lines() == ["3"]
    log.file.close()


def test_a_file_that_was_emptied_goes_on(log: Log) -> None:
    log.file.append(b"1\n")
    os.truncate(log.path, 0)
    log.file.append(b"2\n")
    assert log.lines() == ["2"]
    log.file.close()


def test_a_folder_that_is_away_is_an_error_until_it_is_back(log: Log, tmp_path: Path) -> None:
    log.file.close()
    folder = tmp_path / "folder"
    folder.mkdir()
    away = Log(folder)
    away.path.unlink()
    folder.rmdir()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            away.file.append(b"1\n")
    folder.mkdir()
    away.file.append(b"2\n")
    assert away.lines() == ["2"]
    away.file.close()


def test_what_fails_half_way_is_cut_off(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.file.append(b"1\n")
    whole = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) > 4:
            return whole(descriptor, data[:4])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "write", half)
        with pytest.raises(OSError, match="No space"):
            log.file.append(b"22222222\n")
    log.file.append(b"3\n")
    assert log.lines() == ["1", "3"]
    # When it cannot be cut, as of a file with the attribute a, the rest of the line is a line.
    with monkeypatch.context() as patched:
        patched.setattr(files.os, "write", half)
        patched.setattr(files.os, "ftruncate", lambda *_: half(0, b""))
        with pytest.raises(OSError, match="No space"):
            log.file.append(b"44444444\n")
    log.file.append(b"5\n")
    assert log.lines() == ["1", "3", "44444444", "5"]
    log.file.close()


def test_two_servers_do_not_share_a_file(log: Log) -> None:
    with pytest.raises(BlockingIOError):
        AuditFile(log.path, Rotation(), clock=log.clock)
    log.file.close()


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = Path("/dev/null") if kind == "device" else tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(OSError):
        AuditFile(path, Rotation(), clock=HandClock())
