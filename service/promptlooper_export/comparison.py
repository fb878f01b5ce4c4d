"""Compare configs: what the winner does differently, and what drifted."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from promptlooper_export.configs import JSON, flatten
from promptlooper_export.documents import Difference, Differences, TopParameter
from promptlooper_export.findings import Deviation

DEVIATIONS = 20
"""How many deviations of a config are listed; the rest are counted."""

Config = Mapping[str, JSON]


def differences(winner: Config, others: Sequence[Config]) -> Differences:
    """Compare the winner with other runs, best first.

    Lists every parameter in which the winner differs from the runner-up or from the
    most frequent value among the others.
    """
    return Differences(
        compared=len(others),
        parameters=tuple(_compare(winner, others)) if others else (),
    )


def deviations(winner: Config, other: Config) -> tuple[Deviation, ...]:
    """Return every parameter in which another config differs from the winner's."""
    mine, theirs = _leaves(winner), _leaves(other)
    return tuple(
        Deviation(
            path=path,
            winner=_decoded(mine.get(path)),
            has_winner=path in mine,
            other=_decoded(theirs.get(path)),
            has_other=path in theirs,
        )
        for path in sorted({*mine, *theirs})
        if mine.get(path) != theirs.get(path)
    )


def top_parameters(configs: Sequence[Config | None]) -> tuple[TopParameter, ...]:
    """Return every parameter in which configs differ; None is an invalid config."""
    rows = [{} if config is None else _leaves(config) for config in configs]
    return tuple(
        TopParameter(
            path=path,
            values=tuple(_decoded(leaves.get(path)) for leaves in rows),
            is_set=tuple(path in leaves for leaves in rows),
        )
        for path in sorted({path for leaves in rows for path in leaves})
        if len({leaves.get(path) for leaves in rows}) > 1
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
    """Return the leaves by path, as JSON text, so that 1, 1.0 and true all differ."""
    return {
        str(path): json.dumps(value, sort_keys=True) for path, value in flatten(config)
    }


def _decoded(text: str | None) -> JSON:
    value: JSON = None if text is None else json.loads(text)
    return value


Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A leaf that was added, removed or changed.

    `old` is None if it was added, `new` if it was removed.
    """

    path: str
    kind: Kind
    old: JSON
    new: JSON


def changes(old: Mapping[str, JSON], new: Mapping[str, JSON]) -> Iterator[Change]:
    """Yield the changes from one config to the other, by path.

    A list is one value. Equal numbers are the same, such as 1 and 1.0; a number, a
    boolean and a text are never the same.
    """
    before = {str(path): value for path, value in flatten(old)}
    after = {str(path): value for path, value in flatten(new)}
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield Change(path=path, kind="removed", old=before[path], new=None)
        elif path not in before:
            yield Change(path=path, kind="added", old=None, new=after[path])
        elif not is_equal(before[path], after[path]):
            yield Change(path=path, kind="changed", old=before[path], new=after[path])


def is_equal(one: JSON, other: JSON) -> bool:
    """Return whether two values are the same, as `changes` compares them."""
    return _canonical(one) == _canonical(other)


def _canonical(value: JSON) -> str:
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: JSON) -> JSON:
    """Return whole numbers as integers, so that 1 and 1.0 become the same."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return list(map(_whole, value))
    if isinstance(value, dict):
        return {key: _whole(member) for key, member in value.items()}
    return value
