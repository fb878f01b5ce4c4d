"""The interchange file: experiments and runs, one JSON object a line.

A line `{"type": "experiment", ...}` opens an experiment; lines with type `run` after
it are its runs, until the next experiment. Only a run's `config` is required. A null
member counts as absent (but a null `config` means one that was not valid JSON). A
member that is not listed refuses the file. The defaults of absent members are:

id            a UUIDv5 of the line's content and the file's name, or for a run the
              experiment's id, so that importing a file twice changes nothing
name          an experiment's: the file's name without its extension; a run's: none
status        an experiment's: completed; a run's: completed if it has scores, failed
              if it has an error, else pending
config_hash   the SHA-256, in hex, of the config as canonical JSON
times         none
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from marshmallow import ValidationError, missing

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers.importer import Importer, OnUnknown, hint, refuse
from promptlooper_export.importers.lines import STDIN, Line, parse, read_lines
from promptlooper_export.importers.members import SCHEMAS
from promptlooper_export.records import ExperimentRecord, Records, RunRecord
from promptlooper_export.runs import StageResult

NAMESPACE = UUID("6b0a3c5e-4d1f-5c1a-9a57-2f6f0f9d8e11")
"""The namespace of derived ids."""

_HEAD = 1 << 16
_LINES = ("experiment", "run")
_TYPE = re.compile(rb'"type"\s*:\s*"(experiment|run)"')

_OWN = {
    "experiment": frozenset({"type", *SCHEMAS["experiment"].fields}),
    "run": frozenset({"type", "config", *SCHEMAS["run"].fields}),
    "stage": frozenset(SCHEMAS["stage"].fields),
}
"""The members of each kind of object."""

# What people write on the line of the experiment although it belongs one level down.
_RULES = {
    name: f"scoring_config.{name}"
    for name in ("weights", "directions", "direction", "required")
}


class _Ids:
    """The ids of one file; remembers 16 bytes of each, to refuse a repeated one."""

    def __init__(self) -> None:
        self._taken: set[bytes] = set()
        self._alike: Counter[bytes] = Counter()

    def take(self, line: Line, given: UUID | None, parent: UUID, salt: str) -> UUID:
        """Return the given id, or one derived from the parent's, the salt and the line.

        Equal lines get different ids because they are counted.
        """
        identity = given
        if identity is None:
            values = {name: member.value for name, member in line.members.items()}
            content = uuid5(parent, salt + _canonical(values))
            # Two runs may well be equal in all that was written of them.
            self._alike[content.bytes] += 1
            identity = uuid5(content, str(self._alike[content.bytes]))
        if identity.bytes in self._taken:
            msg = f"{line.place}: the id {identity} is there twice"
            raise SourceError(msg)
        self._taken.add(identity.bytes)
        return identity


def read(source: str, unknown: OnUnknown = refuse) -> Records:
    """Yield the experiments of a file, or of stdin for `-`; see the module.

    `unknown` is called for each member that is not listed. Raises SourceError naming
    file and line, at any point of the iteration.
    """
    # Only scores: a runner may have stored NaN as a score, and exports keep it.
    lines = read_lines(source, lenient=frozenset({"scores"}))
    yield from records(lines, source=source, unknown=unknown)


def records(lines: Iterator[Line], *, source: str, unknown: OnUnknown) -> Records:
    """Yield the experiments of lines, wherever these come from; as `read`."""
    ids = _Ids()
    empty = True
    known = (_known(line, unknown) for line in lines)
    # groupby hands out the runs of each experiment as they are read: none is held.
    for _, group in groupby(_numbered(known), key=itemgetter(0)):
        empty = False
        yield _experiment((line for _, line in group), source=source, ids=ids)
    if empty:
        msg = f"{source}: holds no experiment"
        raise SourceError(msg)


def _known(line: Line, unknown: OnUnknown) -> Line:
    """Return the line after calling `unknown` for each member that is not listed."""
    kind = _kind(line)
    more = _RULES if kind == "experiment" else {}
    _look_through(line.place, line.members, kind, unknown, more)
    stages = line.members.get("stage_results")
    if stages is not None and isinstance(stages.value, list):
        for stage in stages.value:
            if isinstance(stage, dict):
                _look_through(line.place, stage, "stage", unknown, {})
    return line


def _look_through(
    place: str,
    members: Mapping[str, object],
    kind: str,
    unknown: OnUnknown,
    more: Mapping[str, str],
) -> None:
    for name in members:
        if name not in _OWN[kind]:
            near = hint(name, {**{own: own for own in sorted(_OWN[kind])}, **more})
            unknown(place, name, near)


def _kind(line: Line) -> str:
    kind = line.members["type"].value if "type" in line.members else None
    if not isinstance(kind, str) or kind not in _LINES:
        msg = (
            f'{line.place}: the member "type" must be "experiment" or "run"; an '
            "export as ndjson has it with the option header=1"
        )
        raise SourceError(msg)
    return kind


def _numbered(lines: Iterator[Line]) -> Iterator[tuple[int, Line]]:
    """Pair each line with the number of experiments that have begun."""
    number = 0
    for line in lines:
        number += _kind(line) == "experiment"
        if number == 0:
            msg = f"{line.place}: a run before the first experiment"
            raise SourceError(msg)
        yield number, line


def _experiment(lines: Iterator[Line], *, source: str, ids: _Ids) -> ExperimentRecord:
    line = next(lines)
    values = _load(line)
    path = Path("stdin" if source == STDIN else source)
    identity = ids.take(line, values["id"], NAMESPACE, f"{path.name}\n")
    return ExperimentRecord(
        id=identity,
        name=values["name"] or path.stem,
        description=values["description"],
        status=values["status"],
        parameter_space=values["parameter_space"],
        scoring_config=values["scoring_config"],
        created_at=values["created_at"],
        updated_at=values["updated_at"],
        place=line.place,
        runs=map(partial(_run, parent=identity, ids=ids), lines),
    )


def _run(line: Line, *, parent: UUID, ids: _Ids) -> RunRecord:
    config = line.members.get("config")
    if config is None or not isinstance(config.value, dict | None):
        msg = f"{line.place}: config: must be there and be an object"
        raise SourceError(msg)
    values = _load(line)
    _match(values["scores"], values["cases"], line.place)
    return RunRecord(
        id=ids.take(line, values["id"], parent, ""),
        name=values["name"],
        status=values.get("status") or _status(values),
        config=config.text,
        config_hash=values.get("config_hash") or _hash(config.value),
        scores=values["scores"],
        cases=values["cases"],
        tokens_in=values["tokens_in"],
        tokens_out=values["tokens_out"],
        duration_ms=values["duration_ms"],
        cost_usd=values["cost_usd"],
        error=values["error"],
        tags=values["tags"],
        stage_results=tuple(StageResult(**stage) for stage in values["stage_results"]),
        created_at=values["created_at"],
        started_at=values["started_at"],
        finished_at=values["finished_at"],
        updated_at=values["updated_at"],
    )


def _match(scores: Mapping[str, Sized], cases: Mapping[str, Sized], place: str) -> None:
    """Raise SourceError unless each judgement of a scorer with cases has its own."""
    for scorer, found in cases.items():
        judged = len(scores.get(scorer, ()))
        if len(found) != judged:
            msg = (
                f"{place}: cases.{scorer}: there are {len(found)} for {judged} "
                "judgements; each needs its own, or null"
            )
            raise SourceError(msg)


def _status(values: dict[str, Any]) -> str:
    if any(
        score is not None for judged in values["scores"].values() for score in judged
    ):
        return "completed"
    return "pending" if values["error"] is None else "failed"


def _load(line: Line) -> dict[str, Any]:
    """Return the members' values, and the defaults of those that are absent.

    Field by field: a schema's own `load` takes twice as long for a line.
    """
    loaded: dict[str, Any] = {}
    schema = SCHEMAS[str(line.members["type"].value)]
    for name, field in schema.fields.items():
        member = line.members.get(name)
        if member is None or member.value is None:
            default = field.load_default
            if default is not missing:
                loaded[name] = default() if callable(default) else default
            continue
        try:
            loaded[name] = field.deserialize(member.value, name)
        except ValidationError as error:
            path, why = _first({name: error.messages})
            msg = f"{line.place}: {path}: {why}"
            raise SourceError(msg) from error
    return loaded


def _first(messages: dict[Any, Any]) -> tuple[str, str]:
    """Return the path to the first error, and its message."""
    path = []
    found: Any = messages
    while isinstance(found, dict):
        key, found = next(iter(found.items()))
        path.append(str(key))
    return ".".join(path), found[0]


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _hash(config: JSON) -> str:
    return hashlib.sha256(_canonical(config).encode()).hexdigest()


def recognises(source: str) -> bool:
    """Return whether the first line is ours, or broken and of our extension.

    Stdin always is: looking into it would take its first line away from `read`.
    """
    path = Path(source)
    is_named_so = path.suffix in {".ndjson", ".jsonl"}
    if source == STDIN or not path.is_file():
        return source == STDIN or is_named_so
    with path.open("rb") as file:
        first = file.readline(_HEAD)
    return _TYPE.search(first) is not None or (is_named_so and not _is_object(first))


def _is_object(line: bytes) -> bool:
    """Return whether the line holds an object, as that of any other tool does."""
    try:
        parse(line, "")
    except SourceError:
        # Too long a line to be read as a whole here is not broken.
        return len(line) == _HEAD
    return True


INTERCHANGE = Importer(
    title="Interchange file (NDJSON)",
    recognises=recognises,
    read=read,
    read_leniently=read,
)
