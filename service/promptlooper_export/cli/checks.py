"""What must hold before the service can work."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from promptlooper_export.cli.config import shown
from promptlooper_export.cli.terminal import counted
from promptlooper_export.errors import DatabaseUnavailableError, SettingsError
from promptlooper_export.keys import key_finder
from promptlooper_export.registry import discover
from promptlooper_export.settings import SETTINGS, SYMMETRIC, Settings
from promptlooper_export.store.diagnosis import Diagnosis, diagnose
from promptlooper_export.store.migrate import LATEST

LONG_LOG = 10_000
"""Entries of the ranking's log from which on reads get noticeably slower."""

MIGRATE = "run: promptlooper-export migrate"


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something looked at; `remedy` says what to do, and is None where all is well."""

    subject: str
    state: str
    remedy: str | None = None


def setting_checks(settings: Settings) -> Iterator[Check]:
    """Show every setting; of those that could be read, only the secret may be bad."""
    for row in SETTINGS:
        value, origin = shown(row, os.environ)
        state, remedy = f"{value} ({origin})", None
        if row.name == _verifies_with(settings):
            try:
                key_finder(settings)
            except SettingsError as error:
                state, _, remedy = _without(row.variable, error.detail).partition("; ")
                remedy = remedy or f"see to {row.variable}"
        yield Check(subject=row.variable, state=state.strip(), remedy=remedy)


def _without(variable: str, detail: str) -> str:
    return detail.removeprefix(variable).removeprefix(": ")


def _verifies_with(settings: Settings) -> str:
    """Return the name of the setting that gives the keys."""
    if settings.jwt_algorithm in SYMMETRIC:
        return "JWT_SECRET_KEY"
    return "JWT_JWKS_FILE" if settings.jwt_jwks_file else "JWT_PUBLIC_KEY_FILE"


def database_checks(url: str) -> Iterator[Check]:
    """Look at the database; only the first check where it does not answer."""
    try:
        found = diagnose(url)
    except DatabaseUnavailableError as error:
        yield Check(
            subject="database",
            state=error.detail.rstrip("."),
            remedy="see to PROMPTLOOPER_DATABASE_URL; `promptlooper-export migrate` "
            "creates a missing SQLite file",
        )
        return
    yield Check(subject="database", state="reachable")
    yield _version_check(found)
    if found.journal_mode is not None:
        yield Check(
            subject="journal mode",
            state=found.journal_mode,
            remedy=None if found.journal_mode == "wal" else MIGRATE,
        )
    yield Check(
        subject="triggers",
        state=", ".join(("missing", *found.missing_triggers))
        if found.missing_triggers
        else "complete",
        remedy=f"{MIGRATE} --to 0, then again without --to"
        if found.missing_triggers
        else None,
    )
    yield Check(
        subject="ranking log",
        state=f"{counted(found.unfolded, 'change')} to fold",
        remedy="run: promptlooper-export fold" if found.unfolded > LONG_LOG else None,
    )


def _version_check(found: Diagnosis) -> Check:
    state = f"version {found.version} of {LATEST}"
    remedy = None
    if found.version < LATEST:
        remedy = MIGRATE
    elif found.version > LATEST:
        remedy = "install the newer release that migrated it"
    return Check(subject="schema", state=state, remedy=remedy)


def plugin_checks() -> Iterator[Check]:
    """Show how many formats are on offer, and each one that is left out."""
    registry = discover()
    yield Check(subject="formats", state=f"{len(registry.formats)} on offer")
    for row in registry.broken:
        yield Check(
            subject=f"format {row.name}",
            state=f"left out: {row.reason}",
            remedy=f"mend or remove the package {row.distribution}",
        )
