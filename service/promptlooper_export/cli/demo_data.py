"""The experiment of `demo`: made up, but with the ups and downs of a real search.

An assistant answers questions about a product's manual. A random search comes first,
then a climb from its best run, one parameter at a time. The data is always the same.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeAlias
from uuid import UUID, uuid5

from promptlooper_export.configs import JSON
from promptlooper_export.documents import StageResult
from promptlooper_export.records import ExperimentRecord, RunRecord

EXPERIMENT = UUID("5f3d2c1b-8a90-5e4f-b6a7-0c1d2e3f4a5b")
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
RANDOM_RUNS = 36
CLIMBING_RUNS = 22
UNFINISHED = ("cancelled", "running", "pending")
TIMEOUTS = 0.05
PRUNED_BELOW = 0.5

Choice: TypeAlias = Mapping[str, JSON]
"""A value for every path of the parameter space."""

# What a value adds to accuracy, groundedness, conciseness and hallucination rate.
EFFECTS: Mapping[str, Mapping[JSON, tuple[float, float, float, float]]] = {
    "model.name": {
        "llama-3.1-8b-instruct": (0.48, 0.50, 0.72, 0.18),
        "qwen2.5-32b-instruct": (0.65, 0.60, 0.70, 0.10),
        "llama-3.3-70b-instruct": (0.67, 0.57, 0.55, 0.11),
    },
    "model.temperature": {
        0.0: (0.03, 0.02, 0.02, -0.02),
        0.2: (0.04, 0.02, 0.02, -0.02),
        0.5: (0.01, 0.0, 0.0, 0.0),
        0.9: (-0.06, -0.05, -0.03, 0.07),
    },
    "prompt.style": {
        "answer only": (-0.02, -0.04, 0.14, 0.02),
        "cite the line": (0.04, 0.14, 0.05, -0.03),
        "think first": (0.06, 0.02, -0.20, 0.0),
    },
    "prompt.few_shot": {
        0: (0.0, 0.0, 0.0, 0.02),
        2: (0.04, 0.02, 0.02, 0.0),
        4: (0.07, 0.04, 0.03, -0.01),
        8: (0.06, 0.04, 0.02, -0.01),
    },
    "retrieval.top_k": {
        0: (-0.16, -0.30, 0.03, 0.12),
        4: (0.02, 0.03, 0.0, -0.01),
        8: (0.06, 0.08, 0.0, -0.02),
        16: (0.03, 0.04, -0.02, 0.01),
    },
    "retrieval.rerank": {
        None: (0.0, 0.0, 0.0, 0.0),
        "bge-reranker-v2-m3": (0.04, 0.07, 0.01, -0.01),
    },
}
SPACE = {path: list(effects) for path, effects in EFFECTS.items()}

SCORERS = ("accuracy", "groundedness", "conciseness", "hallucination_rate")
SCORING: dict[str, JSON] = {
    "weights": {
        "accuracy": 0.5,
        "groundedness": 0.25,
        "conciseness": 0.1,
        "hallucination_rate": 0.15,
    },
    "directions": {"hallucination_rate": "minimize"},
    "required": ["accuracy"],
}

TOO_LONG = {"model.name": "llama-3.1-8b-instruct", "prompt.few_shot": 8}
"""The choice that does not fit into the model's context."""

SYSTEM = (
    "You answer questions about the pump's manual.\n"
    'Use only the passages given; where they are silent, say "I don\'t know".'
)


@dataclass(frozen=True, kw_only=True)
class Price:
    """USD per million tokens in and out, and milliseconds per token out."""

    tokens_in: float
    tokens_out: float
    milliseconds: float


