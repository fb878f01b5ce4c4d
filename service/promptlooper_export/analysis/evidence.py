"""What the data of an experiment hold about its configs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

LEADERS = 10
"""How many of the best configs are looked at closely."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What is known of a config: the weighted scores of its runs and of its cases.

    `key` is what its runs have in common, `run_id` its best run, and `keys` are the ids
    of its runs as stored. A case's score is the mean over all runs that judged it.
    """

    key: str
    config_hash: str
    run_id: UUID
    runs: tuple[float, ...]
    keys: tuple[object, ...] = ()
    cases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The configs of an experiment, and those of them that are looked at closely.

    `configs` and `runs` count those with a score. The mean scores of all configs have
    the mean `mean` and the variance `variance`, with a divisor of one less than their
    number. `within` is the variance of repeated runs of one config, pooled over all
    configs that have any; None without repeats. `winner` is the key of the winning
    run's config, and `asked` that of the config that was asked for; None if it has no
    run that counts. `samples` are, by their keys, the best configs by mean and these
    two.
    """

    winner: str
    asked: str | None
    configs: int
    runs: int
    mean: float
    variance: float
    within: float | None
    samples: Mapping[str, Sample]
