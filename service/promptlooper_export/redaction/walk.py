"""Walk a document and replace the secrets in it."""

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from operator import is_
from typing import Any, TypeAlias, TypeVar, overload

from promptlooper_export.configs import JSON, ROOT, Path
from promptlooper_export.deadline import check_deadline
from promptlooper_export.documents import (
    Best,
    Difference,
    Document,
    Notice,
    Report,
    Runs,
    TopParameter,
)
from promptlooper_export.findings import Deviation, Parameter
from promptlooper_export.redaction import pairs
from promptlooper_export.redaction.arguments import redacted_arguments
from promptlooper_export.redaction.columns import redacted_columns
from promptlooper_export.redaction.names import Strength, keep_names, strength
from promptlooper_export.redaction.quick import (
    IS_JSON,
    forget,
    suspects,
    suspicious_places,
)
from promptlooper_export.redaction.text import (
    add_patterns,
    free_key,
    redact_text,
)
from promptlooper_export.redaction.values import hide
from promptlooper_export.runs import RunBatch
from promptlooper_export.verdicts import Tag

CODE = "redacted"

_MESSAGE = (
    "A secret was left out here; redact=off shows it to those who may see secrets."
)

_STRENGTHS: tuple[Strength, ...] = ("none", "weak", "doubtful", "strong")

_VALUES_AT_A_PATH: Mapping[type, tuple[str, ...]] = {
    Difference: ("winner", "runner_up", "usual"),
    Deviation: ("winner", "other"),
    Tag: ("value",),
}
"""The fields that hold what configs have at a path."""

AtPath: TypeAlias = Deviation | Difference | Parameter | Tag | TopParameter
"""What holds values of configs at a path."""

Walk: TypeAlias = Generator["Walk", Any, Any]
"""Yields the walks through its members, is sent what they return, and returns."""

T = TypeVar("T")
D = TypeVar("D", Best, Report)


def configure(
    *, patterns: Iterable[re.Pattern[str]] = (), kept_names: Iterable[str] = ()
) -> None:
    """Set the operator's own patterns and exceptions, for the whole process."""
    add_patterns(patterns)
    keep_names(kept_names)
    forget()


@overload
def redact(document: Runs) -> Runs: ...


@overload
def redact(document: D) -> D: ...


def redact(document: Document) -> Document:
    """Return the document without secrets, each named in its warnings.

    A value is secret if its key says so. A part of any text, keys included, is secret
    if it has the shape of one. A reference to a secret, such as `${NAME}`, is not. All
    else stays unchanged. The rows of runs are redacted as they are read.
    """
    found: dict[str, None] = {}
    if isinstance(document, Runs):
        return _runs(document, found)
    clean: Best | Report = _fields(document, ROOT, found)
    return replace(clean, warnings=(*clean.warnings, *_notices(found)))


