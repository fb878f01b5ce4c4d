"""`promptlooper-export config`."""

import os
from collections.abc import Mapping

import click

from promptlooper_export import settings
from promptlooper_export.cli.terminal import table
from promptlooper_export.settings import SETTINGS, Setting


def shown(setting: Setting, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return a setting's value, masked if it is secret, and its origin."""
    value = environ.get(setting.variable)
    if not value:
        return setting.default or "(not set)", "default"
    if setting.secret:
        size = len(value.encode("utf-8", "surrogateescape"))
        return f"(set, {size} bytes)", "environment"
    return value, "environment"


@click.command()
def config() -> None:
    """Show the effective settings, secrets masked."""
    settings.load()
    rows = [(row.variable, *shown(row, os.environ)) for row in SETTINGS]
    for line in table([("VARIABLE", "VALUE", "FROM"), *rows]):
        click.echo(line)
