import base64
import gc
import hashlib
import json
from pathlib import Path
from uuid import UUID

import pytest

from builders import experiment, run
from databases import Database
from webservice import Service, problem, settings_for, without_clock, without_instance

JSON = "application/json"
CLASSIC = {
    "best": ("json", "application/json"),
    "env": ("env", "text/plain; charset=utf-8"),
    "yaml": ("yaml", "text/yaml; charset=utf-8"),
    "report": ("markdown", "text/markdown; charset=utf-8"),
}


@pytest.fixture
def id_(database: Database) -> UUID:
    """Give an experiment whose winner has a config."""
    loaded = experiment(
        run({"accuracy": 0.9}, config={"model": "large", "temperature": 0.25}),
        run({"accuracy": 0.5}, config={"model": "small", "temperature": 0.75}),
        name="summaries",
    )
    database.load(loaded)
    return loaded.id


@pytest.mark.parametrize("segment", CLASSIC)
def test_a_classic_path_answers_the_bytes_of_its_format(
    service: Service, id_: UUID, segment: str
) -> None:
    format_name, content_type = CLASSIC[segment]
    classic = service.ask(f"/api/export/experiments/{id_}/{segment}")
    by_name = service.ask(f"/experiments/{id_}/export?format={format_name}")

    assert classic.status_code == by_name.status_code == 200
    assert classic.content_type == content_type
    assert without_clock(classic.data) == without_clock(by_name.data)
    assert classic.headers["Vary"] == "Accept-Encoding"
    assert "Content-Location" not in classic.headers


def test_the_best_run_is_a_json_document(service: Service, id_: UUID) -> None:
    document = service.ask(f"/experiments/{id_}/export").get_json()

    assert list(document) == [
        "experiment_name",
        "experiment_id",
        "exported_at",
        "weighted_score",
        "scores",
        "run_id",
        "config_hash",
        "config",
        "warnings",
    ]
    assert document["experiment_name"] == "summaries"
    assert document["experiment_id"] == str(id_)
    assert document["scores"] == {"accuracy": 0.9}
    assert document["config"] == {"model": "large", "temperature": 0.25}


