"""What the winner does differently: a pure comparison of configs."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from promptlooper_export.documents import JSON, Difference, Differences
from promptlooper_export.plugin import flatten

Config = Mapping[str, JSON]


def differences(winner: Config, others: Sequence[Config]) -> Differences:
    """Compare the winner with other runs, best first.

    Listed is every parameter in which the winner differs from the runner-up, or from
    the most frequent value among the others.
    """
    return Differences(
        compared=len(others),
        parameters=tuple(_compare(winner, others)) if others else (),
    )


def _compare(winner: Config, others: Sequence[Config]) -> Iterator[Difference]:
    won = _leaves(winner)
    rest = [_leaves(other) for other in others]
    runner_up = rest[0]
    for path in sorted({*won, *runner_up}):
        values = Counter(leaves.get(path) for leaves in rest)
        usual = values.most_common(1)[0][0]
        mine = won.get(path)
        if mine == runner_up.get(path) == usual:
            continue
        yield Difference(
            path=path,
            winner=_decoded(mine),
            has_winner=mine is not None,
            runner_up=_decoded(runner_up.get(path)),
            has_runner_up=path in runner_up,
            usual=_decoded(usual),
            has_usual=usual is not None,
            share=values[mine] / len(rest),
        )


def _leaves(config: Config) -> dict[str, str]:
    """Return the leaves by path, as JSON text: 1, 1.0 and true are three values."""
    return {
        str(path): json.dumps(value, sort_keys=True) for path, value in flatten(config)
    }


def _decoded(text: str | None) -> JSON:
    value: JSON = None if text is None else json.loads(text)
    return value
