"""The pages about importing show what works, and the schema says what is accepted."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from builders import experiment, run
from cli.console import on_sqlite, run_here
from databases import Database
from webservice import Service

DOCS = Path(__file__).parents[2] / "docs"
RUN: dict[str, object] = {"type": "run", "config": {}}


def block(page: str, language: str, beginning: str) -> list[str]:
    """Return the lines of the first block of a page that begins like this."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(
        rf"```{language}\n({re.escape(beginning)}.*?)```", text, re.DOTALL
    )
    assert found is not None
    return found[1].splitlines()


@pytest.fixture
def is_accepted(service_without_database: Service) -> Callable[[object], bool]:
    schema = service_without_database.client.get("/schemas/interchange.json").get_json()
    return Draft202012Validator(schema, format_checker=FormatChecker()).is_valid


def test_the_example_comes_in_as_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    example = block("interchange.md", "json", "{")
    assert len(example) == 5
    Path("results.ndjson").write_text("\n".join(example))
    dry, head, row, none, real, came = block(
        "importing.md", "console", "$ promptlooper-export import --dry-run"
    )

    for command, printed in ((dry, [head, row, none]), (real, [came])):
        _, *arguments = command.removeprefix("$ ").split()
        done = run_here(*arguments)
        assert done.exit_code == 0
        assert done.output.splitlines() == printed


def test_the_schema_accepts_the_example(is_accepted: Callable[[object], bool]) -> None:
    for line in block("interchange.md", "json", "{"):
        assert is_accepted(json.loads(line))


@on_sqlite
def test_the_schema_accepts_what_an_export_writes(
    database: Database, is_accepted: Callable[[object], bool]
) -> None:
    scored = run({"a": [float("nan"), None, 1]}, config={"x": 1}, tags=["y"])
    record = experiment(scored, run(status="failed", error="no"), weights={"a": 2})
    database.load(record)
    arguments = ("export", str(record.id), "-f", "ndjson", "-O", "header=1")
    lines = run_here(*arguments, url=database.url).stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert is_accepted(json.loads(line))


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"type": "run"},
        {"type": "runs", "config": {}},
        {"type": "experiment", "config": {}},
        RUN | {"score": 1},
        RUN | {"scores": [1]},
        RUN | {"scores": {"a": "1"}},
        RUN | {"scores": {"a": [[1]]}},
        RUN | {"status": "done"},
        RUN | {"tokens_in": -1},
        RUN | {"tokens_in": 1.5},
        RUN | {"id": "seven"},
        RUN | {"config": []},
        RUN | {"stage_results": [{}]},
        RUN | {"stage_results": [{"stage_name": "a", "stage": 1}]},
    ],
)
def test_the_schema_refuses_what_an_import_refuses(
    is_accepted: Callable[[object], bool], tmp_path: Path, line: object
) -> None:
    path = tmp_path / "results.ndjson"
    path.write_text(f'{{"type": "experiment"}}\n{json.dumps(line)}\n')
    assert run_here("show", str(path)).exit_code == 1
    assert not is_accepted(line)
