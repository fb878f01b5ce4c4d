"""Compare with another experiment at the command line."""

import json
from pathlib import Path

import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite
from databases import Database
from promptlooper_export.configs import JSON
from promptlooper_export.records import ExperimentRecord


def made(name: str, scores: dict[str, float], weight: float = 1) -> ExperimentRecord:
    config: JSON = {"model": name}
    return experiment(
        *(
            run({"accuracy": score + i / 1000}, config=config, tags={"lang": lang})
            for lang, score in scores.items()
            for i in range(6)
        ),
        name=name,
        weights={"accuracy": weight},
    )


@pytest.fixture
def old_and_new(database: Database) -> None:
    database.load(
        made("old", {"en": 0.5, "de": 0.6}),
        made("new", {"en": 0.9, "de": 0.4}),
        made("other rule", {"en": 0.5}, weight=2),
    )


@pytest.mark.usefixtures("old_and_new")
def test_show_says_whether_it_is_better_and_for_which_tags(console: Console) -> None:
    done = console.run("show", "new", "--against", "old", "--margin", "0.001")
    shown = done.stdout.decode()
    lines = shown.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Against old ("))
    assert lines[start + 1].startswith("  Not enough data to tell the winner from the")
    assert "By tag: 1 better, 1 worse." in " ".join(shown.split())
    assert [line.split() for line in lines if line.startswith("  lang=")] == [
        ["lang=de", "worse", "-0.2000"],
        ["lang=en", "better", "+0.4000"],
    ]
    assert max(map(len, lines)) <= 80
    report = json.loads(console.run("show", "new", "--against", "old", "--json").stdout)
    assert report["against"]["experiment_name"] == "old"


@on_sqlite
@pytest.mark.usefixtures("old_and_new")
def test_show_names_what_differs_unless_it_is_forced(console: Console) -> None:
    plain = console.run("show", "new", "--against", "other rule")
    assert b"the experiments differ in\n  weights" in plain.stdout.replace(
        b" \n", b"\n"
    )
    forced = console.run("show", "new", "--against", "other rule", "--force")
    assert b"Forced, although" in forced.stdout
    assert plain.returncode == forced.returncode == 0


@on_sqlite
@pytest.mark.usefixtures("old_and_new")
def test_a_report_with_a_comparison_is_written_and_verified(
    console: Console, tmp_path: Path
) -> None:
    path = tmp_path / "report.md"
    done = console.run("export", "new", "--against", "old", "-o", str(path))
    assert done.returncode == 0
    assert "By tag: 1 better, 1 worse." in path.read_text()
    assert console.run("verify", str(path), "--against", "old").returncode == 0
    assert console.run("verify", str(path)).returncode == 3


@on_sqlite
@pytest.mark.usefixtures("old_and_new")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "new", "--force"], "it needs --against"),
        (["show", "new", "--against", "new"], "not compared with itself"),
        (["export", "new", "-f", "json", "--against", "old"], "are for reports"),
        (["export", "new", "-f", "markdown", "--force"], "it needs --against"),
    ],
)
def test_a_comparison_that_means_nothing_is_refused(
    console: Console, arguments: list[str], said: str
) -> None:
    done = console.run(*arguments)
    assert said in done.stderr.decode()
    assert done.returncode == 2


@on_sqlite
@pytest.mark.usefixtures("old_and_new")
def test_another_experiment_that_is_missing_is_named(console: Console) -> None:
    done = console.run("show", "new", "--against", "nobody")
    assert "'nobody'" in done.stderr.decode()
    assert done.returncode == console.run("show", "nobody").returncode != 0
