"""Inspect's logs: each eval of a task is a run, and each sample a case.

An experiment is a task. The epochs of a sample are reduced to one score, as Inspect
does before it takes means; without such scores, each epoch is a judgement of the case.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from math import fsum, isclose, isfinite
from pathlib import Path
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers import values
from promptlooper_export.importers.evaluations import Facts, Judgements, derived, run
from promptlooper_export.importers.fields import as_double
from promptlooper_export.importers.files import beginning, part, parts
from promptlooper_export.importers.importer import Importer
from promptlooper_export.importers.inspect.archive import ARCHIVE, Log, read_log
from promptlooper_export.records import ExperimentRecord, Records

TESTED = (1, 2, 3)
"""The versions of logs that were tested; older logs have none."""

_LOG = re.compile(rb'\s*\{(?=.*"eval"\s*:\s*\{)(?=.*"(task_id|run_id)"\s*:)', re.DOTALL)

_SHORT_ID = 8
"""Characters of an eval's id that tell runs of one model apart."""

_STATUS = {
    "success": "completed",
    "error": "failed",
    "cancelled": "cancelled",
    "started": "running",
}

_WORDS = {
    "C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0,
    "false": 0.0,
}  # fmt: skip
"""Scores that Inspect counts as numbers; any other word is 0 there."""

_MEANS = ("accuracy", "mean")
"""Metrics that are means over samples."""


def recognises(source: str) -> bool:
    """Return whether this is a log, or a folder that has logs."""
    if Path(source).is_dir():
        return any(True for _ in _files(source))
    return _is_log(source)


def _is_log(source: str) -> bool:
    head = beginning(source)
    is_archive = Path(source).suffix == ARCHIVE and bool(head)
    return is_archive or _LOG.match(head) is not None


def _files(folder: str) -> Iterator[str]:
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix in {ARCHIVE, ".json"} and _is_log(str(path)):
            yield str(path)


def read(source: str) -> Records:
    """Yield the run of each log, in the experiment of its task.

    One log is held in memory at a time. Raises SourceError.
    """
    for file in _files(source) if Path(source).is_dir() else [source]:
        yield _experiment(read_log(file))


def _experiment(log: Log) -> ExperimentRecord:
    place = log.place
    of = part(log.header, "eval", place)
    task = values.text(of.get("task"), f"{place}: eval: task")
    identity = derived("inspect", task, of.get("task_version"))
    judged = Judgements()
    warnings = [*_judge(log, judged), *_lost(log)]
    version = log.header.get("version")
    if version is not None and version not in TESTED:
        warnings.append(
            f"a log of version {version}, but only versions 1 to 3 were tested"
        )
    created_at = values.moment(of.get("created"), f"{place}: eval: created")
    return ExperimentRecord(
        id=identity,
        name=task,
        description=None,
        status="completed",
        parameter_space=None,
        scoring_config={"weights": dict.fromkeys([*judged.scores][:1], 1)},
        created_at=created_at,
        updated_at=None,
        runs=iter([run(judged, _facts(log, identity, judged, created_at))]),
        place=place,
        warnings=tuple(warnings),
    )


def _facts(
    log: Log, experiment: UUID, judged: Judgements, created_at: datetime | None
) -> Facts:
    place, header = log.place, log.header
    of = part(header, "eval", place)
    stats = part(header, "stats", place)
    error = part(header, "error", place).get("message")
    config = values.config(_config(log), place)
    started_at = values.moment(stats.get("started_at") or None, f"{place}: started_at")
    ended_at = values.moment(
        stats.get("completed_at") or None, f"{place}: completed_at"
    )
    usage = part(stats, "model_usage", place)
    model = values.text(of.get("model"), f"{place}: eval: model")
    keys: list[JSON] = [of.get("eval_id"), of.get("run_id"), of.get("task_id")]
    return Facts(
        id=derived(str(experiment), keys, config.text, judged.content),
        name=f"{model} {str(keys[0] or keys[1])[:_SHORT_ID]}",
        status=_status(header.get("status"), place),
        config=config,
        error=None if error is None else values.text(error, f"{place}: error"),
        tokens_in=values.whole(_sum(usage, "input_tokens", place)),
        tokens_out=values.whole(_sum(usage, "output_tokens", place)),
        cost_usd=_sum(usage, "total_cost", place),
        duration_ms=values.milliseconds(started_at, ended_at),
        tags=values.tags(part(of, "metadata", place), "inspect", _own(log), place),
        created_at=created_at,
        started_at=started_at,
        finished_at=ended_at,
    )


def _status(status: JSON, place: str) -> str:
    if not isinstance(status, str) or status not in _STATUS:
        msg = f"{place}: status: {status!r} is not one of {', '.join(_STATUS)}"
        raise SourceError(msg)
    return _STATUS[status]


def _sum(usage: Mapping[str, JSON], name: str, place: str) -> float | None:
    """Return a sum over all models; None if no model has it."""
    counts = [as_double(part(usage, model, place).get(name)) for model in usage]
    known = [count for count in counts if count is not None]
    return fsum(known) if known else None


