"""Write a file whole or not at all."""

import os
import secrets
import shutil
from pathlib import Path
from typing import IO


def write_whole(path: Path, body: IO[bytes]) -> None:
    """Put the body in the place of the file, in one step.

    A link is followed; an existing file's mode is kept. A device or a pipe is written
    to as it is, since it cannot be replaced. On failure (OSError) the old file stays.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            shutil.copyfileobj(body, device)
        return
    target = path.resolve()
    temporary = target.with_name(f".promptlooper-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            shutil.copyfileobj(body, file)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
