"""Where a page that is fetched begins, and how large it is: forwards from a row, or backwards from one."""

import base64
import binascii
from dataclasses import dataclass

from queryengine.domain.errors import Reason, error


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins and how large it is; travels as an opaque token that authorises nothing."""

    attempt: int
    offset: int
    size: int
    end: int = 0
    """Of a page that is read backwards: the row it ends before, whatever fits. 0 for one that is read forwards."""

    @classmethod
    def before(cls, attempt: int, row: int, size: int) -> "Cursor":
        """The rows right before a row that is not the first."""
        return cls(attempt, max(0, row - size), size, row)

    def resized(self, size: int) -> "Cursor":
        return Cursor.before(self.attempt, self.end, size) if self.end else Cursor(self.attempt, self.offset, size)

    def token(self) -> str:
        text = f"{self.attempt}:{self.offset}:{self.size}:{self.end}"
        return base64.urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def of_token(cls, token: str) -> "Cursor":
        """Raises INVALID_FIELD for a token that no answer held."""
        try:
            attempt, offset, size, end = base64.urlsafe_b64decode(token.encode()).decode().split(":")
            cursor = cls(int(attempt), int(offset), int(size), int(end))
        except (ValueError, binascii.Error, UnicodeError) as cause:
            message = "page_token is not a token of an earlier answer"
            raise error(Reason.INVALID_FIELD, message, field="page_token") from cause
        if cursor.offset < 0 or cursor.size < 1 or (cursor.end and cursor.end <= cursor.offset):
            raise error(Reason.INVALID_FIELD, "page_token is out of range", field="page_token")
        return cursor
