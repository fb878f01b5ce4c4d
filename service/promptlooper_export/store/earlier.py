"""What an earlier version of this service added to databases, and how it goes away.

It kept a ranking by triggers. All that it made has a name of its own; nothing else is
dropped. Columns that it added to a runner's tables stay: they may hold values by now.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from promptlooper_export.errors import DatabaseNotUnderstoodError
from promptlooper_export.store.connection import Row, Session
from promptlooper_export.store.parts import Script

_TABLES = (
    "export_ranking",
    "export_ranking_log",
    "export_ranking_stale",
    "export_revision",
    "export_adopted",
    "export_migrations",
    "export_grants",
    "export_revoked_tokens",
)
_INDEXES = (
    "export_runs_experiment_id",
    "export_runs_created_at",
    "export_runs_updated_at",
    "export_scores_run_id",
    "export_stage_results_run_id",
)
_VIEWS = ("export_change", "export_run_ranking")
_TRIGGERS = (
    "export_experiments_delete",
    "export_experiments_grants",
    "export_experiments_insert",
    "export_experiments_update",
    "export_runs_delete",
    "export_runs_insert",
    "export_runs_renumber",
    "export_runs_replace",
    "export_runs_update",
    "export_scores_delete",
    "export_scores_insert",
    "export_scores_renumber",
    "export_scores_replace",
    "export_scores_update",
    "export_stage_results_delete",
    "export_stage_results_insert",
    "export_stage_results_renumber",
    "export_stage_results_replace",
    "export_stage_results_update",
)
_FUNCTIONS = (
    "export_experiment_renumbered",
    "export_experiments_changed",
    "export_fold",
    "export_folded",
    "export_lock",
    "export_log",
    "export_number",
    "export_object",
    "export_rank",
    "export_rank_many",
    "export_rebuild",
    "export_results_changed",
    "export_revise",
    "export_runs_changed",
    "export_store",
    "export_truncated",
)

# Any of these tells: the runner's own migrations may have dropped the others.
_TRACES = ("export_ranking", "export_revision", "export_adopted", "export_run_ranking")

_IS_EARLIER = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE name IN (?, ?, ?, ?)",
    "postgresql": "SELECT count(coalesce(to_regclass(trace)::oid, to_regproc(trace)))"
    " FROM unnest(ARRAY[?, ?, ?, ?, 'export_folded']) AS trace",
}

_SQLITE_OBJECTS = "SELECT name FROM sqlite_master WHERE type = ? ORDER BY name"

# Triggers go by their function, wherever a swapped or renamed table took them; a
# partition's copy of one goes with it.
_POSTGRESQL_DROPS = """
WITH function AS (
    SELECT oid FROM pg_proc
    WHERE proname = ANY (?) AND pg_function_is_visible(oid)
)
SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass), 1
FROM pg_trigger
WHERE tgfoid IN (SELECT oid FROM function) AND tgparentid = 0 AND NOT tgisinternal
UNION ALL SELECT format('DROP FUNCTION %s', oid::regprocedure), 2 FROM function
UNION ALL SELECT format('DROP TABLE %s', to_regclass(name)), 3
FROM unnest(CAST(? AS text[])) AS name WHERE to_regclass(name) IS NOT NULL
UNION ALL SELECT format('DROP INDEX %s', to_regclass(name)), 4
FROM unnest(CAST(? AS text[])) AS name WHERE to_regclass(name) IS NOT NULL
ORDER BY 2, 1
"""

_HAS_TABLE = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
    "postgresql": "SELECT to_regclass(?) IS NOT NULL",
}

_ADDED = re.compile(r"ALTER TABLE (\w+) DROP COLUMN \W?(\w+)")


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What outlives the cleaning.

    `columns`, such as `runs.tags`, were added to the runner's tables.
    """

    grants: Sequence[Row]
    revoked_tokens: Sequence[Row]
    columns: tuple[str, ...]


NOTHING = Remains(grants=(), revoked_tokens=(), columns=())


def is_earlier(session: Session) -> bool:
    """Return whether an earlier version of this service migrated the database."""
    return bool(session.value(_IS_EARLIER[session.kind], *_TRACES))


def refuse_earlier(session: Session) -> None:
    """Raise DatabaseNotUnderstoodError for a database of an earlier version."""
    if is_earlier(session):
        msg = (
            "An earlier version of this service added tables and triggers to this "
            "database. To take them away and keep the grants, run: "
            "promptlooper-export migrate"
        )
        raise DatabaseNotUnderstoodError(msg)


def remains(session: Session) -> Remains:
    """Read what is to be kept of an earlier version's tables."""
    undos = _rows(session, "SELECT undo FROM {}", "export_adopted")
    added = [_ADDED.match(undo) for (undo,) in undos]
    return Remains(
        grants=_rows(session, "SELECT experiment_id, grantee FROM {}", "export_grants"),
        revoked_tokens=_rows(
            session,
            "SELECT jti, expires_at, revoked_at FROM {}",
            "export_revoked_tokens",
        ),
        columns=tuple(f"{match[1]}.{match[2]}" for match in added if match),
    )


def _rows(session: Session, sql: str, table: str) -> list[Row]:
    is_there = session.value(_HAS_TABLE[session.kind], table)
    return session.all(sql.format(table)) if is_there else []


def clean(script: Script) -> None:
    """Drop all that an earlier version made; no row of the runner is touched."""
    session = script.session
    if session.kind == "postgresql":
        names = (list(_FUNCTIONS), list(_TABLES), list(_INDEXES))
        for drop, _ in session.all(_POSTGRESQL_DROPS, *names):
            script.run(f"{drop};")
        return
    for kind, ours in (
        ("trigger", _TRIGGERS),
        ("view", _VIEWS),
        ("table", _TABLES),
        ("index", _INDEXES),
    ):
        # Read before the drops: those of our own tables and views go with them.
        there = {name for (name,) in session.all(_SQLITE_OBJECTS, kind)}
        for name in ours:
            if name in there:
                script.run(f"DROP {kind.upper()} {name};")
