"""Every run as a JSON object (RFC 8259) on a line of its own."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain, islice

from marshmallow import Schema

from promptlooper_export.plugin import (
    JSON,
    Format,
    Notice,
    RunBatch,
    Runs,
    StageResult,
    json_text,
    timestamp,
)
from promptlooper_formats.shared.interchange import (
    experiment_line,
    run_line,
)
from promptlooper_formats.shared.notices import big_integers
from promptlooper_formats.shared.spellings import Spellings
from promptlooper_formats.shared.text import json_texts, together
from promptlooper_formats.shared.variables import switch

# A number with at least as many digits as 2^53, as JSON is written here. A pattern is
# found quickly if it begins with one fixed character: here, the one before a number in
# an object or a list.
_MAYBE_BIG = (re.compile(" -?[0-9]{16}"), re.compile(r"\[-?[0-9]{16}"))

# JSON takes these as they are, but many a reader of lines ends a line there: Python's
# str.splitlines (httpx, requests) at all three, Node.js's readline at the first two.
_LINE_ENDS = {"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"}


class NdjsonOptions(Schema):
    """The options of the format."""

    header = switch(
        "Write the interchange file, which can be imported and "
        "converted: a line for the experiment first, every judgement of each run"
    )


def render(runs: Runs, *, header: bool = False) -> Iterator[bytes | Notice]:
    """Yield a line for each run; keys alike are named, and an integer that is rounded.

    Named is the first integer that a reader with doubles only would round.
    """
    yield from together(_lines(runs, header=header), _encoded)


def _lines(runs: Runs, *, header: bool) -> Iterator[str | Notice]:
    if header:
        yield f"{json_text(experiment_line(runs.experiment))}\n"
    # One notice is enough: a notice for each would grow with the number of runs.
    named = False
    spellings = Spellings()
    for batch in runs.batches:
        lines = map(json_text, map(run_line, batch)) if header else _records(batch)
        yield from map("{}\n".format, lines)
        yield from spellings.alike(batch.config, "config")
        yield from spellings.alike(batch.scores, "scores")
        if not named:
            found = map(_big_integers, batch.config_json, batch.config)
            for notice in islice(chain.from_iterable(found), 1):
                yield notice
                named = True


def _big_integers(text: str, config: Mapping[str, JSON] | None) -> Iterator[Notice]:
    if config and any(pattern.search(text) for pattern in _MAYBE_BIG):
        yield from big_integers(config)


def _encoded(lines: str) -> bytes:
    for end, escape in _LINE_ENDS.items():
        lines = lines.replace(end, escape)
    # UTF-8 has no form for a lone surrogate; Python's escape for it is also JSON's.
    return lines.encode(errors="backslashreplace")


def _records(batch: RunBatch) -> Iterator[str]:
    """Yield the object of each run."""
    members = {
        "run_id": json_texts(batch.ids),
        "name": json_texts(batch.name),
        "status": json_texts(batch.status),
        "weighted_score": json_texts(batch.weighted_score),
        "rank": json_texts(batch.rank),
        "config": batch.config_json,
        "config_hash": json_texts(batch.config_hash),
        "scores": _scores(batch.scores),
        "tokens_in": json_texts(batch.tokens_in),
        "tokens_out": json_texts(batch.tokens_out),
        "duration_ms": json_texts(batch.duration_ms),
        "cost_usd": json_texts(batch.cost_usd),
        "error": json_texts(batch.error),
        "tags": _json(batch.tags),
        "stage_results": _stages(batch.stage_results),
        "created_at": map(_time, batch.created_at),
        "started_at": map(_time, batch.started_at),
        "finished_at": map(_time, batch.finished_at),
        "updated_at": map(_time, batch.updated_at),
    }
    return _objects(members)


def _json(values: Sequence[JSON]) -> Iterable[str]:
    if any(values):
        return map(json_text, values)
    return json_texts(values)  # type: ignore[arg-type]  # none of them holds others


def _objects(members: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Yield JSON objects with these members, whose values are columns of JSON."""
    return map(_template(tuple(members)).__mod__, zip(*members.values(), strict=True))


@lru_cache(maxsize=1000)
def _template(names: tuple[str, ...]) -> str:
    """Return an object of these members, with a mark for the JSON of each."""
    keys = (json_text(name).replace("%", "%%") for name in names)
    return f"{{{', '.join(f'{key}: %s' for key in keys)}}}"


def _time(moment: datetime | None) -> str:
    return "null" if moment is None else f'"{timestamp(moment)}"'


def _scores(scores: Sequence[Mapping[str, float]]) -> Iterator[str]:
    values = iter(json_texts([*chain.from_iterable(one.values() for one in scores)]))
    for one in scores:
        yield _template(tuple(one)) % tuple(islice(values, len(one)))


def _stages(results: Sequence[tuple[StageResult, ...]]) -> Iterator[str]:
    stages = [*chain.from_iterable(results)]
    objects = _objects(
        {
            "stage_name": json_texts([stage.stage_name for stage in stages]),
            "output": json_texts([stage.output for stage in stages]),
            "tokens_in": json_texts([stage.tokens_in for stage in stages]),
            "tokens_out": json_texts([stage.tokens_out for stage in stages]),
            "duration_ms": json_texts([stage.duration_ms for stage in stages]),
        }
    )
    for of_run in results:
        yield f"[{', '.join(islice(objects, len(of_run)))}]"


NDJSON = Format(
    name="ndjson",
    title="NDJSON",
    document=Runs,
    media_types=(
        "application/x-ndjson",
        "application/jsonl",
        "application/ndjson",
    ),
    extension="ndjson",
    render=render,
    options=NdjsonOptions,
    needs_columns=False,
)
