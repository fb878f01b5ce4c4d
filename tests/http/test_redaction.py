"""Secrets leave the service in no format, no list, no field and no log."""

import csv
import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from uuid import UUID
from zipfile import ZipFile

import pyarrow as pa
import pytest
from pyarrow import parquet
from werkzeug.test import TestResponse

import plugins
import secrets_corpus as corpus
from builders import experiment, run
from cli.console import on_sqlite
from databases import Database
from formats.configs import Config
from promptlooper_export.configs import JSON
from promptlooper_export.errors import SettingsError
from promptlooper_export.redaction import configure
from promptlooper_export.runs import StageResult
from promptlooper_export.settings import load
from webservice import Service, problem, settings_for

ALL = ("export:best", "export:report", "export:runs")
UNREDACTED = (*ALL, "export:unredacted")

PLANTED = {
    **dict(list(corpus.SHAPES.items())[:16]),
    "by key": "plain" + corpus.some(20),
    "by key in a list": "listed" + corpus.some(20),
    "user-info": "userinfo" + corpus.some(20),
    "name": corpus.SHAPES["JWT"],
}


def config(number: int) -> JSON:
    shapes = list(PLANTED.items())
    return {
        "api_key": PLANTED["by key"],
        "providers": [{"client_secret": PLANTED["by key in a list"]}, number],
        "database": f"postgresql://me:{PLANTED['user-info']}@host/db",
        "prompt": "Use " + " or ".join(secret for _, secret in shapes[:5]),
        "nested": {"deep": [[{"er": secret}] for _, secret in shapes[5:10]]},
        **{secret: "key" for _, secret in shapes[10:16]},
        "max_tokens": 512,
    }


@pytest.fixture
def id_(database: Database) -> UUID:
    text = " ".join(set(PLANTED.values()) & set(corpus.SHAPES.values()))
    stage = StageResult(
        stage_name="s", output=text, tokens_in=None, tokens_out=None, duration_ms=None
    )
    loaded = experiment(
        run({"a": 0.9}, config=config(1), error=text, tags=[text], name=text,
            stage_results=(stage,)),
        run({"a": 0.8}, config=config(2)),
        run({"a": 0.7}, config={"max_tokens": 1}),
        name=f"with {PLANTED['name']}",
        description=text,
        parameter_space={"api_key": [PLANTED["by key"]], "url": text},
        scoring_config={"weights": {"a": 1}, "judge": {"token": PLANTED["by key"]}},
    )  # fmt: skip
    database.load(loaded)
    return loaded.id


@pytest.fixture
def service(database: Database) -> Service:
    return Service(settings_for(database.url))


def leaked(text: str) -> list[str]:
    unescaped = re.sub(r"\\u002[dD]", "-", text)
    return [
        name
        for name, secret in PLANTED.items()
        if secret in unescaped or json.dumps(secret)[1:-1] in unescaped
    ]


def text_of(response: TestResponse) -> str:
    """Return the text of a body, also of one that is packed."""
    body = response.get_data()
    if body.startswith(b"PK"):
        with ZipFile(io.BytesIO(body)) as archive:
            return "".join(archive.read(name).decode() for name in archive.namelist())
    if body.startswith(b"PAR1"):
        table = parquet.read_table(io.BytesIO(body))
    elif body.startswith(b"\xff\xff\xff\xff"):
        table = pa.ipc.open_stream(io.BytesIO(body)).read_all()
    else:
        return body.decode()
    return f"{table.to_pydict()} {table.schema.metadata}"


