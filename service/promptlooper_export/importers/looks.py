"""What a source looks like that no importer recognises, and what to do about it."""

import csv
import json
import zipfile
from pathlib import Path

from promptlooper_export.importers.databases import (
    columns_of,
    is_database,
    without_password,
)

PAGE = "docs/importing.md lists what can be imported"

_HEAD = 1 << 16
_PARSED = 1 << 22
"""The largest JSON document that is parsed only to name its members, in bytes."""

_NAMED = 5
_OURS = frozenset({"experiments", "runs", "scores"})
_UNPACK = "unpack it and import the file in it"

_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x1f\x8b", "a file compressed with gzip", _UNPACK),
    (0, b"BZh", "a file compressed with bzip2", _UNPACK),
    (0, b"\xfd7zXZ\0", "a file compressed with xz", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a file compressed with zstd", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"ARROW1", "an Arrow file", "write it as CSV or Parquet"),
    (0, b"%PDF", "a PDF", ""),
    (
        0,
        b"\x80",
        "a Python pickle",
        "it is never loaded, since it could run any code; import the tool's storage",
    ),
    (0, b"<", "HTML or XML", ""),
)
"""Where what bytes stand in which kind of file, and what to do with it."""


def unrecognised(source: str) -> str:
    """Return a message about a source that no importer recognises.

    Raises SourceError for a database that cannot be read.
    """
    if "://" in source:
        return _about_url(source)
    path = Path(source)
    if path.exists() and not path.is_file() and not path.is_dir():
        # A device may go on for ever, and a pipe can be read only once.
        return f"{source} is neither a file nor a folder; write it to a file first"
    try:
        what, advice = _folder(path) if path.is_dir() else _file(path)
    except OSError as error:
        return f"{source}: {error.strerror}"
    return _message(source, what, advice)


def _message(source: str, what: str, advice: str) -> str:
    return "; ".join(filter(None, (f"{source} looks like {what}", advice, PAGE)))


def _about_url(source: str) -> str:
    scheme, _, rest = source.partition("://")
    if scheme in {"sqlite", "postgresql", "postgres"} or "+" in scheme:
        return _message(without_password(source), *_database(source, "it"))
    # A password may be in it.
    place = rest.rpartition("@")[2]
    return (
        f"{scheme}://{place} is not a database that can be read; import reads SQLite "
        "and PostgreSQL"
    )


def _folder(path: Path) -> tuple[str, str]:
    names = sorted(entry.name for entry in path.iterdir())
    return f"a folder {_with(names)}" if names else "an empty folder", ""


def _file(path: Path) -> tuple[str, str]:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return "an empty file", ""
    if is_database(str(path)):
        return _database(str(path), f"sqlite:///{path}")
    if zipfile.is_zipfile(path):
        return _archive(path)
    for start, magic, what, advice in _MAGIC:
        if head[start:].startswith(magic):
            return what, advice
    return _text(path, head)


def _database(source: str, url: str) -> tuple[str, str]:
    tables = columns_of(source)
    if _OURS.issubset(tables):
        advice = f"nothing needs to be imported: set PROMPTLOOPER_DATABASE_URL to {url}"
        return "a database of PromptLooper", advice
    if not tables:
        return "a database without tables", ""
    return f"a database of no known tool {_with(sorted(tables), 'the tables ')}", ""


def _archive(path: Path) -> tuple[str, str]:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "[Content_Types].xml" in names:
        return "a workbook or another office document", "save its table as CSV"
    return f"a ZIP archive {_with(names)}" if names else "an empty ZIP archive", _UNPACK


def _text(path: Path, head: bytes) -> tuple[str, str]:
    if b"\0" in head:
        return "binary data", ""
    text = head.decode("utf-8-sig", errors="replace")
    first, *rest = text.lstrip().splitlines() or [""]
    if first.startswith(("{", "[")):
        return _json(path, first, has_more=bool(rest))
    columns = next(csv.reader([first]))
    if len(columns) > 1 and rest:
        advice = "name its columns with --score and --config"
        return f"a table {_with(columns, 'the columns ')}", advice
    return f"text that begins with {first[:40]!r}", ""


def _json(path: Path, first: str, *, has_more: bool) -> tuple[str, str]:
    """Describe JSON by what its first line holds, or all of it."""
    advice = "docs/interchange.md has the form in which any results can be imported"
    kind = "JSON Lines"
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        kind = "JSON"
        found = None
    if (not has_more or found is None) and path.stat().st_size <= _PARSED:
        kind = "JSON"
        try:
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return "JSON that is not whole, or not valid", advice
    if isinstance(found, list):
        kind, found = "a JSON array", next(iter(found), None)
    if not isinstance(found, dict) or not found:
        return kind, advice
    return f"{kind} {_with(list(found), 'the members ')}", advice


def _with(names: list[str], of: str = "") -> str:
    """Name the first few of the names."""
    shown = ", ".join(name[:40] for name in names[:_NAMED])
    others = len(names) - _NAMED
    return f"with {of}{shown}{f' and {others} more' if others > 0 else ''}"
