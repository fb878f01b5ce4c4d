"""An export ends in time, wherever its time goes, and a bug is no reason to wait."""

import pytest
from peewee import PeeweeException

from builders import experiment, run
from databases import Database
from promptlooper_export.store.connection import open_for_reading, reading
from webservice import Service, problem, settings_for

ENDLESS = """
CREATE VIEW scores AS
WITH RECURSIVE turns (number) AS (
    SELECT 1 UNION ALL SELECT number % 7 + 1 FROM turns
)
SELECT kept.* FROM kept CROSS JOIN turns
"""


@pytest.mark.parametrize("name", ["json", "report-json", "ndjson"])
def test_a_statement_without_end_is_given_up(database: Database, name: str) -> None:
    loaded = experiment(run({"accuracy": 0.5}))
    database.load(loaded)
    database.execute("ALTER TABLE scores RENAME TO kept")
    database.execute(ENDLESS)
    service = Service(settings_for(database.url, RENDER_TIMEOUT="1"))

    answer = service.ask(f"/experiments/{loaded.id}/export?format={name}")

    problem(answer, 504, "format-timeout")
    # Its connection was given back, and serves others.
    assert service.ask("/experiments").status_code == 200


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nothing FROM runs"])
def test_a_wrong_statement_is_not_the_fault_of_the_database(
    database: Database, sql: str
) -> None:
    opened = open_for_reading(database.url)
    with pytest.raises(PeeweeException), reading(opened) as session:
        session.all(sql)