PRICES: Mapping[JSON, Price] = {
    "llama-3.1-8b-instruct": Price(tokens_in=0.05, tokens_out=0.08, milliseconds=7),
    "qwen2.5-32b-instruct": Price(tokens_in=0.3, tokens_out=0.6, milliseconds=15),
    "llama-3.3-70b-instruct": Price(tokens_in=0.7, tokens_out=0.9, milliseconds=29),
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a run."""

    status: str
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    stages: tuple[StageResult, ...] = ()
    error: str | None = None


def demo_experiment() -> ExperimentRecord:
    """Return the experiment with its 61 runs."""
    return ExperimentRecord(
        id=EXPERIMENT,
        name="pump-manual-assistant",
        description="Which prompt, model and retrieval answer questions about the "
        "pump's manual best?",
        status="running",
        parameter_space=dict(SPACE),
        scoring_config=SCORING,
        created_at=START,
        updated_at=START,
        runs=_runs(Random(20261102)),  # noqa: S311  not a secret
    )


def _runs(random: Random) -> Iterator[RunRecord]:
    best: Choice = {}
    for index in range(RANDOM_RUNS + CLIMBING_RUNS):
        choice = _any(random) if index < RANDOM_RUNS else _neighbour(best, random)
        if not best or _promise(choice) > _promise(best):
            best = choice
        yield _record(index, choice, _outcome(choice, random))
    for index, status in enumerate(UNFINISHED, start=RANDOM_RUNS + CLIMBING_RUNS):
        yield _record(index, _neighbour(best, random), Outcome(status=status))


def _any(random: Random) -> Choice:
    return {path: random.choice(values) for path, values in SPACE.items()}


def _neighbour(choice: Choice, random: Random) -> Choice:
    path = random.choice(list(SPACE))
    others = [value for value in SPACE[path] if value != choice[path]]
    return {**choice, path: random.choice(others)}


def _expected(choice: Choice) -> list[float]:
    effects = [EFFECTS[path][value] for path, value in choice.items()]
    return [sum(column) for column in zip(*effects, strict=True)]


def _promise(choice: Choice) -> float:
    """Return what the search maximizes: accuracy plus groundedness."""
    accuracy, groundedness, _, _ = _expected(choice)
    return accuracy + groundedness


def _outcome(choice: Choice, random: Random) -> Outcome:
    if choice.items() >= TOO_LONG.items():
        error = "ContextLengthError: 9216 tokens asked for, the model takes 8192"
        return Outcome(status="failed", error=error)
    if random.random() < TIMEOUTS:
        error = "UpstreamTimeout: no answer within 60 s"
        return Outcome(status="failed", error=error)
    scores = {
        scorer: tuple(
            round(min(1.0, max(0.0, random.gauss(mean, 0.02))), 4)
            for _ in range(3 if scorer == "accuracy" else 1)
        )
        for scorer, mean in zip(SCORERS, _expected(choice), strict=True)
    }
    stages = _stages(choice, random)
    if scores["accuracy"][0] < PRUNED_BELOW:
        first = {"accuracy": scores["accuracy"][:1]}
        return Outcome(status="pruned", scores=first, stages=stages[:2])
    return Outcome(status="completed", scores=scores, stages=stages)


def _stages(choice: Choice, random: Random) -> tuple[StageResult, ...]:
    passages, examples = choice["retrieval.top_k"], choice["prompt.few_shot"]
    words = 420 if choice["prompt.style"] == "think first" else 130
    tokens_out = round(words * random.uniform(0.8, 1.2))
    pace = PRICES[choice["model.name"]].milliseconds
    rerank = 180 if choice["retrieval.rerank"] else 0
    return (
        StageResult(
            stage_name="retrieve",
            output=f"{passages} passages",
            tokens_in=0,
            tokens_out=0,
            duration_ms=round(random.uniform(40, 70)) + rerank,
        ),
        StageResult(
            stage_name="generate",
            output="Close the inlet valve before you open the housing (page 14).",
            tokens_in=160 + 310 * int(str(passages)) + 240 * int(str(examples)),
            tokens_out=tokens_out,
            duration_ms=round(tokens_out * pace * random.uniform(0.9, 1.3)),
        ),
        StageResult(
            stage_name="judge",
            output="The answer agrees with the reference.",
            tokens_in=620,
            tokens_out=40,
            duration_ms=round(random.uniform(500, 900)),
        ),
    )


def _record(index: int, choice: Choice, outcome: Outcome) -> RunRecord:
    config = json.dumps(_config(choice, index), ensure_ascii=False)
    created_at = START + timedelta(minutes=4 * index)
    milliseconds = sum(stage.duration_ms or 0 for stage in outcome.stages)
    tokens_in = sum(stage.tokens_in or 0 for stage in outcome.stages)
    tokens_out = sum(stage.tokens_out or 0 for stage in outcome.stages)
    price = PRICES[choice["model.name"]]
    cost = (tokens_in * price.tokens_in + tokens_out * price.tokens_out) / 1_000_000
    started = None if outcome.status == "pending" else created_at + timedelta(seconds=2)
    finished = (
        None
        if started is None or outcome.status == "running"
        else started + timedelta(milliseconds=milliseconds)
    )
    return RunRecord(
        id=uuid5(EXPERIMENT, str(index)),
        name=f"run-{index + 1:02d}",
        status=outcome.status,
        config=config,
        config_hash=hashlib.sha256(config.encode()).hexdigest(),
        scores=outcome.scores,
        tokens_in=tokens_in if outcome.stages else None,
        tokens_out=tokens_out if outcome.stages else None,
        duration_ms=milliseconds if outcome.stages else None,
        cost_usd=round(cost, 6) if outcome.stages else None,
        error=outcome.error,
        tags=["random" if index < RANDOM_RUNS else "climb"],
        stage_results=outcome.stages,
        created_at=created_at,
        started_at=started,
        finished_at=finished,
        updated_at=finished or started or created_at,
    )


def _config(choice: Choice, index: int) -> dict[str, JSON]:
    config: dict[str, dict[str, JSON]] = {
        "model": {"max_tokens": 512},
        "prompt": {"system": SYSTEM},
        "retrieval": {"embedding": "bge-small-en-v1.5"},
    }
    for path, value in choice.items():
        section, _, key = path.partition(".")
        config[section][key] = value
    return {**config, "seed": index}
