"""`promptlooper-export fold`."""

import click

from promptlooper_export import settings
from promptlooper_export.cli.terminal import counted, note
from promptlooper_export.store.fold import fold as fold_ranking


@click.command()
def fold() -> None:
    """Fold changes into the stored ranking.

    Exports are right without it; it keeps the log of changes short on a database that
    is at rest.
    """
    folded = fold_ranking(settings.load().database_url)
    note(f"folded {counted(folded, 'change')}")
