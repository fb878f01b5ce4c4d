"""The experiments of `demo`: made up, but with the ups and downs of real searches.

The first has a clear winner: an assistant answers questions about a product's manual. A
random search comes first, then a climb from its best run, then a new prompt. Every run
is judged by the same cases, and the best configs are repeated. In the second, the
configs are equally good, and whoever wins is lucky. The third failed, and the fourth
has not begun. The data is always the same.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from random import Random
from statistics import fmean
from uuid import UUID

from promptlooper_export.cli.demo_runs import Choice, Effects, Outcome, Space, Study
from promptlooper_export.configs import JSON
from promptlooper_export.records import ExperimentRecord, RunRecord

EXPERIMENT = UUID("5f3d2c1b-8a90-5e4f-b6a7-0c1d2e3f4a5b")
"""The experiment with a clear winner."""

RANDOM_RUNS = 28
CLIMBING_RUNS = 18
REPEATS = 3
UNFINISHED = ("cancelled", "running", "running", "pending")
FAILING = 0.08
PRUNED_AFTER = 5
"""The cases after which a run that does badly is pruned."""

PRUNED_BELOW = 0.6

SHORT = "Answer the question about the pump's manual in one or two sentences."
QUOTING = (
    "You answer questions about the manual of a pump.\n"
    "\n"
    "Use only the passages below. Quote the sentence that answers the question, and\n"
    "name its page."
)
THINKING = (
    "You answer questions about the manual of a pump.\n"
    "\n"
    "1. List the passages that matter.\n"
    "2. Think about each step before you answer.\n"
    "3. Answer in at most five sentences."
)
REFUSING = (
    "You answer questions about the manual of a pump.\n"
    "\n"
    "Use only the passages below. Quote the sentence that answers the question, and\n"
    'name its page. Where they do not answer it, say "The manual does not say".\n'
    "Never give a pressure, a torque or a voltage that is not in a passage."
)
"""The prompt that was written last, from what was wrong with the others."""

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
SCORERS = ("accuracy", "groundedness", "conciseness", "hallucination_rate")
EFFECTS: Effects = {
    "model.name": {
        "llama-3.1-8b-instruct": (0.52, 0.50, 0.72, 0.22),
        "qwen2.5-32b-instruct": (0.65, 0.58, 0.70, 0.15),
        "llama-3.3-70b-instruct": (0.66, 0.56, 0.58, 0.16),
    },
    "model.temperature": {
        0.0: (0.02, 0.02, 0.02, -0.02),
        0.3: (0.03, 0.01, 0.01, -0.01),
        0.7: (-0.01, -0.01, 0.0, 0.02),
        1.0: (-0.06, -0.05, -0.02, 0.06),
    },
    "model.top_p": {0.9: (0.0, 0.0, 0.0, 0.0), 1.0: (0.0, 0.0, 0.0, 0.0)},
    "model.max_tokens": {
        256: (-0.03, -0.01, 0.05, 0.0),
        512: (0.0, 0.0, 0.0, 0.0),
        1024: (0.0, 0.0, -0.06, 0.01),
    },
    "prompt.system": {
        SHORT: (-0.03, -0.05, 0.12, 0.03),
        QUOTING: (0.02, 0.08, 0.03, -0.03),
        THINKING: (0.04, 0.01, -0.18, 0.0),
        REFUSING: (0.05, 0.14, 0.04, -0.09),
    },
    "prompt.few_shot": {
        0: (0.0, 0.0, 0.0, 0.02),
        2: (0.03, 0.02, 0.02, 0.0),
        4: (0.04, 0.03, 0.02, -0.01),
        8: (0.03, 0.03, 0.02, -0.01),
    },
    "retrieval.top_k": {
        4: (0.0, 0.02, 0.0, -0.01),
        8: (0.04, 0.05, 0.0, -0.02),
        16: (0.02, 0.02, -0.02, 0.01),
    },
}
TOO_LONG = {"model.name": "llama-3.1-8b-instruct", "prompt.few_shot": 8}
"""The choice that does not fit into the model's context."""

CONTEXT_ERROR = (
    "Error code: 400 - This model's maximum context length is 8192 tokens, but the "
    "messages have 9216 tokens."
)
ERRORS = (
    "Error code: 429 - Rate limit reached: 60 requests a minute. Try again in 2.4 s.",
    "ReadTimeout: no answer within 60 s",
    "Error code: 400 - The answer was stopped by the content filter.",
)

REFUSED = "Error code: 401 - This account has no access to the model."

TONE_SCORERS = ("tone", "follows_policy")
TONE_EFFECTS: Effects = {
    "model.name": {
        "mistral-small-24b-instruct": (0.74, 0.86),
        "qwen2.5-14b-instruct": (0.74, 0.86),
    },
    "model.temperature": {0.4: (0.0, 0.0), 0.8: (0.004, -0.002)},
    "model.max_tokens": {300: (0.0, 0.0)},
    "prompt.system": {
        "You reply to customers.\nBe friendly and brief.": (0.0, 0.0),
        "You reply to customers.\nBe friendly, brief and exact.": (0.002, 0.002),
    },
}


