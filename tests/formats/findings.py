"""Build a report in which every part has something to say, all about one text."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from formats.rendering import EXPERIMENT, MOMENT, RUN, experiment, ranked_run, report
from promptlooper_export.configs import JSON
from promptlooper_export.documents import (
    Bin,
    Cost,
    Difference,
    Differences,
    Distribution,
    Notice,
    Period,
    Report,
    RunCounts,
    ScorerStatistics,
    Timing,
    Tokens,
    TopParameter,
    Winner,
)
from promptlooper_export.findings import (
    Crossing,
    Deviation,
    Failure,
    Failures,
    LeftOut,
    Parameter,
    Parameters,
    ParameterValue,
    Rival,
    ScorerCoverage,
    Sensitivity,
    TradeOff,
    TradeOffPoint,
    WeightRange,
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

SECOND = UUID("bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee")

PROMPT = (
    "You answer questions about {text}.\n\nAnswer in {count} short sentences, please."
)


def prompt(text: str, count: str) -> str:
    return PROMPT.format(text=text, count=count)


def config_score(text: str, mean: float) -> ConfigScore:
    return ConfigScore(
        config_hash=text,
        run_id=RUN,
        runs=3,
        cases=12,
        mean=mean,
        low=mean - 0.125,
        high=mean + 0.125,
    )


def verdict(text: str, difference: float = 0.25) -> Verdict:
    return Verdict(
        against="runner-up",
        other=config_score(text, 0.5),
        verdict="better",
        method="paired",
        difference=difference,
        low=difference - 0.125,
        high=difference + 0.125,
        confidence=0.95,
        p=0.01,
        counts=(12,),
        needed=None,
        by_case=ByCase(
            wins=10,
            ties=1,
            losses=1,
            cases=tuple(
                CaseScores(case_id=f"{text} {place}", winner=0.75, other=0.5)
                for place in range(12)
            ),
            further=3,
        ),
        summary=f"The winner is better than {text}.",
    )


def full(text: str, *, score: float = 0.75) -> Report:
    """Build the report; the text is in every place that a database may fill."""
    first = ranked_run(
        name=text,
        weighted_score=score,
        config_hash=text,
        scores={text: score, "cost": 2.0},
        duration_ms=1234,
        tokens_in=5,
        tokens_out=7,
        cost_usd=0.25,
    )
    second = replace(first, rank=2, run_id=SECOND, weighted_score=score - 0.25)
    plain = report(
        experiment=experiment(
            name=text, description=text, status=text, parameter_space={text: [text]}
        ),
        counts=RunCounts(total=9, by_status={text: 7, "running": 2}, scored=5),
        top=(first, second),
        winner=Winner(
            run=first, config={text: 1, "seed": 4, "prompt": prompt(text, "three")}
        ),
        differences=Differences(
            compared=4,
            parameters=(
                difference(text, text, [text]),
                difference("seed", 4, 5),
                difference("prompt", prompt(text, "three"), prompt(text, "nine")),
            ),
        ),
        scorers=(statistics(text, score), statistics("cost", 2.0)),
        tokens=Tokens(tokens_in=10, tokens_out=2),
        timing=Timing(
            count=4, fastest=1, slowest=9, average=5, median=61_000, p95=8, total=20
        ),
        cost=Cost(count=4, total=1.5, average=0.375),
        history=tuple(
            Period(
                start=MOMENT + timedelta(hours=hour),
                end=MOMENT + timedelta(hours=hour + 1),
                count=2,
                best=score + hour,
                mean=score,
                best_so_far=score + hour,
            )
            for hour in range(3)
        ),
        warnings=(Notice(code="redacted", message=text, path=text or "x"),),
    )
    return concluded(plain, text, score)


def concluded(plain: Report, text: str, score: float) -> Report:
    """Add what the analysis finds out."""
    deviations = (
        Deviation(
            path=text, winner=text, has_winner=True, other=[text], has_other=True
        ),
        Deviation(
            path="prompt",
            winner=prompt(text, "three"),
            has_winner=True,
            other=prompt(text, "nine"),
            has_other=True,
        ),
    )
    return replace(
        plain,
        top_parameters=(
            TopParameter(path=text, values=(text, None), is_set=(True, False)),
        ),
        distribution=Distribution(
            values={"count": 5, "q1": 0.25, "median": 0.5, "q3": score, "mean": 0.5},
            histogram=(
                Bin(low=score - 1, high=score - 0.5, count=0),
                Bin(low=score - 0.5, high=score, count=5),
            ),
        ),
        assessment=Assessment(
            configs=4,
            runs=5,
            margin=0.01,
            winner=config_score(text, score),
            shrunk=score / 2,
            verdicts=(verdict(text),),
            leaders=(config_score(text, score),),
        ),
        parameters=parameters(text, score),
        failures=Failures(
            runs=3,
            groups=(Failure(message=text, count=2, run_ids=(RUN,), retry="yes"),),
            further=1,
            further_runs=1,
        ),
        trade_offs=(
            TradeOff(
                measure="cost_usd",
                runs=5,
                without=1,
                count=1,
                points=(TradeOffPoint(run_id=RUN, weighted_score=score, value=0.25),),
                others=(),
            ),
        ),
        coverage=(
            ScorerCoverage(
                name=text, required=True, runs=5, missing=1, nulls=1, not_finite=0
            ),
        ),
        sensitivity=Sensitivity(
            runs=5,
            scorers=(
                WeightRange(
                    scorer=text,
                    weight=0.5,
                    lower=None,
                    upper=Crossing(weight=0.75, run_id=SECOND),
                ),
                WeightRange(scorer="cost", weight=0.5, lower=None, upper=None),
            ),
        ),
        rivals=(
            Rival(
                rank=2,
                run_id=SECOND,
                weighted_score=score,
                deviations=deviations,
                further=1,
            ),
        ),
        against=ExperimentComparison(
            experiment_id=EXPERIMENT,
            experiment_name=text,
            winner=config_score(text, score),
            differing=(),
            forced=False,
            outcome="better",
            verdict=verdict(text),
            deviations=deviations,
            further=2,
            tags=(
                TagVerdict(
                    tag=Tag(path="", value=text), runs=(3, 2), verdict=verdict(text)
                ),
            ),
            further_tags=1,
            summary=f"It is better than {text}.",
        ),
    )


def parameters(text: str, score: float) -> Parameters:
    value = ParameterValue(
        value=text,
        is_set=True,
        least=None,
        most=None,
        runs=3,
        mean=score,
        low=score - 0.25,
        high=score + 0.25,
    )
    return Parameters(
        method="eta squared",
        runs=5,
        used=5,
        parameters=(
            Parameter(
                path=text,
                kind="categorical",
                runs=5,
                share=0.5,
                corrected=0.375,
                p=0.0001,
                values=(value, replace(value, is_set=False)),
                further=0,
            ),
        ),
        further=0,
        left_out=(LeftOut(path=f"{text} id", reason="constant"),),
        further_left_out=0,
    )


def difference(path: str, winner: JSON, other: JSON) -> Difference:
    return Difference(
        path=path,
        winner=winner,
        has_winner=True,
        runner_up=other,
        has_runner_up=True,
        usual=None,
        has_usual=False,
        share=0.25,
    )


def statistics(name: str, value: float) -> ScorerStatistics:
    return ScorerStatistics(
        name=name,
        direction="maximize",
        weight=0.5,
        required=True,
        values={"count": 5, "min": value, "mean": value, "max": value},
        histogram=(Bin(low=value, high=value, count=5),),
    )
