"""What the house rules say of files, functions and words, as tests."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from queryengine.domain.errors import CODES, RETRYABLE, Code, Reason
from queryengine.v1 import error_reason_pb2
from tests.slowest import REASONS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "queryengine"
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
PREFIX = "ERROR_REASON_"


def python_files() -> list[Path]:
    """Every Python file that a person wrote."""
    folders = [PACKAGE, ROOT / "tests", ROOT / "bench", ROOT / "examples", ROOT / "tools"]
    found = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return [path for path in found if PACKAGE / "v1" not in path.parents]


def text_files() -> list[Path]:
    names = ["Makefile", "pyproject.toml", "*.md", "docs/**/*.md", "protos/**/*.proto", "examples/*"]
    found = [path for name in names for path in ROOT.glob(name) if path.is_file()]
    return [*python_files(), *found]


FILES = python_files()


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_opens_with_its_law_and_is_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module says in a docstring what it is for"
    lines = text.count("\n")
    # The contract of the engines and of the store is one test per sentence, in one place.
    assert lines <= (FILE_LINES_MAX if PACKAGE in path.parents else 600), f"{lines} lines"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


def test_no_two_files_of_tests_share_a_name() -> None:
    """Pytest imports them by name alone, and collects nothing at all when two are one."""
    names = Counter(path.name for path in FILES if path.name.startswith("test_"))
    assert not [name for name, count in names.items() if count > 1]


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX"])
def test_nothing_is_left_for_later(word: str) -> None:
    others = [path for path in text_files() if path != Path(__file__)]
    assert not [named(path) for path in others if re.search(rf"\b{word}\b", path.read_text(encoding="utf-8"))]


def test_nothing_but_the_template_is_forked() -> None:
    # A fork of a process that holds threads and gRPC may hang at any later moment. The template holds neither.
    pattern = re.compile(r"os\.fork\w*\(|[\"']fork(server)?[\"']|import multiprocessing|from multiprocessing")
    others = [path for path in FILES if path not in {Path(__file__), PACKAGE / "workers" / "template.py"}]
    assert not [named(path) for path in others if pattern.search(path.read_text("utf-8"))]


@pytest.mark.parametrize("name", REASONS)
def test_a_file_that_may_take_long_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


def test_half_of_the_modules_are_small() -> None:
    sizes = sorted(path.read_text("utf-8").count("\n") for path in FILES if PACKAGE in path.parents)
    assert sizes[len(sizes) // 2] <= 150


def comments_of_reasons() -> Iterator[tuple[str, str]]:
    """Each value of ErrorReason with the comment above it, as one line."""
    text = (ROOT / "protos/queryengine/v1/error_reason.proto").read_text(encoding="utf-8")
    for comment, name in re.findall(rf"((?:  // .*\n)+)  {PREFIX}(\w+) = \d+;", text):
        yield name, " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())


def test_reasons_are_those_of_the_contract() -> None:
    contract = {name.removeprefix(PREFIX) for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name}
    assert contract - {"UNSPECIFIED"} == {reason.value for reason in Reason}
    assert set(CODES) == set(Reason)
    assert not RETRYABLE - set(Reason)


def test_the_comment_of_a_reason_tells_its_code_and_its_metadata() -> None:
    comments = dict(comments_of_reasons())
    for reason, code in CODES.items():
        comment = comments[reason.value]
        assert comment.startswith(f"{code.name}. "), reason
        assert "etadata" in comment, reason


def test_what_may_be_tried_again_is_never_a_mistake_of_the_caller() -> None:
    assert not [reason for reason in RETRYABLE if CODES[reason] is Code.INVALID_ARGUMENT]


def test_every_target_of_the_makefile_is_explained() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {name for line in re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE) for name in line.split()}
    explained = set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
    assert targets
    assert targets == explained


def test_every_package_is_in_the_architecture() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert {name for name in packages if not re.search(rf"\b{name}\b", page)} == set()


def test_the_contract_has_a_comment_on_everything() -> None:
    for path in sorted((ROOT / "protos").rglob("*.proto")):
        before = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            stripped = line.strip()
            if re.match(r"(message|enum|service|rpc|oneof) |.+ = \d+;$", stripped):
                assert before.startswith("//"), f"{named(path)}:{number}: {stripped}"
            before = stripped


def test_generated_code_has_one_name_per_language() -> None:
    # A file without an option would put its types into another package of that language than the rest.
    options = ["csharp_namespace", "go_package", "java_multiple_files", "java_package"]
    for path in sorted((ROOT / "protos").rglob("*.proto")):
        assert re.findall(r"^option (\w+) = ", path.read_text(encoding="utf-8"), re.MULTILINE) == options, named(path)


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(ROOT.glob("docs/clients/*.md"))], ids=named)
def test_every_block_of_a_page_that_is_followed_has_a_kind(path: Path) -> None:
    # Commands are run where the kind is `sh` (make readme, make interop); a block without one would be passed over.
    fences = re.findall(r"^```(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(fences[::2]) <= {"sh", "text", "python", "yaml"}
    assert not any(fences[1::2])


def test_decisions_are_numbered_without_gap_or_double() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        assert (ROOT / "docs" / "adr" / name).read_text().startswith(f"# {int(name[:4])}. ")
