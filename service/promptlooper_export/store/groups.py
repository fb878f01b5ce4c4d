"""Configs as what is compared: the runs of one config are repeats of it."""

import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from itertools import groupby, islice
from typing import NamedTuple, TypeAlias
from uuid import UUID

from promptlooper_export.configs import JSON, leaves
from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.store.aggregate import SAME_CONFIG, sources
from promptlooper_export.store.catalog import Catalog
from promptlooper_export.store.connection import Session
from promptlooper_export.store.judgements import judgements
from promptlooper_export.store.ranking import age
from promptlooper_export.store.rows import (
    Cells,
    InvalidJsonError,
    label,
    row_id,
    stored_json,
)
from promptlooper_export.store.scoring import Rules, finite_means, weighted_score

_BATCH = 500
"""Runs whose judgements are read together."""

_PATHS_SHOWN = 100

_RUNS = """
SELECT id, moment, config_hash, {config}, cost_usd, duration_ms
FROM {runs} AS run
WHERE experiment_id {experiment} AND status = 'completed'
"""

# By bytes on both: only equal ones must be next to each other, and PostgreSQL compares
# by a language's rules in ten times the time.
_BY_CONFIG = {
    "sqlite": f"ORDER BY {SAME_CONFIG}",
    "postgresql": f'ORDER BY ({SAME_CONFIG}) COLLATE "C"',
}


class Member(NamedTuple):
    """A run that counts; `key` is its id as stored, `moment` microseconds since 1970.

    `cost_usd` and `duration_ms` are None if they are unknown.
    """

    run_id: UUID
    key: object
    moment: int | None
    weighted_score: float
    config_hash: str
    cost_usd: float | None
    duration_ms: float | None


@dataclass(frozen=True, kw_only=True)
class ConfigGroup:
    """A config with its runs that count: one or more, the oldest first.

    `key` tells one config of an experiment from another; `config_hash` is that of the
    first run, and empty if it has none.
    """

    key: Hashable
    config_hash: str
    runs: tuple[Member, ...]


_Keyed: TypeAlias = tuple[Hashable, Member]


def config_groups(
    session: Session,
    catalog: Catalog,
    experiment: UUID,
    rules: Rules,
    *,
    repeat_over: Sequence[str] = (),
) -> Iterator[ConfigGroup]:
    """Yield the configs that have runs which count, in no particular order.

    Runs with the same config_hash are of one config; without a hash, those with the
    same text as their config. With `repeat_over`, paths in the config with dots between
    the keys, runs are of one config if their configs differ in these places only, such
    as a seed; what is below such a path is part of it. A config that cannot be read is
    like no other.

    One config's runs are held at a time; with `repeat_over` all are, in about 500 bytes
    each. Raises InvalidParameterError for a path that no config has.
    """
    if repeat_over:
        yield from _repeats(session, catalog, experiment, rules, repeat_over)
        return
    names, values = sources(session, catalog, experiment)
    sql = _RUNS.format(config=SAME_CONFIG, **names) + _BY_CONFIG[catalog.kind]
    keyed = _members(session, catalog, rules, (sql, values), lambda same: same)
    for key, found in groupby(keyed, lambda one: one[0]):
        yield _group(key, [member for _, member in found])


class _Rest:
    """Tells configs apart by what they have beyond some paths."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._seen: set[str] = set()
        self._others: set[str] = set()

    def key_of(self, config: str | None) -> Hashable:
        """Return what runs of one config have in common."""
        try:
            decoded, _notices = stored_json(config)
        except InvalidJsonError:
            return config
        if not isinstance(decoded, dict):
            return config
        rest: list[tuple[str, JSON]] = []
        for path, value in leaves(decoded):
            within = next((one for one in self._paths if _is_within(path, one)), None)
            if within is not None:
                self._seen.add(within)
                continue
            rest.append((path, value))
            if len(self._others) < _PATHS_SHOWN:
                self._others.add(path)
        text = json.dumps(sorted(rest, key=lambda leaf: leaf[0]), sort_keys=True)
        return sha256(text.encode()).digest()

    def refuse_unseen(self) -> None:
        """Raise InvalidParameterError for a path that no config has."""
        for path in self._paths:
            if path in self._seen:
                continue
            known = sorted(self._others)
            near = get_close_matches(path, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            detail = f"repeat_over names the path {path!r}, which no config has{hint}"
            raise InvalidParameterError(detail, parameter="repeat_over", allowed=known)


def _is_within(path: str, above: str) -> bool:
    return path == above or path.startswith(f"{above}.")


def _repeats(
    session: Session,
    catalog: Catalog,
    experiment: UUID,
    rules: Rules,
    repeat_over: Sequence[str],
) -> Iterator[ConfigGroup]:
    # The database cannot sort by what is left of a config, so all runs are held.
    names, values = sources(session, catalog, experiment)
    sql = _RUNS.format(config="config", **names)
    rest = _Rest(repeat_over)
    found: dict[Hashable, list[Member]] = {}
    for key, member in _members(session, catalog, rules, (sql, values), rest.key_of):
        found.setdefault(key, []).append(member)
    if found:
        rest.refuse_unseen()
    for key, members in found.items():
        yield _group(key, members)


def _members(
    session: Session,
    catalog: Catalog,
    rules: Rules,
    query: tuple[str, Sequence[object]],
    key_of: Callable[[str | None], Hashable],
) -> Iterator[_Keyed]:
    """Yield the runs that count, each with the key of its config."""
    sql, values = query
    # Nothing is said of an odd cost: a document that shows the run names it.
    cells = Cells("run", lambda _: None)
    rows = session.stream(sql, *values)
    while batch := list(islice(rows, _BATCH)):
        judged = judgements(session, catalog, [key for key, *_ in batch])
        for key, moment, config_hash, config, cost, duration in batch:
            score = weighted_score(rules, finite_means(judged[key]))
            if score is None:
                continue
            yield (
                key_of(config),
                Member(
                    run_id=row_id(key, "runs"),
                    key=key,
                    moment=moment,
                    weighted_score=score,
                    config_hash="" if config_hash is None else label(config_hash),
                    cost_usd=cells.number("cost_usd", cost),
                    duration_ms=cells.number("duration_ms", duration),
                ),
            )


def _group(key: Hashable, members: list[Member]) -> ConfigGroup:
    # Sorted here, as the databases sort ids and times that are missing differently.
    runs = sorted(members, key=lambda one: age(one.moment, one.run_id))
    return ConfigGroup(key=key, config_hash=runs[0].config_hash, runs=tuple(runs))
