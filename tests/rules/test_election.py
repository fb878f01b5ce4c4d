"""Which config is elected, over groups of runs made up in memory."""

import math
import random
import statistics
from collections.abc import Sequence
from uuid import UUID

from hypothesis import assume, given
from hypothesis import strategies as st

from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.store.election import elect
from promptlooper_export.store.groups import ConfigGroup, Member
from promptlooper_export.store.ranking import Ranking
from promptlooper_export.store.what_if import WhatIf

CHEAPEST = WhatIf(by="config", prefer="cheapest-within-1se")

Priced = tuple[float, float | None]
"""A run's weighted score and its cost."""

RUNS = st.tuples(
    st.floats(-1, 1, allow_subnormal=False),
    st.none() | st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)
CONFIGS = st.lists(st.lists(RUNS, min_size=1, max_size=4), min_size=1, max_size=8)


def groups(configs: Sequence[Sequence[Priced]]) -> list[ConfigGroup]:
    """Build a group for each config; the runs' ids count up in their order."""
    built, number = [], 0
    for place, config in enumerate(configs):
        members = []
        for score, cost in config:
            number += 1
            members.append(
                Member(
                    run_id=UUID(int=number),
                    key=number,
                    moment=number,
                    weighted_score=score,
                    config_hash=str(place),
                    cost_usd=cost,
                    duration_ms=None,
                )
            )
        built.append(
            ConfigGroup(key=place, config_hash=str(place), runs=tuple(members))
        )
    return built


@given(configs=CONFIGS, shuffling=st.randoms(use_true_random=False))
def test_the_order_in_which_a_database_gives_configs_decides_nothing(
    configs: list[list[Priced]], shuffling: random.Random
) -> None:
    in_order = groups(configs)
    shuffled = shuffling.sample(in_order, len(in_order))
    answers = []
    for given_groups in (in_order, shuffled):
        try:
            answers.append(repr(elect(Ranking(), lambda: given_groups, CHEAPEST)))  # noqa: B023  called at once
        except InvalidParameterError as error:
            answers.append(error.detail)
    assert answers[0] == answers[1]


@given(configs=CONFIGS)
def test_the_cheapest_within_one_standard_error_is_that_of_a_reference(
    configs: list[list[Priced]],
) -> None:
    means = [statistics.mean(score for score, _ in config) for config in configs]
    best = max(range(len(means)), key=lambda place: (means[place], -place))
    deviation = deviation_of(configs, best)
    if deviation is None:
        return
    floor = means[best] - deviation / math.sqrt(len(configs[best]))
    # Where rounding decides, the two may differ.
    others = [place for place in range(len(means)) if place != best]
    assume(all(abs(means[place] - floor) > 1e-9 for place in others))
    assume(all(abs(means[place] - means[best]) > 1e-9 for place in others))
    costs = {
        place: statistics.mean(known)
        for place, config in enumerate(configs)
        if (place == best or means[place] > floor)
        and (known := [cost for _, cost in config if cost is not None])
    }
    assume(costs)
    expected = min(costs, key=lambda place: (costs[place], -means[place], place))
    found = elect(Ranking(), lambda: groups(configs), CHEAPEST)
    elected = found.places[0].run_id.int
    starts = [sum(map(len, configs[:place])) for place in range(len(configs) + 1)]
    assert starts[expected] < elected <= starts[expected + 1]


def deviation_of(configs: Sequence[Sequence[Priced]], best: int) -> float | None:
    """Return the deviation of the best config's runs, else that of all, pooled."""
    scores = [[score for score, _ in config] for config in configs]
    if len(scores[best]) > 1:
        return statistics.stdev(scores[best])
    repeated = [row for row in scores if len(row) > 1]
    if not repeated:
        return None
    squares = sum(statistics.variance(row) * (len(row) - 1) for row in repeated)
    return math.sqrt(squares / sum(len(row) - 1 for row in repeated))
