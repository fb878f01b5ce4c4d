"""The tables of Optuna's storage, in SQLite, PostgreSQL or replayed from a journal.

The tables of trials are read side by side in the order of the trials: no statement is
run for a single trial, and no more than one trial is held.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers import values
from promptlooper_export.importers.databases import Database, Parts, Row, revision_of
from promptlooper_export.importers.interchange import NAMESPACE
from promptlooper_export.records import ExperimentRecord, Records, RunRecord

TABLES = ("studies", "study_directions", "trials", "trial_params", "trial_values")
"""Tables that no other tool has together."""

TESTED = ("v2.6.0.a", "v3.0.0.d", "v3.2.0.a")
"""Revisions of the tables that were tried with the Optuna that writes them."""

FEASIBLE = "feasible"
"""The scorer that a trial needs, in a study with constraints, to be the best."""

_STUDIES = """
SELECT study_id, study_name, (
    SELECT min(datetime_start) FROM trials WHERE trials.study_id = studies.study_id
), (
    SELECT max(datetime_complete) FROM trials WHERE trials.study_id = studies.study_id
), (SELECT count(*) FROM trials WHERE trials.study_id = studies.study_id)
FROM studies ORDER BY study_id
"""

_DIRECTIONS = """
SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective
"""

_USER_ATTRIBUTES = """
SELECT study_id, "key", value_json FROM study_user_attributes
WHERE study_id = ? ORDER BY "key"
"""

_SYSTEM_ATTRIBUTES = """
SELECT study_id, "key", value_json FROM study_system_attributes
WHERE study_id = ? ORDER BY "key"
"""

_SPACE = """
SELECT param_name, max(distribution_json), min(distribution_json)
FROM trial_params JOIN trials ON trials.trial_id = trial_params.trial_id
WHERE study_id = ? GROUP BY param_name ORDER BY min(param_id)
"""

_CONSTRAINED = """
SELECT 1 FROM trial_system_attributes AS attribute
JOIN trials ON trials.trial_id = attribute.trial_id
WHERE study_id = ? AND ("key" = 'constraints' OR "key" LIKE 'constraints:%') LIMIT 1
"""

_TRIALS = """
SELECT trial_id, number, state, datetime_start, datetime_complete
FROM trials WHERE study_id = ? ORDER BY trial_id
"""

_PART = """
SELECT part.trial_id, {columns}
FROM trials JOIN {table} AS part ON part.trial_id = trials.trial_id
WHERE study_id = ? ORDER BY trials.trial_id, part.{order}
"""

_PARAMS = _PART.format(
    columns="param_name, param_value, distribution_json",
    table="trial_params",
    order="param_id",
)
_VALUES = _PART.format(
    columns="objective, value, {type}", table="trial_values", order="objective"
)
_STEPS = _PART.format(
    columns="step, intermediate_value, {type}",
    table="trial_intermediate_values",
    order="step",
)
_USER = _PART.format(
    columns='"key", value_json', table="trial_user_attributes", order='"key"'
)
_SYSTEM = _PART.format(
    columns='"key", value_json', table="trial_system_attributes", order='"key"'
)

STATES = {
    "RUNNING": "running",
    "COMPLETE": "completed",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "WAITING": "pending",
}
"""The states of trials and what they are called here."""

_SPECIAL = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}


@dataclass(frozen=True, kw_only=True)
class _Study:
    """What is known of a study before its trials are read."""

    key: object
    id: UUID
    place: str
    scorers: Sequence[str]
    space: Mapping[str, str]
    is_constrained: bool


def read(database: Database, warnings: tuple[str, ...]) -> Records:
    """Yield the studies of a storage, the first one with the warnings on all.

    Raises SourceError, naming study and trial.
    """
    columns = database.columns
    is_empty = True
    for row in database.rows(_STUDIES):
        is_empty = False
        yield _experiment(database, columns, row, warnings)
        warnings = ()
    if is_empty:
        msg = f"{database.name}: holds no study"
        raise SourceError(msg)


def doubts(database: Database) -> tuple[str, ...]:
    """Say so if this revision of the tables was not tested."""
    revision = revision_of(database)
    if revision in TESTED:
        return ()
    msg = (
        f"the revision {revision} of Optuna's tables was not tested, only "
        f"{', '.join(TESTED)}: compare the counts"
    )
    return (msg,)


def _experiment(
    database: Database,
    columns: Mapping[str, frozenset[str]],
    row: Row,
    warnings: tuple[str, ...],
) -> ExperimentRecord:
    key, name, begun, ended, total = row
    place = f"{database.name}: study {name!r}"
    begun = values.moment(begun, place)
    directions = [direction for (direction,) in database.rows(_DIRECTIONS, key)]
    user = _attributes(database.rows(_USER_ATTRIBUTES, key), place)
    system = _attributes(database.rows(_SYSTEM_ATTRIBUTES, key), place)
    spaces = list(database.rows(_SPACE, key))
    study = _Study(
        key=key,
        # Optuna has no id that another storage would not have as well. When its first
        # trial began tells a study from another one of its name.
        id=uuid5(NAMESPACE, f"optuna\n{name}\n{begun}"),
        place=place,
        scorers=_scorers(directions, system, place),
        space={parameter: text for parameter, text, _ in spaces},
        is_constrained=any(database.rows(_CONSTRAINED, key)),
    )
    changing = [parameter for parameter, one, other in spaces if one != other]
    return ExperimentRecord(
        id=study.id,
        name=values.text(name, place),
        description=values.description(user, place),
        status="completed",
        parameter_space={
            parameter: values.read_json(text, place)
            for parameter, text in study.space.items()
        },
        scoring_config=_scoring(study, directions),
        created_at=begun,
        updated_at=values.moment(ended, place),
        runs=_runs(database, columns, study),
        place=place,
        total=total,
        warnings=(*warnings, *_warnings(study, changing)),
    )


def _scorers(
    directions: Sequence[str], system: Mapping[str, JSON], place: str
) -> Sequence[str]:
    """Return the names of the objectives, or what Optuna's own tables call them."""
    names = system.get("study:metric_names")
    if isinstance(names, list) and len(names) == len(directions):
        return [values.text(name, place) for name in names]
    if len(directions) == 1:
        return ["value"]
    return [f"values_{number}" for number in range(len(directions))]


