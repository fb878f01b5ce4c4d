"""`promptlooper-export export`."""

from dataclasses import replace

import click

from promptlooper_export import settings
from promptlooper_export.cli.dataset import (
    PARTITION,
    dataset_format,
    require_all_runs,
    write_dataset,
)
from promptlooper_export.cli.selecting import Other, Selecting, selection_options
from promptlooper_export.cli.sources import Subjects, subjects_argument
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
from promptlooper_export.export import export as render
from promptlooper_export.partitions import By, parts
from promptlooper_export.registry import AnyFormat, discover, load_format_options
from promptlooper_export.viewer import OPERATOR


class ExportCommand(click.Command):
    """A command whose help lists the formats after the options."""

    def format_epilog(
        self,
        ctx: click.Context,
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the installed formats with their options."""
        with formatter.section("Formats"):
            formatter.write_dl(
                [(row.name, _summary(row)) for row in discover().formats.values()]
            )


def _summary(format: AnyFormat) -> str:
    fields = format.options().load_fields.items()
    options = ", ".join(field.data_key or name for name, field in fields)
    return f"{format.title}; options: {options}" if options else format.title


@click.command(cls=ExportCommand)
@subjects_argument
@FORMAT
@OUTPUT
@PARTITION
@OPTIONS
@selection_options
@REPRODUCIBLE
@UNREDACTED
@STRICT
def export(
    *,
    subjects: Subjects,
    format_name: str | None,
    output: str,
    partition: By | None,
    pairs: list[tuple[str, str]],
    selecting: Selecting,
    other: Other,
    reproducible: bool,
    unredacted: bool,
    strict: bool,
) -> None:
    """Write one experiment in one format, or with --partition several as a table.

    ID may be the beginning of an id; NAME must belong to only one experiment. The
    bytes are the same as over HTTP. FILE is any that `import` reads; no database is
    needed then.

    With --partition, the FILE of -o is a folder that holds exactly the named
    experiments afterwards, or all. Run it again to bring the folder up to date: files
    that would be the same are left alone. Files of others are never touched.
    """
    loaded = settings.load()
    if partition is not None:
        chosen = dataset_format(format_name, output, pairs, strict=strict)
        require_all_runs(selecting(chosen))
        _export_parts(
            subjects, chosen, loaded, output, by=partition, redacted=not unredacted
        )  # fmt: skip
        return
    chosen = choose_format(
        discover(sandbox_seconds=loaded.render_timeout), name=format_name, output=output
    )
    options = load_format_options(chosen, pairs)
    selection = replace(
        selecting(chosen), reproducible=reproducible, redact=not unredacted
    )
    with subjects.only().opened(loaded) as (store, experiment):
        with store.snapshot(OPERATOR) as snapshot:
            selection = replace(selection, against=other.find(snapshot))
        body = render(
            store, OPERATOR, experiment, chosen, options,
            selection=selection, limits=limits_for(loaded),
        )  # fmt: skip
    # The database is released by now, however long a pipe takes to read.
    write_body(body, output, chosen, strict=strict, private=unredacted)


def _export_parts(
    subjects: Subjects,
    format: AnyFormat,
    loaded: settings.Settings,
    output: str,
    *,
    by: By,
    redacted: bool,
) -> None:
    limits = limits_for(loaded)
    with subjects.opened(loaded) as (snapshot, experiments):
        found = parts(
            snapshot, experiments, format, by=by, redacted=redacted, limits=limits
        )
        write_dataset(output, found, by=by, redacted=redacted)
