"""Every run as a stream of Apache Arrow's record batches."""

from collections.abc import Iterator

from promptlooper_export.plugin import Format, Notice, Runs
from promptlooper_formats.parquet import Written
from promptlooper_formats.shared.arrow_table import (
    REQUIRES,
    batches,
    schema,
    table_columns,
)
from promptlooper_formats.shared.columns import alike


def render(runs: Runs) -> Iterator[bytes | Notice]:
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


ARROW = Format(
    name="arrow",
    title="Arrow stream",
    document=Runs,
    media_types=("application/vnd.apache.arrow.stream",),
    extension="arrows",
    render=render,
    requires=REQUIRES,
)
