"""`export --partition`: a folder of Parquet files that engines read as one table.

Readers take no notice of names that begin with `_` or `.`: the manifest, and a file
until it is whole.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from promptlooper_export.cli.addresses import is_address
from promptlooper_export.cli.files import write_whole
from promptlooper_export.cli.terminal import counted, note, printable
from promptlooper_export.cli.writing import STDOUT, named
from promptlooper_export.documents import Notice
from promptlooper_export.errors import UsageError
from promptlooper_export.export import Selection
from promptlooper_export.partitions import BYS, By, Part
from promptlooper_export.registry import AnyFormat, discover

MANIFEST = "_manifest.json"
_KIND = "promptlooper-dataset"
_VERSION = 1

_FORMAT = "parquet"

_OURS = re.compile(
    r"(day=[^/]+/)?experiment=[0-9a-f-]{36}/promptlooper-runs(-[0-9]+)?\.parquet"
)

PARTITION = click.option(
    "--partition",
    type=click.Choice(BYS),
    help="Write a folder of Parquet files that is read as one table: a file for each "
    "experiment, or for each day (UTC) of each.",
)


def dataset_format(
    name: str | None, output: str, pairs: list[tuple[str, str]], *, strict: bool
) -> AnyFormat:
    """Return the format of a dataset's files.

    Raises UsageError for options that a dataset does not have or that it lacks, and
    FormatNotInstalledError.
    """
    if name not in (None, _FORMAT) or pairs:
        msg = f"--partition writes {_FORMAT}, which has no options: omit -f and -O"
        raise UsageError(msg)
    if output == STDOUT or is_address(output):
        msg = "--partition writes a folder of this machine: -o FOLDER"
        raise UsageError(msg)
    if strict:
        msg = "--strict is for a single export; --partition writes file by file"
        raise UsageError(msg)
    registry = discover()
    registry.require(_FORMAT)
    return named(registry, _FORMAT)


def require_all_runs(selection: Selection) -> None:
    """Raise UsageError if only some runs of each experiment are selected."""
    if selection.limit is not None or selection.after is not None:
        msg = "--partition writes all runs: omit --limit and --after"
        raise UsageError(msg)


def write_dataset(
    folder: Path, parts: Iterable[Part | Notice], *, by: By, redacted: bool
) -> None:
    """Make a folder hold exactly these parts, each file whole; the manifest comes last.

    Files that are as they should be are left alone, so a run that was interrupted is
    taken up again. Files of others are never touched. What is not `redacted` is for its
    owner only. Warnings go to stderr, each once.

    Raises UsageError if the folder holds a dataset by something else, and OSError.
    """
    folder.mkdir(exist_ok=True)
    _require_same(folder / MANIFEST, by)
    mode = 0o666 if redacted else 0o600
    written = 0
    entries = []
    for part in _told(parts):
        with part.body as body:
            path = folder / part.path
            entry = _entry(part)
            if _digest(path) != entry["sha256"]:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, body.file, mode=mode)
                written += 1
            entries.append(entry)
    removed = _remove_others(folder, {entry["path"] for entry in entries})
    rows = sum(entry["rows"] for entry in entries)
    manifest = {
        "format": _KIND,
        "version": _VERSION,
        "partition": by,
        "redacted": redacted,
        "rows": rows,
        "files": entries,
    }
    text = json.dumps(manifest, indent=2).encode() + b"\n"
    write_whole(folder / MANIFEST, io.BytesIO(text), mode=mode)
    note(
        f"wrote {printable(str(folder))} ({counted(rows, 'run')} in "
        f"{counted(len(entries), 'file')}: {written:,} written, "
        f"{len(entries) - written:,} unchanged; {removed:,} removed)"
    )


def _told(parts: Iterable[Part | Notice]) -> Iterator[Part]:
    """Yield the parts, and say what they warn of: each warning once."""
    said = set()
    for part in parts:
        for notice in (part,) if isinstance(part, Notice) else part.body.notices:
            text = str(notice)
            if text not in said:
                said.add(text)
                note(f"warning: {printable(text)}")
        if isinstance(part, Part):
            yield part


def _entry(part: Part) -> Mapping[str, Any]:
    return {
        "path": part.path,
        "experiment": str(part.experiment),
        "rows": part.rows,
        "bytes": part.body.length,
        "sha256": part.body.sha256.hex(),
    }


def _digest(path: Path) -> str | None:
    """Return the digest of a file; None if there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _require_same(manifest: Path, by: By) -> None:
    """Raise UsageError unless the manifest is one of ours, if it is there."""
    try:
        text = manifest.read_bytes()
    except FileNotFoundError:
        return
    try:
        found = json.loads(text)
        known = (found["format"], found["version"], found["partition"])
    except (ValueError, TypeError, KeyError):
        known = None
    if known != (_KIND, _VERSION, by):
        msg = (
            f"{manifest} is not that of a dataset by {by}, which this would write: "
            "name another folder"
        )
        raise UsageError(msg)


def _remove_others(folder: Path, paths: set[str]) -> int:
    """Remove our files that are not among the paths; return how many there were."""
    removed = 0
    for file in _ours(folder):
        if file.relative_to(folder).as_posix() in paths:
            continue
        file.unlink()
        removed += 1
        for parent in file.parents:
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()
    return removed


def _ours(folder: Path) -> list[Path]:
    # Not by the manifest, which a run that was interrupted has not written.
    name = "experiment=*/promptlooper-runs*.parquet"
    return [
        file
        for pattern in (name, f"day=*/{name}")
        for file in folder.glob(pattern)
        if _OURS.fullmatch(file.relative_to(folder).as_posix())
    ]
