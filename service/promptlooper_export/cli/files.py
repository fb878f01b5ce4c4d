"""Files as the commands name them: what format they have, and writing them whole."""

import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from promptlooper_export.errors import UsageError
from promptlooper_export.registry import AnyFormat

_MANIFEST = re.compile(
    rb"^kind:[ \t]*[\"']?(ConfigMap|Secret)[\"']?[ \t]*\r?$", re.MULTILINE
)
_SYNONYMS = {"yml": "yaml", "jsonl": "ndjson", "tfvars.json": "auto.tfvars.json"}
"""Other extensions by which a format is known, unless a format claims them itself."""


def format_named_by(
    file: str, formats: Mapping[str, AnyFormat], *, data: bytes = b""
) -> AnyFormat | None:
    """Return the format that a file's name stands for, whether it is read or written.

    The longest extension wins, then the order of the formats; `.env.production` is a
    .env file. In the `data` of a YAML file, the kind of a manifest shows. None if no
    format has such a name.
    """
    name = Path(file).name
    if name.startswith(".env.") and "env" in formats:
        return formats["env"]
    extensions = {row.extension for row in formats.values()}
    for spelled, meant in _SYNONYMS.items():
        if name.endswith(f".{spelled}") and spelled not in extensions:
            name = f"{name.removesuffix(spelled)}{meant}"
    if name.endswith(".yaml") and (found := _MANIFEST.search(data)):
        return formats.get(found[1].decode().lower())
    fitting = [row for row in formats.values() if name.endswith(f".{row.extension}")]
    return max(fitting, key=lambda row: len(row.extension), default=None)


def format_of_file(
    file: str, formats: Mapping[str, AnyFormat], *, kind: str | None, data: bytes
) -> AnyFormat:
    """Return the format called `kind`, else the one that the file's name stands for.

    Raises UsageError if there is none.
    """
    if kind is None:
        chosen = format_named_by(file, formats, data=data)
    else:
        chosen = formats.get(kind)
    if chosen is None:
        known = ", ".join(formats)
        msg = f"cannot tell the format of {file}; name it with --from: {known}"
        raise UsageError(msg)
    return chosen


def write_whole(path: Path, body: IO[bytes], *, mode: int = 0o666) -> None:
    """Replace the file with the body in one step.

    Follows links and keeps an existing file's mode; a new one has `mode` as far as the
    umask allows. Writes straight to a device or a
    pipe, which cannot be replaced. On failure, the old file stays.

    Some files can be written but not replaced: those that are mounted into a container
    by themselves, and those in a folder that takes no new files. They are overwritten
    in place, so if the disk fills up or the machine stops meanwhile, a part of the new
    body is left.

    Raises OSError, which names the path as it was given.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            shutil.copyfileobj(body, device)
        return
    try:
        # Otherwise a link itself would be replaced.
        _replace(path.resolve(), body, mode)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(target: Path, body: IO[bytes], mode: int) -> None:
    # In the same directory, since a rename cannot cross file systems.
    temporary = target.with_name(f".promptlooper-{secrets.token_hex(8)}")
    try:
        # Never write into a file or through a link that is already there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(temporary, flags, mode)
    except OSError:
        if not _is_writable(target):
            raise
        _overwrite(target, body)
        return
    try:
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(body, file)
            file.flush()
            # Before the rename, or a power cut could leave an empty file there.
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        _move(temporary, target, body)
    finally:
        temporary.unlink(missing_ok=True)


def _move(temporary: Path, target: Path, body: IO[bytes]) -> None:
    try:
        temporary.replace(target)
    except OSError:
        # EBUSY or EXDEV: the target is a mount point.
        if not _is_writable(target):
            raise
        body.seek(0)
        _overwrite(target, body)


def _is_writable(target: Path) -> bool:
    return os.access(target, os.W_OK)


def _overwrite(target: Path, body: IO[bytes]) -> None:
    with target.open("r+b") as file:
        shutil.copyfileobj(body, file)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
