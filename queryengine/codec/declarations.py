"""The parameters that a version of a named query declares, and the values that a submission gives for them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from queryengine.codec.declared import WrongTypeError, check_type, fitted
from queryengine.codec.described import described
from queryengine.codec.implied import implied
from queryengine.codec.type_text import type_text
from queryengine.codec.types import from_data_type
from queryengine.domain.errors import Failure, QueryEngineError, Reason, error
from queryengine.v1.named_query_service_pb2 import NamedQueryDefinition, NamedQueryParameter
from queryengine.v1.value_pb2 import Parameter, ParameterList, Value

GIVEN: Final = {"list_value": "LIST", "map_value": "MAP"}
"""What is said of values whose type would have to be looked for in all their elements."""


class Declarations:
    """Of one version. Decoded once; binding changes nothing in it."""

    def __init__(self, declared: Iterable[NamedQueryParameter]) -> None:
        self._declared = {each.name: each for each in declared}
        self._required = frozenset(name for name, each in self._declared.items() if not each.HasField("default_value"))

    @classmethod
    def of(cls, encoded: bytes) -> "Declarations":
        """From Definition.parameters."""
        return cls(NamedQueryDefinition.FromString(encoded).parameters)

    @property
    def names(self) -> Sequence[str]:
        """In the order of their declaration."""
        return tuple(self._declared)

    def encoded(self) -> bytes:
        """For Definition.parameters."""
        encoded: bytes = NamedQueryDefinition(parameters=self._declared.values()).SerializeToString(deterministic=True)
        return encoded

    def bind(self, given: bytes, *, is_positional: bool) -> tuple[bytes, bytes]:
        """Every parameter with its value, given or by default, in the declared type, as an encoded ParameterList; and
        what is kept of them, as Submission.parameter_types. `given` is an encoded ParameterList, of names or in the
        order of the declaration; `is_positional`: the text wants them without names.

        Raises PARAMETER_MISMATCH.
        """
        values = self._by_name(ParameterList.FromString(given).parameters)
        message = ParameterList()
        for name, declared in self._declared.items():
            value = _value(values[name], declared) if name in values else declared.default_value
            message.parameters.add(name="" if is_positional else name, type=declared.type, value=value)
        if not message.parameters:
            return b"", b""
        return message.SerializeToString(deterministic=True), described(message.parameters)

    def _by_name(self, given: Sequence[Parameter]) -> dict[str, Parameter]:
        """Raises PARAMETER_MISMATCH for names that differ from the declared ones."""
        names = self.names
        if given and not given[0].name:
            found = dict(zip(names, given, strict=False))
            unexpected = [str(number + 1) for number in range(len(names), len(given))]
        else:
            found = {each.name: each for each in given}
            unexpected = sorted(found.keys() - self._declared.keys())
        missing = [name for name in names if name in self._required and name not in found]
        differences = {"missing": ",".join(missing), "unexpected": ",".join(unexpected)}
        differences = {which: text for which, text in differences.items() if text}
        if differences:
            known = ", ".join(self._about(name) for name in names) or "none"
            message = "; ".join(f"{which} parameters: {text}" for which, text in differences.items())
            raise QueryEngineError(
                Failure(Reason.PARAMETER_MISMATCH, f"{message}. The named query takes: {known}", differences)
            )
        return found

    def _about(self, name: str) -> str:
        optional = "" if name in self._required else ", optional"
        return f"{name} ({type_text(self._declared[name].type)}{optional})"


def checked(declared: NamedQueryParameter) -> NamedQueryParameter:
    """A declaration with its default in the declared type. Raises ValueError that says what is wrong."""
    check_type(declared.type)
    from_data_type(declared.type)
    found = NamedQueryParameter()
    found.CopyFrom(declared)
    if declared.HasField("default_value"):
        if declared.default_value.HasField("null_value") and not declared.nullable:
            raise ValueError("its default is NULL, and it is not nullable")
        try:
            found.default_value.CopyFrom(fitted(declared.default_value, None, declared.type))
        except ValueError as cause:
            raise ValueError(f"its default does not fit {type_text(declared.type)}: {cause}") from cause
    return found


def _value(given: Parameter, declared: NamedQueryParameter) -> Value:
    name, wanted = declared.name, type_text(declared.type)
    if given.value.HasField("null_value") and not declared.nullable:
        message = f"parameter {name!r} takes {wanted} and no NULL"
        raise error(Reason.PARAMETER_MISMATCH, message, parameter=name, declared=wanted, given="NULL")
    sent = given.type if given.HasField("type") else None
    try:
        return fitted(given.value, sent, declared.type)
    except ValueError as cause:
        came = _given(given)
        what = f"came as {came}" if isinstance(cause, WrongTypeError) else f"does not fit: {cause}"
        message = f"parameter {name!r} takes {wanted}; the value {what}"
        raise error(Reason.PARAMETER_MISMATCH, message, parameter=name, declared=wanted, given=came) from cause


def _given(parameter: Parameter) -> str:
    """The type of a value in words."""
    if parameter.HasField("type"):
        return type_text(parameter.type)
    field = parameter.value.WhichOneof("kind") or ""
    if field in GIVEN:
        return GIVEN[field]
    try:
        return type_text(implied(parameter.value)[1])
    except ValueError:
        return field


def differences(declared: Iterable[str], placeholders: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Placeholders without a declaration, as missing, and declarations without a placeholder, as unexpected."""
    names, found = set(declared), set(placeholders)
    if missing := found - names:
        yield "missing", ",".join(sorted(missing))
    if unexpected := names - found:
        yield "unexpected", ",".join(sorted(unexpected))
