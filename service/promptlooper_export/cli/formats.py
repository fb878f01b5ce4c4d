"""`promptlooper-export formats`."""

import click

from promptlooper_export.cli.terminal import note, table
from promptlooper_export.registry import discover


@click.command()
@click.option("--broken", is_flag=True, help="List only those left out, and why.")
def formats(*, broken: bool) -> None:
    """List the formats."""
    registry = discover()
    if broken:
        left_out = [(row.name, row.distribution, row.reason) for row in registry.broken]
        if not left_out:
            note("all formats work")
            return
        lines = table([("NAME", "PACKAGE", "REASON"), *left_out])
    else:
        rows = [
            (
                row.name,
                row.document.__name__.lower(),
                f".{row.extension}",
                ", ".join(row.media_types),
                registry.missing.get(row.name, ""),
            )
            for row in registry.formats.values()
        ]
        lines = table(
            [("NAME", "DOCUMENT", "EXTENSION", "MEDIA TYPES", "INSTALL"), *rows]
        )
    for line in lines:
        click.echo(line)
