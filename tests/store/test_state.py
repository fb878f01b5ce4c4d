"""Where grants and revocations are kept, and that nothing opens up without them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from databases import Database
from promptlooper_export.errors import (
    DatabaseUnavailableError,
    MigrationError,
    SettingsError,
)
from promptlooper_export.store.migrate import migrate, take_away
from promptlooper_export.store.state import (
    State,
    beside,
    grant,
    grantees,
    locate,
    looking,
    open_state,
    revoke,
    revoke_token,
    revoked_tokens,
)

EXPERIMENT = UUID(int=1)
OTHER = UUID(int=2)


@pytest.fixture
def apart(tmp_path: Path) -> str:
    """Return the URL of a state that is named and not made yet."""
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def state(runner_database: Database) -> Iterator[State]:
    with closing(open_state(runner_database.url, None)) as opened:
        yield opened


def seen(database: Database, state: State) -> frozenset[str]:
    with looking(database.url) as session:
        names, _ = state.grantees(session, EXPERIMENT)
        return names


def test_grants_hold_until_they_are_taken_back(runner_database: Database) -> None:
    url = runner_database.url
    migrate(url)
    assert grant(url, None, EXPERIMENT, "user:ada") == ("user:ada",)
    assert grant(url, None, EXPERIMENT, "group:lab") == ("group:lab", "user:ada")
    assert grant(url, None, OTHER, "user:bob") == ("user:bob",)
    with closing(open_state(url, None)) as state, looking(url) as session:
        names, _ = state.grantees(session, EXPERIMENT)
        assert names == frozenset({"group:lab", "user:ada"})
        assert state.grants(session) == {
            EXPERIMENT: frozenset({"group:lab", "user:ada"}),
            OTHER: frozenset({"user:bob"}),
        }
    assert revoke(url, None, EXPERIMENT, "user:ada") == ("group:lab",)
    assert grantees(url, None, EXPERIMENT) == ("group:lab",)


def test_a_runners_own_tables_may_have_the_names_of_ours(
    runner_database: Database,
) -> None:
    url = runner_database.url
    for name in ("export_grants", "export_revoked_tokens"):
        runner_database.execute(f"CREATE TABLE {name} (id INTEGER)")

    with closing(open_state(url, None)) as state:
        assert seen(runner_database, state) == frozenset()
    migrate(url)
    grant(url, None, EXPERIMENT, "user:ada")

    with closing(open_state(url, None)) as state:
        assert seen(runner_database, state) == frozenset({"user:ada"})
    assert runner_database.execute("SELECT count(*) FROM export_grants") == [(0,)]


def test_without_a_state_nothing_is_granted_or_revoked(
    runner_database: Database, state: State
) -> None:
    url = runner_database.url
    with looking(url) as session:
        assert state.grantees(session, EXPERIMENT) == (frozenset(), False)
        assert state.grants(session) == {}
    assert revoked_tokens(url, None)() == frozenset()
    assert locate(url, None) is None
    with pytest.raises(MigrationError, match="run: promptlooper-export migrate"):
        grant(url, None, EXPERIMENT, "user:ada")
    with pytest.raises(MigrationError, match="run: promptlooper-export migrate"):
        revoke_token(url, None, "a", expires_at=None)


def test_a_state_that_comes_later_is_noticed(
    runner_database: Database, state: State
) -> None:
    url = runner_database.url
    read = revoked_tokens(url, None)
    assert seen(runner_database, state) == frozenset()
    assert read() == frozenset()
    migrate(url)
    grant(url, None, EXPERIMENT, "user:ada")
    revoke_token(url, None, "a", expires_at=None)
    assert seen(runner_database, state) == frozenset({"user:ada"})
    assert read() == frozenset({"a"})


def test_a_state_that_goes_away_refuses(
    runner_database: Database, state: State
) -> None:
    url = runner_database.url
    migrate(url)
    read = revoked_tokens(url, None)
    assert seen(runner_database, state) == frozenset()
    assert read() == frozenset()
    take_away(url)
    with pytest.raises(DatabaseUnavailableError, match="were there and are gone"):
        seen(runner_database, state)
    with pytest.raises(DatabaseUnavailableError, match="were there and are gone"):
        read()
    migrate(url)
    assert seen(runner_database, state) == frozenset()


def test_a_named_state_is_used_for_any_database(
    runner_database: Database, apart: str
) -> None:
    url = runner_database.url
    migrate(url, state_url=apart)
    grant(url, apart, EXPERIMENT, "user:ada")
    revoke_token(url, apart, "a", expires_at=None)
    assert locate(url, apart) == "PROMPTLOOPER_STATE_URL"
    assert locate(url, None) is None
    assert grantees(url, apart, EXPERIMENT) == ("user:ada",)
    assert revoked_tokens(url, apart)() == frozenset({"a"})
    with closing(open_state(url, apart)) as state:
        assert seen(runner_database, state) == frozenset({"user:ada"})


def test_a_named_state_can_be_on_postgresql(
    runner_database: Database, request: pytest.FixtureRequest
) -> None:
    cluster = request.getfixturevalue("cluster")
    with cluster.database() as name:
        apart = cluster.url(name)
        migrate(runner_database.url, state_url=apart)
        grant(runner_database.url, apart, EXPERIMENT, "user:ada")
        with closing(open_state(runner_database.url, apart)) as state:
            assert seen(runner_database, state) == frozenset({"user:ada"})
        assert take_away(runner_database.url, state_url=apart)


def test_a_named_state_that_cannot_be_used_refuses_the_start(
    runner_database: Database, apart: str, tmp_path: Path
) -> None:
    url = runner_database.url
    path = tmp_path / "state.db"
    with pytest.raises(SettingsError, match="PROMPTLOOPER_STATE_URL cannot be used"):
        open_state(url, apart)
    with pytest.raises(SettingsError, match="PROMPTLOOPER_STATE_URL cannot be used"):
        grant(url, apart, EXPERIMENT, "user:ada")
    assert not path.exists()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(SettingsError, match="PROMPTLOOPER_STATE_URL cannot be used"):
        open_state(url, apart)
    path.write_bytes(b"")
    with pytest.raises(SettingsError, match="promptlooper-export migrate"):
        open_state(url, apart)
    migrate(url, state_url=apart)
    open_state(url, apart).close()


def test_a_named_state_that_goes_away_refuses(
    runner_database: Database, apart: str, tmp_path: Path
) -> None:
    migrate(runner_database.url, state_url=apart)
    with closing(open_state(runner_database.url, apart)) as state:
        (tmp_path / "state.db").rename(tmp_path / "moved.db")
        with pytest.raises(DatabaseUnavailableError):
            seen(runner_database, state)
        with pytest.raises(DatabaseUnavailableError):
            revoked_tokens(runner_database.url, apart)()


@pytest.mark.parametrize("runner_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("content", [b"", b"no database at all" * 100])
def test_a_file_beside_that_is_no_state_refuses_the_start(
    runner_database: Database, content: bytes
) -> None:
    url = runner_database.url
    read = revoked_tokens(url, None)
    path = beside(url)
    assert path is not None
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="export-state cannot be used"):
        open_state(url, None)
    with pytest.raises(DatabaseUnavailableError):
        read()
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(SettingsError, match="export-state cannot be used"):
        open_state(url, None)


@pytest.mark.parametrize("runner_database", ["sqlite"], indirect=True)
def test_readers_leave_no_files_beside_the_state(
    runner_database: Database, tmp_path: Path
) -> None:
    url = runner_database.url
    migrate(url)
    grant(url, None, EXPERIMENT, "user:ada")
    with closing(open_state(url, None)) as state:
        assert seen(runner_database, state) == frozenset({"user:ada"})
        names = sorted(path.name for path in tmp_path.glob("*export-state*"))
        assert names == ["runner.db.export-state"]


@pytest.mark.parametrize("runner_database", ["postgresql"], indirect=True)
def test_a_state_that_the_role_may_not_read_refuses(runner_database: Database) -> None:
    migrate(runner_database.url)
    runner_database.execute("DROP ROLE IF EXISTS state_reader")
    runner_database.execute("CREATE ROLE state_reader LOGIN")
    url = runner_database.url.replace("postgres@", "state_reader@")
    with pytest.raises(DatabaseUnavailableError, match="permission denied"):
        revoked_tokens(url, None)()
    with pytest.raises(DatabaseUnavailableError, match="permission denied"):
        seen(Database(kind="postgresql", url=url), State(url, None))
    with pytest.raises(DatabaseUnavailableError, match="permission denied"):
        locate(url, None)


def test_the_state_of_our_own_database_is_inside(database: Database) -> None:
    assert locate(database.url, None) == "the database itself"
    grant(database.url, None, EXPERIMENT, "user:ada")
    assert database.execute(f"SELECT grantee FROM {database.grants}") == [("user:ada",)]
