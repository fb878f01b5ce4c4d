"""`promptlooper-export token`."""

import re
import sys
from datetime import timedelta
from uuid import UUID

import click
from click.core import ParameterSource

from promptlooper_export import settings
from promptlooper_export.auth.issuing import identify, is_name, issue
from promptlooper_export.cli.terminal import note, printable
from promptlooper_export.store.state import revoke_token

STDIN = "-"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    """Read a whole number of seconds, minutes, hours or days, such as `90m`."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", value)
    if found is None:
        msg = f"{value!r} must look like 90s, 30m, 1h or 7d"
        raise click.BadParameter(msg, ctx, param)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def require_name(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> str | None:
    """Refuse a name that the service would refuse in a token."""
    if value is not None and not is_name(value):
        msg = "must be UTF-8 and not empty"
        raise click.BadParameter(msg, ctx, param)
    return value


@click.command()
@click.option(
    "--subject",
    metavar="S",
    callback=require_name,
    help="Who the token is for.",
)
@click.option(
    "--group", "groups", multiple=True, metavar="G", help="A group of the subject."
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="S",
    help="What it may export, such as export:best; best, report and runs by default.",
)
@click.option(
    "--experiment",
    "experiments",
    type=click.UUID,
    multiple=True,
    metavar="ID",
    help="Limit the token to this experiment; repeat for more.",
)
@click.option(
    "--expires",
    metavar="DURATION",
    default="1h",
    show_default=True,
    callback=read_duration,
    help="How long the token is valid, such as 90s, 30m, 1h or 7d.",
)
@click.option(
    "--revoke",
    "revoked",
    metavar="JTI",
    callback=require_name,
    help="Revoke the token with this jti, or with -, the token on standard input.",
)
@click.pass_context
def token(
    ctx: click.Context,
    *,
    subject: str | None,
    groups: tuple[str, ...],
    scopes: tuple[str, ...],
    experiments: tuple[UUID, ...],
    expires: timedelta,
    revoked: str | None,
) -> None:
    """Print a token for the HTTP service, or revoke one.

    Prints nothing else, so you can capture the output. A revoked token stops working
    within a second.
    """
    if revoked is not None:
        _require_alone(ctx, "revoked")
        _revoke(revoked)
        return
    if subject is None:
        msg = "Missing option '--subject' or '--revoke'."
        raise click.UsageError(msg)
    click.echo(
        issue(
            settings.load(),
            subject=subject,
            groups=groups,
            scopes=scopes,
            experiments=experiments,
            expires=expires,
        )
    )


def _require_alone(ctx: click.Context, name: str) -> None:
    for param in ctx.command.params:
        source = ctx.get_parameter_source(str(param.name))
        if param.name != name and source is ParameterSource.COMMANDLINE:
            msg = f"'--revoke' does not go with '{param.opts[0]}'."
            raise click.UsageError(msg)


def _revoke(jti: str) -> None:
    expires_at = None
    if jti == STDIN:
        jti, expires_at = identify(sys.stdin.buffer.read().strip())
    loaded = settings.load()
    revoke_token(loaded.database_url, loaded.state_url, jti, expires_at=expires_at)
    note(f"the token {printable(jti)} is revoked")
