"""Addresses such as `s3://bucket/best.json` to write to, through fsspec."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from promptlooper_export.errors import CommandError, UsageError
from promptlooper_export.redaction import redact_text

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class TargetError(CommandError):
    """An address cannot be written to; no part of a file is left there.

    Check the address, and the credentials of its filesystem.
    """


def is_address(output: str) -> bool:
    """Return whether this is an address, and not the name of a file."""
    return "://" in output


def require_writer(ctx: click.Context, param: click.Parameter, output: str) -> str:
    """Return the output; raise UsageError if it is an address of an unknown kind.

    Before the export begins: it may take long.
    """
    if is_address(output):
        _require_writer(output)
    return output


def _require_writer(address: str) -> None:
    # Such as `simplecache::s3://bucket/best.json`.
    protocol = address.partition(":")[0]
    try:
        from fsspec import get_filesystem_class  # noqa: PLC0415  an extra
    except ImportError as error:
        msg = (
            f"{protocol}:// needs a library that is not installed here: pip install "
            "'promptlooper-export[fsspec]'"
        )
        raise UsageError(msg) from error
    try:
        get_filesystem_class(protocol)
    except (ImportError, ValueError) as error:
        # Its message names the package to install, or says that nobody knows it.
        msg = f"{protocol}:// cannot be written to here: {error}"
        raise UsageError(msg) from error


class Address:
    """A place of some filesystem that fsspec knows, elsewhere.

    Paths are relative to it; without one, the place itself is meant. Everything raises
    TargetError for what the filesystem refuses.
    """

    def __init__(
        self, address: str, filesystem: "AbstractFileSystem", place: str
    ) -> None:
        self._address = address
        self._filesystem = filesystem
        self._root = place.rstrip("/")

    def write(self, body: IO[bytes], path: str = "") -> None:
        """Write the body, whole or not at all."""
        # Without a transaction, closing the file would keep what a failed upload has.
        with (
            _guarded(self._address),
            self._filesystem.transaction,
            self._filesystem.open(self._place(path), "wb") as file,
        ):
            shutil.copyfileobj(body, file)

    def read(self, path: str) -> bytes:
        """Return a small file."""
        with (
            _guarded(self._address),
            self._filesystem.open(self._place(path), "rb") as file,
        ):
            content: bytes = file.read()
            return content

    def remove(self, path: str) -> None:
        """Remove a file."""
        with _guarded(self._address):
            self._filesystem.rm_file(self._place(path))

    def sizes(self) -> dict[str, int]:
        """Return the size of every file below the address, by its path."""
        with _guarded(self._address):
            try:
                found = self._filesystem.find(self._root, detail=True)
            except FileNotFoundError:
                return {}
        # Some also list what only begins like the address.
        root = f"{self._root}/"
        return {
            place.removeprefix(root): row["size"]
            for place, row in found.items()
            if place.startswith(root)
        }

    def _place(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


def place_of(output: str) -> Path | Address:
    """Return the path or the address; also of an address that is on this machine.

    Raises TargetError if the address has a fault.
    """
    if not is_address(output):
        return Path(output)
    from fsspec.core import url_to_fs  # noqa: PLC0415  an extra
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415

    with _guarded(output):
        filesystem, place = url_to_fs(output)
    if isinstance(filesystem, LocalFileSystem):
        return Path(place)
    return Address(output, filesystem, place)


@contextmanager
def _guarded(address: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a third party's, with errors of its own
        reason = str(error).partition("\n")[0] or "no reason given"
        msg = f"{address} cannot be used: {type(error).__name__}: {reason}"
        # The address may have a password, and the reason may have the address.
        raise TargetError(redact_text(msg)) from error