def _config(log: Log) -> dict[str, JSON]:
    """Return the model, how it generates, and what the task does with it."""
    of = part(log.header, "eval", log.place)
    plan = part(log.header, "plan", log.place)
    generate = {
        **part(of, "model_generate_config", log.place),
        **part(plan, "config", log.place),
    }
    steps: JSON = [
        {"solver": step.get("solver"), **part(step, "params", log.place)}
        for step in (parts(plan, "steps", log.place) if plan.get("steps") else [])
    ]
    config: dict[str, JSON] = {
        "model": of.get("model"),
        "model_args": of.get("model_args"),
        "model_roles": of.get("model_roles"),
        "generate": generate,
        "task_args": of.get("task_args"),
        "plan": steps,
    }
    return {
        name: value for name, value in config.items() if value not in (None, {}, [])
    }


def _own(log: Log) -> dict[str, JSON]:
    """Return what is kept in the tags."""
    of = part(log.header, "eval", log.place)
    dataset = part(of, "dataset", log.place)
    errors = Counter(message for message in map(_error, log.samples) if message)
    own: dict[str, JSON] = {
        "tags": of.get("tags"),
        **{name: of.get(name) for name in ("eval_id", "run_id", "task_id", "config")},
        "task_version": of.get("task_version"),
        "dataset": {name: dataset.get(name) for name in ("name", "samples")},
        "packages": of.get("packages"),
        "revision": of.get("revision"),
        "model_usage": part(log.header, "stats", log.place).get("model_usage"),
        "errors": dict(errors),
    }
    return {name: value for name, value in own.items() if value is not None}


def _error(sample: Mapping[str, JSON]) -> str | None:
    """Return why a sample failed: an object in a document, text in an archive."""
    error = sample.get("error")
    found = error.get("message") if isinstance(error, dict) else error
    return None if found is None else str(found)


def _lost(log: Log) -> Iterator[str]:
    failed = sum(_error(sample) is not None for sample in log.samples)
    if failed:
        yield (
            f"{failed} of {len(log.samples)} samples ended in an error; Inspect leaves "
            "them out of its means"
        )


def _judge(log: Log, judged: Judgements) -> Iterator[str]:
    """Fill in the judgements; yield where they are not what the results say."""
    for reduction in log.reductions:
        scorer = _scorer(reduction.get("scorer"), reduction.get("reducer"))
        for sample in parts(reduction, "samples", f"{log.place}: reductions"):
            _add(judged, scorer, sample.get("sample_id"), sample.get("value"))
    if not log.reductions:
        for sample in log.samples:
            for scorer, score in part(
                sample, "scores", f"{log.place}: samples"
            ).items():
                given = score.get("value") if isinstance(score, dict) else score
                _add(judged, scorer, sample.get("id"), given)
    for scorer, results in _results(log):
        yield from _compared(judged, scorer, results)


def _compared(
    judged: Judgements, scorer: str, results: Mapping[str, float]
) -> Iterator[str]:
    scores = [score for score in judged.scores.get(scorer, ()) if score is not None]
    finite = [score for score in scores if isfinite(score)]
    names = [name for name in (*_MEANS, *results) if name in results]
    if not names:
        return
    result = results[names[0]]
    if not scores:
        judged.only(scorer, result)
        yield f"{scorer}: no samples are there; only the {names[0]} is kept"
    elif names[0] in _MEANS and finite:
        mean = fsum(finite) / len(finite)
        if not isclose(mean, result, rel_tol=1e-6, abs_tol=1e-9):
            judged.only(scorer, result)
            yield (
                f"{scorer}: the mean of the samples is {mean:g}, but the {names[0]} "
                f"{result:g}; only that is kept"
            )


def _results(log: Log) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the metrics of each scorer, without its standard errors."""
    place = f"{log.place}: results"
    results = part(log.header, "results", log.place)
    given = results.get("scores")
    # Logs of version 1 have one scorer.
    scores = parts(results, "scores", place) if given else [results] if results else []
    for score in scores:
        scorer = score.get("scorer")
        if isinstance(scorer, dict):
            scorer = scorer.get("name")
        name = score.get("name") or scorer
        metrics = part(score, "metrics", place)
        found = {}
        for metric in metrics:
            number = part(metrics, metric, place).get("value")
            if "std" not in metric and "var" not in metric and number is not None:
                found[metric] = values.number(number, f"{place}: {metric}")
        whole = scorer if name == scorer else f"{scorer}/{name}"
        yield _scorer(whole, score.get("reducer")), found


def _scorer(name: JSON, reducer: JSON) -> str:
    return str(name) if reducer is None else f"{name}/{reducer}"


def _add(judged: Judgements, scorer: str, case: JSON, value: JSON) -> None:
    """Add a score; one that is an object or a list is several."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            _add(judged, f"{scorer}/{name}", case, item)
        return
    judged.add(scorer, str(case), _number(value))


def _number(value: JSON) -> float | None:
    """Return a score as Inspect counts it."""
    if isinstance(value, bool):
        return float(value)
    if value is None or as_double(value) is not None:
        return as_double(value)
    word = str(value)
    if word in _WORDS or word.lower() in _WORDS:
        return _WORDS.get(word, _WORDS.get(word.lower()))
    try:
        return float(word)
    except ValueError:
        return 0.0


INSPECT = Importer(title="Inspect log", recognises=recognises, read=read)
