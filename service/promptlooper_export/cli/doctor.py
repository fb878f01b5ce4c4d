"""`doctor` and `config`: what is configured here, and whether it works."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import click

from promptlooper_export import settings
from promptlooper_export.auth.keys import key_finder
from promptlooper_export.auth.secret import surrounding_space
from promptlooper_export.cli.terminal import AS_JSON, printable, write_json, write_table
from promptlooper_export.errors import DatabaseUnavailableError, SettingsError
from promptlooper_export.export import use_directory
from promptlooper_export.registry import discover
from promptlooper_export.settings import SETTINGS, SYMMETRIC, Setting, Settings
from promptlooper_export.store.diagnosis import Indexes, diagnose, reach
from promptlooper_export.store.state import locate

DATABASE = "PROMPTLOOPER_DATABASE_URL"


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something that was checked; `remedy` says what to do, None if all is well."""

    subject: str
    state: str
    remedy: str | None = None


def setting_checks(settings: Settings) -> Iterator[Check]:
    """Show every setting; those that load may still have a bad secret or key."""
    for row in SETTINGS:
        value, origin = shown(row, os.environ)
        state, remedy = f"{value} ({origin})", None
        try:
            if row.name == _verifies_with(settings):
                key_finder(settings)
            elif row.name == "SPOOL_DIR":
                use_directory(settings.spool_dir)
        except SettingsError as error:
            state, _, remedy = _without(row.variable, error.detail).partition("; ")
            remedy = remedy or f"correct {row.variable}"
        else:
            if row.name == "JWT_SECRET_KEY" == _verifies_with(settings):
                found = surrounding_space(settings.jwt_secret_key or "")
                state += f"; it {found}" if found else ""
        yield Check(subject=row.variable, state=state.strip(), remedy=remedy)


def _without(variable: str, detail: str) -> str:
    return detail.removeprefix(variable).removeprefix(": ")


def _verifies_with(settings: Settings) -> str:
    """Return the name of the setting that gives the keys."""
    if settings.jwt_algorithm in SYMMETRIC:
        return "JWT_SECRET_KEY"
    return "JWT_JWKS_FILE" if settings.jwt_jwks_file else "JWT_PUBLIC_KEY_FILE"


def database_checks(url: str) -> Iterator[Check]:
    """Check the database; stop at the first check that fails."""
    try:
        reach(url)
    except DatabaseUnavailableError as error:
        yield Check(
            subject="database",
            state=error.detail.rstrip("."),
            remedy=f"correct {DATABASE} or start the database",
        )
        return
    yield Check(subject="database", state="reachable")
    try:
        found = diagnose(url)
    except DatabaseUnavailableError as error:
        yield Check(
            subject="tables",
            state=error.detail.rstrip("."),
            remedy=f"correct {DATABASE} or the tables",
        )
        return
    yield Check(
        subject="tables",
        state="made by promptlooper-export migrate" if found.is_own else "the runner's",
    )
    if found.is_filtered:
        yield Check(
            subject="row-level security",
            state="active; only the rows that this role may see are exported",
        )
    if found.journal_mode is not None:
        yield Check(subject="journal mode", state=_journal_mode(found.journal_mode))
    yield from _index_checks(found.indexes)


def _journal_mode(mode: str) -> str:
    if mode == "wal":
        return mode
    return (
        f"{mode}; recommended: have the runner set PRAGMA journal_mode=WAL, so that "
        "long exports need not copy the file first"
    )


def _index_checks(indexes: Indexes) -> Iterator[Check]:
    for statement in indexes.statements:
        yield Check(
            subject="index",
            state=f"could be faster: {statement}; promptlooper-export index creates it",
        )
    for name in indexes.impossible:
        yield Check(
            subject="index",
            state=f"could be faster: index the tables that {name} reads",
        )
    if not indexes.statements and not indexes.impossible:
        yield Check(subject="index", state="complete")


def state_check(settings: Settings) -> Check:
    """Check where grants and revocations are kept; a failure refuses the configuration.

    If the database does not answer, `database_checks` reports it.
    """
    try:
        place = locate(settings.database_url, settings.state_url)
    except SettingsError as error:
        return Check(
            subject="state",
            state=error.detail,
            remedy="fix it, or run: promptlooper-export migrate",
        )
    except DatabaseUnavailableError:
        return Check(subject="state", state="unknown until the database can be read")
    if place is None:
        return Check(
            subject="state",
            state="none, so every valid token sees what is open; promptlooper-export "
            "migrate makes a place for grants and revocations",
        )
    return Check(subject="state", state=f"in {place}")


def plugin_checks() -> Iterator[Check]:
    """Show how many formats are available, and each one that was left out."""
    registry = discover()
    yield Check(subject="formats", state=f"{len(registry.formats)} available")
    for row in registry.broken:
        yield Check(
            subject=f"format {row.name}",
            state=f"left out: {row.reason}",
            remedy=f"fix or remove the package {row.distribution}",
        )


@click.command()
@AS_JSON
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """Check configuration, database and plugins.

    Each line begins with ok or FAIL, and a FAIL says what to do. The exit code is 0 if
    all is well, 78 if the service would refuse its configuration, else 1.
    """
    loaded = settings.load()
    found: list[Check] = []

    def failed(checks: Iterable[Check]) -> bool:
        rows = list(_shown(checks, as_json=as_json))
        found.extend(rows)
        return any(check.remedy is not None for check in rows)

    is_refused = failed(setting_checks(loaded))
    has_failed = failed(database_checks(loaded.database_url))
    # The check comes before `or`, which would skip it otherwise.
    is_refused = failed([state_check(loaded)]) or is_refused
    has_failed = failed(plugin_checks()) or has_failed
    if as_json:
        write_json([vars(check) for check in found])
    ctx.exit(SettingsError.exit_code if is_refused else int(has_failed))


def _shown(checks: Iterable[Check], *, as_json: bool) -> Iterator[Check]:
    """Yield the checks; print each as soon as it is made, unless JSON is wanted."""
    for check in checks:
        if not as_json:
            click.echo(_line(check))
        yield check


def _line(check: Check) -> str:
    word = "FAIL" if check.remedy else "ok"
    remedy = f"; {check.remedy}" if check.remedy else ""
    return printable(f"{word:4}  {check.subject}: {check.state}{remedy}")


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
@AS_JSON
def config(*, as_json: bool) -> None:
    """Show the effective settings, secrets masked."""
    settings.load()
    rows = [(row.variable, *shown(row, os.environ)) for row in SETTINGS]
    write_table(("VARIABLE", "VALUE", "FROM"), rows, as_json=as_json)