def _scoring(study: _Study, directions: Sequence[str]) -> JSON:
    """Return the rule by which the winner is Optuna's own best trial."""
    required: list[JSON] = [
        *study.scorers,
        *([FEASIBLE] if study.is_constrained else []),
    ]
    return {
        "weights": dict.fromkeys(study.scorers, 1),
        "directions": {
            scorer: direction.lower()
            for scorer, direction in zip(study.scorers, directions, strict=True)
            if direction != "NOT_SET"
        },
        "required": required,
    }


def _warnings(study: _Study, changing: Sequence[str]) -> Iterator[str]:
    if len(study.scorers) > 1:
        yield (
            f"Optuna names no best trial of {len(study.scorers)} objectives; here the "
            "mean of them decides, unless you give weights"
        )
    if changing:
        yield (
            f"the distribution of {', '.join(changing)} is not the same in all trials; "
            "parameter_space has one, and a trial with another has it in its tags"
        )


def _runs(
    database: Database, columns: Mapping[str, frozenset[str]], study: _Study
) -> Iterator[RunRecord]:
    def parts(sql: str, table: str = "", column: str = "") -> Parts:
        type_ = column if column in columns.get(table, ()) else "NULL"
        return Parts(database.rows(sql.replace("{type}", type_), study.key))

    params, user, system = parts(_PARAMS), parts(_USER), parts(_SYSTEM)
    scores = parts(_VALUES, "trial_values", "value_type")
    steps = parts(_STEPS, "trial_intermediate_values", "intermediate_value_type")
    for row in database.rows(_TRIALS, study.key):
        trial = row[0]
        yield _run(
            study,
            row,
            params=params.of(trial),
            scores=scores.of(trial),
            steps=steps.of(trial),
            user=user.of(trial),
            system=system.of(trial),
        )


