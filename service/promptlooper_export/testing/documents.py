"""Documents that formats tend to get wrong."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.documents import (
    Best,
    Bin,
    Cost,
    Difference,
    Differences,
    Distribution,
    Document,
    Experiment,
    Notice,
    Period,
    RankedRun,
    Report,
    RunCounts,
    Runs,
    ScorerStatistics,
    Timing,
    Tokens,
    TopParameter,
    Winner,
)
from promptlooper_export.findings import Deviation
from promptlooper_export.runs import Columns, Run, RunBatch, StageResult
from promptlooper_export.testing.findings import (
    TRADE_OFFS,
    coverage,
    failures,
    parameters,
    sensitivity,
)
from promptlooper_export.verdicts import (
    Assessment,
    ByCase,
    CaseScores,
    ConfigScore,
    ExperimentComparison,
    Tag,
    TagVerdict,
    Verdict,
)

Config = Mapping[str, JSON]

# With microseconds, which many representations of time cut off.
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

# Ends quotes, comments, cells and lines; runs in shells, templates and browsers.
HOSTILE = (
    "'\"\\`$(touch x)${HOME}{{7*7}}<script>alert(1)</script>-->]]>\r\n#\t=;,|*_[x](y)"
)
# Beyond 16 bits, from right to left, and space that some readers end a line at.
UNICODE = "déjà vu 日本語 \U0001f600 \u202eright to left\u2028\u0085\xa0\ufeff"

DEEP: JSON = "the end"
for _ in range(50):
    DEEP = {"further": [DEEP]}

CONFIGS: Mapping[str, Config] = {
    "ordinary": {
        "model": "small",
        "temperature": 0.7,
        "retries": 3,
        "stream": True,
        "stop": ["END", "\n"],
        "prompt": {"system": "You are terse.\nAnswer.", "user": "Sum up: {text}"},
    },
    "empty": {},
    "empty values": {"text": "", "list": [], "object": {}, "nothing": None},
    "empty key": {"": {"": 1}},
    "numbers": {
        "big": 2**70,
        "minus": -1,
        "minus zero": -0.0,
        "whole float": 1.0,
        "tiny": 5e-324,
        "large": 1.7976931348623157e308,
    },
    "words": {"yes": "no", "null": "null", "true": "True", "number": "007", "n": "1e3"},
    "hostile": {"prompt": HOSTILE, HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]},
    "unicode": {"prompt": UNICODE, UNICODE: UNICODE},
    "control characters": {"a\x01b": "\x00\x07\x1b[31m\x7f\x9f"},
    "lone surrogate": {"prompt": "half \ud800"},
    "spaces": {" lead": " lead", "trail ": "trail ", "lines": "a\n\n b \n"},
    "alike keys": {"a": {"b": 1}, "a.b": 2, "a_b": 3, "A-B": 4},
    "secrets": {"api_key": "[redacted]", "headers": {"Authorization": "Bearer x.y.z"}},
    "deep": {"deep": DEEP},
    "many": {f"parameter_{number}": number for number in range(5_000)},
    "huge": {"prompt": "line of a long prompt\n" * 100_000},
}
"""Configs, by what makes them difficult."""

NOTICE = Notice(code="tie", message=HOSTILE, path=UNICODE)


def documents(kind: type[Document]) -> Mapping[str, Callable[[], Document]]:
    """Return what makes documents of one kind, by what is difficult about them."""
    # Functions, since the rows of Runs can be read only once.
    return _DOCUMENTS[kind]


def best(config: Config, **fields: Any) -> Best:  # noqa: ANN401  the fields of Best
    """Return the best config of an experiment like any other."""
    plain = Best(
        experiment_name="support answers",
        experiment_id=UUID(int=1),
        exported_at=MOMENT,
        weighted_score=0.875,
        scores={"accuracy": 0.9, "brevity": 0.85},
        run_id=UUID(int=2),
        config_hash="0" * 64,
        config=config,
    )
    return replace(plain, **fields)


def _bests() -> Iterator[tuple[str, Callable[[], Document]]]:
    for name, config in CONFIGS.items():
        # Bound as a default, or every lambda would see the last config.
        yield name, lambda config=config: best(config)  # type: ignore[misc]
    ordinary = CONFIGS["ordinary"]
    yield "hostile name", lambda: best(ordinary, experiment_name=HOSTILE)
    yield "unicode name", lambda: best(ordinary, experiment_name=UNICODE)
    yield "empty name", lambda: best(ordinary, experiment_name="")
    yield "odd scores", lambda: best(ordinary, scores={HOSTILE: -0.0, "": 1e300})
    yield "warnings", lambda: best(ordinary, warnings=(NOTICE, NOTICE))


EXPERIMENT = Experiment(
    id=UUID(int=1),
    name="support answers",
    description=None,
    status="completed",
    parameter_space=None,
    scoring_config=None,
    created_at=MOMENT,
    updated_at=MOMENT,
)

EMPTY = Report(
    experiment=EXPERIMENT,
    exported_at=MOMENT,
    counts=RunCounts(total=0, by_status={}, scored=0),
    top_n=5,
    top=(),
    winner=None,
    differences=None,
    scorers=(),
    tokens=Tokens(tokens_in=0, tokens_out=0),
    timing=None,
    cost=None,
    history=(),
)


PERIOD = Period(
    start=MOMENT,
    end=MOMENT + timedelta(hours=1),
    count=2,
    best=1.0,
    mean=0.75,
    best_so_far=1.0,
)


def _ranked(rank: int, text: str) -> RankedRun:
    """Return a run of the ranking; the first has None wherever that is allowed."""
    optional = None if rank == 1 else rank
    return RankedRun(
        rank=rank,
        run_id=UUID(int=rank),
        name=None if rank == 1 else text,
        weighted_score=1 / rank,
        scores={text: 1 / rank},
        config_hash="0" * 64,
        duration_ms=optional,
        tokens_in=optional,
        tokens_out=optional,
        cost_usd=optional,
    )


def _config_score(number: int) -> ConfigScore:
    return ConfigScore(
        config_hash=f"{number}" * 64,
        run_id=UUID(int=number),
        runs=2,
        cases=0,
        mean=1 / number,
        low=None,
        high=None,
    )


ASSESSMENT = Assessment(
    configs=2,
    runs=4,
    margin=0.01,
    winner=_config_score(1),
    shrunk=None,
    verdicts=(
        Verdict(
            against="runner-up",
            other=_config_score(2),
            verdict="not enough data",
            method="Welch over runs",
            difference=0.5,
            low=-0.1,
            high=1.1,
            confidence=0.95,
            p=0.1,
            counts=(2, 2),
            needed=8,
            by_case=None,
            summary="Not enough data to tell the winner from the runner-up.",
        ),
    ),
    leaders=(_config_score(1), _config_score(2)),
)


def _against(text: str) -> ExperimentComparison:
    verdict = replace(
        ASSESSMENT.verdicts[0],
        against="experiment",
        by_case=ByCase(
            wins=1,
            ties=0,
            losses=0,
            cases=(CaseScores(case_id=text, winner=1.0, other=0.0),),
            further=0,
        ),
    )
    deviation = Deviation(
        path=text, winner=text, has_winner=True, other=None, has_other=False
    )
    return ExperimentComparison(
        experiment_id=UUID(int=2),
        experiment_name=text,
        winner=_config_score(2),
        differing=("weights",),
        forced=True,
        outcome=verdict.verdict,
        verdict=verdict,
        deviations=(deviation,),
        further=1,
        tags=(
            TagVerdict(tag=Tag(path=text, value=text), runs=(2, 2), verdict=verdict),
        ),
        further_tags=1,
        summary=f"{verdict.summary} By tag: 1 not enough data.",
    )


def report(config: Config | None, text: str) -> Report:
    """Return a report with a value in every place, and `text` for every text."""
    runs = tuple(_ranked(rank, text) for rank in (1, 2))
    difference = Difference(
        path=text,
        winner=text,
        has_winner=True,
        runner_up=None,
        has_runner_up=True,
        usual=[text],
        has_usual=True,
        share=0.5,
    )
    statistics = ScorerStatistics(
        name=text,
        direction="maximize",
        weight=1.0,
        required=True,
        values=dict.fromkeys(("count", "min", "max", "mean", "q1", "median", "q3"), 1),
        histogram=(Bin(low=0.0, high=1.0, count=2),),
    )
    return replace(
        EMPTY,
        experiment=replace(EXPERIMENT, name=text, description=text),
        counts=RunCounts(total=3, by_status={"completed": 2, "failed": 1}, scored=2),
        top=runs,
        top_parameters=(
            TopParameter(path=text, values=([text], None), is_set=(True, False)),
        ),
        winner=Winner(run=runs[0], config=config),
        differences=Differences(compared=1, parameters=(difference,)),
        scorers=(statistics,),
        tokens=Tokens(tokens_in=2**40, tokens_out=1),
        timing=Timing(
            count=2, fastest=1, slowest=2, average=1.5, median=1.5, p95=2, total=3
        ),
        cost=Cost(count=1, total=0.1, average=0.1),
        history=(PERIOD,),
        distribution=Distribution(
            values=statistics.values, histogram=statistics.histogram
        ),
        assessment=ASSESSMENT,
        parameters=parameters(text),
        failures=failures(text),
        trade_offs=TRADE_OFFS,
        coverage=coverage(text),
        sensitivity=sensitivity(text),
        against=_against(text),
        warnings=(NOTICE,),
    )


def _reports() -> Iterator[tuple[str, Callable[[], Document]]]:
    yield "ordinary", lambda: report(CONFIGS["ordinary"], "support answers")
    yield "empty", lambda: EMPTY
    yield "winner without a config", lambda: report(None, "support answers")
    for name, config in CONFIGS.items():
        if name not in {"ordinary", "empty"}:
            yield name, lambda config=config: report(config, "accuracy")  # type: ignore[misc]
    yield "hostile text", lambda: report(CONFIGS["hostile"], HOSTILE)
    yield "unicode text", lambda: report(CONFIGS["unicode"], UNICODE)
    yield "empty text", lambda: report({}, "")


def _run(number: int, config: Config | None, text: str | None) -> Run:
    """Return a run with a value in every place, or in none if `text` is None."""
    has = text is not None
    return Run(
        run_id=UUID(int=number),
        name=text,
        status="completed" if has else "failed",
        weighted_score=0.5 if has else None,
        rank=number if has else None,
        config=config,
        config_hash="0" * 64,
        scores={"accuracy": 0.5} if has else {},
        tokens_in=2**40 if has else None,
        tokens_out=0 if has else None,
        duration_ms=1 if has else None,
        cost_usd=0.1 if has else None,
        error=text,
        tags=[text] if has else None,
        stage_results=(
            StageResult(
                stage_name=text,
                output=text,
                tokens_in=None,
                tokens_out=None,
                duration_ms=None,
            ),
        )
        if text is not None
        else (),
        created_at=MOMENT,
        started_at=MOMENT if has else None,
        finished_at=MOMENT if has else None,
        updated_at=MOMENT,
    )


def runs(*rows: Run, columns: tuple[str, ...] = ()) -> Runs:
    """Return the runs of an experiment; `columns` are the paths in their configs."""
    return Runs(
        experiment=EXPERIMENT,
        count=len(rows),
        batches=iter([RunBatch.of(rows)]),
        found_columns=Columns(config=columns, scores=("accuracy",)),
    )


def _runs() -> Iterator[tuple[str, Callable[[], Document]]]:
    def flat(value: JSON, text: str | None, count: int = 3) -> Runs:
        rows = (_run(number, {"p": value}, text) for number in range(1, count + 1))
        return runs(*rows, columns=("p",))

    yield "ordinary", lambda: flat(0.7, "night")
    yield "empty", runs
    yield "nothing but ids", lambda: runs(*(_run(n, None, None) for n in (1, 2)))
    yield "empty values", lambda: flat("", "")
    yield "hostile", lambda: flat(HOSTILE, HOSTILE)
    yield "unicode", lambda: flat(UNICODE, UNICODE)
    yield "control characters", lambda: flat("\x00\x1b", "\x00\x1b")
    yield "lone surrogate", lambda: flat("half \ud800", "half \ud800")
    yield "formulas", lambda: flat("=1+1", "@SUM(A1)")
    yield "big integer", lambda: flat(2**70, "big")
    yield "many", lambda: flat("some text", "some text", 5_000)


_DOCUMENTS: Mapping[type, Mapping[str, Callable[[], Document]]] = {
    Best: dict(_bests()),
    Report: dict(_reports()),
    Runs: dict(_runs()),
}
