"""Every run as Apache Parquet, or as a stream of Arrow's record batches."""

from collections.abc import Iterator
from io import BytesIO

from promptlooper_export.plugin import Format, Notice, Runs
from promptlooper_formats.shared.arrow_table import (
    REQUIRES,
    batches,
    schema,
    table_columns,
)
from promptlooper_formats.shared.tables import alike

_GROUP = 4_000
_GROUP_BYTES = 1 << 25
"""A group of rows ends after about so many runs, or this many bytes."""

# Tables may yield at most 1 MiB at once: testing/suite.py.
_PIECE = 1 << 19


def render_parquet(runs: Runs) -> Iterator[bytes | Notice]:
    """Yield the file, group by group."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = table_columns(runs.columns)
    shape = schema(runs, columns)
    yield from alike([column.name for column in columns])
    written = Written()
    with parquet.ParquetWriter(written, shape, compression="zstd") as writer:
        # A group is in memory until it is written, and configs can be long: so it is
        # bounded in bytes as well.
        group: list[pa.RecordBatch] = []
        for batch in batches(runs, columns, shape):
            group.append(batch)
            size = sum(one.nbytes for one in group)
            if sum(map(len, group)) >= _GROUP or size > _GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(group))
                group.clear()
                yield from written.taken()
        if group:
            writer.write_table(pa.Table.from_batches(group))
    yield from written.taken()


def render_arrow(runs: Runs) -> Iterator[bytes | Notice]:
    """Yield the stream, batch by batch."""
    import pyarrow as pa

    columns = table_columns(runs.columns)
    shape = schema(runs, columns)
    yield from alike([column.name for column in columns])
    written = Written()
    with pa.ipc.new_stream(written, shape) as writer:
        for batch in batches(runs, columns, shape):
            writer.write_batch(batch)
            yield from written.taken()
    yield from written.taken()


class Written(BytesIO):
    """A file in memory; what was written can be taken out at any time."""

    def __init__(self) -> None:
        super().__init__()
        self._before = 0

    def tell(self) -> int:
        """Return the place in the whole file."""
        # The footer of a Parquet file has offsets into the whole file.
        return self._before + super().tell()

    def close(self) -> None:
        """Stay open: the last bytes are taken after the writer has closed the file."""

    def taken(self) -> Iterator[bytes]:
        """Yield what was written since the last call, in pieces."""
        data = self.getvalue()
        self._before += len(data)
        self.seek(0)
        self.truncate()
        for place in range(0, len(data), _PIECE):
            yield data[place : place + _PIECE]


PARQUET = Format(
    name="parquet",
    title="Parquet",
    document=Runs,
    media_types=("application/vnd.apache.parquet",),
    extension="parquet",
    render=render_parquet,
    requires=REQUIRES,
)

ARROW = Format(
    name="arrow",
    title="Arrow stream",
    document=Runs,
    media_types=("application/vnd.apache.arrow.stream",),
    extension="arrows",
    render=render_arrow,
    requires=REQUIRES,
)
