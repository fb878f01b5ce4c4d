"""What every file of promptfoo holds: an eval, in which prompts are judged on tests.

An eval is an experiment. Each prompt with its provider is a run, and each test is a
case; repeats of a test belong to the same case.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import fsum, isclose
from typing import Literal, NamedTuple, get_args
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.importers import values
from promptlooper_export.importers.evaluations import Facts, Judgements, derived, run
from promptlooper_export.records import ExperimentRecord, RunRecord

OVERALL = "score"
"""The scorer that has promptfoo's own score of a test, by which runs are ranked."""

PASSED = "pass"
"""The scorer that is 1 if a test passed, else 0."""

Outcome = Literal["passed", "failed", "errors"]


class Result(NamedTuple):
    """How the prompt with this index did on a case."""

    prompt: int
    case: str
    outcome: Outcome
    score: float | None
    metrics: dict[str, float | None]
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt with its provider.

    `told` has promptfoo's own sums over its results: of each outcome, and of the
    scores. `own` is what only promptfoo knows of them.
    """

    name: str
    config: dict[str, JSON]
    tokens_in: int | None = None
    tokens_out: int | None = None
    duration_ms: int | None = None
    cost_usd: float | None = None
    told: Mapping[str, float] = field(default_factory=dict)
    own: dict[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Eval:
    """An eval; `identity` is what tells it from all others."""

    place: str
    identity: str
    name: str
    created_at: datetime | None
    tags: dict[str, JSON]
    prompts: Sequence[Prompt]
    warnings: tuple[str, ...] = ()


class _Summary:
    """All results of one prompt."""

    def __init__(self) -> None:
        self.judged = Judgements()
        self.outcomes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def add(self, result: Result) -> None:
        self.outcomes[result.outcome] += 1
        if result.outcome == "errors":
            self.errors[result.error or "unknown error"] += 1
        self.judged.add(OVERALL, result.case, result.score)
        self.judged.add(PASSED, result.case, float(result.outcome == "passed"))
        for name, score in result.metrics.items():
            is_taken = name in (OVERALL, PASSED)
            scorer = f"metric {name}" if is_taken else name
            self.judged.add(scorer, result.case, score)

    @property
    def status(self) -> str:
        if not self.outcomes:
            return "pending"
        return "failed" if set(self.outcomes) == {"errors"} else "completed"


def experiment(found: Eval, results: Iterable[Result]) -> ExperimentRecord:
    """Return the record of an eval. Raises SourceError for what cannot be stored."""
    summaries = [_Summary() for _ in found.prompts]
    for result in results:
        summaries[result.prompt].add(result)
    runs = [*zip(found.prompts, summaries, strict=True)]
    # An eval may be resumed under its id, so its results are part of its identity.
    content: list[JSON] = [[prompt.config, of.judged.content] for prompt, of in runs]
    identity = derived("promptfoo", found.identity, content)
    return ExperimentRecord(
        id=identity,
        name=values.text(found.name, f"{found.place}: the description"),
        description=None,
        status="completed",
        parameter_space=None,
        scoring_config={"weights": {OVERALL: 1}},
        created_at=found.created_at,
        updated_at=None,
        runs=(
            _run(found, prompt, summary, identity=derived(str(identity), number))
            for number, (prompt, summary) in enumerate(runs)
        ),
        place=found.place,
        warnings=(*found.warnings, *_warnings(runs)),
    )


def _warnings(runs: Iterable[tuple[Prompt, _Summary]]) -> Iterator[str]:
    total: Counter[str] = Counter()
    for prompt, summary in runs:
        total.update(summary.outcomes)
        scores = summary.judged.scores.get(OVERALL, ())
        found = {
            **dict.fromkeys(get_args(Outcome), 0.0),
            **summary.outcomes,
            OVERALL: fsum(score for score in scores if score is not None),
        }
        for what, told in prompt.told.items():
            if not isclose(told, found[what], rel_tol=1e-9):
                yield (
                    f"{prompt.name}: its results have {found[what]:g} {what} and its "
                    f"summary says {told:g}; the file may be damaged or incomplete"
                )
    if total["errors"]:
        yield (
            f"{total['errors']} of {total.total()} results are errors, which promptfoo "
            "scores 0; only runs in which all are errors count as failed"
        )


def _run(
    found: Eval, prompt: Prompt, summary: _Summary, *, identity: UUID
) -> RunRecord:
    place = f"{found.place}: {prompt.name}"
    judged = summary.judged
    own: dict[str, JSON] = {"eval": found.identity, **prompt.own, **summary.outcomes}
    if summary.errors:
        own["messages"] = dict(summary.errors)
    for name in judged.scores:
        values.text(name, f"{place}: a metric's name")
    is_failed = summary.status == "failed"
    facts = Facts(
        id=identity,
        name=values.text(prompt.name, place),
        status=summary.status,
        config=values.config(prompt.config, place),
        tokens_in=prompt.tokens_in,
        tokens_out=prompt.tokens_out,
        duration_ms=prompt.duration_ms,
        cost_usd=prompt.cost_usd,
        error=values.text(next(iter(summary.errors)), place) if is_failed else None,
        tags=values.tags(found.tags, "promptfoo", own, place),
        created_at=found.created_at,
    )
    return run(judged, facts)
