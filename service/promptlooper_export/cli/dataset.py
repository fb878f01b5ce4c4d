"""`export --partition`: a folder of Parquet files that engines read as one table.

Readers take no notice of names that begin with `_` or `.`: the manifest, and a file
until it is whole.
"""

import io
import json
import re
from collections.abc import Iterable, Iterator

import click

from promptlooper_export.cli.folders import Entry, Folder, open_folder
from promptlooper_export.cli.terminal import counted, note, printable
from promptlooper_export.cli.writing import STDOUT, named
from promptlooper_export.documents import Notice
from promptlooper_export.errors import UsageError
from promptlooper_export.export import Selection
from promptlooper_export.partitions import BYS, By, Part
from promptlooper_export.redaction import redact_text
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
    if output == STDOUT:
        msg = "--partition writes a folder: -o FOLDER"
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
    output: str, parts: Iterable[Part | Notice], *, by: By, redacted: bool
) -> None:
    """Make a folder hold exactly these parts, each file whole; the manifest comes last.

    Files that are as they should be are left alone, so a run that was interrupted is
    taken up again. Files of others are never touched. What is not `redacted` is for its
    owner only. Warnings go to stderr, each once.

    Raises UsageError if the folder holds a dataset by something else, OSError and
    TargetError.
    """
    folder = open_folder(output)
    recorded = _recorded(folder, output, by)
    mode = 0o666 if redacted else 0o600
    written = 0
    entries = []
    for part in _told(parts):
        with part.body as body:
            entry = _entry(part)
            if not folder.holds(entry, recorded.get(part.path)):
                folder.write(part.path, body.file, mode=mode)
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
    folder.write(MANIFEST, io.BytesIO(text), mode=mode)
    note(
        f"wrote {printable(redact_text(output))} ({counted(rows, 'run')} in "
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


def _entry(part: Part) -> Entry:
    return {
        "path": part.path,
        "experiment": str(part.experiment),
        "rows": part.rows,
        "bytes": part.body.length,
        "sha256": part.body.sha256.hex(),
    }


def _recorded(folder: Folder, output: str, by: By) -> dict[str, Entry]:
    """Return what the manifest says of each file, if there is one.

    Raises UsageError unless it is that of a dataset like this.
    """
    text = folder.read(MANIFEST)
    if text is None:
        return {}
    try:
        found = json.loads(text)
        entries = {entry["path"]: entry for entry in found["files"]}
        known = (found["format"], found["version"], found["partition"])
    except (ValueError, TypeError, KeyError):
        known = None
    if known != (_KIND, _VERSION, by):
        msg = (
            f"{redact_text(output)}: its {MANIFEST} is not that of a dataset by {by}, "
            "which this would write: name another folder"
        )
        raise UsageError(msg)
    return entries


def _remove_others(folder: Folder, paths: set[str]) -> int:
    """Remove our files that are not among the paths; return how many there were."""
    # Not by the manifest, which a run that was interrupted has not written.
    others = [
        path for path in folder.paths() if _OURS.fullmatch(path) and path not in paths
    ]
    for path in others:
        folder.remove(path)
    return len(others)