def redact_config(config: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Return a run's config as it is once the run is redacted."""
    if _is_clean(config):
        return config
    clean: Mapping[str, JSON] = _walked(_value(config, ROOT, {}))
    return clean


def secrets_in(values: Mapping[str, JSON]) -> tuple[str, ...]:
    """Return the paths of what would be redacted in the values."""
    found: dict[str, None] = {}
    _walked(_value(values, ROOT, found))
    return tuple(found)


def _runs(runs: Runs, found: dict[str, None]) -> Runs:
    warnings: list[Notice] = []

    def batches() -> Iterator[RunBatch]:
        for batch in runs.batches:
            changed = {}
            for place in suspicious_places(batch):
                run = batch[place]
                clean = _fields(run, ROOT, found)
                if clean is not run:
                    changed[place] = clean
            yield batch.with_runs(changed)
        # The document's own warnings are complete only after the last row.
        warnings.extend(_fields(notice, ROOT, {}) for notice in runs.warnings)
        warnings.extend(_notices(found))

    return replace(
        runs,
        experiment=_fields(runs.experiment, Path(("experiment",)), found),
        batches=batches(),
        found_columns=runs.found_columns and redacted_columns(runs.found_columns),
        warnings=warnings,
    )


def _notices(found: Mapping[str, None]) -> Iterator[Notice]:
    # Within a config, paths begin at the config itself. A report has the winner's
    # config and its differences: one notice is enough for a key in both.
    paths = (path.removeprefix("winner.").removeprefix("config.") for path in found)
    for path in dict.fromkeys(paths):
        yield Notice(code=CODE, message=_MESSAGE, path=path)


def _is_clean(record: object) -> bool:
    """Return whether a record has no secret, quickly, since few records have one.

    False only means that a closer look is needed.
    """
    # One loop without recursion, paths or copies, unlike the closer look.
    texts: set[str] = set()
    pending = [record]
    while pending:
        check_deadline()
        value = pending.pop()
        kind = type(value)  # exact types: faster than isinstance, and enough for JSON
        if kind is str:
            texts.add(value)  # type: ignore[arg-type]
        elif kind in pairs.WITHOUT_TEXT:
            pass
        elif kind is list or kind is tuple:
            pending.extend(value)  # type: ignore[arg-type]
        elif isinstance(value, Mapping):
            pending.extend(value.values())
            texts.update(value)
        elif isinstance(value, AtPath):
            return False
        else:
            pending.extend(vars(value).values())
    return not suspects(texts)


def _fields(record: T, path: Path, found: dict[str, None]) -> T:
    """Redact the fields of a dataclass; returns the same object if none is secret."""
    if _is_clean(record):
        return record
    changes = {}
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        clean = _walked(_value(value, Path((*path, field.name)), found))
        if clean is not value:
            changes[field.name] = clean
    return replace(record, **changes) if changes else record  # type: ignore[type-var]


def _walked(walk: Walk) -> Any:  # noqa: ANN401
    """Return what a walk returns, however deep the value is that it goes through."""
    # Calls would go three times as deep as the value: Python ends them at 1000.
    above = [walk]
    result = None
    while above:
        check_deadline()
        try:
            below = above[-1].send(result)
        except StopIteration as end:
            above.pop()
            result = end.value
        else:
            above.append(below)
            result = None
    return result


def _value(value: Any, path: Path, found: dict[str, None]) -> Walk:  # noqa: ANN401
    """Redact a value; returns the same object if nothing in it is secret."""
    if isinstance(value, str):
        clean = _text(value)
        if clean == value:
            return value
        found[str(path)] = None
        return clean
    if isinstance(value, Mapping):
        return (yield from _mapping(value, path, found))
    if isinstance(value, list | tuple):
        return (yield from _sequence(value, path, found))
    if isinstance(value, AtPath):
        return _at_path(value, found)
    return _fields(value, path, found) if is_dataclass(value) else value


def _text(text: str) -> str:
    """Redact a text; one that is JSON is walked as well."""
    text = redact_text(text)
    if not IS_JSON.match(text):
        return text
    found: dict[str, None] = {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text  # not JSON, or deeper than any reader reads
    clean = _walked(_value(value, ROOT, found))
    if not found:
        return text
    compact = (",", ":") if '": ' not in text else (", ", ": ")
    return json.dumps(clean, ensure_ascii=False, separators=compact)


def _mapping(value: Mapping[str, Any], path: Path, found: dict[str, None]) -> Walk:
    clean: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    named = pairs.named_values(value)
    for key, member in value.items():
        kept_key = free_key(redact_text(key), clean, numbers) if key else key
        place = Path((*path, kept_key))
        if kept_key != key:
            found[str(place)] = None
        if type(member) in pairs.WITHOUT_TEXT:
            clean[kept_key] = member
            continue
        name = named.get(key, key)
        clean[kept_key] = yield _named(member, name, strength(name), place, found)
    same = all(
        key == kept and clean[kept] is member
        for (key, member), kept in zip(value.items(), clean, strict=True)
    )
    return value if same else clean


def _named(
    value: Any,  # noqa: ANN401
    name: str,
    sure: Strength,
    path: Path,
    found: dict[str, None],
) -> Walk:
    """Redact a value under a name; numbers and truth values are never secret."""
    if sure == "none":
        return (yield from _value(value, path, found))
    if isinstance(value, str):
        if (clean := hide(value, sure, name)) == value:
            return (yield from _value(value, path, found))
        found[str(path)] = None
        return clean
    if sure == "weak" or not isinstance(value, Mapping | list | tuple):
        return (yield from _value(value, path, found))
    # Everything in it is secret, but for what only describes it.
    if isinstance(value, Mapping):
        clean_keys = yield _mapping(dict.fromkeys(value), path, found)
        members: dict[str, Any] = {}
        for (key, member), kept in zip(value.items(), clean_keys, strict=True):
            member_sure = "none" if pairs.describes(key) else sure
            place = Path((*path, kept))
            members[kept] = yield _named(member, name, member_sure, place, found)
        return value if _is_same(value, members) else members
    kept_members = []
    for number, member in enumerate(value):
        place = Path((*path, str(number)))
        kept_members.append((yield _named(member, name, sure, place, found)))
    same = all(map(is_, value, kept_members))
    return value if same else type(value)(kept_members)


def _is_same(value: Mapping[str, Any], clean: Mapping[str, Any]) -> bool:
    return list(value) == list(clean) and all(map(is_, value.values(), clean.values()))


def _sequence(
    value: list[Any] | tuple[Any, ...], path: Path, found: dict[str, None]
) -> Walk:
    named = pairs.named_members(value)
    hidden = dict(redacted_arguments([m if isinstance(m, str) else "" for m in value]))
    clean = []
    for place, member in enumerate(value):
        where = Path((*path, str(place)))
        if place in hidden:
            found[str(where)] = None
            clean.append(hidden[place])
        elif place in named:
            name = named[place]
            clean.append((yield _named(member, name, strength(name), where, found)))
        else:
            clean.append((yield _value(member, where, found)))
    same = all(map(is_, value, clean))
    return value if same else type(value)(clean)


def _at_path(
    value: AtPath,
    found: dict[str, None],
) -> AtPath:
    """Redact what configs have at a path, which holds the keys that lead to it."""
    hidden: dict[str, None] = {}
    path = redact_text(value.path)
    key, sure = _key_of_leaf(value.path, found)
    changes: dict[str, Any] = {} if path == value.path else {"path": path}

    def shown(given: JSON) -> JSON:
        clean: JSON = _walked(_named(given, key, sure, Path((path,)), hidden))
        return clean

    if isinstance(value, Parameter):
        changes["values"] = tuple(
            replace(one, value=shown(one.value)) for one in value.values
        )
    elif isinstance(value, TopParameter):
        changes["values"] = tuple(map(shown, value.values))
    else:
        for name in _VALUES_AT_A_PATH[type(value)]:
            changes[name] = shown(getattr(value, name))
    if hidden or path != value.path:
        found[path] = None
    return replace(value, **changes)


def _key_of_leaf(path: str, found: dict[str, None]) -> tuple[str, Strength]:
    """Return the last key of a path, and how sure the path is of a secret."""
    keys = Path.parse(path) or [""]
    if pairs.describes(keys[-1]):
        return keys[-1], "none"
    if f"winner.config.{path}" in found:
        return keys[-1], "strong"  # as the winner's own config tells
    sure = max(map(strength, keys), key=_STRENGTHS.index)
    if pairs.is_value(keys[-1]) and sure == "none":
        sure = "weak"  # the name is in another place
    return keys[-1], sure
