"""When files count as changed: once, when nobody writes them any more, and also where links or folders are replaced."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from queryengine.app.file_changes import Changes, look_at

Change = Callable[[Path], None]


def _rename_onto(file: Path) -> None:
    beside = file.with_name("new")
    beside.write_text("b")
    beside.rename(file)


def _same_size_and_time(file: Path) -> None:
    before = file.stat()
    file.write_text("b")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _mounted_as_by_kubernetes(folder: Path) -> Path:
    """A file that is a link through ..data to the folder of one version."""
    (folder / "..v1").mkdir()
    (folder / "..v1" / "file").write_text("a")
    (folder / "..data").symlink_to("..v1")
    (folder / "file").symlink_to("..data/file")
    return folder / "file"


def _replaced_as_by_kubernetes(file: Path) -> None:
    folder = file.parent
    (folder / "..v2").mkdir()
    (folder / "..v2" / "file").write_text("b")
    (folder / "..data_tmp").symlink_to("..v2")
    (folder / "..data_tmp").rename(folder / "..data")
    (folder / "..v1" / "file").unlink()
    (folder / "..v1").rmdir()


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text("longer"),
        _rename_onto,
        _same_size_and_time,
        Path.unlink,
        lambda file: file.chmod(0o000),
    ],
    ids=["written", "renamed onto", "same size and time", "removed", "no longer readable"],
)
def test_a_change_counts_once_and_after_two_equal_looks(tmp_path: Path, change: Change) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    changes = Changes(look_at([file]))
    assert not changes.settled(look_at([file]))
    change(file)
    assert not changes.settled(look_at([file]))
    seen = look_at([file])
    assert changes.settled(seen)
    changes.were_read(seen)
    assert not changes.settled(look_at([file]))
    assert not changes.settled(look_at([file]))


def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    changes = Changes(look_at([file]))
    for length in range(2, 6):
        file.write_text("a" * length)
        assert not changes.settled(look_at([file]))
    assert changes.settled(look_at([file]))


def test_a_file_behind_a_replaced_link_is_another_one(tmp_path: Path) -> None:
    file = _mounted_as_by_kubernetes(tmp_path)
    changes = Changes(look_at([file]))
    _replaced_as_by_kubernetes(file)
    assert not changes.settled(look_at([file]))
    assert changes.settled(look_at([file]))


def test_a_file_that_comes_is_a_change(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file"
    changes = Changes(look_at([file]))
    file.parent.mkdir()
    file.write_text("")
    assert not changes.settled(look_at([file]))
    assert changes.settled(look_at([file]))
