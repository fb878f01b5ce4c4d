"""`promptlooper-export doctor`."""

from collections.abc import Iterable

import click

from promptlooper_export import settings
from promptlooper_export.cli.checks import (
    Check,
    database_checks,
    plugin_checks,
    setting_checks,
    state_check,
)
from promptlooper_export.cli.terminal import printable
from promptlooper_export.errors import SettingsError


@click.command()
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Check configuration, database and plugins.

    Each line begins with ok or FAIL; a FAIL says what to do. Ends with 0 if all is
    well, 78 if the service would refuse its configuration, else 1.
    """
    loaded = settings.load()
    refused = _show(setting_checks(loaded))
    failed = _show(database_checks(loaded.database_url))
    refused = _show([state_check(loaded)]) or refused
    failed = _show(plugin_checks()) or failed
    ctx.exit(SettingsError.exit_code if refused else int(failed))


def _show(checks: Iterable[Check]) -> bool:
    """Print the checks; whether any failed."""
    failed = False
    for check in checks:
        click.echo(_line(check))
        failed = failed or check.remedy is not None
    return failed


def _line(check: Check) -> str:
    word = "FAIL" if check.remedy else "ok"
    remedy = f"; {check.remedy}" if check.remedy else ""
    return printable(f"{word:4}  {check.subject}: {check.state}{remedy}")
