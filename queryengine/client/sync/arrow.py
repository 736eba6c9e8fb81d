"""What libraries that read Arrow see of a result: the object itself is a stream of rows."""

from collections.abc import Iterator

import pyarrow as pa

from queryengine.client.result import ResultBase


class ArrowStream(ResultBase):
    """The columns as a property, and the rows by the Arrow C data interface."""

    @property
    def schema(self) -> pa.Schema:
        """Waits until the columns are known."""
        return self._columns()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """For libraries that read Arrow, such as Polars, DuckDB, pandas and pyarrow: they take this object itself, and
        its rows as they come. An error while they read reaches the caller as an error of theirs, with its text.
        """
        reader = pa.RecordBatchReader.from_batches(self.schema, iter(self))
        return reader.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The columns alone, for libraries that look at them first."""
        return self.schema.__arrow_c_schema__()

    def _columns(self) -> pa.Schema:
        raise NotImplementedError

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError
