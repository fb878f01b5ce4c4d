"""Reading what other tools wrote, for all commands that take files."""

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from click.shell_completion import CompletionItem

from promptlooper_export.cli.completion import complete_experiment
from promptlooper_export.cli.terminal import counted, note, printable
from promptlooper_export.errors import SourceError, UsageError
from promptlooper_export.importers.downloads import download, is_web_address
from promptlooper_export.importers.importer import (
    ColumnMapping,
    Importer,
    choose,
)
from promptlooper_export.importers.lines import STDIN
from promptlooper_export.records import ExperimentRecord, Records, RunRecord
from promptlooper_export.redaction import secrets_in
from promptlooper_export.settings import Settings
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import Snapshot, Store, open_store
from promptlooper_export.store.writer import understood, write
from promptlooper_export.viewer import OPERATOR

_SHOWN = 500
"""After how many runs a terminal shows how many there are."""

_SHOWN_WIDTH = 35

_LOOKED_THROUGH = 1_000
"""In how many runs of an experiment an import looks for secrets: it takes a while."""

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How to read sources: as what kind, with which columns, leaving out what."""

    kind: str | None = None
    mapping: ColumnMapping | None = None
    lenient: bool = False

    def records(self, sources: tuple[str, ...]) -> Records:
        """Yield what the sources hold; counts and warnings of them go to stderr.

        What is on the web is downloaded first. Raises UsageError and SourceError, the
        latter at any experiment or run.
        """
        with ExitStack() as downloads:
            files = [_local(source, downloads) for source in sources]
            # All are recognised before the first is read.
            chosen = [
                (choose(one, kind=self.kind, is_mapped=self.mapping is not None), one)
                for one in files
            ]
            read = chain.from_iterable(self._some(*pair) for pair in chosen)
            return _shown(_closing(downloads.pop_all(), read))

    def _some(self, importer: Importer, source: str) -> Records:
        is_empty = True
        for record in self._read(importer, source):
            is_empty = False
            yield record
        if is_empty:
            msg = f"{source}: holds no experiment"
            raise SourceError(msg)

    def _read(self, importer: Importer, source: str) -> Records:
        if self.mapping is not None and importer.read_columns is not None:
            return importer.read_columns(source, self.mapping)
        if not self.lenient or importer.read_leniently is None:
            return importer.read(source)
        told: set[str] = set()

        def leave_out(place: str, name: str, hint: str) -> None:
            if name not in told:
                told.add(name)
                warn(f"{place}: unknown member {name!r} left out wherever it is{hint}")

        return importer.read_leniently(source, leave_out)


def _local(source: str, downloads: ExitStack) -> str:
    """Return the source, or if it is on the web, where it has been downloaded to."""
    if not is_web_address(source):
        return source
    # One for each, since several may have the same name.
    folder = tempfile.TemporaryDirectory(prefix="promptlooper-")
    path = download(source, Path(downloads.enter_context(folder)))
    note(f"downloaded {path.name}: {counted(path.stat().st_size, 'byte')}")
    return str(path)


def _closing(downloads: ExitStack, records: Records) -> Records:
    with downloads:
        yield from records


def flagged(records: Records) -> Records:
    """Warn of what looks like a secret; exports will redact it."""
    for record in records:
        yield dataclasses.replace(record, runs=_looked_through(record))


def _looked_through(record: ExperimentRecord) -> Iterator[RunRecord]:
    found: dict[str, None] = {}
    count = 0
    for run in record.runs:
        if count < _LOOKED_THROUGH:
            texts = {"config": json.loads(run.config), "error": run.error}
            found |= dict.fromkeys(secrets_in({**texts, "tags": run.tags}))
        count += 1
        yield run
    if found:
        paths = ", ".join(list(found)[:_NAMED])
        others = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        runs = (
            f"; only the first {_LOOKED_THROUGH:,} runs were looked through"
            if count > _LOOKED_THROUGH
            else ""
        )
        warn(
            f"{record.place or record.name}: what looks like a secret is redacted in "
            f"exports: {paths}{others}{runs}"
        )


def is_source(reference: str) -> bool:
    """Return whether this is a file to read, and not the id or name of an experiment.

    A folder is one only if it is spelt with a slash: its name alone may well be that of
    an experiment.
    """
    return (
        reference == STDIN
        or "://" in reference
        # Path.is_file() raises for names that are too long, as those of experiments.
        or os.path.isfile(reference)  # noqa: PTH113
        or ("/" in reference and os.path.isdir(reference))  # noqa: PTH112
    )


@contextmanager
def temporary_store(records: Records) -> Iterator[Store]:
    """Write the records into a temporary database."""
    with tempfile.TemporaryDirectory(prefix="promptlooper-") as folder:
        url = f"sqlite:///{Path(folder, 'imported.db')}"
        migrate(url, create=True)
        write(url, records)
        with closing(open_store(url)) as store:
            yield store


def imported(source: str) -> AbstractContextManager[Store]:
    """Import a file into a temporary database."""
    # What the rules leave in doubt, the export itself warns of.
    return temporary_store(understood(Reading().records((source,)), lambda _: None))


def one_of(store: Store, source: str, experiment: str | None) -> UUID:
    """Return the requested experiment, or the only one. Raises UsageError."""
    with store.snapshot(OPERATOR) as snapshot:
        if experiment is not None:
            return snapshot.find(experiment)
        found = list(snapshot.experiments())
    if len(found) == 1:
        return found[0].id
    named = ", ".join(f"{printable(row.name)} ({row.id})" for row in found[:5])
    further = len(found[5:])
    msg = (
        f"{source} holds {len(found)} experiments; use --experiment with the name or "
        f"id of one: {named}{f', and {further:,} more' if further else ''}"
    )
    raise UsageError(msg)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The experiment that a command is about: of the database or of a file."""

    reference: str
    experiment: str | None

    @contextmanager
    def opened(self, loaded: Settings) -> Iterator[tuple[Store, UUID]]:
        """Give the experiment and the store that it is in."""
        if is_source(self.reference):
            with imported(self.reference) as store:
                yield store, one_of(store, self.reference, self.experiment)
            return
        if self.experiment is not None:
            msg = f"--experiment is for files; {self.reference} is not a file"
            raise UsageError(msg)
        with closing(open_store(loaded.database_url)) as store:
            with store.snapshot(OPERATOR) as snapshot:
                found = snapshot.find(self.reference)
            yield store, found


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """The experiments that a command is about: of the database or of one file.

    Without references, they are all that the database has.
    """

    references: tuple[str, ...]
    experiment: str | None

    def only(self) -> Subject:
        """Return the only one. Raises UsageError."""
        if len(self.references) != 1:
            msg = "name one experiment; several are written together with --partition"
            raise UsageError(msg)
        return Subject(reference=self.references[0], experiment=self.experiment)

    @contextmanager
    def opened(self, loaded: Settings) -> Iterator[tuple[Snapshot, list[UUID]]]:
        """Give one moment of the store, and the experiments, ordered by their ids."""
        with self._store(loaded) as (store, named), store.snapshot(OPERATOR) as moment:
            if named:
                found = {moment.find(reference) for reference in named}
            else:
                found = {row.id for row in moment.experiments()}
            yield moment, sorted(found)

    @contextmanager
    def _store(self, loaded: Settings) -> Iterator[tuple[Store, tuple[str, ...]]]:
        """Give the store, and the names of the experiments, none for all in it."""
        within = () if self.experiment is None else (self.experiment,)
        if any(map(is_source, self.references)):
            if len(self.references) > 1:
                msg = "name one file, or experiments of the database"
                raise UsageError(msg)
            with imported(self.references[0]) as store:
                yield store, within
            return
        if within:
            msg = "--experiment is for files; name experiments of the database directly"
            raise UsageError(msg)
        with closing(open_store(loaded.database_url)) as store:
            yield store, self.references


