"""Entity tags and preconditions: RFC 9110, sections 8.8.3 and 13."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from builders import EPOCH, experiment, restart, run
from databases import Database
from promptlooper_export.store.migrate import migrate
from promptlooper_export.web import conditional
from webservice import Service, problem, settings_for

CLOCKED = ("json", "env", "yaml", "markdown")
RUNS = ("csv", "ndjson")
FORMATS = (*CLOCKED, *RUNS)
ALWAYS = "Tue, 01 Jan 2030 00:00:00 GMT"
LONG_AGO = "Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.fixture
def id_(database: Database) -> UUID:
    loaded = experiment(
        run({"accuracy": 0.9}, config={"model": "large", "prompt": "x" * 2000}),
        run({"accuracy": 0.5}, config={"model": "small", "prompt": "y" * 2000}),
        run(status="failed"),
    )
    database.load(loaded)
    return loaded.id


def strong(id_: UUID, name: str = "json") -> str:
    return f"/experiments/{id_}/export?format={name}&reproducible=1"


def weak(id_: UUID, name: str = "json") -> str:
    return f"/experiments/{id_}/export?format={name}"


def tag_of(service: Service, path: str) -> str:
    response = service.ask(path)
    assert response.status_code == 200
    return response.headers["ETag"]


@pytest.mark.parametrize("name", CLOCKED)
def test_an_export_with_a_clock_has_a_weak_tag_that_outlives_it(
    service: Service, id_: UUID, name: str
) -> None:
    first, second = service.ask(weak(id_, name)), service.ask(weak(id_, name))

    assert re.fullmatch(r'W/"[\w-]+"', first.headers["ETag"], re.ASCII)
    assert first.headers["ETag"] == second.headers["ETag"]
    assert first.data != second.data
    assert first.headers["Accept-Ranges"] == "none"


@pytest.mark.parametrize("name", FORMATS)
def test_a_reproducible_export_has_a_strong_tag_and_the_same_bytes(
    service: Service, id_: UUID, name: str
) -> None:
    first, second = service.ask(strong(id_, name)), service.ask(strong(id_, name))

    assert re.fullmatch(r'"[\w-]+"', first.headers["ETag"], re.ASCII)
    assert first.headers["ETag"] == second.headers["ETag"]
    assert first.data == second.data
    assert first.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("name", RUNS)
def test_a_document_of_runs_is_strong_and_counted(
    service: Service, id_: UUID, name: str
) -> None:
    whole = service.ask(weak(id_, name))
    tag = whole.headers["ETag"]

    assert whole.headers["X-Row-Count"] == "3"
    assert re.fullmatch(r'"[\w-]+"', tag, re.ASCII)
    resumed = {"Range": "bytes=9-", "If-Range": tag}
    rest = service.ask(weak(id_, name), headers=resumed)
    assert rest.status_code == 206
    assert rest.data == whole.data[9:]
    held = service.ask(weak(id_, name), headers={"If-None-Match": tag})
    assert held.status_code == 304
    assert "X-Row-Count" not in service.ask(weak(id_)).headers


def test_reproducible_names_the_datas_last_change(
    service: Service, database: Database
) -> None:
    late = EPOCH.replace(month=3, microsecond=250000)
    loaded = experiment(run({"accuracy": 0.9}, updated_at=late))
    database.load(loaded)

    document = service.ask(strong(loaded.id)).get_json()

    assert document["exported_at"] == "2026-03-01T00:00:00.250000Z"


@pytest.mark.parametrize("value", ["", "2", "true", "yes"])
def test_reproducible_is_0_or_1(service: Service, id_: UUID, value: str) -> None:
    path = f"/experiments/{id_}/export?reproducible={value}"
    document = problem(service.ask(path), 422, "invalid-parameter")

    assert document["parameter"] == "reproducible"
    assert document["allowed"] == ["0", "1"]


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_data_give_the_same_bytes_in_any_database(
    database: Database, empty_database: Database, name: str
) -> None:
    migrate(empty_database.url, create=True)
    bodies = set()
    for place in (database, empty_database):
        restart()
        loaded = experiment(
            *(
                run({"accuracy": value, "fluency": [value, 1.0]}, cost_usd=value)
                for value in (0.1, 0.7, 0.3)
            )
        )
        place.load(loaded)
        bodies.add(Service(settings_for(place.url)).ask(strong(loaded.id, name)).data)

    assert len(bodies) == 1


# Conditions and a status, in the terms of the strong tag "T" of what is asked for.
CONDITIONS: list[tuple[dict[str, str], int]] = [
    ({"If-None-Match": '"T"'}, 304),
    ({"If-None-Match": 'W/"T"'}, 304),
    ({"If-None-Match": '"other"'}, 200),
    ({"If-None-Match": '"other", "T"'}, 304),
    ({"If-None-Match": '"a,b" ,\tW/"T", "c"'}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"*"'}, 200),
    ({"If-None-Match": ""}, 200),
    ({"If-None-Match": '"other"', "If-Modified-Since": ALWAYS}, 200),
    ({"If-None-Match": '"T"', "If-Modified-Since": LONG_AGO}, 304),
    ({"If-Modified-Since": ALWAYS}, 200),
    ({"If-Unmodified-Since": LONG_AGO}, 200),
    ({"If-Match": '"T"'}, 200),
    ({"If-Match": "*"}, 200),
    ({"If-Match": '"other", "T"'}, 200),
    ({"If-Match": 'W/"T"'}, 412),
    ({"If-Match": '"other"'}, 412),
    ({"If-Match": '"T"', "If-None-Match": '"T"'}, 304),
    ({"If-Match": '"T"', "If-None-Match": '"other"'}, 200),
    ({"If-Match": '"other"', "If-None-Match": '"T"'}, 412),
    ({"If-Match": '"other"', "If-None-Match": "*"}, 412),
    ({"If-Match": '"T"', "If-Unmodified-Since": LONG_AGO}, 200),
    ({"Range": "bytes=0-3"}, 206),
    ({"Range": "bytes=0-3", "If-None-Match": '"T"'}, 304),
    ({"Range": "bytes=0-3", "If-None-Match": "*"}, 304),
    ({"Range": "bytes=0-3", "If-None-Match": '"other"'}, 206),
    ({"Range": "bytes=0-3", "If-Match": '"T"'}, 206),
    ({"Range": "bytes=0-3", "If-Match": '"other"'}, 412),
    ({"Range": "bytes=0-3", "If-Range": '"T"'}, 206),
    ({"Range": "bytes=0-3", "If-Range": 'W/"T"'}, 200),
    ({"Range": "bytes=0-3", "If-Range": '"other"'}, 200),
    ({"Range": "bytes=0-3", "If-Range": '"T", "T"'}, 200),
    ({"Range": "bytes=0-3", "If-Range": "*"}, 200),
    ({"Range": "bytes=0-3", "If-Range": ALWAYS}, 200),
    ({"Range": "bytes=0-3", "If-Range": ""}, 200),
    ({"Range": "bytes=99999-"}, 416),
    ({"Range": "bytes=99999-", "If-None-Match": '"T"'}, 304),
    ({"Range": "bytes=99999-", "If-Match": '"other"'}, 412),
    ({"Range": "bytes=99999-", "If-Range": '"other"'}, 200),
    ({"If-Range": '"T"'}, 200),
]


@pytest.mark.parametrize(("conditions", "status"), CONDITIONS)
def test_preconditions_come_in_the_order_of_the_rfc(
    service: Service, id_: UUID, conditions: dict[str, str], status: int
) -> None:
    tag = tag_of(service, strong(id_)).strip('"')
    headers = {
        name: value.replace('"T"', f'"{tag}"') for name, value in conditions.items()
    }
    response = service.ask(strong(id_), headers=headers)
    without_body = service.ask(strong(id_), method="HEAD", headers=headers)

    assert response.status_code == status
    # HEAD knows no ranges.
    assert without_body.status_code == (200 if status in (206, 416) else status)
    assert response.headers["ETag"] == without_body.headers["ETag"] == f'"{tag}"'


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({"If-None-Match": 'W/"T"'}, 304),
        ({"If-None-Match": '"T"'}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": "*"}, 304),
        ({"If-Match": 'W/"T"'}, 412),
        ({"If-Match": '"T"'}, 412),
        ({"If-Match": "*"}, 200),
        ({"Range": "bytes=0-3"}, 200),
        ({"Range": "bytes=99999-"}, 200),
        ({"Range": "bytes=0-3", "If-Range": 'W/"T"'}, 200),
        ({"Range": "bytes=0-3", "If-Range": '"T"'}, 200),
        ({"Range": "bytes=0-3", "If-None-Match": 'W/"T"'}, 304),
    ],
)
def test_a_weak_tag_serves_if_none_match_only(
    service: Service, id_: UUID, conditions: dict[str, str], status: int
) -> None:
    tag = tag_of(service, weak(id_)).removeprefix("W/").strip('"')
    headers = {
        name: value.replace('"T"', f'"{tag}"') for name, value in conditions.items()
    }
    assert service.ask(weak(id_), headers=headers).status_code == status


def test_not_modified_has_the_fields_that_a_cache_needs(
    service: Service, id_: UUID
) -> None:
    path = f"/experiments/{id_}/export"
    accept = {"Accept": "application/yaml"}
    whole = service.ask(path, headers=accept)
    answer = service.ask(
        path, headers=accept | {"If-None-Match": whole.headers["ETag"]}
    )

    assert answer.status_code == 304
    assert answer.data == b""
    for name in ("ETag", "Vary", "Content-Location", "Cache-Control"):
        assert answer.headers[name] == whole.headers[name]
    for name in ("Content-Type", "Content-Length", "Content-Encoding", "Repr-Digest"):
        assert name not in answer.headers


def test_a_failed_precondition_is_a_problem_with_the_tag(
    service: Service, id_: UUID
) -> None:
    response = service.ask(strong(id_), headers={"If-Match": '"other"'})
    document = problem(response, 412, "precondition-failed")

    assert response.headers["ETag"] == document["etag"] == tag_of(service, strong(id_))


OF_THE_BEST = {"json", "env", "yaml"}
OF_RUNS = {"csv", "ndjson"}
CHANGES = {
    "UPDATE experiments SET name = 'another' WHERE id = ?": OF_RUNS,
    "UPDATE runs SET tokens_in = 7 WHERE experiment_id = ?": OF_THE_BEST,
    "DELETE FROM runs WHERE status = 'failed' AND experiment_id = ?": OF_THE_BEST,
}
"""Changes, each with the formats whose document does not hold it."""


@pytest.mark.parametrize("name", FORMATS)
def test_the_tag_changes_with_the_data_and_with_nothing_else(
    service: Service, database: Database, id_: UUID, name: str
) -> None:
    other = experiment(run({"accuracy": 0.9}), run(status="failed"))
    database.load(other)
    for change, blind in CHANGES.items():
        before = tag_of(service, weak(id_, name)), tag_of(service, strong(id_, name))
        database.execute(change, other.id)
        after = tag_of(service, weak(id_, name)), tag_of(service, strong(id_, name))
        assert after == before
        database.execute(change, id_)
        after = tag_of(service, weak(id_, name)), tag_of(service, strong(id_, name))
        if name in blind:
            assert after == before
        else:
            assert not set(after) & set(before)


def test_every_representation_has_a_tag_of_its_own(
    service: Service, database: Database, id_: UUID
) -> None:
    twin = experiment(
        run({"accuracy": 0.9}, config={"model": "large", "prompt": "x" * 2000})
    )
    database.load(twin)
    paths = [
        f"/experiments/{one}/export?{query}"
        for one in (id_, twin.id)
        for query in (
            *(f"format={name}" for name in FORMATS),
            *(f"format={name}&reproducible=1" for name in FORMATS),
            "format=markdown&top_n=1",
        )
    ]
    tags = [tag_of(service, path).removeprefix("W/") for path in paths]
    tags += [
        service.ask(f"/experiments/{id_}/export", headers={"Accept": alias}).headers[
            "ETag"
        ]
        for alias in ("text/yaml", "application/x-yaml", "text/x-yaml")
    ]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ("format=markdown", "format=markdown&top_n=5"),
        ("format=markdown", "top_n=5&format=markdown&reproducible=0"),
        (
            "format=markdown&top_n=2&reproducible=1",
            "reproducible=1&top_n=2&format=markdown",
        ),
        ("format=json", ""),
    ],
)
def test_the_order_of_parameters_and_named_defaults_do_not_matter(
    service: Service, id_: UUID, query: str, same: str
) -> None:
    path = f"/experiments/{id_}/export?"
    assert tag_of(service, path + query) == tag_of(service, path + same)


WITH_OPTIONS = """
from marshmallow import Schema, fields
from promptlooper_export.plugin import Best, Format
def render(best: Best, *, level, mark):
    yield f"{level} {mark}".encode()
