import json
import os
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from builders import experiment, run
from cli.console import Console, on_sqlite
from cli.strangers import beside_strangers
from databases import Database
from promptlooper_export import settings
from promptlooper_export.auth.issuing import issue
from promptlooper_export.configs import JSON
from promptlooper_export.web.app import create_app
from webservice import without_clock


@pytest.fixture
def summaries(database: Database) -> str:
    """Load an experiment named summaries and return its id."""
    record = experiment(
        run({"accuracy": 0.75}, config={"model": "small", "temperature": 0.5}),
        run({"accuracy": 0.5}, config={"model": "large"}),
        name="summaries",
        id=UUID("aaaaaaaa-0000-4000-8000-000000000001"),
    )
    database.load(record)
    return str(record.id)


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (["-f", "json"], "?format=json"),
        (["-f", "env"], "?format=env"),
        (["-f", "yaml"], "?format=yaml"),
        (["-f", "markdown"], "?format=markdown"),
        (["-f", "markdown", "--top-n", "1"], "?format=markdown&top_n=1"),
        (["-f", "yaml", "--reproducible"], "?format=yaml&reproducible=1"),
        (["-f", "markdown", "--reproducible"], "?format=markdown&reproducible=1"),
        (["-f", "ndjson", "-O", "header=1"], "?format=ndjson&header=1"),
        (["-f", "ndjson", "--limit", "1"], "?format=ndjson&limit=1"),
        ([], ""),
    ],
)
def test_the_bytes_are_those_of_the_http_service(
    console: Console, summaries: str, arguments: list[str], query: str
) -> None:
    loaded = settings.load(console.environ)
    token = issue(loaded, subject="ada", expires=timedelta(minutes=1))
    answer = (
        create_app(loaded)
        .test_client()
        .get(
            f"/experiments/{summaries}/export{query}",
            headers={"Authorization": f"Bearer {token}"},
        )
    )
    done = console.run("export", summaries, *arguments)
    assert done.returncode == 0
    assert done.stderr == b""
    assert answer.status_code == 200
    if "--reproducible" in arguments:
        assert done.stdout == answer.data
    else:
        assert without_clock(done.stdout) == without_clock(answer.data)


@pytest.mark.parametrize("reference", ["summaries", "aaaaaaaa"])
def test_a_name_or_the_beginning_of_an_id_will_do(
    console: Console, summaries: str, reference: str
) -> None:
    done = console.run("export", reference)
    assert json.loads(done.stdout)["experiment_id"] == summaries


def test_a_name_that_two_experiments_have_is_a_usage_error(
    console: Console, database: Database
) -> None:
    database.load(experiment(name="twin"), experiment(name="twin"))
    done = console.run("export", "twin")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1


def test_an_experiment_that_is_not_there_fails(console: Console) -> None:
    done = console.run("export", "nothing")
    assert done.returncode == 1
    assert done.stderr.startswith(b"promptlooper-export: ")


def test_nothing_to_export_has_its_own_exit_code(
    console: Console, database: Database
) -> None:
    database.load(experiment(run(status="failed"), name="unlucky"))
    done = console.run("export", "unlucky", "-o", "unlucky.json")
    assert done.returncode == 4
    assert done.stderr == b"promptlooper-export: No completed runs with scores found\n"
    assert list(console.directory.iterdir()) == []


@on_sqlite
@pytest.mark.parametrize(
    ("name", "beginning"),
    [("best.json", b"{"), ("best.env", b"# "), (".env", b"# "), ("report.md", b"#")],
)
def test_the_extension_picks_the_format(
    console: Console, summaries: str, name: str, beginning: bytes
) -> None:
    done = console.run("export", summaries, "-o", name)
    assert done.returncode == 0
    assert done.stdout == b""
    assert (console.directory / name).read_bytes().startswith(beginning)


@on_sqlite
def test_a_named_format_goes_before_the_extension(
    console: Console, summaries: str
) -> None:
    console.run("export", summaries, "-f", "json", "-o", "best.env")
    assert json.loads((console.directory / "best.env").read_bytes())


@on_sqlite
def test_a_dash_is_standard_output(console: Console, summaries: str) -> None:
    done = console.run("export", summaries, "-f", "json", "-o", "-")
    assert json.loads(done.stdout)
    assert list(console.directory.iterdir()) == []


@on_sqlite
@pytest.mark.parametrize("arguments", [["-f", "pdf"], ["-o", "best.pdf"]])
def test_an_unknown_format_is_a_usage_error_that_lists_the_known(
    console: Console, summaries: str, arguments: list[str]
) -> None:
    done = console.run("export", summaries, *arguments)
    assert done.returncode == 2
    assert b"json, env, yaml" in done.stderr


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-f", "noticed", "-O", "colour=red"], "'colour'"),
        (["-f", "noticed", "-O", "greeting=a", "-O", "greeting=b"], "more than once"),
        (["-f", "noticed", "-O", "greeting"], "must look like name=value"),
        (["-f", "json", "--top-n", "3"], "--top-n is for reports"),
        (["-f", "markdown", "--top-n", "51"], "1<=x<=50"),
    ],
)
def test_an_option_that_the_format_does_not_have_is_a_usage_error(
    console: Console, summaries: str, arguments: list[str], reason: str
) -> None:
    done = beside_strangers(console).run("export", summaries, *arguments)
    assert done.returncode == 2
    assert reason in done.stderr.decode()
    assert done.stdout == b""