WITHIN = click.option(
    "--experiment",
    metavar="ID|NAME",
    help="Which experiment, if FILE holds several.",
)


def _complete(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete an experiment; if there is none, let the shell complete a file."""
    found = complete_experiment(ctx, param, incomplete)
    return found or [CompletionItem(incomplete, type="file")]


def subject_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what makes up its argument `subject`."""

    @click.argument("reference", metavar="ID|NAME|FILE", shell_complete=_complete)
    @WITHIN
    @wraps(command)
    def collected(*, reference: str, experiment: str | None, **values: Any) -> None:  # noqa: ANN401  the values of click's options
        subject = Subject(reference=reference, experiment=experiment)
        command(subject=subject, **values)

    return collected


def subjects_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what makes up its argument `subjects`."""

    @click.argument(
        "references", metavar="[ID|NAME|FILE]...", nargs=-1, shell_complete=_complete
    )
    @WITHIN
    @wraps(command)
    def collected(
        *,
        references: tuple[str, ...],
        experiment: str | None,
        **values: Any,  # noqa: ANN401  the values of click's options
    ) -> None:
        subjects = Subjects(references=references, experiment=experiment)
        command(subjects=subjects, **values)

    return collected


def _shown(records: Records) -> Records:
    """Say what the records warn of, and count their runs if stderr is a terminal."""
    for record in records:
        for warning in record.warnings:
            warn(f"{record.place or record.name}: {warning}")
        if sys.stderr.isatty():
            yield dataclasses.replace(record, runs=_counted(record))
        else:
            yield record


def _counted(record: ExperimentRecord) -> Iterator[RunRecord]:
    """Show how many runs have been read, and of how many if that is known."""
    for count, run in enumerate(record.runs, start=1):
        yield run
        if count % _SHOWN == 0:
            # The next line is written over this one: a message, which is longer, or
            # the count of the next experiment, which need not be.
            shown = _progress(count, record.total).ljust(_SHOWN_WIDTH)
            click.echo(f"{shown}\r", nl=False, err=True)


def _progress(count: int, total: int | None) -> str:
    if total is None:
        return counted(count, "run")
    return f"{count:,} of {counted(total, 'run')} ({count / total:.0%})"


def warn(text: str) -> None:
    """Write a warning to stderr."""
    note(f"warning: {printable(text)}")
