"""How long it takes to import a study of Optuna, against the plainest reading of it.

The plainest reading holds all trials at once, in dicts, and checks nothing: no damage,
no text that is not Unicode, no state or distribution that it does not know.
"""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from timing import Row, alternate, cost_of

from promptlooper_export.importers.optuna import read
from promptlooper_export.store.migrate import migrate
from promptlooper_export.store.writer import write

TRIALS = 100_000
ROUNDS = 2

# As Optuna 5 declares them, as far as they are read.
TABLES = """
CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name VARCHAR(512));
CREATE TABLE study_directions (
    study_direction_id INTEGER PRIMARY KEY, direction VARCHAR(8), study_id INTEGER,
    objective INTEGER, UNIQUE (study_id, objective)
);
CREATE TABLE study_user_attributes (study_id INTEGER, "key" TEXT, value_json TEXT);
CREATE TABLE study_system_attributes (study_id INTEGER, "key" TEXT, value_json TEXT);
CREATE TABLE trials (
    trial_id INTEGER PRIMARY KEY, number INTEGER, study_id INTEGER, state VARCHAR(8),
    datetime_start DATETIME, datetime_complete DATETIME
);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE TABLE trial_params (
    param_id INTEGER PRIMARY KEY, trial_id INTEGER, param_name VARCHAR(512),
    param_value FLOAT, distribution_json TEXT, UNIQUE (trial_id, param_name)
);
CREATE TABLE trial_values (
    trial_value_id INTEGER PRIMARY KEY, trial_id INTEGER, objective INTEGER,
    value FLOAT, value_type VARCHAR(7), UNIQUE (trial_id, objective)
);
CREATE TABLE trial_intermediate_values (
    trial_intermediate_value_id INTEGER PRIMARY KEY, trial_id INTEGER, step INTEGER,
    intermediate_value FLOAT, intermediate_value_type VARCHAR(7),
    UNIQUE (trial_id, step)
);
CREATE TABLE trial_user_attributes (
    trial_user_attribute_id INTEGER PRIMARY KEY, trial_id INTEGER, "key" VARCHAR(512),
    value_json TEXT, UNIQUE (trial_id, "key")
);
CREATE TABLE trial_system_attributes (
    trial_system_attribute_id INTEGER PRIMARY KEY, trial_id INTEGER,
    "key" VARCHAR(512), value_json TEXT, UNIQUE (trial_id, "key")
);
INSERT INTO studies VALUES (1, 'bench');
INSERT INTO study_directions VALUES (1, 'MAXIMIZE', 1, 0);
"""

SPACE: dict[str, tuple[str, dict[str, Any], Callable[[random.Random], float]]] = {
    "model": (
        "CategoricalDistribution",
        {"choices": ["small", "medium", "large"]},
        lambda chance: chance.randrange(3),
    ),
    "temperature": (
        "FloatDistribution",
        {"step": None, "low": 0.0, "high": 1.0, "log": False},
        lambda chance: chance.random(),
    ),
    "top_k": (
        "IntDistribution",
        {"log": False, "step": 1, "low": 1, "high": 64},
        lambda chance: chance.randint(1, 64),
    ),
}

RUNS = """
CREATE TABLE runs (number, state, begun, ended, config, value, steps, attributes)
"""
STEP = """
INSERT INTO trial_intermediate_values VALUES (NULL, ?, ?, ?, 'FINITE')
"""
INSERT = "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def measure(folder: Path) -> Iterator[Row]:
    """Compare an import with reading alone, and with reading and writing."""
    file = folder / "optuna.db"
    make(file)
    numbers = count()

    def importing() -> None:
        url = f"sqlite:///{folder}/imported-{next(numbers)}.db"
        migrate(url, create=True)
        write(url, read(str(file)))

    def reading() -> None:
        for _ in plainest(file):
            pass

    def copying() -> None:
        with closing(sqlite3.connect(folder / f"copy-{next(numbers)}.db")) as target:
            target.execute(RUNS)
            target.executemany(INSERT, map(as_row, plainest(file)))
            target.commit()

    for what, reference in (("reading", reading), ("reading and writing", copying)):
        ours, plain = alternate(
            partial(cost_of, importing), partial(cost_of, reference), ROUNDS
        )
        yield Row(
            case=f"import of {TRIALS:,} trials",
            reference=f"plainest {what}",
            # The peak is that of both, in the one process.
            ours=replace(ours, peak_bytes=None),
            theirs=replace(plain, peak_bytes=None),
        )


