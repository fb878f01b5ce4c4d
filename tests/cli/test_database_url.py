"""What DATABASE_URL may look like, and that nobody sees the password in it."""

import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite, run_here
from databases import Database

PASSWORD = "S3cretPw9qqZ"

SPECIAL = ("%", "@", "/tail", "?x", "#x", " x", "[", "%zz", "/a?b=c@")


URLS = [
    *(f"postgresql://u:p{end}{PASSWORD}@127.0.0.1:1/x" for end in SPECIAL),
    *(f"postgresql://u:{PASSWORD}{end}p@127.0.0.1:1/x" for end in SPECIAL),
    f"postgresql://u:p@127.0.0.1:{PASSWORD}/x",
    f"postgresql://u@127.0.0.1:1/x?sslmode={PASSWORD}",
    f"postgresql://u@[::1/x?password={PASSWORD}",
    f"mysql://u:{PASSWORD}@h/x",
    f"sqlite://u:{PASSWORD}@h",
]


@pytest.mark.parametrize(
    ("command", "urls"), [("list", URLS), ("doctor", URLS[:2]), ("migrate", URLS[-4:])]
)
def test_a_password_that_is_not_encoded_is_never_shown(
    command: str, urls: list[str]
) -> None:
    for url in urls:
        done = run_here(command, url=url)
        assert done.exit_code in (1, 78), url
        assert PASSWORD not in done.output, url


def test_a_url_that_is_not_valid_is_refused_with_what_to_do() -> None:
    done = run_here("list", url="postgresql://u:50%off@127.0.0.1:1/x")
    assert done.exit_code == 78
    assert "%25 for %" in done.output


@on_sqlite
def test_the_options_of_sqlalchemy_are_no_part_of_the_file(
    console: Console, database: Database
) -> None:
    database.load(experiment(run({"a": 1}), name="summaries"))
    url = f"{database.url}?check_same_thread=False&timeout=15"
    assert b"summaries" in console.run("list", DATABASE_URL=url).stdout


@on_sqlite
def test_a_uri_of_sqlite_makes_no_file(console: Console) -> None:
    done = console.run("migrate", "--create", DATABASE_URL="sqlite:///file:x.db?uri=1")
    assert done.returncode == 78
    assert list(console.directory.iterdir()) == []