def test_no_format_no_list_and_no_log_has_a_secret(
    service: Service, id_: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    names = [
        row["name"] for row in service.client.get("/formats").get_json()["formats"]
    ]
    paths = [f"/experiments/{id_}/export?format={name}" for name in names]
    for path in [*paths, "/experiments"]:
        for headers in ({}, {"Accept": "text/html"}):
            response = service.ask(path, scopes=ALL, headers=dict(headers))
            # Terraform's names take no brackets.
            expected = 422 if path.endswith("=tfvars") else 200
            assert response.status_code == expected, path
            shown = text_of(response) + str(response.headers)
            assert leaked(shown) == [], path
    assert leaked(caplog.text) == []


def test_what_was_left_out_is_named_and_the_rest_stays(
    service: Service, id_: UUID
) -> None:
    document = service.ask(f"/experiments/{id_}/export?format=json").get_json()

    assert document["config"]["api_key"] == "[redacted]"
    assert document["config"]["max_tokens"] == 512
    named = {row["path"] for row in document["warnings"] if row["code"] == "redacted"}
    assert {"api_key", "providers.0.client_secret", "database", "prompt"} <= named


def test_secrets_are_sent_to_whoever_may_see_them_and_that_is_recorded(
    service: Service, id_: UUID, capfd: pytest.CaptureFixture[str]
) -> None:
    path = f"/experiments/{id_}/export?format=json&redact=off"

    response = service.ask(path, scopes=UNREDACTED, headers={"Accept-Encoding": "gzip"})

    assert response.status_code == 200
    assert response.get_json()["config"] == config(1)
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Encoding" not in response.headers
    log = capfd.readouterr().err
    [line] = [row for row in log.splitlines() if "SecretsExported" in row]
    for member in (
        f"request_id={response.headers['X-Request-ID']!r}",
        "subject='alice'",
        "client='127.0.0.1'",
        f"experiment='{id_}'",
        "format='json'",
    ):
        assert member in line
    assert leaked(log) == []


def test_a_record_can_be_json_and_is_one_line(
    service: Service, id_: UUID, capfd: pytest.CaptureFixture[str]
) -> None:
    url = service.settings.database_url
    served = Service(settings_for(url, LOG_FORMAT="json", TRUSTED_PROXIES="1"))
    subject = "ali\nce" * 700  # longer than a pipe takes at once
    response = served.ask(
        f"/experiments/{id_}/export?format=json&redact=off",
        subject=subject,
        scopes=UNREDACTED,
        headers={"X-Forwarded-For": "192.0.2.7"},
    )

    assert response.status_code == 200
    rows = map(json.loads, filter(is_record, capfd.readouterr().err.splitlines()))
    [record] = rows
    assert (record["event"], record["level"]) == ("SecretsExported", "warning")
    assert (record["subject"], record["client"]) == (subject, "192.0.2.7")


def is_record(line: str) -> bool:
    return "SecretsExported" in line


@contextmanager
def a_full_disk() -> Iterator[int]:
    with Path("/dev/full").open("wb") as device:
        yield device.fileno()


@contextmanager
def a_pipe_whose_reader_is_gone() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextmanager
def a_pipe_that_nobody_reads() -> Iterator[int]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(1 << 16))
    os.set_blocking(writer, True)
    yield writer
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize(
    "broken", [a_full_disk, a_pipe_whose_reader_is_gone, a_pipe_that_nobody_reads]
)
def test_no_secret_is_sent_that_cannot_be_recorded(
    service: Service,
    id_: UUID,
    tmp_path: Path,
    broken: Callable[[], AbstractContextManager[int]],
) -> None:
    settings = settings_for(service.settings.database_url, SPOOL_DIR=str(tmp_path))
    served = Service(settings)
    path = f"/experiments/{id_}/export?format=json"
    kept = os.dup(2)
    try:
        with broken() as descriptor:
            os.dup2(descriptor, 2)
            refused = served.ask(f"{path}&redact=off", scopes=UNREDACTED)
            redacted = served.ask(path)
    finally:
        os.dup2(kept, 2)
        os.close(kept)

    problem(refused, 503, "audit-unavailable")
    assert refused.headers["Retry-After"] == "5"
    assert leaked(refused.text) == []
    assert redacted.status_code == 200
    assert served.ask(f"{path}&redact=off", scopes=UNREDACTED).status_code == 200


def test_secrets_need_a_scope_of_their_own_besides_the_document_s(
    service: Service, id_: UUID
) -> None:
    path = f"/experiments/{id_}/export?format=json&redact=off"
    for scopes in (ALL, ("export:admin", *ALL)):
        refused = problem(service.ask(path, scopes=scopes), 403, "forbidden")
        assert refused["scope"] == "export:unredacted"
    only = ("export:unredacted",)
    assert problem(service.ask(path, scopes=only), 403, "forbidden")["scope"] == (
        "export:best"
    )


def test_redact_is_on_or_off(service: Service, id_: UUID) -> None:
    path = f"/experiments/{id_}/export?redact="
    assert service.ask(f"{path}on").status_code == 200
    for value in ("", "0", "OFF", "no"):
        refused = problem(service.ask(f"{path}{value}"), 422, "invalid-parameter")
        assert refused["parameter"] == "redact"


def test_tags_differ_so_that_no_cache_mixes_the_two(
    service: Service, id_: UUID
) -> None:
    path = f"/experiments/{id_}/export?format=json"
    clean = service.ask(path, scopes=UNREDACTED)
    secret = service.ask(f"{path}&redact=off", scopes=UNREDACTED)
    assert clean.headers["ETag"] != secret.headers["ETag"]

    again = service.ask(
        f"{path}&redact=off",
        scopes=UNREDACTED,
        headers={"If-None-Match": secret.headers["ETag"]},
    )
    assert (again.status_code, again.headers["Cache-Control"]) == (304, "no-store")


@on_sqlite
def test_a_config_that_cannot_be_read_is_refused_without_its_secrets(
    service: Service, database: Database
) -> None:
    secret = PLANTED["name"]
    broken = experiment(run({"a": 0.9}, text=f'{{"headers": {{"{secret}": NaN}}}}'))
    database.load(broken)
    row = run({"a": 0.9})
    nameless = experiment(row)
    database.load(nameless)
    database.execute(
        "UPDATE scores SET run_id = ? WHERE run_id = ?", secret, row.id.hex
    )
    database.execute("UPDATE runs SET id = ? WHERE id = ?", secret, row.id.hex)
    for id_, slug in ((broken.id, "invalid-config"), (nameless.id, "unreadable-row")):
        response = service.ask(f"/experiments/{id_}/export?format=json")
        problem(response, 422, slug)
        text = response.get_data(as_text=True)
        assert secret[:20] not in text
        assert "[redacted]" in text
    report = service.ask(f"/experiments/{broken.id}/export?format=markdown")
    assert secret[:20] not in report.get_data(as_text=True)


