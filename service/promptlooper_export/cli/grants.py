"""`promptlooper-export grant` and `promptlooper-export revoke`."""

import re
from collections.abc import Sequence
from contextlib import closing
from uuid import UUID

import click

from promptlooper_export import settings
from promptlooper_export.cli.terminal import note, printable
from promptlooper_export.cli.token import require_name
from promptlooper_export.settings import Settings
from promptlooper_export.store import state
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.viewer import OPERATOR


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


_reference = click.argument("reference", metavar="ID|NAME")


@click.command("grant")
@_reference
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
@_reference
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
    with (
        closing(open_store(loaded.database_url)) as store,
        store.snapshot(OPERATOR) as snapshot,
    ):
        return snapshot.find(reference)


def _say_who_sees(loaded: Settings, experiment: UUID, found: Sequence[str]) -> None:
    if found:
        who = f"granted to {', '.join(map(printable, found))}; admins also see it"
    elif loaded.open_experiments:
        who = "granted to nobody; every valid token sees it"
    else:
        who = "granted to nobody; only admins see it"
    note(f"experiment {experiment} is {who}")