class Options(Schema):
    level = fields.Integer(load_default=1)
    mark = fields.String(load_default="")
FORMAT = Format(name="stranger", title="t", document=Best, render=render,
    media_types=("text/x-stranger",), extension="txt", options=Options)
"""


def test_the_options_of_a_format_decide_the_tag(
    database: Database, id_: UUID, install_format: Callable[[str], None]
) -> None:
    install_format(WITH_OPTIONS)
    service = Service(settings_for(database.url))

    def tag(query: str) -> str:
        return tag_of(service, f"{weak(id_, 'stranger')}{query}")

    assert tag("") == tag("&level=1") == tag("&mark=&level=1") == tag("&level=01")
    assert tag("&mark=a&level=2") == tag("&level=2&mark=a")
    queries = ("", "&level=2", "&mark=a", "&mark=1", "&level=2&mark=a")
    assert len(set(map(tag, queries))) == len(queries)


def test_a_new_version_of_the_service_changes_every_tag(
    service: Service, id_: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tag_of(service, strong(id_))
    monkeypatch.setattr(conditional, "__version__", "99.0")
    assert tag_of(service, strong(id_)) != before


COUNTING = """
import pathlib
from promptlooper_export.plugin import Best, Format
def render(best: Best):
    with pathlib.Path({log!r}).open("a") as log:
        log.write("x")
    yield best.run_id.hex.encode()
