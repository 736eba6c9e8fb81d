"""ClickHouse's errors as failures, by their code and in the server's words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Final

import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError, Error
from urllib3.exceptions import HTTPError

from queryengine.codec.values import BoundParameter
from queryengine.domain.errors import Position, QueryEngineError, Reason, error
from queryengine.engines.clickhouse.error_codes import CODES
from queryengine.engines.kit.interrupting import cancelled
from queryengine.engines.kit.sqltemplate import PlacedText
from queryengine.engines.kit.sqltext import position_of_character

CREDENTIALS: Final = frozenset({192, 193, 194, 516, 720, 767})
"""Unknown user, wrong or missing password, authentication failed, user expired, second factor required."""
_NO_ROUTE: Final = (HTTPError, HTTPException, OSError)

_REPORT: Final = re.compile(r"(?:Code: (\d+)\.? ?|code: \d+, server response: )*DB::Exception: (.*)", re.DOTALL)
_AGAIN: Final = re.compile(r"Code: \d+\. DB::Exception: ")
_VERSION: Final = re.compile(r"\s*\(version [^()]*(?:\([^()]*\))?[^()]*\)")
_SCOPE: Final = re.compile(r"[:.]? In scope .*(?=\. \([A-Z_0-9]+\))", re.DOTALL | re.IGNORECASE)
_PLACE: Final = re.compile(r"failed at position (\d+)")
_LINE: Final = re.compile(r" ?\(line (\d+), col (\d+)\)")
_PARAMETER: Final = re.compile(r"for query parameter '([^']*)'|Substitution `([^`]*)` is not set")


@dataclass(frozen=True, slots=True)
class Sent:
    """What the server has of a statement, for the places that it reports: bytes of that text, counted from 1."""

    text: PlacedText
    sql: str
    """As its user wrote it."""

    def position(self, byte: int) -> Position | None:
        """None for a place that is not the user's."""
        return self.text.position(self.sql, len(self.text.sql.encode()[: byte - 1].decode(errors="ignore")))

    @property
    def end(self) -> Position:
        """Behind the last character of the statement."""
        last = max(piece.origin + len(piece.text) for piece in self.text.pieces if piece.origin is not None)
        return position_of_character(self.sql, last)


def code_and_words(text: str) -> tuple[int | None, str]:
    """Code and words of the server in a text; no code when it holds none."""
    match = _REPORT.search(text)
    if match is None:
        return None, text
    words = _VERSION.sub("", _AGAIN.sub("", match.group(2))).strip()
    return int(match.group(1)) if match.group(1) else None, words


def translated(
    cause: BaseException, address: str, parameters: Sequence[BoundParameter] = (), sent: Sent | None = None
) -> QueryEngineError:
    """The failure for anything that the driver or the stream of a result raised."""
    match cause:
        case QueryEngineError():
            return cause
        case MemoryError():
            return error(Reason.OUT_OF_MEMORY, "the query needs more memory than its worker may use")
        case Error(code=int()):
            return failure(cause.code, code_and_words(str(cause))[1], parameters, sent)
        case _:
            pass
    route = _route(cause)
    if route is not None:
        return unavailable(f"the connection to ClickHouse at {address} failed: {route}")
    if isinstance(cause, ClickHouseError | pa.ArrowException):
        return error(Reason.ENGINE_ERROR, _without_values(str(cause), parameters))
    return error(Reason.ENGINE_ERROR, f"{type(cause).__name__}: {cause}")


def failure(
    code: int | None, words: str, parameters: Sequence[BoundParameter] = (), sent: Sent | None = None
) -> QueryEngineError:
    """The failure for an error of the server by its code and words."""
    reason = _reason(code)
    if reason is Reason.QUERY_CANCELLED:
        return cancelled()
    if reason is Reason.PARAMETER_MISMATCH or (parameters and _PARAMETER.search(words)):
        return _mismatch(words)
    words, position = _placed(words, sent)
    if parameters:
        words = _without_values(words, parameters)
    if code in CREDENTIALS:
        words = f"ClickHouse does not accept the user or the password: {words}"
    return error(reason, words, position=position if reason is Reason.SYNTAX_ERROR else None)


def unavailable(message: str) -> QueryEngineError:
    return error(Reason.ENGINE_UNAVAILABLE, message)


def _reason(code: int | None) -> Reason:
    known = CODES.get(code) if code is not None else None
    return known[1] if known is not None else Reason.ENGINE_ERROR


def _mismatch(words: str) -> QueryEngineError:
    """Only the name: the words repeat the value."""
    found = _PARAMETER.search(words)
    name = next((each for each in found.groups() if each), "") if found else ""
    message = f"parameter {name}: its value does not fit the type that the placeholder names"
    return error(Reason.PARAMETER_MISMATCH, message, parameter=name)


def _placed(words: str, sent: Sent | None) -> tuple[str, Position | None]:
    """The words without places in the text that was sent, and the place in the one that the user wrote."""
    found = _PLACE.search(words)
    words = _PLACE.sub("failed", _LINE.sub("", words))
    if found is None or sent is None:
        return words, None
    # Behind the statement stands a bracket of ours: there it ends too early.
    return words.replace("()): )", "(end of query)", 1).replace("\n)", "", 1), sent.position(
        int(found.group(1))
    ) or sent.end


def _without_values(words: str, parameters: Sequence[BoundParameter]) -> str:
    """The server repeats the statement with the values in place of the parameters."""
    words = _SCOPE.sub("", words)
    texts = {str(each.value) for each in parameters if each.value is not None}
    for text in sorted(texts, key=len, reverse=True):
        words = words.replace(f"'{text}'", "'…'")
        if len(text) > 3:
            words = words.replace(text, "…")
    return words


def _route(cause: BaseException | None) -> str | None:
    """What failed between here and the server; None when it is something else. Only an error without a code asks."""
    while cause is not None:
        if isinstance(cause, _NO_ROUTE) and not isinstance(cause, pa.ArrowException):
            reason = getattr(cause, "reason", None)
            return str(reason if isinstance(reason, Exception) else cause)
        cause = cause.__cause__ or cause.__context__
    return None