@on_sqlite
def test_options_reach_the_format_and_notices_stderr(
    console: Console, summaries: str
) -> None:
    arguments = ["-f", "noticed", "-O", "greeting=a=b"]
    done = beside_strangers(console).run("export", summaries, *arguments)
    assert done.stdout == b"a=b 0.75\n"
    assert b"warning: the score is rounded\n" in done.stderr


@pytest.mark.parametrize("format_name", ["tfvars", "github-output", "env"])
@on_sqlite
def test_a_redacted_value_is_told_once_on_stderr_with_its_path(
    console: Console, database: Database, format_name: str
) -> None:
    record = experiment(
        run({"s": 1.0}, config={"model": {"api_key": "abc123def456"}}), name="hidden"
    )
    database.load(record)
    done = console.run("export", "hidden", "-f", format_name)
    said = done.stderr.decode().splitlines()
    assert b"[redacted]" in done.stdout
    assert [line.partition(";")[0] for line in said] == [
        "warning: model.api_key: A secret was left out here",
        "warning: model.api_key is redacted: the text [redacted] would be deployed",
    ]


@on_sqlite
def test_a_warning_names_the_key_that_it_is_about(
    console: Console, database: Database
) -> None:
    config: JSON = {"temperature": {"max": None}, "top_p": None}
    database.load(experiment(run({"s": 1.0}, config=config), name="nulls"))
    done = console.run("export", "nulls", "-f", "toml")
    assert done.stderr.decode().splitlines() == [
        "warning: temperature.max: TOML has no null: this key is left out.",
        "warning: top_p: TOML has no null: this key is left out.",
    ]


@on_sqlite
@pytest.mark.usefixtures("summaries")
def test_a_misspelt_experiment_is_answered_with_the_closest(console: Console) -> None:
    done = console.run("export", "sumaries", "-f", "json")
    assert done.returncode == 1
    assert b"did you mean 'summaries'?" in done.stderr


@on_sqlite
def test_strict_writes_nothing_if_there_is_a_warning(
    console: Console, summaries: str
) -> None:
    strangers = beside_strangers(console)
    arguments = ["export", summaries, "--strict", "-f"]
    done = strangers.run(*arguments, "noticed", "-o", "best.txt")
    assert done.returncode == 1
    assert b"warning: the score is rounded\n" in done.stderr
    assert b"1 warning, and nothing was written" in done.stderr
    assert list(console.directory.iterdir()) == []

    assert strangers.run(*arguments, "json").returncode == 0


@on_sqlite
def test_a_strangers_format_that_does_not_end_is_ended(
    console: Console, summaries: str
) -> None:
    strangers = beside_strangers(console)
    done = strangers.run("export", summaries, "-f", "endless", RENDER_TIMEOUT="1")
    assert done.returncode == 1
    assert b"PROMPTLOOPER_RENDER_TIMEOUT" in done.stderr
    assert done.stdout == b""


@on_sqlite
def test_a_failing_export_leaves_the_old_file_and_nothing_else(
    console: Console, summaries: str
) -> None:
    (console.directory / "best.failing").write_text("old")
    done = beside_strangers(console).run("export", summaries, "-o", "best.failing")
    assert done.returncode == 1
    assert b"The format 'failing' failed" in done.stderr
    assert [file.name for file in console.directory.iterdir()] == ["best.failing"]
    assert (console.directory / "best.failing").read_text() == "old"


@on_sqlite
def test_a_file_is_replaced_behind_its_link_and_keeps_its_mode(
    console: Console, summaries: str
) -> None:
    file, link = console.directory / "real.json", console.directory / "link.json"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    assert console.run("export", summaries, "-o", "link.json").returncode == 0
    assert link.is_symlink()
    assert json.loads(file.read_bytes())
    assert file.stat().st_mode & 0o777 == 0o640
    assert len(list(console.directory.iterdir())) == 2


@on_sqlite
def test_a_new_file_has_the_mode_of_new_files(console: Console, summaries: str) -> None:
    mask = os.umask(0o027)
    try:
        console.run("export", summaries, "-o", "best.json")
    finally:
        os.umask(mask)
    assert (console.directory / "best.json").stat().st_mode & 0o777 == 0o640


@on_sqlite
def test_a_device_is_written_to_and_not_replaced(
    console: Console, summaries: str
) -> None:
    done = console.run("export", summaries, "-f", "json", "-o", "/dev/stdout")
    assert json.loads(done.stdout)
    assert Path("/dev/stdout").is_symlink()


@on_sqlite
def test_a_directory_that_is_not_there_is_one_line(
    console: Console, summaries: str
) -> None:
    done = console.run("export", summaries, "-o", "missing/best.json")
    assert done.returncode == 1
    assert b"No such file or directory" in done.stderr
    assert done.stderr.count(b"\n") == 1


@on_sqlite
def test_a_reader_may_leave_in_the_middle(console: Console, database: Database) -> None:
    long = run({"accuracy": 1}, config={"text": "x" * 1_000_000})
    database.load(experiment(long, name="long"))
    with console.start("export", "long") as running:
        assert running.stdout is not None
        assert running.stdout.read(1) == b"{"
        running.stdout.close()
        _, errors = running.communicate(timeout=60)
    assert errors == b""


def test_what_is_for_runs_is_refused_for_others(
    console: Console, summaries: str
) -> None:
    done = console.run("export", summaries, "-f", "json", "--limit", "1")

    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--limit and --after are for runs" in done.stderr


def test_a_page_behind_no_run_is_refused(console: Console, summaries: str) -> None:
    done = console.run("export", summaries, "-f", "csv", "--after", str(UUID(int=1)))

    assert (done.returncode, done.stdout) == (2, b"")
    assert b"begin without it" in done.stderr
