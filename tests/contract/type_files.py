"""The type matrix: data files of types/, parameters.yaml, and the tables of docs/engines.md that are made of them.

`python tests/contract/type_files.py` writes the tables again.
"""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml
from cases import CASES, GENERIC, SCRIPTED

from queryengine.engines.base import EngineTraits

FOLDER = Path(__file__).parent / "types"
DOCUMENT = Path(__file__).parents[2] / "docs" / "engines.md"
PARAMETERS = Path(__file__).parent / "parameters.yaml"
REFUSED = "refused"
"""In place of a type: the engine has none that holds the value, and it is a PARAMETER_MISMATCH."""
ENGINES = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def records(engine: str) -> list[dict[str, Any]]:
    return yaml.safe_load((FOLDER / f"{engine}.yaml").read_text())


def parameter_records() -> list[dict[str, Any]]:
    """Each kind of Value with and without a type, and what it arrives as on each engine."""
    return yaml.safe_load(PARAMETERS.read_text())


def as_text(scalar: pa.Scalar) -> Any:
    """A value as the data files write it: text, nested in lists and mappings, None for NULL."""
    kind = scalar.type
    if not scalar.is_valid:
        return None
    if pa.types.is_map(kind):
        entries = scalar.values
        return [[as_text(entry["key"]), as_text(entry["value"])] for entry in entries]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return [as_text(each) for each in scalar.values]
    if pa.types.is_struct(kind):
        return {name: as_text(each) for name, each in scalar.items()}
    if pa.types.is_binary(kind):
        return scalar.as_py().hex()
    if pa.types.is_interval(kind):
        months, days, nanos = scalar.as_py()
        return f"{months} months {days} days {nanos} ns"
    if pa.types.is_timestamp(kind) and kind.tz:
        return pc.strftime(scalar, "%Y-%m-%d %H:%M:%S%z").as_py()
    if pa.types.is_temporal(kind):
        return pc.cast(scalar, pa.string()).as_py()
    if pa.types.is_boolean(kind):
        return str(scalar.as_py()).lower()
    return str(scalar.as_py())


def table(engine: str) -> str:
    lines = ["| type | Arrow type | |", "|---|---|---|"]
    for record in records(engine):
        how = f"with `wide_integers` {record['wide_integers']}" if "wide_integers" in record else ""
        remarks = [how, record.get("note", "")]
        if "loss" in record:
            remarks.append(f"**lost:** {record['loss']}")
        words = "; ".join(each for each in remarks if each)
        line = f"| `{record['type']}` | `{record['arrow']}` | {words} |"
        if line not in lines:
            lines.append(line)
    return "\n".join(lines)


def parameters_table() -> str:
    lines = [f"| sent | {' | '.join(ENGINES)} |", "|---" * (len(ENGINES) + 1) + "|"]
    for record in parameter_records():
        arrives = [record["arrives"][name] for name in ENGINES]
        shown = ["refused" if each == REFUSED else f"`{each}`" for each in arrives]
        lines.append(f"| {record['kind']} | {' | '.join(shown)} |")
    return "\n".join(lines)


def traits_table() -> str:
    """What each engine declares with the options it has by default; those of a generic dialect are its driver's."""
    cases = [case for case in CASES if case not in (GENERIC, SCRIPTED)]
    declared = {case.name: case.adapter.traits(case.unusable(Path("/none"))) for case in cases}
    traits = [field.name for field in fields(EngineTraits) if field.type is bool]
    lines = [f"| | {' | '.join(declared)} |", "|---" * (len(declared) + 1) + "|"]
    for trait in traits:
        shown = ["yes" if getattr(each, trait) else "no" for each in declared.values()]
        lines.append(f"| {trait.replace('_', ' ')} | {' | '.join(shown)} |")
    return "\n".join(lines)


def with_tables(document: str) -> str:
    """The document with every table between its markers made anew."""
    begin, end = "<!-- traits -->", "<!-- end of traits -->"
    document = re.sub(rf"{begin}\n.*?{end}", f"{begin}\n{traits_table()}\n{end}", document, flags=re.DOTALL)
    begin, end = "<!-- parameters -->", "<!-- end of parameters -->"
    assert begin in document, "docs/engines.md has no place for the parameters"
    document = re.sub(
        rf"{begin}\n.*?{end}", lambda _: f"{begin}\n{parameters_table()}\n{end}", document, flags=re.DOTALL
    )
    for engine in ENGINES:
        begin, end = f"<!-- types: {engine} -->", "<!-- end of types -->"
        pattern = re.compile(rf"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
        assert pattern.search(document), f"docs/engines.md has no place for the types of {engine}"
        made = f"{begin}\n{table(engine)}\n{end}"
        document = pattern.sub(lambda _, made=made: made, document)
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))
