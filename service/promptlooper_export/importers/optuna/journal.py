"""Optuna's journal file: one operation a line, replayed into the tables of a storage.

The operations on one trial are spread over the file, between those of other trials and
studies, so the tables are made on disk. Of each trial, one byte is held meanwhile.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from promptlooper_export.errors import SourceError
from promptlooper_export.importers.databases import Sqlite, scratch
from promptlooper_export.importers.lines import LONGEST_LINE

_FIRST = re.compile(rb'\{"op_code": ?\d+, ?"worker_id":')

_SCHEMA = """
CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name TEXT);
CREATE TABLE study_directions (study_id, objective, direction TEXT);
CREATE TABLE study_user_attributes (
    study_id, "key" TEXT, value_json TEXT, UNIQUE (study_id, "key")
);
CREATE TABLE study_system_attributes (
    study_id, "key" TEXT, value_json TEXT, UNIQUE (study_id, "key")
);
CREATE TABLE trials (
    trial_id INTEGER PRIMARY KEY, study_id INTEGER, number INTEGER, state TEXT,
    datetime_start TEXT, datetime_complete TEXT
);
CREATE INDEX trials_of_study ON trials (study_id);
CREATE TABLE trial_params (
    param_id INTEGER PRIMARY KEY, trial_id INTEGER, param_name TEXT, param_value,
    distribution_json TEXT, UNIQUE (trial_id, param_name)
);
CREATE TABLE trial_values (
    trial_id INTEGER, objective INTEGER, value, value_type TEXT,
    UNIQUE (trial_id, objective)
);
CREATE TABLE trial_intermediate_values (
    trial_id INTEGER, step INTEGER, intermediate_value, intermediate_value_type TEXT,
    UNIQUE (trial_id, step)
);
CREATE TABLE trial_user_attributes (
    trial_id INTEGER, "key" TEXT, value_json TEXT, UNIQUE (trial_id, "key")
);
CREATE TABLE trial_system_attributes (
    trial_id INTEGER, "key" TEXT, value_json TEXT, UNIQUE (trial_id, "key")
);
"""

_STUDY = "INSERT INTO studies VALUES (?, ?)"
_DIRECTION = "INSERT INTO study_directions VALUES (?, ?, ?)"
_DELETED = "DELETE FROM studies WHERE study_id = ?"
_TRIAL = "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?)"
_STARTED = "UPDATE trials SET state = ?, datetime_start = ? WHERE trial_id = ?"
_ENDED = "UPDATE trials SET state = ?, datetime_complete = ? WHERE trial_id = ?"
_WAITS = "UPDATE trials SET state = ? WHERE trial_id = ?"
_PARAM = """
INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
VALUES (?, ?, ?, ?) ON CONFLICT (trial_id, param_name) DO UPDATE
SET param_value = excluded.param_value, distribution_json = excluded.distribution_json
"""
_VALUE = "INSERT OR REPLACE INTO trial_values VALUES (?, ?, ?, ?)"
_STEP = "INSERT OR REPLACE INTO trial_intermediate_values VALUES (?, ?, ?, ?)"
_ATTRIBUTES = {
    "study user": "INSERT OR REPLACE INTO study_user_attributes VALUES (?, ?, ?)",
    "study system": "INSERT OR REPLACE INTO study_system_attributes VALUES (?, ?, ?)",
    "trial user": "INSERT OR REPLACE INTO trial_user_attributes VALUES (?, ?, ?)",
    "trial system": "INSERT OR REPLACE INTO trial_system_attributes VALUES (?, ?, ?)",
}

# What Optuna numbers in its code.
_DIRECTIONS = ("NOT_SET", "MINIMIZE", "MAXIMIZE")
_STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")
_RUNNING, _WAITING = _STATES.index("RUNNING"), _STATES.index("WAITING")

Operation: TypeAlias = Mapping[str, Any]


def recognises(source: str) -> bool:
    """Return whether the first line is an operation of a journal."""
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _FIRST.match(file.read(100)) is not None


@contextmanager
def replayed(source: str) -> Iterator[tuple[Sqlite, tuple[str, ...]]]:
    """Make the tables of a journal, and say what is not understood in it.

    Raises SourceError naming the file and the line.
    """
    with scratch(source, _SCHEMA) as database:
        replay = _Replay(database)
        for place, operation in _operations(source):
            try:
                replay.apply(operation)
            # Whatever a damaged line lacks or has instead.
            except (KeyError, IndexError, TypeError, ValueError, AttributeError) as why:
                msg = f"{place}: not an operation of Optuna's journal: {why!r}"
                raise SourceError(msg) from why
        yield database, replay.doubts()


def _operations(source: str) -> Iterator[tuple[str, Operation]]:
    with Path(source).open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            place = f"{source}:{number}"
            if not line.endswith(b"\n"):
                msg = f"{place}: the line is not whole: the file is cut or too long"
                raise SourceError(msg)
            try:
                yield place, json.loads(line)
            except (ValueError, RecursionError) as error:
                msg = f"{place}: not valid JSON: {error}"
                raise SourceError(msg) from error


class _Replay:
    """Does to the tables what Optuna does to its memory when it reads a journal."""

    def __init__(self, database: Sqlite) -> None:
        self._database = database
        self._studies: dict[int, str] = {}
        self._created = 0
        self._trials: Counter[int] = Counter()
        self._states = bytearray()
        self._unknown: set[int] = set()
        self._do: tuple[Callable[[Operation], None] | None, ...] = (
            self._create_study,
            self._delete_study,
            self._set_study_user,
            self._set_study_system,
            self._create_trial,
            self._set_param,
            self._set_state,
            self._set_step,
            self._set_user,
            self._set_system,
            None,
        )

    def apply(self, operation: Operation) -> None:
        """Apply one operation; those that Optuna passes over are passed over."""
        code = operation["op_code"]
        if not 0 <= code < len(self._do):
            self._unknown.add(code)
        elif (do := self._do[code]) is not None:
            do(operation)

    def doubts(self) -> tuple[str, ...]:
        """Name the operations that were passed over because nobody knows them."""
        if not self._unknown:
            return ()
        codes = ", ".join(map(str, sorted(self._unknown)))
        return (f"operations of a newer Optuna are passed over: op_code {codes}",)

    def _create_study(self, operation: Operation) -> None:
        name = operation["study_name"]
        if name in self._studies.values():
            return
        study = self._created
        self._created += 1
        self._studies[study] = name
        self._database.add(_STUDY, [(study, name)])
        self._database.add(
            _DIRECTION,
            [
                (study, objective, _DIRECTIONS[direction])
                for objective, direction in enumerate(operation["directions"])
            ],
        )

    def _delete_study(self, operation: Operation) -> None:
        if self._studies.pop(operation["study_id"], None) is not None:
            self._database.add(_DELETED, [(operation["study_id"],)])

    def _set_study_user(self, operation: Operation) -> None:
        if (study := operation["study_id"]) in self._studies:
            self._add_attributes("study user", study, operation["user_attr"])

    def _set_study_system(self, operation: Operation) -> None:
        if (study := operation["study_id"]) in self._studies:
            self._add_attributes("study system", study, operation["system_attr"])

    def _create_trial(self, operation: Operation) -> None:
        study = operation["study_id"]
        if study not in self._studies:
            return
        trial, number = len(self._states), self._trials[study]
        self._trials[study] += 1
        state = operation.get("state", _RUNNING)
        self._states.append(state)
        begun, ended = map(operation.get, ("datetime_start", "datetime_complete"))
        row = (trial, study, number, _STATES[state], begun, ended)
        self._database.add(_TRIAL, [row])
        distributions = operation.get("distributions", {})
        for name, value in operation.get("params", {}).items():
            self._add_param(trial, name, value, distributions[name])
        values = operation.get("values")
        if values is None and operation.get("value") is not None:
            values = [operation["value"]]
        self._add_values(trial, values)
        for step, value in operation.get("intermediate_values", {}).items():
            self._add_step(trial, int(step), value)
        for kind in ("user", "system"):
            self._add_attributes(
                f"trial {kind}", trial, operation.get(f"{kind}_attrs", {})
            )

    def _set_param(self, operation: Operation) -> None:
        if (trial := self._open_trial(operation)) is not None:
            value = operation["param_value_internal"]
            name, distribution = operation["param_name"], operation["distribution"]
            self._add_param(trial, name, value, distribution)

    def _set_state(self, operation: Operation) -> None:
        trial, state = self._open_trial(operation), operation["state"]
        if trial is None or state == self._states[trial] == _RUNNING:
            return
        self._states[trial] = state
        name = _STATES[state]
        if state == _RUNNING:
            row = (name, operation["datetime_start"], trial)
            self._database.add(_STARTED, [row])
        elif state == _WAITING:
            self._database.add(_WAITS, [(name, trial)])
        else:
            row = (name, operation["datetime_complete"], trial)
            self._database.add(_ENDED, [row])
        self._add_values(trial, operation["values"])

    def _set_step(self, operation: Operation) -> None:
        if (trial := self._open_trial(operation)) is not None:
            self._add_step(trial, operation["step"], operation["intermediate_value"])

    def _set_user(self, operation: Operation) -> None:
        if (trial := self._open_trial(operation)) is not None:
            self._add_attributes("trial user", trial, operation["user_attr"])

    def _set_system(self, operation: Operation) -> None:
        if (trial := self._open_trial(operation)) is not None:
            self._add_attributes("trial system", trial, operation["system_attr"])

    def _open_trial(self, operation: Operation) -> int | None:
        """Return the trial of an operation; None if it is unknown or finished."""
        trial: int = operation["trial_id"]
        if not 0 <= trial < len(self._states):
            return None
        return trial if self._states[trial] in (_RUNNING, _WAITING) else None

    def _add_param(
        self, trial: int, name: str, value: object, distribution: str
    ) -> None:
        self._database.add(_PARAM, [(trial, name, value, distribution)])

    def _add_values(self, trial: int, values: Sequence[float] | None) -> None:
        self._database.add(
            _VALUE,
            [
                (trial, objective, value, None)
                for objective, value in enumerate(values or ())
            ],
        )

    def _add_step(self, trial: int, step: int, value: float) -> None:
        # SQLite has no NaN: it would be NULL.
        kind = "NAN" if math.isnan(value) else "FINITE"
        self._database.add(_STEP, [(trial, step, value, kind)])

    def _add_attributes(
        self, kind: str, owner: int, attributes: Mapping[str, object]
    ) -> None:
        self._database.add(
            _ATTRIBUTES[kind],
            [(owner, name, json.dumps(value)) for name, value in attributes.items()],
        )
