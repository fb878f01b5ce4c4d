"""A rule on the command line instead of the experiment's own."""

import json
from datetime import timedelta
from uuid import UUID

import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database
from promptlooper_export import settings
from promptlooper_export.auth.issuing import issue
from promptlooper_export.web.app import create_app

ID = UUID("aaaaaaaa-0000-4000-8000-000000000001")


@pytest.fixture
def summaries(database: Database) -> str:
    """Load an experiment whose winner depends on the rule, and return its name."""
    database.load(
        experiment(
            run({"accuracy": 0.9, "cost": 9.0}, config={"model": "large"}),
            run({"accuracy": 0.8, "cost": 1.0}, config={"model": "small"}),
            id=ID,
            name="summaries",
        )
    )
    return "summaries"


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (["--weights", "accuracy:0.7,cost:0.3"], "weights=accuracy:0.7,cost:0.3"),
        (["--directions", "cost:min"], "directions=cost:min"),
        (["--required", '["cost"]'], 'required=["cost"]'),
        (["--by", "config", "--min-runs", "1"], "by=config&min_runs=1"),
        (["--by", "config", "--repeat-over", "model"], "by=config&repeat_over=model"),
    ],
)
@pytest.mark.parametrize("name", ["json", "markdown"])
@on_sqlite
def test_the_bytes_are_those_of_the_http_service(
    console: Console, summaries: str, arguments: list[str], query: str, name: str
) -> None:
    loaded = settings.load(console.environ)
    token = issue(loaded, subject="ada", expires=timedelta(minutes=1))
    answer = (
        create_app(loaded)
        .test_client()
        .get(
            f"/experiments/{ID}/export?format={name}&reproducible=1&{query}",
            headers={"Authorization": f"Bearer {token}"},
        )
    )
    done = console.run("export", summaries, "-f", name, "--reproducible", *arguments)
    assert done.stdout == answer.data
    assert b"warning: " in done.stderr


def test_the_rule_chooses_the_winner(console: Console, summaries: str) -> None:
    done = console.run("export", summaries, "--directions", "cost:minimize")
    assert json.loads(done.stdout)["config"] == {"model": "small"}


@on_sqlite
def test_strict_accepts_the_notice_that_was_asked_for(
    console: Console, summaries: str
) -> None:
    done = console.run("export", summaries, "--weights", "cost:1", "--strict")
    assert done.returncode == 0
    refused = console.run("export", summaries, "--weights", "cost:-1", "--strict")
    assert refused.returncode == 1
    assert refused.stdout == b""


@on_sqlite
def test_verify_takes_the_rule_that_the_file_was_made_with(
    console: Console, summaries: str
) -> None:
    rule = ["--directions", "cost:minimize"]
    console.run("export", summaries, "-o", "best.json", *rule)
    assert console.run("verify", "best.json", *rule).returncode == 0
    assert console.run("verify", "best.json").returncode == 3


@pytest.mark.usefixtures("summaries")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--weights", "acuracy:1"], "did you mean 'accuracy'?"),
        (["--weights", "accuracy"], "must look like scorer:number"),
        (["--directions", "cost:minimise_"], "did you mean minimize?"),
        (["--required", "a,a"], "the scorer 'a' is there twice"),
        (["-f", "csv", "--weights", "accuracy:1"], "--weights"),
        (["--min-runs", "2"], "needs by=config or prefer"),
        (["--by", "config", "--min-runs", "2"], "the most that one has is 1"),
        (["--by", "config", "--repeat-over", "modle"], "did you mean 'model'?"),
        (["--prefer", "cheapest-within-1se"], "no spread"),
    ],
)
@on_sqlite
def test_what_is_no_rule_is_a_usage_error(
    console: Console, arguments: list[str], said: str
) -> None:
    done = console.run("export", "summaries", *arguments)
    last = done.stderr.decode().splitlines()[-1]
    assert said in last
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.usefixtures("summaries")
@on_sqlite
def test_an_unknown_scorer_is_named_in_one_line(console: Console) -> None:
    done = console.run("export", "summaries", "--required", "acuracy")
    assert len(done.stderr.splitlines()) == 1
