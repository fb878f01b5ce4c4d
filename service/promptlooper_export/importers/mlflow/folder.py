"""MLflow's folder `mlruns`, or an archive of it, read into the tables of its store.

The files of one run may be anywhere in an archive, and the values of a metric in any
order in its file, so the tables are made on disk. Artifacts are named and not read.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from promptlooper_export.errors import SourceError
from promptlooper_export.importers.databases import Sqlite, scratch
from promptlooper_export.importers.lines import LONGEST_LINE
from promptlooper_export.importers.mlflow.files import DAMAGE, Open, paths, root

try:
    from yaml import CSafeLoader as Loader
except ImportError:  # PyYAML without libyaml is right as well, and slower
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

_SCHEMA = """
CREATE TABLE experiments (
    experiment_id TEXT PRIMARY KEY, name TEXT, lifecycle_stage TEXT,
    creation_time INTEGER, last_update_time INTEGER
);
CREATE TABLE experiment_tags (experiment_id TEXT, "key" TEXT, value TEXT);
CREATE TABLE runs (
    run_uuid TEXT PRIMARY KEY, experiment_id TEXT, name TEXT, status TEXT,
    start_time INTEGER, end_time INTEGER, lifecycle_stage TEXT, artifact_uri TEXT,
    source_type TEXT, source_name TEXT, source_version TEXT, entry_point_name TEXT,
    user_id TEXT
);
CREATE INDEX runs_of_experiment ON runs (experiment_id, run_uuid);
CREATE TABLE params (run_uuid TEXT, "key" TEXT, value TEXT, UNIQUE (run_uuid, "key"));
CREATE TABLE tags (run_uuid TEXT, "key" TEXT, value TEXT, UNIQUE (run_uuid, "key"));
CREATE TABLE latest_metrics (
    run_uuid TEXT, "key" TEXT, value REAL, is_nan INTEGER, UNIQUE (run_uuid, "key")
);
CREATE TABLE artifacts (run_uuid TEXT, "key" TEXT, UNIQUE (run_uuid, "key"));
CREATE TABLE earlier_values (
    run_uuid TEXT, "key" TEXT, count INTEGER, UNIQUE (run_uuid, "key")
);
CREATE TABLE datasets (
    dataset_uuid TEXT PRIMARY KEY, name TEXT, digest TEXT, dataset_source_type TEXT,
    dataset_source TEXT
);
CREATE TABLE inputs (
    input_uuid TEXT PRIMARY KEY, source_type TEXT, source_id TEXT,
    destination_type TEXT, destination_id TEXT
);
CREATE TABLE input_tags (input_uuid TEXT, name TEXT, value TEXT);
CREATE TABLE trace_info (experiment_id TEXT);
CREATE TABLE logged_models (experiment_id TEXT);
"""

_BELOW = re.compile(
    r"(?:.*?\bmlruns/)?(?:.*?/)??(?P<experiment>\d+)/(?P<rest>.+)", re.DOTALL
)
"""A path of an archive: the first folder that is a number is an experiment's."""

_RUN = r"(?P<run>[0-9a-f]{32})/"

_INSERT_RUN = """
INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_NAMES_READ = 1_000
"""How many names of an archive are looked at to recognise it."""

# As MLflow numbers them in its code.
_STATES = ("", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_SOURCES = ("", "NOTEBOOK", "JOB", "PROJECT", "LOCAL", "UNKNOWN")


class _File(NamedTuple):
    """A file of the store: where it is below its experiment, and how it is opened."""

    place: str
    experiment: str
    found: re.Match[str]
    open: Open


def recognises(source: str) -> bool:
    """Return whether a folder or an archive has the file of an experiment."""
    if Path(source).is_dir():
        return any(root(source).glob("[0-9]*/meta.yaml"))
    if not Path(source).is_file():
        return False
    try:
        # Ends at the first one: what is damaged behind it is said when it is read.
        return any(
            (found := _BELOW.fullmatch(name)) is not None
            and found["rest"] == "meta.yaml"
            for name, _ in islice(paths(source), _NAMES_READ)
        )
    except DAMAGE:
        return False


@contextmanager
def loaded(source: str) -> Iterator[Sqlite]:
    """Make the tables of a folder or an archive.

    Raises SourceError naming the file that is wrong.
    """
    with scratch(source, _SCHEMA) as database:
        try:
            for name, open_ in paths(source):
                _load(database, f"{source}: {name}", name, open_)
        except DAMAGE as error:
            msg = f"{source}: damaged, not whole, or no archive of MLflow: {error}"
            raise SourceError(msg) from error
        yield database


def _load(database: Sqlite, place: str, name: str, open_: Open) -> None:
    """Add the rows of one file, if it is one that is read."""
    below = _BELOW.fullmatch(name)
    if below is None:
        return
    for pattern, add in _ADDERS.items():
        if found := re.fullmatch(pattern, below["rest"], re.DOTALL):
            add(database, _File(place, below["experiment"], found, open_))
            return


def _add_experiment(database: Sqlite, file: _File) -> None:
    meta = _meta(file)
    row = (
        file.experiment,
        *_values(meta, "name", "lifecycle_stage", "creation_time", "last_update_time"),
    )
    database.add("INSERT OR REPLACE INTO experiments VALUES (?, ?, ?, ?, ?)", [row])


def _add_experiment_tag(database: Sqlite, file: _File) -> None:
    row = (file.experiment, file.found["key"], _text(file))
    database.add("INSERT INTO experiment_tags VALUES (?, ?, ?)", [row])


def _add_run(database: Sqlite, file: _File) -> None:
    meta = _meta(file)
    row = (
        file.found["run"],
        file.experiment,
        meta.get("run_name", meta.get("name")),
        _numbered(_STATES, meta.get("status")),
        *_values(meta, "start_time", "end_time", "lifecycle_stage", "artifact_uri"),
        _numbered(_SOURCES, meta.get("source_type")),
        *_values(meta, "source_name", "source_version", "entry_point_name", "user_id"),
    )
    database.add(_INSERT_RUN, [row])


def _add_param(database: Sqlite, file: _File) -> None:
    row = (file.found["run"], file.found["key"], _text(file))
    database.add("INSERT OR REPLACE INTO params VALUES (?, ?, ?)", [row])


def _add_tag(database: Sqlite, file: _File) -> None:
    row = (file.found["run"], file.found["key"], _text(file))
    database.add("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", [row])


def _add_artifact(database: Sqlite, file: _File) -> None:
    row = (file.found["run"], file.found["key"])
    database.add("INSERT OR REPLACE INTO artifacts VALUES (?, ?)", [row])


def _add_metric(database: Sqlite, file: _File) -> None:
    """Add the last value of a metric, by MLflow's rule: step, then time, then value."""
    best = None
    count = 0
    with file.open() as lines:
        for line in lines:
            count += 1
            try:
                when, value, *more = line.split()
                # With a data set behind it, MLflow itself passes over the step.
                step = int(more[0]) if len(more) == 1 else 0
                found = (step, int(when), float(value))
            except ValueError as error:
                msg = f"{file.place}: line {count} is not a value of a metric: {error}"
                raise SourceError(msg) from error
            if best is None or found > best:
                best = found
    if best is None:
        msg = f"{file.place}: has no value"
        raise SourceError(msg)
    key = (file.found["run"], file.found["key"])
    row = (*key, best[2], math.isnan(best[2]))
    database.add("INSERT OR REPLACE INTO latest_metrics VALUES (?, ?, ?, ?)", [row])
    database.add(
        "INSERT OR REPLACE INTO earlier_values VALUES (?, ?, ?)", [(*key, count - 1)]
    )


