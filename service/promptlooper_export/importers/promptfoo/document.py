"""promptfoo's results as one JSON document: `promptfoo eval -o results.json`."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import shorten

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers import values
from promptlooper_export.importers.fields import as_double
from promptlooper_export.importers.files import beginning, part, parts, read_document
from promptlooper_export.importers.promptfoo.results import (
    OVERALL,
    Eval,
    Outcome,
    Prompt,
    Result,
    experiment,
)
from promptlooper_export.records import Records

TESTED = 3
"""The version of the results that was tested."""

_IS_RESULTS = re.compile(
    rb'^\s*\{.*("evalId"|"shareableUrl"|"promptfooVersion")\s*:', re.DOTALL
)

_UNTESTED = f"results of version {{}}, where version {TESTED} was tested"

_SHOWN = 100
"""Characters of a prompt in the name of a run; without a label it is the whole text."""

_ERROR = 2
"""The failureReason of a test that was not judged, because the provider failed."""

_SUMS = {
    "passed": "testPassCount",
    "failed": "testFailCount",
    "errors": "testErrorCount",
    OVERALL: "score",
}


def recognises(source: str) -> bool:
    """Return whether the file begins as results do."""
    return _IS_RESULTS.match(beginning(source)) is not None


def read(source: str) -> Records:
    """Yield the eval. The file is held in memory. Raises SourceError."""
    held = read_document(source)
    results = part(held, "results", source)
    version = results.get("version")
    config = part(held, "config", source)
    found = describe(
        source,
        identity=values.text(held.get("evalId"), f"{source}: evalId"),
        config=config,
        prompts=parts(results, "prompts", f"{source}: results"),
        created_at=results.get("timestamp"),
        warnings=() if version == TESTED else (_UNTESTED.format(version),),
    )
    rows = parts(results, "results", f"{source}: results")
    yield experiment(found, read_results(source, rows, prompts=len(found.prompts)))


def describe(
    place: str,
    *,
    identity: str,
    config: Mapping[str, JSON],
    prompts: list[dict[str, JSON]],
    created_at: object,
    warnings: tuple[str, ...],
) -> Eval:
    """Return what an eval says of itself. Raises SourceError."""
    providers = _providers(config.get("providers"))
    times: Counter[tuple[str, ...]] = Counter()
    return Eval(
        place=place,
        identity=identity,
        name=str(config.get("description") or identity),
        created_at=values.moment(created_at, f"{place}: the time of the eval"),
        tags=part(config, "tags", place),
        prompts=[
            _prompt(prompt, providers, times, f"{place}: prompt {number}")
            for number, prompt in enumerate(prompts)
        ],
        warnings=warnings,
    )


def _prompt(
    prompt: dict[str, JSON],
    providers: Mapping[str, Sequence[JSON]],
    times: Counter[tuple[str, ...]],
    place: str,
) -> Prompt:
    metrics = part(prompt, "metrics", place)
    tokens = part(metrics, "tokenUsage", place)
    provider = values.text(prompt.get("provider"), f"{place}: provider")
    label = values.text(prompt.get("label") or prompt.get("raw"), f"{place}: label")
    wording = {
        name: prompt[name]
        for name in ("label", "raw", "config")
        if prompt.get(name) not in (None, {})
    }
    # Two providers of one name, with other parameters, have the same prompts in turn.
    key = (provider, label, str(prompt.get("raw")))
    named = providers.get(provider, ())
    whole: JSON = named[times[key]] if times[key] < len(named) else {"id": provider}
    times[key] += 1
    return Prompt(
        name=f"[{provider}] {shorten(label, _SHOWN)}",
        config={
            "provider": whole,
            "prompt": wording,
        },
        tokens_in=values.whole(tokens.get("prompt")),
        tokens_out=values.whole(tokens.get("completion")),
        duration_ms=values.whole(metrics.get("totalLatencyMs")),
        cost_usd=values.cost(metrics.get("cost")),
        told=_told(metrics),
        own={
            "prompt": prompt.get("id"),
            "cached_tokens": tokens.get("cached"),
            "requests": tokens.get("numRequests"),
        },
    )


def _told(metrics: Mapping[str, JSON]) -> dict[str, float]:
    """Return promptfoo's own sums over the results of a prompt."""
    return {
        what: told
        for what, name in _SUMS.items()
        if (told := as_double(metrics.get(name))) is not None
    }


def _providers(given: JSON) -> Mapping[str, Sequence[JSON]]:
    """Return what the config says of the providers that have a name, in its order.

    A provider is its id, an object with its id, or an object of its id and the rest.
    Its name is its label, if it has one, else its id.
    """
    found: defaultdict[str, list[JSON]] = defaultdict(list)
    for provider in given if isinstance(given, list) else [given]:
        if not isinstance(provider, dict):
            continue
        whole = provider
        if "id" not in provider and len(provider) == 1:
            ((id_, rest),) = provider.items()
            whole = {"id": id_, **rest} if isinstance(rest, dict) else {"id": id_}
        found[str(whole.get("label") or whole.get("id"))].append(whole)
    return found


def read_results(
    place: str, rows: Iterable[dict[str, JSON]], *, prompts: int
) -> Iterator[Result]:
    """Yield the results in these rows. Raises SourceError, naming the row."""
    cases: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{place}: result {number}"
        index = values.whole(row.get("promptIdx"))
        test = values.whole(row.get("testIdx"))
        if index is None or index >= prompts or test is None:
            msg = f"{where}: has no promptIdx and testIdx, or no such prompt is there"
            raise SourceError(msg)
        # A repeat has an index of its own, but it is the same test again.
        content = json.dumps([row.get("testCase"), row.get("vars")], sort_keys=True)
        yield Result(
            prompt=index,
            case=cases.setdefault(content, str(test)),
            outcome=_outcome(row, where),
            score=_score(row.get("score"), f"{where}: score"),
            metrics={
                name: _score(score, f"{where}: {name}")
                for name, score in part(row, "namedScores", where).items()
            },
            error=None if row.get("error") is None else str(row["error"]),
        )


def _outcome(row: Mapping[str, JSON], place: str) -> Outcome:
    if row.get("failureReason") == _ERROR:
        return "errors"
    if not isinstance(row.get("success"), bool):
        msg = f"{place}: success: must be true or false"
        raise SourceError(msg)
    return "passed" if row["success"] else "failed"


def _score(value: JSON, place: str) -> float | None:
    """Return a score; JavaScript writes NaN and infinities as null."""
    return None if value is None else values.number(value, place)
