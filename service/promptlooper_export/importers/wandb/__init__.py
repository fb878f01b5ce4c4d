"""W&B's offline runs, from the log that `wandb` leaves without a network.

A project is an experiment. The numbers of a run's summary are its scores: W&B keeps
the last value of each metric there, unless `define_metric` says otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import cast

from promptlooper_export.configs import JSON, flatten
from promptlooper_export.errors import SourceError
from promptlooper_export.importers import values
from promptlooper_export.importers.evaluations import Facts, Judgements, derived, run
from promptlooper_export.importers.fields import as_double
from promptlooper_export.importers.files import beginning
from promptlooper_export.importers.importer import Importer
from promptlooper_export.importers.wandb.log import (
    MAGIC,
    VERSION,
    Fields,
    fields,
    records,
)
from promptlooper_export.records import ExperimentRecord, Records, RunRecord

# The numbers of fields in wandb_internal.proto.
_HISTORY, _SUMMARY, _CONFIG, _METRIC, _RUN, _EXIT, _HEADER = 2, 3, 5, 12, 17, 18, 21
_UPDATE, _REMOVE = 1, 2
_KEY, _NESTED_KEY, _VALUE = 1, 2, 16
_ENTITY, _PROJECT, _RUN_CONFIG, _RUN_SUMMARY = 2, 3, 4, 5
_TAGS, _STARTED = 10, 17
_METRIC_NAME, _GOAL = 1, 8
_TEXTS = {
    "id": 1, "group": 6, "job_type": 7, "name": 8, "notes": 9, "sweep": 12, "host": 13,
}  # fmt: skip

_GOALS = {1: "minimize", 2: "maximize"}

_COLUMNS = {
    "tokens_in": values.whole,
    "tokens_out": values.whole,
    "duration_ms": values.whole,
    "cost_usd": values.cost,
}
"""Metrics that are columns of a run and no scores, and what reads them."""

_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_SHOWN = 3


@dataclass(kw_only=True)
class _Log:
    """What a log says of its run, as it is read."""

    place: str
    config: dict[str, JSON] = field(default_factory=dict)
    summary: dict[str, JSON] = field(default_factory=dict)
    goals: dict[str, str] = field(default_factory=dict)
    run: Fields = field(default_factory=dict)
    exit_code: int | None = None
    steps: int = 0
    seconds: float = 0.0
    producer: str | None = None

    @property
    def project(self) -> tuple[str, str]:
        return (
            _text(self.run, _ENTITY, self.place) or "",
            _text(self.run, _PROJECT, self.place) or "",
        )


def recognises(source: str) -> bool:
    """Return whether this is a log, or a folder that has logs."""
    if Path(source).is_dir():
        return any(True for _ in _files(source))
    return beginning(source).startswith(MAGIC)


def _files(folder: str) -> Iterator[str]:
    return (str(path) for path in sorted(Path(folder).rglob("*.wandb")))


def read(source: str) -> Records:
    """Yield the projects of a log, or of all logs in a folder, without their histories.

    Raises SourceError.
    """
    files = _files(source) if Path(source).is_dir() else [source]
    logs = sorted((_read(file) for file in files), key=attrgetter("project"))
    for _, together in groupby(logs, key=attrgetter("project")):
        yield _experiment([*together])


def _read(source: str) -> _Log:
    log = _Log(place=source)
    for record in records(source):
        for number in _READERS.keys() & record.keys():
            for value in record[number]:
                _READERS[number](log, fields(_bytes(value, source), source))
    if not log.run:
        msg = f"{source}: holds no run"
        raise SourceError(msg)
    return log


def _read_run(log: _Log, found: Fields) -> None:
    log.run = {**log.run, **found}
    for number, held in ((_RUN_CONFIG, log.config), (_RUN_SUMMARY, log.summary)):
        for value in found.get(number, []):
            _update(held, fields(_bytes(value, log.place), log.place), log.place)


def _read_config(log: _Log, found: Fields) -> None:
    _update(log.config, found, log.place)


def _read_summary(log: _Log, found: Fields) -> None:
    _update(log.summary, found, log.place)
    # At its end, a run rounds this down to seconds.
    log.seconds = max(log.seconds, as_double(log.summary.get("_runtime")) or 0.0)


def _read_history(log: _Log, _: Fields) -> None:
    log.steps += 1


def _read_metric(log: _Log, found: Fields) -> None:
    name = _text(found, _METRIC_NAME, log.place)
    goal = _GOALS.get(cast("int", found.get(_GOAL, [0])[-1]))
    if name is not None and goal is not None:
        log.goals[name] = goal


def _read_exit(log: _Log, found: Fields) -> None:
    code = cast("int", found.get(1, [0])[-1])
    # Protobuf writes a negative number as the one that has the same 64 bits.
    log.exit_code = code - (1 << 64) if code >> 63 else code


def _read_header(log: _Log, found: Fields) -> None:
    for value in found.get(1, []):
        log.producer = _text(fields(_bytes(value, log.place), log.place), 1, log.place)


_READERS = {
    _RUN: _read_run,
    _CONFIG: _read_config,
    _SUMMARY: _read_summary,
    _HISTORY: _read_history,
    _METRIC: _read_metric,
    _EXIT: _read_exit,
    _HEADER: _read_header,
}


def _update(held: dict[str, JSON], found: Fields, place: str) -> None:
    """Change an object as a record says: its items have a key, or a path of keys."""
    for value in found.get(_UPDATE, []):
        item = fields(_bytes(value, place), place)
        branch, key = _branch(held, item, place)
        branch[key] = values.read_json(_text(item, _VALUE, place), f"{place}: {key}")
    for value in found.get(_REMOVE, []):
        branch, key = _branch(held, fields(_bytes(value, place), place), place)
        branch.pop(key, None)


def _branch(
    held: dict[str, JSON], item: Fields, place: str
) -> tuple[dict[str, JSON], str]:
    """Return the object that an item belongs to, and its key there."""
    path = item.get(_KEY) or item.get(_NESTED_KEY) or [b""]
    *parents, last = [_decoded(key, place) for key in path]
    for key in parents:
        below = held.get(key)
        if not isinstance(below, dict):
            below = held[key] = {}
        held = below
    return held, last


def _bytes(value: bytes | int, place: str) -> bytes:
    if isinstance(value, int):
        msg = f"{place}: holds a record that is not one of W&B's"
        raise SourceError(msg)
    return value


def _decoded(value: bytes | int, place: str) -> str:
    try:
        return _bytes(value, place).decode()
    except UnicodeDecodeError as error:
        msg = f"{place}: holds text that is not UTF-8"
        raise SourceError(msg) from error


def _text(found: Fields, number: int, place: str) -> str | None:
    """Return the last value of a field of text; None if it is empty or absent."""
    return _decoded(found.get(number, [b""])[-1], place) or None


def _experiment(logs: Sequence[_Log]) -> ExperimentRecord:
    entity, project = logs[0].project
    goals = {name: goal for log in logs for name, goal in log.goals.items()}
    made = [_run(log) for log in logs]
    times = [one.created_at for one in made if one.created_at is not None]
    return ExperimentRecord(
        id=derived("wandb", entity, project),
        name=values.text(project or "uncategorized", logs[0].place),
        description=None,
        status="completed",
        parameter_space=None,
        scoring_config=_rules(goals) if goals else None,
        created_at=min(times, default=None),
        updated_at=None,
        runs=iter(made),
        place=logs[0].place,
        warnings=tuple(_warnings(logs, made, goals)),
    )


def _rules(goals: Mapping[str, str]) -> JSON:
    return {"weights": dict.fromkeys(goals, 1), "directions": {**goals}}


def _warnings(
    logs: Sequence[_Log], made: Sequence[RunRecord], goals: Mapping[str, str]
) -> Iterator[str]:
    scorers = sorted({name for one in made for name in one.scores})
    if scorers and not goals:
        shown = ", ".join(scorers[:_SHOWN]) + ", ..." * (len(scorers) > _SHOWN)
        yield (
            "W&B does not say which metric decides, or whether high or low is better; "
            f"here the highest mean of {shown} wins, unless you give weights and "
            "directions"
        )
    for log in logs:
        version = beginning(log.place)[len(MAGIC)]
        if version != VERSION:
            yield f"{log.place}: log version {version}, but {VERSION} was tested"
    unfinished = [log for log in logs if log.exit_code is None]
    if unfinished:
        yield (
            f"{len(unfinished)} of {len(logs)} logs have no end, such as "
            f"{unfinished[0].place}: the run goes on, or crashed"
        )


def _run(log: _Log) -> RunRecord:
    place = log.place
    log.config.pop("_wandb", None)
    judged = Judgements()
    columns: dict[str, float | int] = {}
    rest: dict[str, JSON] = {}
    for path, value in flatten(log.summary):
        if path[0].startswith("_"):
            continue
        name = values.text(".".join(path), f"{place}: summary")
        held = _COLUMNS[name](value) if name in _COLUMNS else None
        if held is not None:
            columns[name] = held
        elif as_double(value) is not None or value in _NOT_FINITE:
            judged.add(name, None, values.number(value, f"{place}: {name}"))
        else:
            rest[name] = value
    known = {name: _text(log.run, number, place) for name, number in _TEXTS.items()}
    config = values.config(log.config, place)
    started_at = _moment(log)
    is_failed = bool(log.exit_code)
    own: dict[str, JSON] = {
        **{name: value for name, value in known.items() if value and name != "name"},
        "tags": [_decoded(tag, place) for tag in log.run.get(_TAGS, [])],
        "version": log.producer,
        "steps": log.steps,
        "summary": rest,
    }
    facts = Facts(
        id=derived("wandb", *log.project, known["id"], config.text, judged.content),
        name=values.text(known["name"] or known["id"], f"{place}: name"),
        status=_status(log.exit_code),
        config=config,
        error=f"exit code {log.exit_code}" if is_failed else None,
        tags=values.tags({}, "wandb", own, place),
        created_at=started_at,
        started_at=started_at,
        tokens_in=cast("int | None", columns.get("tokens_in")),
        tokens_out=cast("int | None", columns.get("tokens_out")),
        duration_ms=cast(
            "int | None", columns.get("duration_ms", round(log.seconds * 1000))
        ),
        cost_usd=columns.get("cost_usd"),
    )
    return run(judged, facts)


def _status(exit_code: int | None) -> str:
    if exit_code is None:
        return "running"
    return "failed" if exit_code else "completed"


def _moment(log: _Log) -> datetime | None:
    """Return when the run began: seconds since 1970, and nanoseconds."""
    if _STARTED not in log.run:
        return None
    found = fields(_bytes(log.run[_STARTED][-1], log.place), log.place)
    seconds, nanoseconds = (cast("int", found.get(n, [0])[-1]) for n in (1, 2))
    try:
        began = timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
        return datetime(1970, 1, 1, tzinfo=UTC) + began
    except OverflowError as error:
        msg = f"{log.place}: the time of its start is no moment"
        raise SourceError(msg) from error


WANDB = Importer(title="W&B offline run", recognises=recognises, read=read)
