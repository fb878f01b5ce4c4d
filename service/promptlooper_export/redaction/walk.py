"""Walk a document and replace the secrets in it."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from operator import is_
from typing import Any, TypeVar, overload
from uuid import UUID

from promptlooper_export.configs import ROOT, Path
from promptlooper_export.documents import (
    Best,
    Columns,
    Difference,
    Document,
    Notice,
    Report,
    Run,
    Runs,
    ValueKind,
)
from promptlooper_export.redaction.secrets import (
    REDACTED,
    is_reference,
    names_secret,
    redact_text,
)

CODE = "redacted"

_SEGMENT = re.compile(r'"(?:[^"\\]|\\.)*"|[^."]+')

_MESSAGE = (
    "A secret was left out here; redact=off shows it to those who may see secrets."
)

_BY_SCORER = frozenset({"scores", "scoring_config", "values"})
"""Fields whose keys are scorers. A scorer may be called `token`; its numbers stay."""

_REMEMBERED = 100
"""The longest text, in characters, that is remembered as clean."""

_REMEMBERED_TEXTS = 10_000

# Configs of one experiment mostly repeat the same keys and short texts, so remembering
# the clean ones saves most of the pattern matching. Threads share the sets: a lost or
# repeated entry only costs another look.

_clean_texts: set[str] = set()
_innocent_keys: set[str] = set()

_WITHOUT_TEXT = frozenset({bool, int, float, type(None), UUID, datetime})

_HIDDEN: frozenset[ValueKind] = frozenset({"text"})
_SHOWN: frozenset[ValueKind] = frozenset({"null", "boolean"})
"""The kind that replaces a secret, and the kinds that are never secret."""

T = TypeVar("T")
D = TypeVar("D", Best, Report)


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


def _runs(runs: Runs, found: dict[str, None]) -> Runs:
    warnings: list[Notice] = []

    def rows() -> Iterator[Run]:
        for row in runs.rows:
            yield _fields(row, ROOT, found)
        # The document's own warnings are complete only after the last row.
        warnings.extend(_fields(notice, ROOT, {}) for notice in runs.warnings)
        warnings.extend(_notices(found))

    return replace(
        runs,
        experiment=_fields(runs.experiment, Path(("experiment",)), found),
        rows=rows(),
        found_columns=runs.found_columns and _columns(runs.found_columns),
        warnings=warnings,
    )


def _columns(columns: Columns) -> Columns:
    """Return the columns that the redacted runs have."""
    kinds: defaultdict[str, set[ValueKind]] = defaultdict(set)
    for path in columns.config:
        clean, is_hidden = _column(path)
        found = columns.kinds.get(path, frozenset())
        kinds[clean] |= _HIDDEN | (found & _SHOWN) if is_hidden else found
    return Columns(
        config=tuple(sorted(kinds)),
        scores=tuple(sorted(map(redact_text, columns.scores))),
        kinds={path: frozenset(found) for path, found in kinds.items()},
    )


def _column(path: str) -> tuple[str, bool]:
    """Return the path that this leaf has in a redacted config.

    Also returns whether it is below a key that names a secret.
    """
    keys = []
    for text in _SEGMENT.findall(path):
        quoted = text.startswith('"')
        key = text[1:-1].replace('\\"', '"') if quoted else text
        keys.append(redact_text(key))
        if names_secret(key):  # everything below it is redacted as one
            return str(Path(keys)), True
    return str(Path(keys)), False


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
    unknown: list[str] = []
    keys: list[str] = []
    pending = [record]
    while pending:
        value = pending.pop()
        kind = type(value)  # exact types: faster than isinstance, and enough for JSON
        if kind is str:
            if value not in _clean_texts:
                unknown.append(value)  # type: ignore[arg-type]
        elif kind in _WITHOUT_TEXT:
            pass
        elif kind is list or kind is tuple:
            pending.extend(value)  # type: ignore[arg-type]
        elif isinstance(value, Mapping):
            pending.extend(value.values())
            if not _innocent_keys.issuperset(value):
                if any(map(names_secret, value)):
                    return False
                keys.extend(value)
        else:
            if isinstance(value, Difference) and any(
                map(names_secret, value.path.split("."))
            ):
                return False
            pending.extend(vars(value).values())
    return _remember(_clean_texts, unknown) and _remember(_innocent_keys, keys)


def _remember(clean: set[str], texts: list[str]) -> bool:
    """Return whether there is no secret in the texts; if so, add the short ones."""
    # One search through the joined texts is faster than one for each, and finds every
    # secret. If a pattern matches across two texts, that only causes a closer look.
    joined = "\n".join(texts)
    if redact_text(joined) != joined:
        return False
    if len(clean) > _REMEMBERED_TEXTS:
        clean.clear()
    clean.update(text for text in texts if len(text) <= _REMEMBERED)
    return True


def _fields(record: T, path: Path, found: dict[str, None]) -> T:
    """Redact the fields of a dataclass; returns the same object if none is secret."""
    if _is_clean(record):
        return record
    changes = {}
    for field in fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        clean = _value(value, Path((*path, field.name)), found)
        if clean is not value:
            changes[field.name] = clean
    return replace(record, **changes) if changes else record  # type: ignore[type-var]


def _value(value: Any, path: Path, found: dict[str, None]) -> Any:  # noqa: ANN401
    """Redact a value; returns the same object if nothing in it is secret."""
    if isinstance(value, str):
        clean = redact_text(value)
        if clean == value:
            return value
        found[str(path)] = None
        return clean
    if isinstance(value, Mapping):
        return _mapping(value, path, found)
    if isinstance(value, list | tuple):
        return _sequence(value, path, found)
    if isinstance(value, Difference):
        return _difference(value, found)
    return _fields(value, path, found) if is_dataclass(value) else value


def _mapping(
    value: Mapping[str, Any], path: Path, found: dict[str, None]
) -> Mapping[str, Any]:
    clean: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    for key, member in value.items():
        kept_key = _free_key(redact_text(key), clean, numbers) if key else key
        place = Path((*path, kept_key))
        if kept_key != key:
            found[str(place)] = None
        if _is_secret(key, member, path):
            found[str(place)] = None
            clean[kept_key] = REDACTED
        else:
            clean[kept_key] = _value(member, place, found)
    same = all(
        key == kept and clean[kept] is member
        for (key, member), kept in zip(value.items(), clean, strict=True)
    )
    return value if same else clean


def _free_key(key: str, taken: Mapping[str, object], numbers: dict[str, int]) -> str:
    """Return the key, with a number if redaction made it equal to another one.

    `numbers` has the last number of each key: counting from 1 for each of many secrets
    would take quadratic time.
    """
    free = key
    while free in taken:
        numbers[key] = numbers.get(key, 1) + 1
        free = f"{key} {numbers[key]}"
    return free


def _is_secret(key: str, value: object, path: Path) -> bool:
    """Return whether a value is secret because of its key."""
    if value is None or isinstance(value, bool) or value in ("", [], {}):
        return False
    if isinstance(value, str) and is_reference(value):
        return False
    if isinstance(value, int | float) and not _BY_SCORER.isdisjoint(path):
        return False
    return names_secret(key)


def _sequence(
    value: list[Any] | tuple[Any, ...], path: Path, found: dict[str, None]
) -> Sequence[Any]:
    clean = [
        _value(member, Path((*path, str(place))), found)
        for place, member in enumerate(value)
    ]
    same = all(map(is_, value, clean))
    return value if same else type(value)(clean)


def _difference(value: Difference, found: dict[str, None]) -> Difference:
    """Redact a parameter's values; its path holds the keys that lead to it."""
    hidden: dict[str, None] = {}
    clean = _fields(value, Path((value.path,)), hidden)
    secret: dict[str, Any] = {
        name: REDACTED
        for name in ("winner", "runner_up", "usual")
        if any(
            _is_secret(key, getattr(value, name), ROOT) for key in value.path.split(".")
        )
    }
    if secret or hidden:
        found[clean.path] = None
    return replace(clean, **secret)
