"""`promptlooper-export convert`."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import click

from promptlooper_export import settings
from promptlooper_export.cli.writing import (
    FORMAT,
    OPTIONS,
    OUTPUT,
    REPRODUCIBLE,
    STRICT,
    UNREDACTED,
    choose_format,
    limits_for,
    write_body,
)
from promptlooper_export.documents import Best
from promptlooper_export.errors import UsageError
from promptlooper_export.export import Selection, export, export_document
from promptlooper_export.importers.importer import choose, read_best
from promptlooper_export.registry import (
    AnyFormat,
    Registry,
    discover,
    load_format_options,
)
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.snapshot import Store, open_store
from promptlooper_export.store.writer import understood, write
from promptlooper_export.viewer import OPERATOR


@click.command()
@click.argument("source", metavar="FILE")
@FORMAT
@OUTPUT
@OPTIONS
@click.option(
    "--experiment",
    metavar="ID|NAME",
    help="Which experiment, if FILE holds several.",
)
@REPRODUCIBLE
@UNREDACTED
@STRICT
def convert(
    *,
    source: str,
    format_name: str | None,
    output: str,
    pairs: list[tuple[str, str]],
    experiment: str | None,
    reproducible: bool,
    unredacted: bool,
    strict: bool,
) -> None:
    """Write an export in another format, without a database.

    To any format, FILE is an export as ndjson with header=1 or as parquet, or any other
    file that `import` accepts. To the formats of the best config, it may also be an
    export as json.
    """
    loaded = settings.load()
    registry = discover(sandbox_seconds=loaded.render_timeout)
    chosen = choose_format(registry, name=format_name, output=output)
    options = load_format_options(chosen, pairs)
    selection = Selection(reproducible=reproducible, redact=not unredacted)
    limits = limits_for(loaded)
    if Path(source).suffix == ".json":
        best = _best(source, registry, chosen)
        body = export_document(
            best, chosen, options, redacted=selection.redact, limits=limits
        )
    else:
        with _imported(source) as store:
            body = export(
                store,
                OPERATOR,
                _one(store, source, experiment),
                chosen,
                options,
                selection=selection,
                limits=limits,
            )
    write_body(body, output, chosen, strict=strict)


def _best(source: str, registry: Registry, chosen: AnyFormat) -> Best:
    """Read a best config. Raises UsageError if the target needs another document."""
    if chosen.document is not Best:
        msg = (
            f"{source} holds only the best config; for {chosen.name!r}, convert an "
            "export as ndjson with header=1 or as parquet"
        )
        raise UsageError(msg)
    best = read_best(source, Path(source).read_bytes())
    # Warnings about reading JSON do not apply to the other format.
    told = set(registry.formats["json"].stream(best))
    warnings = tuple(notice for notice in best.warnings if notice not in told)
    return replace(best, warnings=warnings)


@contextmanager
def _imported(source: str) -> Iterator[Store]:
    """Import a file into a temporary database."""
    with tempfile.TemporaryDirectory(prefix="promptlooper-") as folder:
        url = f"sqlite:///{folder}/converted.db"
        migrate(url, create=True)
        # What the rules leave in doubt, the export itself warns of.
        read = choose(source, kind=None).read(source)
        write(url, understood(read, lambda _: None))
        with closing(open_store(url)) as store:
            yield store


def _one(store: Store, source: str, reference: str | None) -> UUID:
    """Return the requested experiment, or the only one. Raises UsageError."""
    with store.snapshot(OPERATOR) as snapshot:
        if reference is not None:
            return snapshot.find(reference)
        ids = [row.id for row in snapshot.experiments()]
    if len(ids) == 1:
        return ids[0]
    named = ", ".join(map(str, ids[:5]))
    msg = f"{source} holds {len(ids)} experiments; use --experiment: {named}"
    raise UsageError(msg)
