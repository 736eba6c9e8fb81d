"""The lexical rules of each engine, after its own lexer. Where the text of a rule surprises, the engine does."""

import re
from typing import Final

from queryengine.engines.kit.lexing import Lexer, Lexicon

_BLANKS: Final = r"[ \t\n\r\f\v]+"
_DOUBLED: Final = r"'(?:[^']|'')*+'"
_ESCAPED: Final = r"'(?:[^'\\]|\\.|'')*+'"
_DOUBLE: Final = r'"(?:[^"]|"")*+"'
_BACKTICK: Final = r"`(?:[^`]|``)*+`"
_HIGH: Final = "\x80-\U0010ffff"

_POSTGRESQL_ESCAPE: Final = re.compile(r"\\(\\|[0-9a-fA-F]{4}|\+[0-9a-fA-F]{6})")


def _plain(text: str) -> str:
    quote = text[-1]
    return text[1:-1].replace(quote * 2, quote)


def _postgresql_name(text: str) -> str:
    r"""U&"…" has characters by their number; with another sign than \ for it, see the guard of PostgreSQL."""
    if text[0] != '"':
        return _POSTGRESQL_ESCAPE.sub(_character, _plain(text[2:]))
    return _plain(text)


def _character(match: re.Match[str]) -> str:
    digits = match.group(1).removeprefix("+")
    number = int(digits, 16) if digits != "\\" else ord("\\")
    return chr(number) if number <= 0x10FFFF else "\ufffd"


def _bracketed(text: str) -> str:
    return text[1:-1] if text[0] == "[" else _plain(text)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", _plain(text), flags=re.DOTALL)


# An E string goes on behind a line break, with the same escapes, whatever comments stand around the break.
_BREAK: Final = r"(?:[ \t\f\v]|--[^\n\r]*)*+[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*+"
_CONTINUED: Final = rf"[eE]{_ESCAPED}(?:{_BREAK}{_ESCAPED})*(?!{_BREAK}')"
_TAG: Final = rf"\$(?:[A-Za-z_{_HIGH}][A-Za-z0-9_{_HIGH}]*)?\$"
_DOLLARS: Final = r"\$[A-Za-z0-9_]*\$"

POSTGRESQL: Final = Lexer(
    Lexicon(
        space=_BLANKS,
        line_comment=r"--[^\n\r]*",
        is_nested=True,
        string=(
            rf"{_CONTINUED}|(?:[bBxXnN]|[uU]&)?{_DOUBLED}"
            rf"|(?P<tag>{_TAG}).*?(?P=tag)"
        ),
        quoted=rf"(?:[uU]&)?{_DOUBLE}",
        opening=rf"(?:[eEbBxXnN]|[uU]&)?['\"]|{_TAG}",
        word=rf"[A-Za-z_{_HIGH}][A-Za-z0-9_${_HIGH}]*",
        mark=r"\$[0-9]+",
        sign="::|:=",
        name=_postgresql_name,
    )
)

CLICKHOUSE: Final = Lexer(
    Lexicon(
        space=r"[ \t\n\r\f\v\u0085\u00a0\u1680\u180e\u2000-\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]+",
        line_comment=r"(?:--|//|\#[ !])[^\n]*",
        is_nested=True,
        string=rf"[xX]'[0-9a-fA-F]*'|[bB]'[01]*'|{_ESCAPED}|\u2018[^\u2019]*\u2019|(?P<tag>{_DOLLARS}).*?(?P=tag)",
        quoted=r'"(?:[^"\\]|\\.|"")*+"|`(?:[^`\\]|\\.|``)*+`|\u201c[^\u201d]*\u201d',
        opening=rf"[xXbB]?'|[\"`\u2018\u201c]|{_DOLLARS}",
        word=r"[A-Za-z_$][A-Za-z0-9_$]*",
        mark="",
        sign=r"::|\.:|->",
        name=_unescaped,
    )
)

SQLITE: Final = Lexer(
    Lexicon(
        space=r"[ \t\n\r\f\ufeff]+",
        # A comment may be left open.
        line_comment=r"--[^\n]*|/\*(?:(?!\*/).)++\Z",
        is_nested=False,
        string=rf"[xX]'[0-9a-fA-F]*'|{_DOUBLED}",
        quoted=rf"{_DOUBLE}|{_BACKTICK}|\[[^\]]*\]",
        opening=r"[xX]?'|[\"`\[]",
        word=rf"[A-Za-z_{_HIGH}][A-Za-z0-9_${_HIGH}]*",
        mark=rf"\?[0-9]*|[:@$\#](?:[A-Za-z0-9_${_HIGH}]|::)+(?:\([^\s)]*\))?",
        sign="",
        name=_bracketed,
    )
)

TRINO: Final = Lexer(
    Lexicon(
        space=r"[ \t\n\r]+",
        line_comment=r"--[^\n\r]*",
        is_nested=False,
        string=rf"(?:[xX]|[uU]&)?{_DOUBLED}",
        quoted=rf"{_DOUBLE}|{_BACKTICK}",
        opening="['\"`]",
        word=r"[A-Za-z_][A-Za-z0-9_]*",
        mark="",
        sign="::|->|=>",
        name=_plain,
    )
)

SPARK: Final = Lexer(
    Lexicon(
        space=r"[ \t\n\f\r\v\u00a0\u1680\u2000-\u200a\u2028\u202f\u205f\u3000]+",
        line_comment=r"--(?:\\\n|[^\r\n])*+",
        block=r"/\*(?!\+)",
        is_nested=True,
        string=rf"[rR]'[^']*'|[rR]\"[^\"]*\"|{_ESCAPED}|\"(?:[^\"\\]|\\.|\"\")*+\"",
        quoted=_BACKTICK,
        opening="['\"`]",
        # A path without quotes is one name for it.
        word=r"[^\W\d_]+://[\w/\-.?=&#%]+|[^\W\d]\w*",
        mark="",
        # A hint looks like a comment, and is none.
        sign=r"::|->|=>|\|>|/\*\+|\*/",
        name=_plain,
    )
)