def _run(
    study: _Study,
    row: Row,
    *,
    params: Sequence[Row],
    scores: Sequence[Row],
    steps: Sequence[Row],
    user: Sequence[Row],
    system: Sequence[Row],
) -> RunRecord:
    _, number, state, begun, ended = row
    place = f"{study.place}, trial {number}"
    attributes, hidden = _attributes(user, place), _attributes(system, place)
    begun, ended = values.moment(begun, place), values.moment(ended, place)
    config = values.config(_params(params, place), place)
    status = _status(state, place)
    return RunRecord(
        id=uuid5(study.id, str(number)),
        name=f"trial {number}",
        status=status,
        config=config.text,
        config_hash=config.hash,
        scores=_judged(study, scores, hidden, place),
        tokens_in=values.whole(attributes.get("tokens_in")),
        tokens_out=values.whole(attributes.get("tokens_out")),
        duration_ms=values.milliseconds(begun, ended),
        cost_usd=values.cost(attributes.get("cost_usd")),
        error=_error(attributes, hidden, place) if status == "failed" else None,
        tags=values.tagged(
            attributes,
            "optuna",
            {
                "number": number,
                "intermediate_values": _steps(steps, place),
                "system_attrs": hidden,
                "distributions": _other_distributions(study, params, place),
            },
        ),
        stage_results=(),
        created_at=begun,
        started_at=begun,
        finished_at=ended,
        updated_at=ended,
    )


def _status(state: str, place: str) -> str:
    if state not in STATES:
        msg = f"{place}: the state {state!r} is not one of Optuna's"
        raise SourceError(msg)
    return STATES[state]


def _attributes(rows: Iterable[Row], place: str) -> dict[str, JSON]:
    return {key: values.read_json(text, f"{place}: {key}") for _, key, text in rows}


def _other_distributions(
    study: _Study, rows: Sequence[Row], place: str
) -> dict[str, JSON]:
    """Return the distributions that are not those of the study, which most are."""
    return {
        name: values.read_json(text, place)
        for _, name, _, text in rows
        if study.space[name] != text
    }


def _params(rows: Sequence[Row], place: str) -> dict[str, JSON]:
    """Return the parameters as the author of the study sees them."""
    params: dict[str, JSON] = {}
    name = None
    try:
        for _, name, value, distribution in rows:
            params[name] = _decoder(distribution)(value)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        msg = f"{place}: the parameter {name!r} does not fit its distribution: {error}"
        raise SourceError(msg) from error
    return params


@lru_cache(maxsize=1_000)
def _decoder(distribution: str) -> Callable[[Any], JSON]:
    """Return what turns a stored number into the value that it stands for.

    Releases before 3 wrote `IntUniformDistribution` and other names for a kind.
    """
    read = json.loads(distribution)
    kind = str(read.get("name") or read["type"]).lower()
    if kind.startswith("categorical"):
        choices = read.get("attributes", read)["choices"]
        return lambda index: choices[int(index)]
    return int if kind.startswith("int") else float


def _judged(
    study: _Study, rows: Sequence[Row], hidden: Mapping[str, JSON], place: str
) -> dict[str, tuple[float | None, ...]]:
    """Return a trial's values by scorer, and whether it keeps to the constraints."""
    judged: dict[str, tuple[float | None, ...]] = {}
    for _, objective, value, kind in rows:
        if not 0 <= objective < len(study.scorers):
            msg = f"{place}: has a value for objective {objective}, which there is not"
            raise SourceError(msg)
        scorer = study.scorers[objective]
        judged[scorer] = (_double(value, kind, f"{place}: {scorer}"),)
    if study.is_constrained and _is_feasible(hidden, place):
        judged[FEASIBLE] = (1.0,)
    return judged


def _steps(rows: Sequence[Row], place: str) -> dict[str, JSON]:
    """Return what was reported while the trial ran, by step, in strict JSON."""
    steps: dict[str, JSON] = {}
    for _, step, value, kind in rows:
        # Before the kind had a column of its own, NULL stood for NaN.
        double = _double(value, kind or ("NAN" if value is None else None), place)
        steps[str(step)] = values.plain(double)
    return steps


def _double(value: object, kind: str | None, place: str) -> float:
    return _SPECIAL[kind] if kind in _SPECIAL else values.number(value, place)


def _is_feasible(system: Mapping[str, JSON], place: str) -> bool:
    """Return whether no constraint is violated; one that is not kept is above 0."""
    listed = system.get("constraints") or []
    found = [
        *(listed if isinstance(listed, list) else [listed]),
        *(v for key, v in system.items() if key.startswith("constraints:")),
    ]
    return all(values.number(one, f"{place}: constraints") <= 0 for one in found)


def _error(
    user: Mapping[str, JSON], system: Mapping[str, JSON], place: str
) -> str | None:
    """Return why a trial failed, which old releases kept, and authors may."""
    why = system.get("fail_reason") or user.get("error")
    if why is None or isinstance(why, str):
        return why and values.text(why, f"{place}: error")
    return values.strict_json(why, f"{place}: error")
