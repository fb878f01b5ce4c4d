"""`formats`: which formats there are, and the options of one."""

import json

import click

from promptlooper_export.cli.terminal import AS_JSON, note, write_json, write_table
from promptlooper_export.cli.writing import named
from promptlooper_export.configs import JSON
from promptlooper_export.registry import AnyFormat, describe_options, discover


@click.command()
@click.argument("name", required=False)
@click.option("--broken", is_flag=True, help="List only those left out, and why.")
@AS_JSON
def formats(*, name: str | None, broken: bool, as_json: bool) -> None:
    """List the formats, or the options of one."""
    registry = discover()
    if name is not None:
        _write_options(named(registry, name), as_json=as_json)
        return
    if broken:
        left_out = [(row.name, row.distribution, row.reason) for row in registry.broken]
        if not left_out:
            note("all formats work")
        if left_out or as_json:
            write_table(("NAME", "PACKAGE", "REASON"), left_out, as_json=as_json)
        return
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
    columns = ("NAME", "DOCUMENT", "EXTENSION", "MEDIA TYPES", "INSTALL")
    write_table(columns, rows, as_json=as_json)


def _write_options(format: AnyFormat, *, as_json: bool) -> None:
    options = describe_options(format.options)
    if as_json:
        write_json({"name": format.name, "title": format.title, "options": options})
        return
    note(f"{format.name}: {format.title}, {format.document.__name__.lower()}")
    if not options:
        note("it has no options of its own")
        return
    rows = [
        (
            str(option["name"]),
            _values(option.get("allowed", option["type"])),
            json.dumps(option["default"]) if "default" in option else "",
            str(option.get("description", "")),
        )
        for option in options
    ]
    write_table(("OPTION", "VALUES", "DEFAULT", "MEANING"), rows, as_json=False)


def _values(allowed: JSON) -> str:
    """Say what an option may be: choices, bounds, or a type."""
    match allowed:
        case [*choices]:
            return ", ".join(map(str, choices))
        case {"minimum": low, "maximum": high}:
            return f"{low} to {high}" if high is not None else f"at least {low}"
    return str(allowed)