@on_sqlite
@pytest.mark.parametrize("level", ["[]", '{"a":}'])
@pytest.mark.parametrize("key", ["a", "password"])
def test_a_secret_is_left_out_beside_and_below_500_levels_of_nesting(
    service: Service, database: Database, level: str, key: str
) -> None:
    secret = PLANTED["by key"]
    deep = level[:-1] * 499 + f'"{secret if key == "password" else ""}"'
    text = f'{{"api_key": "{secret}", "{key}": {deep}{level[-1] * 499}}}'
    loaded = experiment(run({"a": 0.9}, text=text))
    database.load(loaded)

    for name in ("json", "html", "ndjson", "csv", "parquet", "xlsx"):
        path = f"/experiments/{loaded.id}/export?format={name}"
        response = service.ask(path, scopes=ALL)
        assert response.status_code == 200, name
        assert secret.encode() not in response.get_data(), name


@on_sqlite
def test_tables_have_the_values_of_all_keys_that_become_equal(
    service: Service, database: Database
) -> None:
    first, second, third = (PLANTED[key] for key in list(PLANTED)[:3])
    configs: list[JSON] = [
        {first: 1, second: {"a": 2}},
        {second: {"a": 3, third: 4}, first: 5},
        {"[redacted] 2": 6, first: 7, third: 8},
    ]
    loaded = experiment(*(run({"a": 0.9}, config=config) for config in configs))
    database.load(loaded)
    path = f"/experiments/{loaded.id}/export?format="

    for name in ("csv", "parquet", "arrow", "xlsx"):
        assert service.ask(f"{path}{name}").status_code == 200, name
    header, *rows = csv.reader(io.StringIO(service.ask(f"{path}csv").text))
    found = [
        {name: cell for name, cell in zip(header, row, strict=True) if cell}
        for row in rows
    ]
    columns = {name for name in header if name.startswith("config.")}
    assert columns == {
        'config."[redacted]"',
        'config."[redacted]".a',
        'config."[redacted]"."[redacted]"',
        'config."[redacted] 2"',
        'config."[redacted] 2".a',
        'config."[redacted] 3"',
    }
    assert [
        {name: cell for name, cell in row.items() if name in columns} for row in found
    ] == [
        {'config."[redacted]"': "1", 'config."[redacted] 2".a': "2"},
        {
            'config."[redacted]".a': "3",
            'config."[redacted]"."[redacted]"': "4",
            'config."[redacted] 2"': "5",
        },
        {
            'config."[redacted] 2"': "6",
            'config."[redacted]"': "7",
            'config."[redacted] 3"': "8",
        },
    ]


@on_sqlite
def test_a_format_that_fails_with_secrets_leaves_none_in_the_log(
    database: Database,
    id_: UUID,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = "def render(best):\n    raise ValueError([*best.config.values()])"
    plugins.install(tmp_path, {"tells": f"{text}\nFORMAT = declare('tells', render)\n"})
    monkeypatch.syspath_prepend(tmp_path)
    service = Service(settings_for(database.url))

    path = f"/experiments/{id_}/export?format=tells&redact=off"
    problem(service.ask(path, scopes=UNREDACTED), 500, "format-failed")

    assert leaked(caplog.text) == []
    assert "tells.py" in caplog.text


@pytest.fixture
def _as_before() -> Iterator[None]:
    yield
    configure()


@on_sqlite
@pytest.mark.usefixtures("_as_before")
def test_an_operator_adds_patterns_and_exceptions(database: Database) -> None:
    config: Config = {
        "note": "ACME-12345678",
        "seed_token": "s33d-w0rds",
        "n": "ACME-1",
    }
    loaded = experiment(run({"a": 0.9}, config=config))
    database.load(loaded)
    path = f"/experiments/{loaded.id}/export?format=json"

    plain = Service(settings_for(database.url)).ask(path).get_json()["config"]
    assert plain == {**config, "seed_token": "[redacted]"}

    own = {"REDACT_PATTERNS": "^ACME-[0-9]{8}$\nXYZ", "REDACT_KEEP": "seed_token, b"}
    set_up = Service(settings_for(database.url, **own))
    assert set_up.ask(path).get_json()["config"] == {**config, "note": "[redacted]"}


@pytest.mark.parametrize("pattern", ["(", "a*"])
def test_a_pattern_that_cannot_work_starts_nothing(pattern: str) -> None:
    with pytest.raises(SettingsError, match="PROMPTLOOPER_REDACT_PATTERNS has"):
        load({"PROMPTLOOPER_REDACT_PATTERNS": pattern})
