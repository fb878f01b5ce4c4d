"""What the shell completes after the name of a command."""

from collections.abc import Callable

import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database


@pytest.fixture
def complete(console: Console) -> Callable[[str], list[str]]:
    """Complete the last word of a command line; a space before it begins a new one."""

    def words(line: str) -> list[str]:
        console.environ.update(
            _PROMPTLOOPER_EXPORT_COMPLETE="fish_complete",
            COMP_WORDS=line,
            COMP_CWORD=line.rpartition(" ")[2],
        )
        done = console.run()
        assert not done.stderr
        return [
            row.partition(",")[2].partition("\t")[0]
            for row in done.stdout.decode().splitlines()
            if row
        ]

    return words


@pytest.mark.parametrize("command", ["export", "show", "delete", "grant", "revoke"])
def test_names_and_ids_of_experiments_are_completed(
    complete: Callable[[str], list[str]], database: Database, command: str
) -> None:
    first = experiment(run(), name="summaries")
    database.load(first, experiment(name="two words"), experiment(name="others"))
    assert complete(f"promptlooper-export {command} su") == ["summaries"]
    beginning = str(first.id)[:8]
    found = complete(f"promptlooper-export {command} {beginning}")
    assert found == [str(first.id)]
    assert sorted(complete(f"promptlooper-export {command} ")) == [
        "others",
        "summaries",
    ]


def test_without_a_database_nothing_is_completed_and_nothing_said(
    complete: Callable[[str], list[str]], console: Console
) -> None:
    console.environ["PROMPTLOOPER_DATABASE_URL"] = "sqlite:////nowhere/at/all.db"
    assert complete("promptlooper-export delete su") == []


@on_sqlite
def test_what_is_no_experiment_is_completed_as_a_file(console: Console) -> None:
    console.environ.update(
        _PROMPTLOOPER_EXPORT_COMPLETE="fish_complete",
        COMP_WORDS="promptlooper-export export su",
        COMP_CWORD="su",
    )
    done = console.run()
    assert done.stdout == b"file,su\n"


@on_sqlite
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("export x -f csv -O del", ["delimiter="]),
        ("export x -f csv -O delimiter=", ["delimiter=,", "delimiter=;"]),
        ("export x -f ndjson -O header=", ["header=true", "header=false"]),
        ("export x -O del", []),
        ("export x -f markd", ["markdown"]),
        ("token --scope export:u", ["export:unredacted"]),
    ],
)
def test_formats_options_their_values_and_scopes_are_completed(
    complete: Callable[[str], list[str]], line: str, completed: list[str]
) -> None:
    found = complete(f"promptlooper-export {line}")
    assert found[: len(completed)] == completed
    assert bool(found) == bool(completed)
