"""`promptlooper-export token`."""

import re
from datetime import timedelta
from uuid import UUID

import click

from promptlooper_export import settings
from promptlooper_export.tokens import issue

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    """Read a whole number of seconds, minutes, hours or days, such as `90m`."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", value)
    if found is None:
        msg = f"{value!r} is not like 90s, 30m, 1h or 7d"
        raise click.BadParameter(msg, ctx, param)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def require_name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Refuse an empty subject, which the service would refuse in the token."""
    if not value:
        msg = "must not be empty"
        raise click.BadParameter(msg, ctx, param)
    return value


@click.command()
@click.option(
    "--subject",
    required=True,
    metavar="S",
    callback=require_name,
    help="Who the token is for.",
)
@click.option(
    "--group", "groups", multiple=True, metavar="G", help="A group of theirs."
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="S",
    help="What they may, such as export:best; best, report and runs by default.",
)
@click.option(
    "--experiment",
    "experiments",
    type=click.UUID,
    multiple=True,
    metavar="ID",
    help="Narrow the token to this experiment; repeat for more.",
)
@click.option(
    "--expires",
    metavar="DURATION",
    default="1h",
    show_default=True,
    callback=read_duration,
    help="From now on, such as 90s, 30m, 1h or 7d.",
)
def token(
    *,
    subject: str,
    groups: tuple[str, ...],
    scopes: tuple[str, ...],
    experiments: tuple[UUID, ...],
    expires: timedelta,
) -> None:
    """Print a token for the HTTP service.

    Nothing else is printed, so that the output can be captured.
    """
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