def _add_dataset(database: Sqlite, file: _File) -> None:
    meta = _meta(file)
    row = (file.found["key"], *_values(meta, "name", "digest", "source_type", "source"))
    database.add("INSERT OR REPLACE INTO datasets VALUES (?, ?, ?, ?, ?)", [row])


def _add_input(database: Sqlite, file: _File) -> None:
    meta = _meta(file)
    key = file.found["key"]
    ends = _values(
        meta, "source_type", "source_id", "destination_type", "destination_id"
    )
    database.add("INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?)", [(key, *ends)])
    tags = meta.get("tags") or {}
    if isinstance(tags, dict):
        rows = [(key, str(name), str(value)) for name, value in tags.items()]
        database.add("INSERT INTO input_tags VALUES (?, ?, ?)", rows)


def _add_trace(database: Sqlite, file: _File) -> None:
    database.add("INSERT INTO trace_info VALUES (?)", [(file.experiment,)])


def _add_model(database: Sqlite, file: _File) -> None:
    database.add("INSERT INTO logged_models VALUES (?)", [(file.experiment,)])


_ADDERS: Mapping[str, Callable[[Sqlite, _File], None]] = {
    r"meta\.yaml": _add_experiment,
    r"tags/(?P<key>.+)": _add_experiment_tag,
    _RUN + r"meta\.yaml": _add_run,
    _RUN + r"params/(?P<key>.+)": _add_param,
    _RUN + r"metrics/(?P<key>.+)": _add_metric,
    _RUN + r"tags/(?P<key>.+)": _add_tag,
    _RUN + r"artifacts/(?P<key>.+)": _add_artifact,
    _RUN + r"inputs/(?P<key>[^/]+)/meta\.yaml": _add_input,
    r"datasets/(?P<key>[^/]+)/meta\.yaml": _add_dataset,
    r"traces/[^/]+/trace_info\.yaml": _add_trace,
    r"models/[^/]+/meta\.yaml": _add_model,
}
"""The files that are read, by their path below the experiment."""


def _text(file: _File) -> str:
    with file.open() as opened:
        data = opened.read(LONGEST_LINE + 1)
    if len(data) > LONGEST_LINE:
        msg = f"{file.place}: is longer than {LONGEST_LINE} bytes"
        raise SourceError(msg)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        msg = f"{file.place}: not UTF-8 (byte {error.start + 1})"
        raise SourceError(msg) from error


def _meta(file: _File) -> Mapping[str, Any]:
    try:
        read = yaml.load(_text(file), Loader=Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        msg = f"{file.place}: not valid YAML: {str(error).splitlines()[0]}"
        raise SourceError(msg) from error
    if not isinstance(read, dict):
        msg = f"{file.place}: is no mapping"
        raise SourceError(msg)
    return read


def _values(meta: Mapping[str, Any], *names: str) -> list[Any]:
    return [meta.get(name) for name in names]


def _numbered(names: Sequence[str], number: object) -> object:
    """Return the name that MLflow numbers so; anything else as it is."""
    if isinstance(number, int) and 0 < number < len(names):
        return names[number]
    return number
