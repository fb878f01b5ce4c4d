"""What a report found out, with a value in every place."""

from dataclasses import replace
from uuid import UUID

from promptlooper_export.configs import JSON
from promptlooper_export.findings import (
    Crossing,
    Failure,
    Failures,
    LeftOut,
    Parameter,
    Parameters,
    ParameterValue,
    ScorerCoverage,
    Sensitivity,
    TradeOff,
    TradeOffPoint,
    WeightRange,
)


def parameters(text: str) -> Parameters:
    """Return parameters whose texts are all `text`."""
    shown: tuple[tuple[JSON, bool], ...] = ((text, True), ([text], True), (None, False))
    values = tuple(
        ParameterValue(
            value=value,
            is_set=is_set,
            least=None,
            most=None,
            runs=3,
            mean=0.5,
            low=0.25,
            high=0.75,
        )
        for value, is_set in shown
    )
    numbers = replace(values[2], is_set=True, least=0.0, most=1e300)
    categorical = Parameter(
        path=text,
        kind="categorical",
        runs=9,
        share=0.5,
        corrected=0.25,
        p=0.01,
        values=values,
        further=1,
    )
    return Parameters(
        method="one-way analysis of variance",
        runs=20,
        used=10,
        parameters=(
            categorical,
            replace(categorical, kind="numeric", values=(numbers, values[2])),
        ),
        further=1,
        left_out=(LeftOut(path=text, reason="constant"),),
        further_left_out=1,
    )


def failures(text: str) -> Failures:
    """Return failures whose messages are `text`, and one without."""
    named = Failure(message=text, count=2, run_ids=(UUID(int=3),), retry="yes")
    return Failures(
        runs=4,
        groups=(named, replace(named, message=None, count=1, retry="unknown")),
        further=1,
        further_runs=1,
    )


def coverage(text: str) -> tuple[ScorerCoverage, ...]:
    """Return how complete the scores by a scorer called `text` are."""
    return (
        ScorerCoverage(
            name=text, required=True, runs=1, missing=1, nulls=2, not_finite=3
        ),
    )


TRADE_OFFS = (
    TradeOff(
        measure="cost_usd",
        runs=3,
        without=1,
        count=1,
        points=(TradeOffPoint(run_id=UUID(int=1), weighted_score=0.5, value=0.25),),
        others=(TradeOffPoint(run_id=UUID(int=2), weighted_score=0.25, value=0.5),),
    ),
)


def sensitivity(text: str) -> Sensitivity:
    """Return by how much the weight of a scorer called `text` may change."""
    crossing = Crossing(weight=0.75, run_id=UUID(int=2))
    return Sensitivity(
        runs=2,
        scorers=(WeightRange(scorer=text, weight=0.5, lower=None, upper=crossing),),
    )
