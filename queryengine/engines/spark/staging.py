"""Results on shared storage: Spark writes Parquet, the worker reads it from there, in order, and removes it.

Rows keep their order, as Spark writes each of its partitions in order, to files whose names sort as partitions do.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from queryengine.engines.spark.client import Proto, proto

_BATCH_BYTES: Final = 8 << 20
_BATCH_ROWS_MAX: Final = 65_536
_ROW_GROUP_BYTES: Final = 32 << 20
"""What a reader holds of a file at a time, compressed."""


class Staging:
    """The folder of one result. It exists from when Spark begins to write until `remove`."""

    def __init__(self, base: str) -> None:
        """`base` is an absolute path, or an URI that both Spark and Arrow know."""
        root = base if "://" in base or base.startswith("file:") else f"file://{base}"
        self.uri = f"{root.rstrip('/')}/queryengine-{uuid.uuid4()}"
        self._storage, self._path = pafs.FileSystem.from_uri(self.uri)
        self.is_written = False
        """Complete: nothing on the server touches it any more."""

    def writing(self, relation: Proto, columns: int) -> Proto:
        """The plan that writes a relation of so many columns. In the files they are named by their numbers, as Parquet
        allows no name twice.
        """
        names = [f"c{number}" for number in range(columns)]
        renamed = proto.Relation(to_df=proto.ToDF(input=relation, column_names=names))
        write = proto.WriteOperation(
            input=renamed,
            source="parquet",
            path=self.uri,
            mode=proto.WriteOperation.SAVE_MODE_ERROR_IF_EXISTS,
            options={"parquet.block.size": str(_ROW_GROUP_BYTES)},
        )
        return proto.Plan(command=proto.Command(write_operation=write))

    def columns(self) -> Iterator[Sequence[Any]]:
        """The columns of one batch after another, of a result that Spark has said to be complete. Raises OSError when
        the storage fails.
        """
        self.is_written = True
        selector = pafs.FileSelector(self._path)
        names = [info.path for info in self._storage.get_file_info(selector) if info.path.endswith(".parquet")]
        for name in sorted(names, key=lambda path: PurePosixPath(path).name):
            with self._storage.open_input_file(name) as source, pq.ParquetFile(source) as file:
                rows = _rows_at_a_time(file.metadata)
                for batch in file.iter_batches(batch_size=rows, use_threads=False):
                    yield batch.columns

    def remove(self) -> None:
        """Remove the folder. May be done again: a task that ends late may have made it anew."""
        with suppress(OSError, pa.ArrowException):
            self._storage.delete_dir(self._path)


def _rows_at_a_time(metadata: Any) -> int:
    """So many that a batch is of some MiB."""
    total: int = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    rows: int = metadata.num_rows
    each = max(1, total // max(1, rows))
    return max(1, min(_BATCH_ROWS_MAX, _BATCH_BYTES // each))
