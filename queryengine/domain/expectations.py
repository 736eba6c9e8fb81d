"""What a value has to be, in this project's words, for each kind of mistake that pydantic finds in one."""

from collections.abc import Callable, Mapping
from typing import Any, Final

WHOLE_NUMBER: Final = "expected a whole number"
NUMBER: Final = "expected a number"
YES_OR_NO: Final = "expected true or false"
TEXT: Final = "expected text"
MAPPING: Final = "expected keys with values, each on a line below it"
LIST: Final = "expected a list, such as [one, two]"

_PLAIN: Final[Mapping[str, str]] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), WHOLE_NUMBER),
    **dict.fromkeys(("float_type", "float_parsing"), NUMBER),
    "finite_number": "expected a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), YES_OR_NO),
    **dict.fromkeys(("string_type", "string_unicode"), TEXT),
    **dict.fromkeys(("path_type", "path_exists"), "expected the path of a file or folder, as text"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), MAPPING),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type", "sequence_str"), LIST),
    "missing": "must be set",
    "union_tag_not_found": "`type` must be set",
}
_WITH_BOUND: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "is_instance_of": lambda given: LIST if given["class"] == "Sequence" else MAPPING,
    "greater_than": lambda given: f"expected more than {given['gt']:.15g}",
    "greater_than_equal": lambda given: f"expected at least {given['ge']:.15g}",
    "less_than": lambda given: f"expected less than {given['lt']:.15g}",
    "less_than_equal": lambda given: f"expected at most {given['le']:.15g}",
    "literal_error": lambda given: f"expected {given['expected']}",
    "enum": lambda given: f"expected {given['expected']}",
    "string_too_short": lambda given: _at_least(given["min_length"], "characters"),
    "string_too_long": lambda given: f"expected at most {given['max_length']:,} characters",
    "too_short": lambda given: _at_least(given["min_length"], "entries"),
    "too_long": lambda given: f"expected at most {given['max_length']:,} entries",
    "union_tag_invalid": lambda given: f"expected a type of {given['expected_tags']}",
}


def expectation(kind: str, given: Mapping[str, Any], message: str) -> str:
    """Of pydantic's type, context and message of a mistake. Its message is used for what a validator of ours says, and
    for a kind that is not known here.
    """
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in _WITH_BOUND:
        return _WITH_BOUND[kind](given)
    return message.removeprefix("Value error, ").replace("Input should be", "expected")


def _at_least(number: int, unit: str) -> str:
    return "must not be empty" if number == 1 else f"expected at least {number:,} {unit}"