FORMAT = Format(name="counting", title="t", document=Best, render=render,
    media_types=("text/x-counting",), extension="txt")
"""


def test_not_modified_is_answered_without_rendering(
    database: Database,
    id_: UUID,
    install_format: Callable[[str], None],
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    install_format(COUNTING.format(log=str(log)))
    service = Service(settings_for(database.url))
    tag = tag_of(service, weak(id_, "counting"))
    for method in ("GET", "HEAD"):
        for field in (tag, f'"other", {tag}'):
            response = service.ask(
                weak(id_, "counting"), method=method, headers={"If-None-Match": field}
            )
            assert response.status_code == 304
    assert log.read_text() == "x"
    service.ask(weak(id_, "counting"), headers={"If-None-Match": '"other"'})
    assert log.read_text() == "xx"


@pytest.mark.parametrize("field", ["If-None-Match", "If-Match"])
@pytest.mark.parametrize("value", ["tag", "*", '"other"'])
def test_no_precondition_hides_a_refusal(
    service: Service, database: Database, id_: UUID, field: str, value: str
) -> None:
    def ask(path: str, **claims: tuple[str, ...]) -> TestResponse:
        return service.ask(path, headers=headers, scopes=claims.get("scopes", ALL))

    headers = {field: tag_of(service, weak(id_)) if value == "tag" else value}
    path = f"/experiments/{id_}/export"
    assert service.client.get(path, headers=headers).status_code == 401
    problem(ask(f"{path}?top_n=x"), 422, "invalid-parameter")
    problem(ask(f"{path}?dialect=posix"), 422, "invalid-parameter")
    problem(ask(path, scopes=("export:report",)), 403, "forbidden")
    problem(ask(weak(UUID(int=9))), 404, "experiment-not-found")
    database.execute("DELETE FROM scores")
    problem(ask(path), 404, "no-scored-runs")


ALL = ("export:best", "export:report", "export:runs")


def test_a_tag_does_not_tell_whether_a_forbidden_experiment_exists(
    service: Service, id_: UUID
) -> None:
    tag = tag_of(service, weak(id_))
    response = service.ask(
        weak(id_), headers={"If-None-Match": tag}, experiments=(UUID(int=1),)
    )
    problem(response, 404, "experiment-not-found")


def test_every_resource_has_get_head_and_options(service: Service, id_: UUID) -> None:
    known = {"experiment": str(id_), "slug": "unauthorized"}
    for rule in service.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()):
            continue
        values = {name: known.get(name, "best") for name in rule.arguments}
        path = service.app.url_map.bind("localhost").build(rule.endpoint, values)
        get, head = service.ask(path), service.ask(path, method="HEAD")
        assert (head.status_code, head.data) == (get.status_code, b"")
        assert head.content_type == get.content_type
        assert head.content_length == get.content_length == len(get.data)
        assert set(head.headers.keys()) == set(get.headers.keys())
        options = service.client.options(path)
        assert {"GET", "HEAD", "OPTIONS"} <= set(options.allow), path


def test_default_answers_repeat_nothing_of_the_query(
    service: Service, id_: UUID
) -> None:
    for name in FORMATS:
        with_defaults = service.ask(strong(id_, name)).data
        path = f"/experiments/{id_.hex.upper()}/export?reproducible=1&format={name}"
        assert service.ask(path).data == with_defaults
    assert json.loads(service.ask(strong(id_)).data)
