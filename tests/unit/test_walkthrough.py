"""What the pages of the docs are checked with: a page that no longer says what happens must fail."""

from pathlib import Path

import psutil
import pytest

from tests.support import until
from tests.walkthrough import Step, agrees, follow, steps

PAGE = """# Page

```sh
echo one
```

```text
one
```

```python
print("not run")
```

```sh
here=$PWD
```

Words between.

```text
two
```
"""


def test_the_steps_of_a_page_are_its_shell_blocks_with_what_follows_at_once() -> None:
    assert steps(PAGE) == [Step(4, "echo one\n", "one\n"), Step(16, "here=$PWD\n", None)]


@pytest.mark.parametrize(
    ("shown", "printed", "is_right"),
    [
        ("one\n", "one\n", True),
        ("one\n", "one\ntwo\n", False),
        ("one\ntwo\n", "one\n", False),
        ("id …\n", "id 3f2a\n", True),
        ("id …\n", "other 3f2a\n", False),
        ("a … c … e", "a b c d e", True),
        ("{\n…\n}\n", "{\n  1\n  2\n}\n", True),
        ("{\n…\n}\n", "{\n}\n", True),
        ("{\n…\n}\n", "{\n  1\n", False),
        ("a.c\n", "abc\n", False),
        ("", "", True),
        ("", "something\n", False),
    ],
)
def test_what_a_page_shows_agrees_with_what_was_printed(shown: str, printed: str, is_right: bool) -> None:
    assert agrees(shown, printed) is is_right


async def test_colours_count_for_nothing(tmp_path: Path) -> None:
    assert await follow([Step(1, r"printf '\033[1;31mred\033[0m\n\033[0m'", "red")], tmp_path, tmp_path) == ["red\n"]


async def test_steps_share_one_shell(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    page = [
        Step(1, "cd below; name=world\n", ""),
        Step(2, 'echo "hello $name"; basename "$PWD"\n', "hello world\nbelow\n"),
    ]
    assert await follow(page, tmp_path, tmp_path) == ["", "hello world\nbelow\n"]


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ([Step(1, "echo one\n", "one\n"), Step(2, "false; echo on\n", None), Step(3, "echo three\n", None)], 2),
        ([Step(1, "false | cat\n", None)], 1),
        ([Step(1, "echo $unset\n", None)], 1),
        ([Step(1, "echo one\n", "two\n"), Step(2, "false\n", None)], 1),
        ([Step(1, "echo one\n", None), Step(2, "echo two\n", "one\n")], 2),
    ],
    ids=[
        "a command fails",
        "a pipe fails",
        "a variable is not set",
        "an earlier output differs",
        "the last one differs",
    ],
)
async def test_the_first_step_that_is_wrong_is_named(tmp_path: Path, page: list[Step], line: int) -> None:
    with pytest.raises(AssertionError, match=rf"^line {line}:"):
        await follow(page, tmp_path, tmp_path)


async def test_what_a_page_leaves_running_ends_with_it(tmp_path: Path) -> None:
    started = await follow([Step(1, "sleep 600 >&2 & echo $!\n", None)], tmp_path, tmp_path)
    await until(lambda: has_ended(int(started[0])))


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
