"""What takes the rows of a result, batch by batch, and what happens to rows that a format cannot hold."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import pyarrow as pa

from queryengine.cli.exits import ended


class Writer(ABC):
    """Takes the schema once, then batches. A context manager: leaving it finishes what was begun."""

    is_full = False
    """Whether it has all the rows that it shows."""

    @abstractmethod
    def begin(self, schema: pa.Schema) -> None: ...

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None: ...

    @abstractmethod
    def finish(self) -> None:
        """Write what belongs at the end. Called only when everything went well."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()


def write_all(writer: Writer, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with refused_rows():
        writer.begin(schema)
        for batch in batches:
            writer.write(batch)


@contextmanager
def refused_rows() -> Iterator[None]:
    """Around what hands rows to a writer: those that its format cannot hold end the command, as a message."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ended(f"the format cannot hold these rows: {error}; try --format arrows or json") from error
