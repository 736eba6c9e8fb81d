"""The table of which consumer reads which Arrow type, for docs/engines.md."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from tests.compat.pages import Sample

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "engines.md"
BEGIN: Final = "<!-- consumers -->"
END: Final = "<!-- end of consumers -->"
WORDS_MAX: Final = 90


def label(arrow: pa.DataType) -> str:
    """A type without what does not matter to who can read it: digits, zones, names of members."""
    types = pa.types
    if types.is_decimal(arrow):
        return f"decimal{arrow.bit_width}"
    if types.is_timestamp(arrow):
        return f"timestamp[{arrow.unit}{', tz' if arrow.tz else ''}]"
    if types.is_map(arrow):
        return f"map<{label(arrow.key_type)}, {label(arrow.item_type)}>"
    if types.is_struct(arrow):
        return f"struct<{', '.join(label(field.type) for field in arrow)}>"
    if types.is_list(arrow):
        return f"list<{label(arrow.value_type)}>"
    if types.is_fixed_size_list(arrow):
        return f"fixed_size_list<{label(arrow.value_type)}>"
    return str(arrow)


def table(samples: Sequence[Sample], verdicts: Mapping[str, Sequence[str]]) -> str:
    """A row for each type; a cell is yes when a consumer reads all its pages right, from whatever engine."""
    rows: dict[str, list[int]] = {}
    for number, sample in enumerate(samples):
        rows.setdefault(label(sample.column.type), []).append(number)
    lines = [f"| Arrow type | engines | {' | '.join(verdicts)} |", "|---" * (len(verdicts) + 2) + "|"]
    notes: list[str] = []
    for name in sorted(rows):
        cells = [_cell([verdict[number] for number in rows[name]], notes) for verdict in verdicts.values()]
        engines = sorted({samples[number].engine for number in rows[name]})
        lines.append(f"| `{name}` | {', '.join(engines)} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"{number}. {note}" for number, note in enumerate(notes, 1))])


def _cell(verdicts: Sequence[str], notes: list[str]) -> str:
    """Yes, or no with the number of what is wrong."""
    wrong = [each for each in verdicts if each]
    if not wrong:
        return "yes"
    words = wrong[0][:WORDS_MAX].replace("`", "'").replace("|", "/")
    note = f"`{words}`"
    if note not in notes:
        notes.append(note)
    return f"no ({notes.index(note) + 1})" if len(wrong) == len(verdicts) else f"in part ({notes.index(note) + 1})"


def with_table(document: str, made: str) -> str:
    assert BEGIN in document, "docs/engines.md has no place for the table"
    return re.sub(f"{BEGIN}\n.*?{END}", lambda _: f"{BEGIN}\n{made}\n{END}", document, flags=re.DOTALL)
