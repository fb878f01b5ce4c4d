"""Addresses such as `s3://bucket/best.json` to write to, through fsspec."""

import shutil
from pathlib import Path
from typing import IO, NoReturn

import click

from promptlooper_export.cli.files import write_whole
from promptlooper_export.errors import CommandError, UsageError
from promptlooper_export.redaction import redact_text


class TargetError(CommandError):
    """An export cannot be written to an address; nothing is written.

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


def write_to(address: str, body: IO[bytes], *, mode: int) -> None:
    """Write the body to an address, whole or not at all.

    `mode` is that of a new file on this machine; elsewhere, its owner says who may
    read. Raises TargetError for what the address's filesystem refuses.
    """
    from fsspec.core import url_to_fs  # noqa: PLC0415  an extra
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415

    try:
        filesystem, path = url_to_fs(address)
        if isinstance(filesystem, LocalFileSystem):
            # Its own way is to copy, in which it may be interrupted.
            write_whole(Path(path), body, mode=mode)
            return
        # Without a transaction, closing the file would keep what a failed upload has.
        with filesystem.transaction, filesystem.open(path, "wb") as file:
            shutil.copyfileobj(body, file)
    except Exception as error:  # noqa: BLE001  a third party's, with errors of its own
        _refuse(address, error)


def _refuse(address: str, error: Exception) -> NoReturn:
    reason = str(error).partition("\n")[0] or "no reason given"
    msg = f"{address} cannot be written: {type(error).__name__}: {reason}"
    # The address may have a password, and the reason may have the address.
    raise TargetError(redact_text(msg)) from error
