import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database

ROW = experiment(run({"accuracy": 0.5}), name="summaries")


@pytest.fixture(autouse=True)
def _loaded(database: Database) -> None:
    database.load(experiment(run({"accuracy": 0.5}), id=ROW.id, name="summaries"))


def said(
    console: Console,
    *arguments: str,
    code: int = 0,
    stdin: bytes = b"",
    **settings: str,
) -> str:
    done = console.run(*arguments, stdin=stdin, **settings)
    assert (done.returncode, done.stdout) == (code, b""), done.stderr
    return done.stderr.decode()


def test_each_command_says_who_sees_the_experiment_then(console: Console) -> None:
    name = f"experiment {ROW.id} is"
    assert said(console, "grant", "summaries") == (
        f"{name} granted to nobody; every valid token sees it\n"
    )
    for _ in range(2):  # once more changes nothing
        assert said(console, "grant", "summaries", "user:ada") == (
            f"{name} granted to user:ada; admins also see it\n"
        )
    assert said(console, "grant", str(ROW.id), "group:lab: 7") == (
        f"{name} granted to group:lab: 7, user:ada; admins also see it\n"
    )
    for _ in range(2):
        assert said(console, "revoke", "summaries", "user:ada") == (
            f"{name} granted to group:lab: 7; admins also see it\n"
        )
    assert said(
        console, "revoke", "summaries", "group:lab: 7", OPEN_EXPERIMENTS="0"
    ) == (f"{name} granted to nobody; only admins see it\n")


@on_sqlite
def test_grants_need_a_whole_id_or_name(console: Console) -> None:
    for beginning in (str(ROW.id)[:13], "summ"):
        for command in ("grant", "revoke"):
            refused = said(console, command, beginning, "user:ada", code=1)
            assert f"whole id or name '{beginning}'" in refused


@on_sqlite
def test_grants_are_printed_a_line_each(console: Console) -> None:
    for grantee in ("user:b", "user:a\nc", "group:b"):
        said(console, "grant", "summaries", grantee)
    done = console.run("grant", "summaries")
    assert done.stdout.decode() == "group:b\nuser:a\\nc\nuser:b\n"
    assert done.stderr == b""
    assert done.returncode == 0


@on_sqlite
@pytest.mark.parametrize(
    "grantee",
    ["ada", "user:", "group:", "role:x", ":x", "USER:ada", " user:ada", "user:\udcff"],
)
def test_what_is_no_grantee_is_a_usage_error(console: Console, grantee: str) -> None:
    for command in ("grant", "revoke"):
        assert "Invalid value" in said(console, command, "summaries", grantee, code=2)
    assert "nobody" in said(console, "grant", "summaries")


@on_sqlite
def test_an_experiment_that_is_not_there_cannot_be_granted(
    console: Console, database: Database
) -> None:
    assert "list" in said(console, "grant", "other", "user:ada", code=1)
    assert "list" in said(console, "revoke", "other", "user:ada", code=1)
    assert said(console, "revoke", "summaries", code=2)
    assert database.execute(f"SELECT * FROM {database.grants}") == []


def test_a_token_is_revoked_by_its_id_or_as_a_whole(
    console: Console, database: Database
) -> None:
    token = console.run("token", "--subject", "ada").stdout
    done = console.run("token", "--revoke", "-", stdin=token)
    assert (done.returncode, done.stdout) == (0, b"")
    said(console, "token", "--revoke", "some-id")
    rows = database.execute(f"SELECT jti, expires_at FROM {database.revoked_tokens}")
    ends = dict(rows)
    assert ends.pop("some-id") is None
    ((jti, end),) = ends.items()
    assert jti in done.stderr.decode()
    assert end


@on_sqlite
@pytest.mark.parametrize(
    "arguments",
    [
        ("--revoke", ""),
        ("--revoke", "x", "--subject", "ada"),
        ("--revoke", "x", "--expires", "1h"),
        ("--revoke", "-"),
        (),
    ],
)
@pytest.mark.parametrize(
    "given", [b"", b"x", b"a.b.c", b"\xff.\xff.\xff", b"e30.e30.e30", b"e30.W10.e30"]
)
def test_what_revokes_nothing_is_a_usage_error(
    console: Console, database: Database, arguments: tuple[str, ...], given: bytes
) -> None:
    done = console.run("token", *arguments, stdin=given)
    assert (done.returncode, done.stdout) == (2, b""), done.stderr
    assert b"Traceback" not in done.stderr
    assert database.execute(f"SELECT * FROM {database.revoked_tokens}") == []


def test_without_a_place_for_them_nothing_can_be_granted_or_revoked(
    bare: Console, runner_database: Database
) -> None:
    runner_database.execute(
        "INSERT INTO experiments (id, name, status, created_at, updated_at)"
        " VALUES (?, 'theirs', 'completed', ?, ?)",
        ROW.id,
        ROW.created_at,
        ROW.updated_at,
    )
    url = runner_database.url
    for arguments in (
        ("grant", "theirs", "user:ada"),
        ("revoke", "theirs", "user:ada"),
        ("token", "--revoke", "some-id"),
    ):
        line = said(bare, *arguments, code=1, DATABASE_URL=url)
        assert line == (
            "promptlooper-export: There is no place for grants and revocations yet; "
            "run: promptlooper-export migrate\n"
        )
    assert "every valid token" in said(bare, "grant", "theirs", DATABASE_URL=url)
    said(bare, "migrate", DATABASE_URL=url)
    granted = said(bare, "grant", "theirs", "user:ada", DATABASE_URL=url)
    assert "granted to user:ada" in granted
    said(bare, "token", "--revoke", "some-id", DATABASE_URL=url)