def make(file: Path) -> None:
    """Write a storage with one study, of complete trials with reports and notes."""
    chance = random.Random(TRIALS)  # noqa: S311  the same numbers each time
    trials = range(1, TRIALS + 1)
    begun = datetime(2026, 1, 1)  # noqa: DTZ001  as Optuna stores it
    with closing(sqlite3.connect(file)) as storage:
        storage.executescript(TABLES)
        for sql, rows in (
            (
                "INSERT INTO trials VALUES (?, ?, 1, 'COMPLETE', ?, ?)",
                (
                    (trial, trial - 1, str(moment), str(moment + timedelta(seconds=3)))
                    for trial in trials
                    for moment in [begun + timedelta(seconds=trial)]
                ),
            ),
            (
                "INSERT INTO trial_params VALUES (NULL, ?, ?, ?, ?)",
                (
                    (trial, name, value(chance), as_json(kind, attributes))
                    for trial in trials
                    for name, (kind, attributes, value) in SPACE.items()
                ),
            ),
            (
                "INSERT INTO trial_values VALUES (NULL, ?, 0, ?, 'FINITE')",
                ((trial, chance.random()) for trial in trials),
            ),
            (
                STEP,
                (
                    (trial, step, chance.random())
                    for trial in trials
                    for step in range(3)
                ),
            ),
            (
                "INSERT INTO trial_user_attributes VALUES (NULL, ?, 'note', ?)",
                ((trial, f'"trial {trial}"') for trial in trials),
            ),
        ):
            storage.executemany(sql, rows)
        storage.commit()


def as_json(kind: str, attributes: dict[str, Any]) -> str:
    """Return a distribution as Optuna stores it."""
    return json.dumps({"name": kind, "attributes": attributes})


def plainest(file: Path) -> Iterator[dict[str, Any]]:
    """Read all trials, table by table."""
    with closing(sqlite3.connect(file)) as storage:
        trials: dict[int, dict[str, Any]] = {}
        for trial, number, state, begun, ended in storage.execute(
            "SELECT trial_id, number, state, datetime_start, datetime_complete "
            "FROM trials WHERE study_id = 1"
        ):
            trials[trial] = {
                "number": number,
                "state": state,
                "begun": datetime.fromisoformat(begun),
                "ended": datetime.fromisoformat(ended),
                "params": {},
                "steps": {},
                "attributes": {},
            }
        for trial, name, value, distribution in storage.execute(
            "SELECT trial_id, param_name, param_value, distribution_json "
            "FROM trial_params"
        ):
            trials[trial]["params"][name] = external(value, json.loads(distribution))
        for trial, value in storage.execute("SELECT trial_id, value FROM trial_values"):
            trials[trial]["value"] = value
        for trial, step, value in storage.execute(
            "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values"
        ):
            trials[trial]["steps"][step] = value
        for table in ("trial_user_attributes", "trial_system_attributes"):
            for trial, key, text in storage.execute(
                f'SELECT trial_id, "key", value_json FROM {table}'
            ):
                trials[trial]["attributes"][key] = json.loads(text)
    yield from trials.values()


def external(value: float, distribution: dict[str, Any]) -> object:
    """Return a parameter as the author of the study sees it."""
    match distribution["name"]:
        case "CategoricalDistribution":
            return distribution["attributes"]["choices"][int(value)]
        case "IntDistribution":
            return int(value)
    return value


def as_row(trial: dict[str, Any]) -> tuple[object, ...]:
    """Return a trial as a row of the plainest table."""
    return (
        trial["number"],
        trial["state"],
        str(trial["begun"]),
        str(trial["ended"]),
        json.dumps(trial["params"]),
        trial["value"],
        json.dumps(trial["steps"]),
        json.dumps(trial["attributes"]),
    )
