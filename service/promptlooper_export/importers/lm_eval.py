"""lm-evaluation-harness: the results of a model on tasks, and its samples beside them.

The tasks are an experiment, and each results file is a run. If the samples of a task
are beside it, as `--log_samples` writes them, each document is a case.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from math import fsum, isclose
from pathlib import Path
from textwrap import shorten
from typing import TypeAlias
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers import values
from promptlooper_export.importers.evaluations import Facts, Judgements, derived, run
from promptlooper_export.importers.files import (
    beginning,
    part,
    read_document,
    read_object,
)
from promptlooper_export.importers.importer import Importer
from promptlooper_export.importers.lines import raw_lines
from promptlooper_export.records import ExperimentRecord, Records, RunRecord

_RESULTS = re.compile(
    rb'\s*\{\s*"results"\s*:\s*\{.*(?:_stderr[",]|"alias")', re.DOTALL
)
_SAMPLES = re.compile(rb'\{"doc_id".*"(?:filtered_)?resps"')
_NAMED = re.compile(r"(?P<before>.*)results(?P<after>.*)\.json", re.DOTALL)

_LONGEST_NAME = 200

_DEFAULT = "none"
"""The filter of answers that changes nothing."""

_SETTINGS = ("system_instruction", "chat_template", "fewshot_as_multiturn")
"""What is part of the config, but beside it in the file."""

_OWN = (
    "versions", "task_hashes", "n-samples", "lm_eval_version", "transformers_version",
    "git_hash", "model_source",
)  # fmt: skip
"""What is kept in the tags."""


@dataclass(frozen=True, kw_only=True)
class _Metric:
    """A metric of a task; the answers went through `filter` before."""

    task: str
    name: str
    filter: str

    @property
    def scorer(self) -> str:
        more = "" if self.filter == _DEFAULT else f",{self.filter}"
        return f"{self.task}/{self.name}{more}"


@dataclass(frozen=True, kw_only=True)
class _Results:
    """A results file; `errors` has the standard errors of its metrics."""

    place: str
    held: Mapping[str, JSON]
    metrics: Mapping[_Metric, float]
    errors: Mapping[str, JSON]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(sorted({metric.task for metric in self.metrics}))


_Samples: TypeAlias = Mapping[tuple[str, str], Mapping[str, float | None]]
"""What each metric with its filter says of each document."""


def recognises(source: str) -> bool:
    """Return whether this is a results file, samples, or a folder of such files."""
    if Path(source).is_dir():
        return any(True for _ in _files(source))
    head = beginning(source)
    return bool(_RESULTS.match(head) or _SAMPLES.match(head))


def read(source: str) -> Records:
    """Yield an experiment for each set of tasks. Raises SourceError at any point."""
    if not Path(source).is_dir() and _SAMPLES.match(beginning(source)):
        results = _results_of(Path(source))
        if results is None:
            yield _alone(source)
            return
        source = str(results)
    files = _files(source) if Path(source).is_dir() else [source]
    found = sorted((_load(file) for file in files), key=lambda one: one.tasks)
    for tasks, together in groupby(found, key=lambda one: one.tasks):
        yield _experiment(tasks, [*together])


def _files(folder: str) -> Iterator[str]:
    for path in sorted(Path(folder).rglob("*results*.json")):
        if _RESULTS.match(beginning(str(path))):
            yield str(path)


def _load(place: str) -> _Results:
    held = read_document(place)
    metrics: dict[_Metric, float] = {}
    errors: dict[str, JSON] = {}
    for task, given in part(held, "results", place).items():
        where = f"{place}: results of {task}"
        values.text(task, where)
        if not isinstance(given, dict):
            msg = f"{where}: must be an object"
            raise SourceError(msg)
        for key, value in given.items():
            name, comma, filtered = key.partition(",")
            metric = _Metric(
                task=task,
                name=name.removesuffix("_stderr"),
                filter=filtered or _DEFAULT,
            )
            if name.endswith("_stderr"):
                errors[metric.scorer] = value
            elif comma or _is_score(name, value):
                metrics[metric] = values.number(value, f"{where}: {key}")
    if not metrics:
        msg = f"{place}: holds no metric of any task"
        raise SourceError(msg)
    return _Results(place=place, held=held, metrics=metrics, errors=errors)


def _is_score(name: str, value: JSON) -> bool:
    """Return whether a name without a filter, as before 0.4, is that of a metric."""
    return name != "sample_len" and isinstance(value, int | float)


def _experiment(tasks: Sequence[str], found: Sequence[_Results]) -> ExperimentRecord:
    first = found[0]
    identity = derived("lm-eval", list(tasks))
    runs = [_run(results, identity) for results in found]
    times = [made.created_at for made, _ in runs if made.created_at is not None]
    return ExperimentRecord(
        id=identity,
        name=shorten(", ".join(_top(first)), _LONGEST_NAME),
        description=None,
        status="completed",
        parameter_space=None,
        scoring_config=_rules(first),
        created_at=min(times, default=None),
        updated_at=None,
        runs=(made for made, _ in runs),
        place=first.place,
        warnings=tuple(warning for _, warnings in runs for warning in warnings),
    )


def _top(found: _Results) -> list[str]:
    """Return the tasks that no other task in the file is the group of."""
    groups = part(found.held, "group_subtasks", found.place)
    below = {
        task for tasks in groups.values() if isinstance(tasks, list) for task in tasks
    }
    return [task for task in found.tasks if task not in below] or [*found.tasks]


def _rules(found: _Results) -> JSON:
    """Return that the first metric of each task counts, and which are better low."""
    weights: dict[str, JSON] = {}
    top = set(_top(found))
    for task, metrics in groupby(found.metrics, key=lambda metric: metric.task):
        if task in top:
            weights[next(metrics).scorer] = 1
    known = part(found.held, "higher_is_better", found.place)
    directions: dict[str, JSON] = {
        metric.scorer: "minimize"
        for metric in found.metrics
        if part(known, metric.task, found.place).get(metric.name) is False
    }
    return {"weights": weights, "directions": directions}


def _run(found: _Results, experiment: UUID) -> tuple[RunRecord, list[str]]:
    """Return the run of a results file, and what to know of its samples."""
    place, held = found.place, found.held
    judged, warnings = _judged(found)
    config = values.config(_config(found), place)
    model = held.get("model_name") or part(held, "config", place).get("model")
    took = _seconds(held.get("total_evaluation_time_seconds"), place)
    own = {name: held[name] for name in _OWN if held.get(name) not in (None, {})}
    facts = Facts(
        id=derived(str(experiment), config.text, held.get("date"), judged.content),
        name=None if model is None else values.text(model, f"{place}: model_name"),
        config=config,
        tags=values.tags({}, "lm-eval", {**own, "stderr": {**found.errors}}, place),
        duration_ms=None if took is None else values.whole(round(took * 1000)),
        created_at=_moment(held.get("date"), place),
    )
    return run(judged, facts), warnings


def _seconds(value: JSON, place: str) -> float | None:
    """Return how long something took, which is written as text."""
    if value is None:
        return None
    try:
        return float(str(value))
    except ValueError as error:
        msg = f"{place}: total_evaluation_time_seconds: {value!r} is not a number"
        raise SourceError(msg) from error


def _moment(value: JSON, place: str) -> datetime | None:
    """Return a moment that is written as seconds since 1970."""
    if value is None:
        return None
    try:
        return datetime.fromtimestamp(values.number(value, f"{place}: date"), UTC)
    except (ValueError, OverflowError, OSError) as error:
        msg = f"{place}: date: {value!r} is not a moment"
        raise SourceError(msg) from error


def _config(found: _Results) -> dict[str, JSON]:
    """Return what the model was run with, and how many examples each task showed it."""
    config = {**part(found.held, "config", found.place)}
    for name in ("model_name", "n-shot", *_SETTINGS):
        value = found.held.get(name)
        if value is not None:
            config[name] = value
    return config


def _judged(found: _Results) -> tuple[Judgements, list[str]]:
    """Return the judgements of each document, or else those of all together."""
    judged = Judgements()
    warnings = []
    counts = part(found.held, "n-samples", found.place)
    samples: dict[str, _Samples] = {}
    for metric, overall in found.metrics.items():
        if metric.task not in samples:
            path = _samples_of(found.place, metric.task)
            samples[metric.task] = _read_samples(str(path)) if path.is_file() else {}
        cases = samples[metric.task].get((metric.name, metric.filter), {})
        expected = part(counts, metric.task, found.place).get("effective")
        lacking = _lacking(cases, overall, expected)
        if cases and lacking is not None:
            warnings.append(f"{metric.scorer}: {lacking}; only the result is kept")
        if not cases or lacking is not None:
            judged.add(metric.scorer, None, overall)
            continue
        for case, score in cases.items():
            judged.add(metric.scorer, case, score)
    return judged, warnings


def _lacking(
    cases: Mapping[str, float | None], overall: float, expected: JSON
) -> str | None:
    """Return why samples are not what the result is made of; None if they are."""
    if expected is not None and len(cases) != expected:
        return f"{len(cases)} of {expected} samples are there"
    scores = [score for score in cases.values() if score is not None]
    if len(scores) < len(cases):
        return "not every sample has a number"
    if scores and not isclose(fsum(scores) / len(scores), overall, rel_tol=1e-9):
        return "the result is not the mean of the samples"
    return None


def _read_samples(source: str) -> _Samples:
    """Return the judgements of a file of samples. Raises SourceError."""
    found: defaultdict[tuple[str, str], dict[str, float | None]] = defaultdict(dict)
    for place, raw in raw_lines(source):
        held = read_object(raw, place)
        names = held.get("metrics")
        if "doc_id" not in held or not isinstance(names, list):
            msg = f"{place}: a sample must have doc_id and metrics"
            raise SourceError(msg)
        filtered = str(held.get("filter") or _DEFAULT)
        for name in names:
            cases = found[values.text(name, place), filtered]
            cases[str(held["doc_id"])] = _number(held.get(str(name)))
    return found


def _number(value: JSON) -> float | None:
    """Return a score, or None for what a metric needs that is no mean of samples."""
    if isinstance(value, bool):
        return float(value)
    is_number = isinstance(value, int | float) or value in ("NaN", "Infinity")
    return values.number(value, "") if is_number else None


def _samples_of(results: str, task: str) -> Path:
    """Return where the samples of a task are, if they were logged."""
    path = Path(results)
    named = _NAMED.fullmatch(path.name)
    before, after = ("", "") if named is None else named.group("before", "after")
    return path.with_name(f"{before}samples_{task}{after}.jsonl")


def _results_of(samples: Path) -> Path | None:
    """Return the results that samples belong to; None if they are not beside them."""
    for path in sorted(samples.parent.glob("*results*.json")):
        if _RESULTS.match(beginning(str(path))):
            tasks = part(read_document(str(path)), "results", str(path))
            if samples in (_samples_of(str(path), task) for task in tasks):
                return path
    return None


def _alone(source: str) -> ExperimentRecord:
    """Return samples without their results, which alone say what was judged."""
    judged = Judgements()
    for (name, filtered), cases in _read_samples(source).items():
        metric = _Metric(task=Path(source).stem, name=name, filter=filtered)
        for case, score in cases.items():
            judged.add(metric.scorer, case, score)
    name = Path(source).stem
    identity = derived("lm-eval", name)
    facts = Facts(
        id=derived(str(identity), judged.content),
        name=None,
        # Samples of two models are no repeats of each other.
        config=values.config({"samples": Path(source).name}, source),
    )
    return ExperimentRecord(
        id=identity,
        name=values.text(name, source),
        description=None,
        status="completed",
        parameter_space=None,
        scoring_config=None,
        created_at=None,
        updated_at=None,
        runs=iter([run(judged, facts)]),
        place=source,
        warnings=("no results are beside these samples, so what was run is not known",),
    )


LM_EVAL = Importer(
    title="lm-evaluation-harness results", recognises=recognises, read=read
)
