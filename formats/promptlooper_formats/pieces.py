"""Lines put together, since each piece that a format yields costs a little."""

from collections.abc import Iterable, Iterator

from promptlooper_export.plugin import Notice

_BYTES = 1 << 16


def together(lines: Iterable[bytes | Notice]) -> Iterator[bytes | Notice]:
    """Yield the lines in pieces of at least 64 KiB, the notices as they come."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        if isinstance(line, Notice):
            yield line
            continue
        waiting.append(line)
        size += len(line)
        if size >= _BYTES:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    yield b"".join(waiting)
