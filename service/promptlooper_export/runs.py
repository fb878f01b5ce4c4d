"""Runs as formats read them: one by one, or some at a time by column."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Literal, overload
from uuid import UUID

from promptlooper_export.configs import JSON, json_text


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """The result of one stage of a run."""

    stage_name: str
    output: str | None
    tokens_in: int | None
    tokens_out: int | None
    duration_ms: int | None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of any status; None if the database has no readable value.

    `scores` holds the mean of each scorer's finite judgements. `judgements` holds all
    of them as stored, and None for anything that is not a number. `cases` holds the
    case of each judgement, for the scorers that judged case by case.
    """

    run_id: UUID
    name: str | None
    status: str
    weighted_score: float | None
    rank: int | None
    config: Mapping[str, JSON] | None
    config_hash: str
    scores: Mapping[str, float]
    tokens_in: int | None
    tokens_out: int | None
    duration_ms: int | None
    cost_usd: float | None
    error: str | None
    tags: JSON
    stage_results: tuple[StageResult, ...]
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime | None
    judgements: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    cases: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class RunBatch(Sequence[Run]):
    """Some runs that come one after the other, by column.

    Each column has a cell for each run, and the name that the cell has in `Run`; `ids`
    are their ids as text. `config_json` is the config as `json_text` writes it. A batch
    is also the sequence of its runs.
    """

    ids: Sequence[str]
    name: Sequence[str | None]
    status: Sequence[str]
    weighted_score: Sequence[float | None]
    rank: Sequence[int | None]
    config: Sequence[Mapping[str, JSON] | None]
    config_json: Sequence[str]
    config_hash: Sequence[str]
    scores: Sequence[Mapping[str, float]]
    tokens_in: Sequence[int | None]
    tokens_out: Sequence[int | None]
    duration_ms: Sequence[int | None]
    cost_usd: Sequence[float | None]
    error: Sequence[str | None]
    tags: Sequence[JSON]
    stage_results: Sequence[tuple[StageResult, ...]]
    created_at: Sequence[datetime | None]
    started_at: Sequence[datetime | None]
    finished_at: Sequence[datetime | None]
    updated_at: Sequence[datetime | None]
    judgements: Sequence[Mapping[str, tuple[float | None, ...]]]
    cases: Sequence[Mapping[str, tuple[str | None, ...]]]

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "RunBatch":
        """Return the batch that these runs are."""
        columns = {name: [getattr(run, name) for run in runs] for name in _CELLS}
        return cls(
            ids=[str(run.run_id) for run in runs],
            config_json=[json_text(run.config) for run in runs],
            **columns,
        )

    def with_runs(self, runs: Mapping[int, Run]) -> "RunBatch":
        """Return the batch with other runs in some places."""
        if not runs:
            return self
        other = RunBatch.of(list(runs.values()))
        columns = {name: list(cells) for name, cells in vars(self).items()}
        for name, cells in vars(other).items():
            for place, cell in zip(runs, cells, strict=True):
                columns[name][place] = cell
        return RunBatch(**columns)

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> Run: ...

    @overload
    def __getitem__(self, place: slice) -> "RunBatch": ...

    def __getitem__(self, place: int | slice) -> "Run | RunBatch":
        """Return the run at a place, or the batch of those at some."""
        if isinstance(place, slice):
            return RunBatch(
                **{name: cells[place] for name, cells in vars(self).items()}
            )
        cells = {name: getattr(self, name)[place] for name in _CELLS}
        return Run(run_id=UUID(self.ids[place]), **cells)

    def __iter__(self) -> Iterator[Run]:
        """Yield the runs."""
        columns = [getattr(self, name) for name in _CELLS]
        for run_id, *cells in zip(self.ids, *columns, strict=True):
            yield Run(run_id=UUID(run_id), **dict(zip(_CELLS, cells, strict=True)))


_CELLS = tuple(one.name for one in fields(Run) if one.name != "run_id")


ValueKind = Literal[
    "null", "boolean", "integer", "long", "big", "number", "text", "json"
]
"""The kind of a leaf in a config.

An integer fits into a double, a long fits into 64 bits, and a big is any other whole
number; json is a list or an empty object.
"""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a table of runs, each kind sorted.

    `config` holds the path of every leaf in any config, as text; `scores` the scorers.
    `kinds` says which kinds of values a path in `config` has in any run.
    """

    config: tuple[str, ...]
    scores: tuple[str, ...]
    kinds: Mapping[str, frozenset[ValueKind]] = field(default_factory=dict)
