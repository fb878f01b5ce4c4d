"""`show` and `gate` say of experiments whose truth is known what the report says."""

import json

import pytest

from cli.console import run_here
from databases import Database
from planted import PLANTED, plant
from promptlooper_export.verdicts import VerdictWord

SAID: dict[VerdictWord, str] = {
    "better": "The winner is better than the runner-up",
    "worse": "The winner is worse than the runner-up",
    "tied": "The winner and the runner-up are tied",
    "not enough data": "Not enough data to tell the winner from the runner-up",
}

EXIT_CODES: dict[VerdictWord, int] = {
    "better": 0,
    "tied": 0,
    "worse": 1,
    "not enough data": 5,
}

# What the commands make of the numbers does not depend on where these are stored.
ON_POSTGRESQL = ["a clear win by cases", "a lucky run of a worse config"]


@pytest.mark.parametrize(
    ("database", "truth"),
    [
        *(("sqlite", truth) for truth in PLANTED),
        *(("postgresql", truth) for truth in ON_POSTGRESQL),
    ],
    indirect=["database"],
)
def test_the_terminal_and_ci_get_the_verdict_of_the_report(
    database: Database, truth: str
) -> None:
    configs, expected = PLANTED[truth]
    plant(database, configs, name="planted")

    shown = run_here("show", "planted", url=database.url)
    report = run_here("show", "planted", "--json", url=database.url)
    [verdict] = json.loads(report.stdout)["assessment"]["verdicts"]
    other = verdict["other"]["config_hash"]
    judged = run_here("gate", "planted", "--baseline", other, url=database.url)

    assert SAID[expected] in shown.stdout
    assert verdict["verdict"] == expected
    assert judged.exit_code == EXIT_CODES[expected], judged.output
