"""How the runs of the demo's experiments come out, and what they cost."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TypeAlias
from uuid import UUID, uuid5

from promptlooper_export.configs import JSON
from promptlooper_export.records import ExperimentRecord, RunRecord
from promptlooper_export.runs import StageResult

Choice: TypeAlias = Mapping[str, JSON]
"""A value for every path of the parameter space."""

Space: TypeAlias = dict[str, list[JSON]]
"""The values to choose from, by path."""

Effects: TypeAlias = Mapping[str, Mapping[JSON, tuple[float, ...]]]
"""What a value of a parameter adds to each scorer, by path and value."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """USD per million tokens in and out, and milliseconds per token out."""

    tokens_in: float
    tokens_out: float
    milliseconds: float


PRICES: Mapping[JSON, Price] = {
    "llama-3.1-8b-instruct": Price(tokens_in=0.05, tokens_out=0.08, milliseconds=7),
    "qwen2.5-14b-instruct": Price(tokens_in=0.1, tokens_out=0.2, milliseconds=9),
    "mistral-small-24b-instruct": Price(tokens_in=0.1, tokens_out=0.3, milliseconds=11),
    "qwen2.5-32b-instruct": Price(tokens_in=0.3, tokens_out=0.6, milliseconds=15),
    "llama-3.3-70b-instruct": Price(tokens_in=0.7, tokens_out=0.9, milliseconds=29),
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a run; its scorers judged the first `cases` cases."""

    status: str
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    cases: int = 0
    error: str | None = None


@dataclass(kw_only=True)
class Study:
    """An experiment as it goes on.

    Each case is harder by its `difficulty`, and answers vary by `noise`. What is
    `untried` by the search has effects all the same. `runs` are those so far.
    """

    id: UUID
    start: datetime
    scorers: Sequence[str]
    effects: Effects
    noise: float
    random: Random
    difficulty: Sequence[float] = ()
    untried: Sequence[JSON] = ()
    runs: int = 0

    def record(
        self,
        *,
        name: str,
        description: str,
        status: str,
        scoring: JSON,
        runs: Iterator[RunRecord],
    ) -> ExperimentRecord:
        """Return the experiment; it was created with its first run."""
        return ExperimentRecord(
            id=self.id,
            name=name,
            description=description,
            status=status,
            parameter_space={**self.space()},
            scoring_config=scoring,
            created_at=self.start,
            updated_at=self.start,
            runs=runs,
        )

    def space(self) -> Space:
        """Return the values that the search chooses from."""
        return {
            path: [value for value in effects if value not in self.untried]
            for path, effects in self.effects.items()
        }

    def promise(self, choice: Choice) -> float:
        """Return what the search maximizes."""
        expected = self.expected(choice)
        return expected["accuracy"] + expected["groundedness"]

    def run(self, choice: Choice, tag: str, outcome: Outcome) -> RunRecord:
        """Return the next run."""
        self.runs += 1
        return _record(self, choice, tag, outcome)

    def judge(self, choice: Choice, *, cases: int | None = None) -> Outcome:
        """Let every scorer judge the answers to the cases."""
        luck = self.random.gauss(0, self.noise / 8)
        used = self.difficulty[:cases]
        return Outcome(
            status="completed",
            scores={
                scorer: tuple(
                    self._score(mean + luck, hard, scorer=scorer) for hard in used
                )
                for scorer, mean in self.expected(choice).items()
            },
            cases=len(used),
        )

    def _score(self, mean: float, hard: float, *, scorer: str) -> float:
        easier = hard if scorer == "hallucination_rate" else -hard
        value = self.random.gauss(mean + easier, self.noise)
        return round(min(1.0, max(0.0, value)), 3)

    def expected(self, choice: Choice) -> dict[str, float]:
        """Return the score that each scorer would give on average."""
        added = [self.effects[path][value] for path, value in choice.items()]
        sums = map(sum, zip(*added, strict=True))
        return dict(zip(self.scorers, sums, strict=True))


def _record(study: Study, choice: Choice, tag: str, outcome: Outcome) -> RunRecord:
    text = json.dumps(_config(study, choice), ensure_ascii=False)
    stages = tuple(_stages(study, choice, outcome.cases))
    created_at = study.start + timedelta(minutes=4 * study.runs)
    milliseconds = sum(stage.duration_ms or 0 for stage in stages)
    tokens_in = sum(stage.tokens_in or 0 for stage in stages)
    tokens_out = sum(stage.tokens_out or 0 for stage in stages)
    price = PRICES[choice["model.name"]]
    cost = (tokens_in * price.tokens_in + tokens_out * price.tokens_out) / 1_000_000
    started = None if outcome.status == "pending" else created_at + timedelta(seconds=2)
    finished = (
        None
        if started is None or outcome.status == "running"
        else started + timedelta(milliseconds=milliseconds)
    )
    return RunRecord(
        id=uuid5(study.id, str(study.runs)),
        name=f"run-{study.runs:02d}",
        status=outcome.status,
        config=text,
        config_hash=hashlib.sha256(text.encode()).hexdigest(),
        scores=outcome.scores,
        cases={scorer: _cases(outcome.cases) for scorer in outcome.scores},
        tokens_in=tokens_in if stages else None,
        tokens_out=tokens_out if stages else None,
        duration_ms=milliseconds if stages else None,
        cost_usd=round(cost, 6) if stages else None,
        error=outcome.error,
        tags=[tag],
        stage_results=stages,
        created_at=created_at,
        started_at=started,
        finished_at=finished,
        updated_at=finished or started or created_at,
    )


def _cases(count: int) -> tuple[str, ...]:
    return tuple(f"question-{number:02d}" for number in range(1, count + 1))


def _config(study: Study, choice: Choice) -> dict[str, JSON]:
    config: dict[str, dict[str, JSON]] = {}
    for path, value in choice.items():
        section, _, key = path.partition(".")
        config.setdefault(section, {})[key] = value
    # A config keeps its seed, so that its repeats are the same config.
    seed = Random(repr(choice)).randrange(10_000)  # noqa: S311  not a secret
    return {**config, "seed": seed}


def _stages(study: Study, choice: Choice, cases: int) -> Iterator[StageResult]:
    """Yield what the stages of a run took for its cases."""
    if not cases:
        return
    random, pace = study.random, PRICES[choice["model.name"]].milliseconds
    passages = int(str(choice.get("retrieval.top_k", 0)))
    examples = int(str(choice.get("prompt.few_shot", 0)))
    prompt = str(choice["prompt.system"])
    # Who is asked to think, thinks aloud.
    words = 210 if "Think" in prompt else 90
    tokens_out = round(cases * words * random.uniform(0.85, 1.15))
    if passages:
        yield StageResult(
            stage_name="retrieve",
            output=f"{passages} passages for each question",
            tokens_in=0,
            tokens_out=0,
            duration_ms=round(cases * random.uniform(40, 70)),
        )
    yield StageResult(
        stage_name="generate",
        output=f"{cases} answers",
        tokens_in=cases * (len(prompt) // 4 + 60 + 310 * passages + 240 * examples),
        tokens_out=tokens_out,
        duration_ms=round(tokens_out * pace * random.uniform(0.9, 1.3)),
    )
    yield StageResult(
        stage_name="judge",
        output=f"{cases} answers judged",
        tokens_in=cases * 620,
        tokens_out=cases * 40,
        duration_ms=round(cases * random.uniform(500, 900)),
    )