@pytest.mark.parametrize(
    ("accept", "name", "content_type"),
    [
        (None, "json", JSON),
        ("", "json", JSON),
        ("*/*", "json", JSON),
        ("application/json; charset=utf-8", "json", JSON),
        ("text/plain", "env", "text/plain; charset=utf-8"),
        ("application/yaml", "yaml", "application/yaml"),
        ("text/yaml", "yaml", "text/yaml; charset=utf-8"),
        ("application/x-yaml;q=0.5", "yaml", "application/x-yaml"),
        ("text/markdown, */*;q=0.1", "markdown", "text/markdown; charset=utf-8"),
        ("text/rtf;q=0.9, text/plain;q=0.2", "env", "text/plain; charset=utf-8"),
    ],
)
def test_accept_chooses_the_format(
    service: Service, id_: UUID, accept: str | None, name: str, content_type: str
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    response = service.ask(f"/experiments/{id_}/export", headers=headers)

    assert response.status_code == 200
    assert response.content_type == content_type
    assert response.headers["Vary"] == "Accept, Accept-Encoding"
    location = f"/experiments/{id_}/export?format={name}"
    assert response.headers["Content-Location"] == location
    assert without_clock(service.ask(location).data) == without_clock(response.data)


def test_a_named_format_wins_and_accept_is_not_read(
    service: Service, id_: UUID
) -> None:
    response = service.ask(
        f"/experiments/{id_}/export?format=yaml", headers={"Accept": "image/png"}
    )

    assert response.status_code == 200
    assert response.content_type == "application/yaml"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert "Content-Location" not in response.headers


def test_content_location_keeps_the_other_parameters(
    service: Service, id_: UUID
) -> None:
    response = service.ask(
        f"/experiments/{id_.hex}/export?top_n=1", headers={"Accept": "text/markdown"}
    )

    location = f"/experiments/{id_}/export?format=markdown&top_n=1"
    assert response.headers["Content-Location"] == location


@pytest.mark.parametrize(
    "accept", ["image/png", "text/csv;q=0", "application/xml, text/x-foo", "*/*;q=0"]
)
def test_nothing_acceptable_is_a_problem_with_the_way_out(
    service: Service, id_: UUID, accept: str
) -> None:
    path = f"/experiments/{id_}/export"
    response = service.ask(path, headers={"Accept": accept})
    document = problem(response, 406, "not-acceptable")

    assert response.headers["Vary"] == "Accept"
    assert "malformed" not in document
    available = {row["name"]: row for row in document["available"]}
    assert {"json", "env", "yaml", "markdown"} <= set(available)
    for name, row in available.items():
        assert row["url"] == f"{path}?format={name}"
        named = service.ask(row["url"], headers={"Accept": accept})
        assert named.status_code == 200
        assert named.mimetype == row["media_types"][0]
        link = f'<{row["url"]}>; rel="alternate"; type="{row["media_types"][0]}"'
        assert link in response.headers["Link"]


def test_a_malformed_accept_is_quoted(service: Service, id_: UUID) -> None:
    accept = "yaml, */*;q=high"
    response = service.ask(f"/experiments/{id_}/export", headers={"Accept": accept})

    assert problem(response, 406, "not-acceptable")["malformed"] == "yaml"


@pytest.mark.parametrize("query", ["", "?format=env", "?format=markdown"])
def test_the_body_comes_with_its_length_and_digest(
    service: Service, id_: UUID, query: str
) -> None:
    response = service.ask(f"/experiments/{id_}/export{query}")
    digest = base64.b64encode(hashlib.sha256(response.data).digest()).decode()

    assert response.content_length == len(response.data)
    assert response.headers["Repr-Digest"] == f"sha-256=:{digest}:"


@pytest.mark.parametrize("query", ["", "?format=yaml", "?format=pdf"])
def test_head_is_get_without_the_body(service: Service, id_: UUID, query: str) -> None:
    path = f"/experiments/{id_}/export{query}"
    get, head = service.ask(path), service.ask(path, method="HEAD")

    assert head.data == b""
    assert head.status_code == get.status_code
    assert head.content_length == get.content_length
    assert head.content_type == get.content_type
    assert set(head.headers.keys()) == set(get.headers.keys())


def test_options_tells_the_methods_without_a_token(service: Service) -> None:
    for path in ("/experiments/x/export", "/api/export/experiments/x/best"):
        response = service.client.options(path)
        assert response.status_code == 200
        assert set(response.allow) == {"GET", "HEAD", "OPTIONS"}


def test_a_missing_and_a_forbidden_experiment_look_the_same(
    service: Service, id_: UUID
) -> None:
    narrow = (UUID(int=1),)
    bodies = set()
    for path in (f"/experiments/{id_}/export", f"/experiments/{UUID(int=1)}/export"):
        for query in ("", "?format=env", "?format=markdown"):
            response = service.ask(path + query, experiments=narrow)
            document = problem(response, 404, "experiment-not-found")
            assert document["detail"] == "Experiment not found"
            bodies.add(without_instance(response.data))
    assert len(bodies) == 1


def test_without_scored_runs_there_is_no_best_but_a_report(
    service: Service, database: Database
) -> None:
    loaded = experiment(run(), run({"accuracy": 0.9}, status="failed"))
    database.load(loaded)
    for query in ("", "?format=env", "?format=yaml"):
        response = service.ask(f"/experiments/{loaded.id}/export{query}")
        document = problem(response, 404, "no-scored-runs")
        assert document["detail"] == "No completed runs with scores found"
    report = service.ask(f"/experiments/{loaded.id}/export?format=markdown")
    assert report.status_code == 200


def test_a_corrupt_config_is_refused_and_the_next_request_works(
    service: Service, database: Database, id_: UUID
) -> None:
    texts = ['{"a": 1e999}', "[1]", '"text"', "null"]
    if database.kind == "sqlite":  # PostgreSQL's json takes no other text
        texts += ['{"a": NaN}', '{"a": -Infinity}', "{", '{"a": 1', "", "\0"]
    for text in texts:
        corrupt = run({"accuracy": 0.9}, text=text)
        loaded = experiment(corrupt)
        database.load(loaded)
        for query in ("", "?format=env", "?format=yaml"):
            response = service.ask(f"/experiments/{loaded.id}/export{query}")
            document = problem(response, 422, "invalid-config")
            assert str(corrupt.id) in document["detail"]
        assert service.ask(f"/experiments/{id_}/export").status_code == 200


def test_scores_that_are_no_numbers_are_named_in_the_document(
    service: Service, database: Database
) -> None:
    loaded = experiment(
        run({"accuracy": 0.9}),
        run({"accuracy": float("nan")}),
        run({"accuracy": float("inf")}),
        run({"accuracy": None}),
    )
    database.load(loaded)
    response = service.ask(f"/experiments/{loaded.id}/export")

    document = json.loads(response.data, parse_constant=pytest.fail)
    assert document["scores"] == {"accuracy": 0.9}
    assert document["warnings"]
    for warning in document["warnings"]:
        assert warning["code"]
        assert warning["message"]


@pytest.mark.parametrize(
    ("scope", "query", "status"),
    [
        ("export:best", "", 200),
        ("export:best", "?format=env", 200),
        ("export:best", "?format=markdown", 403),
        ("export:report", "?format=markdown", 200),
        ("export:report", "", 403),
        ("export:admin", "", 403),
        ("export:bes", "", 403),
        ("export:report export:best", "", 200),
    ],
)
def test_the_scope_decides_which_documents_a_token_opens(
    service: Service, id_: UUID, scope: str, query: str, status: int
) -> None:
    path = f"/experiments/{id_}/export{query}"
    response = service.ask(path, scopes=(scope,))

    assert response.status_code == status
    if status == 403:
        needed = problem(response, 403, "forbidden")["scope"]
        challenge = f'Bearer error="insufficient_scope", scope="{needed}"'
        assert response.headers["WWW-Authenticate"] == challenge
        assert service.ask(path, scopes=(needed,)).status_code == 200


def test_top_n_bounds_the_report(service: Service, id_: UUID) -> None:
    path = f"/experiments/{id_}/export?format=markdown"
    one = service.ask(f"{path}&top_n=1").get_data(as_text=True)
    two = service.ask(f"{path}&top_n=2").get_data(as_text=True)

    assert len(two) > len(one)


def test_max_bytes_bounds_the_markdown_report(service: Service, id_: UUID) -> None:
    path = f"/experiments/{id_}/export?format=markdown"
    assert len(service.ask(f"{path}&max_bytes=500").data) <= 500
    document = problem(service.ask(f"{path}&max_bytes=499"), 422, "invalid-parameter")
    assert document["parameter"] == "max_bytes"
    assert "from 500" in document["detail"]


def test_a_body_too_large_for_the_spool_is_refused_with_another_way(
    database: Database,
) -> None:
    loaded = experiment(run({"accuracy": 1.0}, config={"prompt": "x" * 2000}))
    database.load(loaded)
    service = Service(settings_for(database.url, SPOOL_MAX_BYTES="1024"))
    document = problem(
        service.ask(f"/experiments/{loaded.id}/export"), 422, "export-too-large"
    )

    assert document["limit"] == 1024
    assert "promptlooper-export export" in document["detail"]


# A file that nobody closed warns where it is collected.
@pytest.mark.filterwarnings("error:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_sent_bodies_leave_no_file_behind(service: Service, database: Database) -> None:
    loaded = experiment(run({"accuracy": 1.0}, config={"prompt": "x" * (2 << 20)}))
    database.load(loaded)
    path = f"/experiments/{loaded.id}/export"

    def open_files() -> int:
        for method in ("GET", "HEAD"):
            response = service.ask(path, method=method)
            assert response.status_code == 200
            assert response.content_length > 2 << 20
            response.close()
        return len(list(Path("/proc/self/fd").iterdir()))

    gc.collect()  # what other tests left would go away in between
    before = open_files()
    assert [open_files() for _ in range(5)] == [before] * 5


def test_the_steps_before_the_experiment_come_in_their_order(
    service_without_database: Service,
) -> None:
    service = service_without_database
    path, no_id = f"/experiments/{UUID(int=1)}/export", "/experiments/no-id/export"
    nothing = {"Accept": "image/png"}

    problem(service.client.post(no_id), 405, "method-not-allowed")
    problem(service.client.get(f"{no_id}?top_n=x"), 401, "unauthorized")
    bad_id = service.ask(f"{no_id}?top_n=x", headers=nothing)
    assert problem(bad_id, 422, "invalid-parameter")["parameter"] == "id"
    bad_value = service.ask(f"{path}?top_n=x", headers=nothing)
    assert problem(bad_value, 422, "invalid-parameter")["parameter"] == "top_n"
    unacceptable = service.ask(
        f"{path}?foo=1", headers=nothing, scopes=("export:report",)
    )
    problem(unacceptable, 406, "not-acceptable")
    forbidden = service.ask(f"{path}?foo=1", scopes=("export:report",))
    problem(forbidden, 403, "forbidden")
    unknown = service.ask(f"{path}?foo=1")
    assert problem(unknown, 422, "invalid-parameter")["parameter"] == "foo"
    problem(service.ask(path), 503, "database-unavailable")
