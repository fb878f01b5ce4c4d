"""`promptlooper-export verify`."""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from promptlooper_export import settings
from promptlooper_export.cli.deployed import read_config, write_changes
from promptlooper_export.cli.files import format_of_file
from promptlooper_export.cli.selecting import Other, Selecting, selection_options
from promptlooper_export.cli.terminal import counted, note
from promptlooper_export.cli.writing import (
    FROM,
    OPTIONS,
    UNREDACTED,
    limits_for,
)
from promptlooper_export.comparison import changes
from promptlooper_export.documents import Runs
from promptlooper_export.errors import ComparisonError, DifferenceError, UsageError
from promptlooper_export.export import Selection, export
from promptlooper_export.registry import AnyFormat, discover, load_format_options
from promptlooper_export.spool import Body
from promptlooper_export.store.snapshot import Store, open_store
from promptlooper_export.viewer import OPERATOR

_NEAR_AN_END = 1 << 16
"""Bytes at each end of a file to search for ids and times."""

_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# As headers of comments, documents and reports write the time of an export.
_EXPORTED = re.compile(
    rb"(?:[Ee]xported|Generated|Experiment report)[^0-9\n]{0,40}?"
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]+)?Z)"
)
_TRIED = 5
"""How many times to try, since an experiment's own text may look like one."""

_DIGEST = re.compile(
    "(?:sha-?256[=:])?(?::([A-Za-z0-9+/]{43}=):|([0-9a-f]{64}))", re.IGNORECASE
)


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@FROM
@OPTIONS
@click.option(
    "--experiment",
    metavar="ID|NAME",
    help="The exported experiment; by default the one that FILE names.",
)
@click.option(
    "--digest",
    metavar="DIGEST",
    help="Compare with the answer's Repr-Digest, or a SHA-256 in hex, without a "
    "database.",
)
@selection_options
@UNREDACTED
def verify(
    *,
    file: Path,
    kind: str | None,
    pairs: list[tuple[str, str]],
    experiment: str | None,
    digest: str | None,
    selecting: Selecting,
    other: Other,
    unredacted: bool,
) -> None:
    """Check that a file is what the service exports.

    Exports the experiment that FILE names again, as of the time in FILE. The exit code
    is 0 if the bytes are the same, else 3. Give the options that FILE was made with;
    only=config shows by itself.
    """
    if digest is not None:
        _check_digest(file, digest)
        return
    loaded = settings.load()
    formats = discover(sandbox_seconds=loaded.render_timeout).formats
    ends = _ends(file)
    chosen = format_of_file(str(file), formats, kind=kind, data=ends)
    options = load_format_options(chosen, pairs)
    plain = selecting(chosen)
    with closing(open_store(loaded.database_url)) as store:
        with store.snapshot(OPERATOR) as snapshot:
            plain = replace(plain, redact=not unredacted, against=other.find(snapshot))
        selections = [*_selections(ends, chosen, plain)]
        found = _experiment(store, file, ends, experiment)
        render = partial(export, store, OPERATOR, found, chosen)
        limits = limits_for(loaded)
        place, body = _closest(
            file,
            (
                render(form, selection=one, limits=limits)
                for form in _forms(options)
                for one in selections
            ),
        )
    with body:
        if place is not None:
            raise DifferenceError(_reason(file, body, place, chosen, options))
    note(f"{file} matches the {chosen.name} export of {found}")


def _check_digest(file: Path, digest: str) -> None:
    wanted = _DIGEST.fullmatch(digest.strip())
    if wanted is None:
        msg = f"{digest!r} must be sha-256=:...: or a SHA-256 in hex"
        raise UsageError(msg)
    with file.open("rb") as opened:
        actual = file_digest(opened, "sha256")
    if wanted[1] not in (None, b64encode(actual.digest()).decode()) or (
        wanted[2] is not None and wanted[2].lower() != actual.hexdigest()
    ):
        msg = f"{file} has a different digest: {actual.hexdigest()}"
        raise DifferenceError(msg)
    note(f"{file} matches the digest")


def _ends(file: Path) -> bytes:
    """Read the beginning and the end of a file, where it says what it is."""
    with file.open("rb") as opened:
        beginning = opened.read(_NEAR_AN_END)
        opened.seek(max(opened.tell(), file.stat().st_size - _NEAR_AN_END))
        return beginning + opened.read()


def _experiment(store: Store, file: Path, ends: bytes, reference: str | None) -> UUID:
    with store.snapshot(OPERATOR) as snapshot:
        if reference is not None:
            return snapshot.find(reference)
        # Ids may be those of runs, or text in a config that only looks like an id.
        for text in dict.fromkeys(_UUID.findall(ends)):
            if found := snapshot.owner(UUID(text.decode())):
                return found
    msg = f"{file} names no experiment in this database; name one with --experiment"
    raise ComparisonError(msg)


def _selections(
    ends: bytes, chosen: AnyFormat, plain: Selection
) -> Iterator[Selection]:
    """Yield the selections to try: one for each time that the file may name."""
    moments = dict.fromkeys(_EXPORTED.findall(ends))
    if chosen.document is Runs or not moments:
        yield plain
        return
    for text in list(moments)[:_TRIED]:
        yield replace(plain, exported_at=datetime.fromisoformat(text.decode()))


def _forms(options: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the options as given, then those of the other form that FILE may have."""
    yield options
    if "only" in options and options["only"] is None:
        yield {**options, "only": "config"}


def _closest(file: Path, bodies: Iterable[Body]) -> tuple[int | None, Body]:
    """Return where the file first differs, None if nowhere, and the closest body."""
    closest: tuple[int, Body] | None = None
    for body in bodies:
        place = _first_difference(file, body)
        if place is None:
            return None, body
        if closest is None or place > closest[0]:
            closest = place, body
    if closest is None:
        msg = "nothing was exported"
        raise RuntimeError(msg)
    return closest


def _first_difference(file: Path, body: Body) -> int | None:
    """Return the offset of the first byte that differs, None if all are equal."""
    place = 0
    with file.open("rb") as opened:
        for chunk in body.chunks():
            found = opened.read(len(chunk))
            if found != chunk:
                return place + _common(found, chunk)
            place += len(chunk)
        return place if opened.read(1) else None


def _common(one: bytes, other: bytes) -> int:
    """Return how many leading bytes two chunks share."""
    pairs = enumerate(zip(one, other, strict=False))
    shorter = min(len(one), len(other))
    return next((place for place, (a, b) in pairs if a != b), shorter)


def _reason(
    file: Path,
    body: Body,
    place: int,
    chosen: AnyFormat,
    options: Mapping[str, Any],
) -> str:
    """Say what is wrong with a file, and print the values that differ."""
    # Everything that is there is right, so the rest is missing.
    if place == file.stat().st_size:
        return f"{file} is truncated: {place} of {body.length} bytes"
    if chosen.read is None:
        return f"{file} differs from the export, from byte {place + 1} on"
    body.file.seek(0)
    exported, held = body.file.read(), file.read_bytes()
    try:
        old = read_config(chosen, held, options, name=str(file))
    except ComparisonError as error:
        return error.detail
    new = read_config(chosen, exported, options, name="the export")
    found = list(changes(old, new))
    write_changes(found)
    if set(_UUID.findall(exported)) - set(_UUID.findall(held)):
        return f"{file} is from another run than the best one now"
    if found:
        return f"{file} was changed: {counted(len(found), 'difference')}"
    return f"{file} has the same values but different bytes; do the options (-O) match?"
