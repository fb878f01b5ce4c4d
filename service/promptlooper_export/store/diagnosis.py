"""What a database says about itself, for `doctor` and before `serve`."""

import re
from dataclasses import dataclass

from promptlooper_export.store.database import Session, open_for_reading, reading
from promptlooper_export.store.migrate import migrations, schema_version

_CREATED = re.compile(r"^CREATE TRIGGER (\w+)", re.MULTILINE)

_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    # O and A fire for ordinary sessions; D is disabled, R fires on replicas only.
    "postgresql": """
        SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE relnamespace = current_schema()::regnamespace AND tgenabled IN ('O', 'A')
    """,
}
_UNFOLDED = "SELECT count(*) FROM export_ranking_log"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The state of a database; `unfolded` counts the entries of the ranking's log.

    `journal_mode` is None on PostgreSQL, `version` 0 where it was never migrated.
    """

    version: int
    journal_mode: str | None
    missing_triggers: tuple[str, ...]
    unfolded: int


def diagnose(url: str) -> Diagnosis:
    """Look at a database without changing it; raises DatabaseUnavailableError."""
    with reading(open_for_reading(url)) as session:
        version = schema_version(session)
        return Diagnosis(
            version=version,
            journal_mode=_journal_mode(session),
            missing_triggers=_missing_triggers(session, version),
            unfolded=_number(session, _UNFOLDED) if version else 0,
        )


def _journal_mode(session: Session) -> str | None:
    if session.kind != "sqlite":
        return None
    row = session.one("PRAGMA journal_mode")
    return str(row[0]) if row else None


def _missing_triggers(session: Session, version: int) -> tuple[str, ...]:
    there = {name for (name,) in session.all(_TRIGGERS[session.kind])}
    # A later step may create a trigger anew.
    expected = dict.fromkeys(
        name
        for step in migrations(session.kind)[:version]
        for name in _CREATED.findall(step.up)
    )
    return tuple(name for name in expected if name not in there)


def _number(session: Session, sql: str) -> int:
    row = session.one(sql)
    return int(row[0]) if row else 0
