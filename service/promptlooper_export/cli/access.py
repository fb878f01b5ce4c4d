"""`token`, `grant` and `revoke`: who may see what."""

import re
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from uuid import UUID

import click
from click.core import ParameterSource

from promptlooper_export import settings
from promptlooper_export.auth.issuing import identify, is_name, issue
from promptlooper_export.auth.secret import surrounding_space
from promptlooper_export.cli.completion import EXPERIMENT
from promptlooper_export.cli.terminal import note, printable
from promptlooper_export.settings import PREFIX, Settings
from promptlooper_export.store import state
from promptlooper_export.store.listing import find_whole
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.store.state import revoke_token
from promptlooper_export.viewer import OPERATOR, SCOPES

STDIN = "-"
LONGEST = timedelta(days=366)
"""How long a token may be valid."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    """Read a whole number of seconds, minutes, hours or days, such as `90m`."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", value)
    if found is None:
        msg = f"{value!r} must look like 90s, 30m, 1h or 7d"
        raise click.BadParameter(msg, ctx, param)
    duration = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if duration > LONGEST:
        msg = f"{value!r} is longer than a year; at most {LONGEST.days}d"
        raise click.BadParameter(msg, ctx, param)
    return duration


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
    type=click.Choice(SCOPES),
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
    help="How long the token is valid, such as 90s, 30m, 1h or 7d; at most 366d.",
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
    loaded = settings.load()
    click.echo(
        issue(
            loaded,
            subject=subject,
            groups=groups,
            scopes=scopes,
            experiments=experiments,
            expires=expires,
        )
    )
    if found := surrounding_space(loaded.jwt_secret_key or ""):
        note(f"{PREFIX}JWT_SECRET_KEY {found}")


def _require_alone(ctx: click.Context, name: str) -> None:
    for param in ctx.command.params:
        source = ctx.get_parameter_source(str(param.name))
        # Only what was typed counts, since --expires has a default.
        if param.name != name and source is ParameterSource.COMMANDLINE:
            msg = f"'--revoke' does not go with '{param.opts[0]}'."
            raise click.UsageError(msg)


def _revoke(jti: str) -> None:
    expires_at = None
    if jti == STDIN:
        # Not from an argument, which every user of the machine could read.
        jti, expires_at = identify(sys.stdin.buffer.read().strip())
    loaded = settings.load()
    revoke_token(loaded.database_url, loaded.state_url, jti, expires_at=expires_at)
    note(f"the token {printable(jti)} is revoked")


def read_grantee(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> str | None:
    """Read `user:SUB` or `group:NAME`; click.BadParameter for anything else."""
    if value is None:
        return None
    if not re.match("(user|group):.", value, re.DOTALL):
        msg = f"{value!r} must be user:SUB or group:NAME"
        raise click.BadParameter(msg, ctx, param)
    return require_name(ctx, param, value)


@click.command("grant")
@EXPERIMENT
@click.argument(
    "grantee", metavar="[user:SUB|group:NAME]", required=False, callback=read_grantee
)
def grant(*, reference: str, grantee: str | None) -> None:
    """Grant an experiment to a user or a group.

    After the first grant, only users and groups with a grant, and admins, see the
    experiment over HTTP. Without a grantee, prints who has a grant.
    """
    loaded = settings.load()
    experiment = _find(loaded, reference)
    if grantee is not None:
        found = state.grant(loaded.database_url, loaded.state_url, experiment, grantee)
        _say_who_sees(loaded, experiment, found)
        return
    found = state.grantees(loaded.database_url, loaded.state_url, experiment)
    for name in found:
        click.echo(printable(name))
    if not found:
        _say_who_sees(loaded, experiment, found)


@click.command("revoke")
@EXPERIMENT
@click.argument("grantee", metavar="user:SUB|group:NAME", callback=read_grantee)
def revoke(*, reference: str, grantee: str) -> None:
    """Take back a grant.

    After its last grant is taken back, every valid token may see the experiment again,
    unless PROMPTLOOPER_OPEN_EXPERIMENTS is 0.
    """
    loaded = settings.load()
    experiment = _find(loaded, reference)
    left = state.revoke(loaded.database_url, loaded.state_url, experiment, grantee)
    _say_who_sees(loaded, experiment, left)


def _find(loaded: Settings, reference: str) -> UUID:
    # Whole: what the beginning of an id stands for changes as experiments come.
    with (
        closing(open_store(loaded.database_url)) as store,
        store.snapshot(OPERATOR) as snapshot,
    ):
        return find_whole(snapshot.experiments(), reference).id


def _say_who_sees(loaded: Settings, experiment: UUID, found: Sequence[str]) -> None:
    if found:
        who = f"granted to {', '.join(map(printable, found))}; admins also see it"
    elif loaded.open_experiments:
        who = "granted to nobody; every valid token sees it"
    else:
        who = "granted to nobody; only admins see it"
    note(f"experiment {experiment} is {who}")