def demo_experiments() -> Iterator[ExperimentRecord]:
    """Yield the experiments; the first has a clear winner."""
    yield _assistant()
    yield _tone()
    yield _summaries()
    yield _invoices()


def _assistant() -> ExperimentRecord:
    random = Random(20261126)  # noqa: S311  not a secret
    study = Study(
        id=EXPERIMENT,
        start=datetime(2026, 11, 26, 18, 0, tzinfo=UTC),
        scorers=SCORERS,
        effects=EFFECTS,
        noise=0.05,
        random=random,
        difficulty=[random.gauss(0, 0.08) for _ in range(20)],
        untried=[REFUSING],
    )
    return study.record(
        name="pump-manual-assistant",
        description="Which prompt, model and retrieval answer questions about the "
        "pump's manual best?",
        status="running",
        scoring=SCORING,
        runs=_search(study),
    )


def _search(study: Study) -> Iterator[RunRecord]:
    """Search at random, climb from the best run, then try a new prompt with it."""
    random = study.random
    space = study.space()
    best: Choice = {}
    for index in range(RANDOM_RUNS + CLIMBING_RUNS):
        is_random = index < RANDOM_RUNS
        choice = _any(space, random) if is_random else _neighbour(space, best, random)
        if not best or study.promise(choice) > study.promise(best):
            best = choice
        yield study.run(choice, "random" if is_random else "climb", _try(study, choice))
    newest = {**best, "prompt.system": REFUSING}
    for _ in range(REPEATS):
        for choice in (best, newest):
            yield study.run(choice, "repeat", study.judge(choice))
    for status in UNFINISHED:
        yield study.run(
            _neighbour(space, newest, random), "climb", Outcome(status=status)
        )


def _try(study: Study, choice: Choice) -> Outcome:
    if choice.items() >= TOO_LONG.items():
        return Outcome(status="failed", error=CONTEXT_ERROR)
    if study.random.random() < FAILING:
        return Outcome(status="failed", error=study.random.choice(ERRORS))
    whole = study.judge(choice)
    first = {scorer: values[:PRUNED_AFTER] for scorer, values in whole.scores.items()}
    if fmean(first["accuracy"]) < PRUNED_BELOW:
        return Outcome(status="pruned", scores=first, cases=PRUNED_AFTER)
    return whole


def _any(space: Space, random: Random) -> Choice:
    return {path: random.choice(values) for path, values in space.items()}


def _neighbour(space: Space, choice: Choice, random: Random) -> Choice:
    path = random.choice([path for path, values in space.items() if len(values) > 1])
    others = [value for value in space[path] if value != choice[path]]
    return {**choice, path: random.choice(others)}


def _tone() -> ExperimentRecord:
    random = Random(20261119)  # noqa: S311  not a secret
    study = Study(
        id=UUID("6a4e1f0c-2b73-5c18-9d55-3f7a90b1c2d4"),
        start=datetime(2026, 11, 19, 9, 30, tzinfo=UTC),
        scorers=TONE_SCORERS,
        effects=TONE_EFFECTS,
        noise=0.09,
        random=random,
        difficulty=[random.gauss(0, 0.05) for _ in range(12)],
    )
    space = study.space()
    choices = [
        dict(zip(space, values, strict=True)) for values in product(*space.values())
    ]
    return study.record(
        name="support-reply-tone",
        description="Does a longer prompt or a higher temperature make replies to "
        "customers friendlier?",
        status="completed",
        scoring={"weights": {"tone": 0.7, "follows_policy": 0.3}},
        runs=(
            study.run(choice, f"round-{number}", study.judge(choice))
            for number in (1, 2)
            for choice in choices
        ),
    )


def _summaries() -> ExperimentRecord:
    random = Random(20261112)  # noqa: S311  not a secret
    study = Study(
        id=UUID("7b5d2e1f-4c84-5a29-8e66-4a8b01c2d3e5"),
        start=datetime(2026, 11, 12, 14, 0, tzinfo=UTC),
        scorers=TONE_SCORERS,
        effects=TONE_EFFECTS,
        noise=0.09,
        random=random,
    )
    errors = (REFUSED, REFUSED, ERRORS[1], REFUSED, REFUSED, ERRORS[1], REFUSED)
    return study.record(
        name="contract-summaries",
        description="Every run failed: the model provider refused the account.",
        status="failed",
        scoring={},
        runs=(
            study.run(
                _any(study.space(), random),
                "random",
                Outcome(status="failed", error=error),
            )
            for error in errors
        ),
    )


def _invoices() -> ExperimentRecord:
    study = Study(
        id=UUID("8c6e3f20-5d95-5b3a-9f77-5b9c12d3e4f6"),
        start=datetime(2026, 11, 25, 8, 15, tzinfo=UTC),
        scorers=TONE_SCORERS,
        effects=TONE_EFFECTS,
        noise=0.0,
        random=Random(0),  # noqa: S311  not a secret
    )
    return study.record(
        name="invoice-fields",
        description="Planned; no run has begun.",
        status="pending",
        scoring={},
        runs=iter(()),
    )
