"""Answers that are made of what an earlier one left, as long as nothing has changed."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from builders import experiment, run
from databases import Database
from promptlooper_export.documents import Best
from promptlooper_export.registry import discover
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.state import grant, revoke
from webservice import Service, settings_for, without_clock

FORMATS = [name for name, one in discover().formats.items() if one.document is Best]

DAYS = """
from promptlooper_export.plugin import Best, Format

def render(best):
    render.count = getattr(render, "count", 0) + 1
    return f"{best.exported_at:%A} {best.exported_at.microsecond}".encode()

FORMAT = Format(
    name="days", title="Days", document=Best, media_types=("text/x-days",),
    extension="days", render=render,
)
"""

FORGET = {
    "sqlite": [
        "DROP TABLE export_migrations",
        "DROP TABLE export_grants",
        "DROP TABLE export_revoked_tokens",
    ],
    "postgresql": ["DROP SCHEMA promptlooper_export CASCADE"],
}
"""What makes a database of ours one that the runner may have made."""


@pytest.fixture
def id_(database: Database) -> UUID:
    loaded = experiment(
        run({"a": 0.5}, config={"model": "large", "big": 2**60}), run({"b": 0.25})
    )
    database.load(loaded)
    return loaded.id


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("query", ["", "&reproducible=1", "&redact=off"])
def test_a_kept_answer_differs_from_a_new_one_in_its_time_only(
    service: Service, id_: UUID, name: str, query: str
) -> None:
    path = f"/experiments/{id_}/export?format={name}{query}"
    scopes = ("export:best", "export:unredacted")
    answers = [service.ask(path, scopes=scopes) for _ in range(3)]
    assert answers[0].status_code == 200
    own = {"Date", "X-Request-ID", "Repr-Digest", "Content-Length"}
    for answer in answers[1:]:
        assert without_clock(answer.data) == without_clock(answers[0].data)
        assert {
            field: value for field, value in answer.headers.items() if field not in own
        } == {
            field: value
            for field, value in answers[0].headers.items()
            if field not in own
        }
        assert len(answer.data) == answer.content_length


def test_a_kept_answer_says_when_it_was_sent(service: Service, id_: UUID) -> None:
    path = f"/experiments/{id_}/export?format=json"
    service.ask(path)
    before = datetime.now(UTC)
    document = service.ask(path).get_json()
    assert before <= datetime.fromisoformat(document["exported_at"])
    assert datetime.fromisoformat(document["exported_at"]) <= datetime.now(UTC)


def test_whatever_changes_shows_at_once(
    service: Service, id_: UUID, database: Database
) -> None:
    path = f"/experiments/{id_}/export?format=json"
    tag = ""
    for score in (0.75, 0.5, 1.0):
        database.execute("UPDATE scores SET value = ? WHERE scorer_name = 'a'", score)
        assert service.ask(path).get_json()["weighted_score"] == score
        changed = service.ask(path, headers={"If-None-Match": tag})
        assert changed.get_json()["weighted_score"] == score
        tag = changed.headers["ETag"]
        same = service.ask(path, headers={"If-None-Match": tag})
        assert same.status_code == 304


@pytest.fixture(params=["of its own", "named", "the runner's"])
def state(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path
) -> tuple[Database, str | None]:
    """Give a database with an experiment, and the URL of its grants if it is named."""
    if request.param == "named":
        url = f"sqlite:///{tmp_path / 'state.db'}"
        migrate(database.url, state_url=url)
        return database, url
    if request.param == "the runner's":  # on SQLite, the grants are beside it
        for statement in FORGET[database.kind]:
            database.execute(statement)
        migrate(database.url)
    return database, None


def test_a_kept_answer_is_for_those_only_who_may_see_it_now(
    id_: UUID, state: tuple[Database, str | None]
) -> None:
    database, url = state
    named = {} if url is None else {"STATE_URL": url}
    service = Service(settings_for(database.url, **named))
    path = f"/experiments/{id_}/export?format=json"
    tag = service.ask(path).headers["ETag"]

    def statuses(subject: str) -> tuple[int, int]:
        conditional = {"If-None-Match": tag}
        return (
            service.ask(path, subject=subject).status_code,
            service.ask(path, subject=subject, headers=conditional).status_code,
        )

    assert statuses("eve") == (200, 304)
    grant(database.url, url, id_, "user:ada")
    assert [statuses("ada"), statuses("eve")] == [(200, 304), (404, 404)]
    grant(database.url, url, id_, "user:eve")
    assert statuses("eve") == (200, 304)
    revoke(database.url, url, id_, "user:eve")
    assert [statuses("eve"), statuses("ada")] == [(404, 404), (200, 304)]


def test_what_a_third_partys_format_writes_is_never_kept(
    database: Database, id_: UUID, install_format: Callable[[str], None]
) -> None:
    install_format(DAYS)
    service = Service(settings_for(database.url))
    path = f"/experiments/{id_}/export?format=days"
    bodies = {service.ask(path).data for _ in range(3)}
    assert len(bodies) == 3
