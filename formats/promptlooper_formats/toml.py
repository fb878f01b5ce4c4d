"""The best config as TOML 1.0.

TOML has no null: such keys are left out, and named in a comment and a warning.
"""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, time

import tomli_w

from promptlooper_export.plugin import (
    JSON,
    ROOT,
    Best,
    Format,
    Notice,
    Path,
    UnrepresentableError,
    check_deadline,
)
from promptlooper_formats.shared.best_document import (
    BestOptions,
    config_in,
    members,
    refuse_unencodable,
)
from promptlooper_formats.shared.notices import big_integers, scalars
from promptlooper_formats.shared.text import header, warning

# The range that every reader of TOML must support: https://toml.io/en/v1.0.0#integer
_INTEGERS = range(-(2**63), 2**63)

_DEEPEST = 100
"""Levels of nesting; recursive readers give up beyond."""


def render(best: Best, *, only: str | None = None) -> Iterator[bytes | Notice]:
    """Yield the header and the document, or only the config, as one TOML document.

    Refuses integers beyond 64 bits, null in a list, text with a lone surrogate, and a
    config nested more than 100 levels deep.
    """
    refuse_unencodable(best, only, "TOML")
    _refuse(best.config)
    notices = (*_left_out(best.config, ROOT), *big_integers(best.config))
    yield from notices
    lines = (*header(best), *map(warning, notices))
    yield "".join(f"{line}\n" for line in lines).encode()
    yield tomli_w.dumps(_without_null(members(best, only, notices))).encode()


def _refuse(config: Mapping[str, JSON]) -> None:
    reasons = {
        str(path): reason
        for path, value in scalars(config)
        if (reason := _reason(path, value))
    }
    if reasons:
        found = "; ".join(f"{path}: {reason}" for path, reason in reasons.items())
        detail = f"{found}; choose format=json."
        raise UnrepresentableError(detail, paths=tuple(reasons))


def _reason(path: Path, value: JSON) -> str:
    if len(path) > _DEEPEST:
        return "nested too deeply for readers of TOML"
    if isinstance(value, int) and value not in _INTEGERS:
        return "TOML's integers have 64 bits"
    return ""


def _left_out(value: JSON | Mapping[str, JSON], path: Path) -> Iterator[Notice]:
    """Name the keys whose value is null; raises UnrepresentableError within lists."""
    check_deadline()
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _left_out(member, Path((*path, key)))
            if member is None:
                yield Notice(
                    code="null-left-out",
                    message="TOML has no null: this key is left out.",
                    path=str(Path((*path, key))),
                )
    elif isinstance(value, list):
        for place, member in enumerate(value):
            if member is None:
                # Leaving a member out would move those after it.
                where = str(Path((*path, str(place))))
                detail = f"{where}: TOML has no null within a list; choose format=json."
                raise UnrepresentableError(detail, paths=(where,))
            yield from _left_out(member, Path((*path, str(place))))


def _without_null(value: Mapping[str, JSON]) -> dict[str, JSON]:
    return {key: _clean(member) for key, member in value.items() if member is not None}


def _clean(value: JSON) -> JSON:
    check_deadline()
    if isinstance(value, dict):
        return _without_null(value)
    return list(map(_clean, value)) if isinstance(value, list) else value


# Every alternative also matches if its end is missing: none is tried from a later place
# that it has seen already, so a file is read once.
_KEY = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"?|'[^'\n]*+'?)"""
_DOT = r"[ \t]*+\.[ \t]*+"
_TOKEN = re.compile(
    rf"""
    \"{{3}}(?:[^\\]|\\.)*?(?:\"{{3}}|\Z)
    | '{{3}}.*?(?:'{{3}}|\Z)
    | \#[^\n]*+
    | (?P<long>{_KEY}(?:{_DOT}{_KEY}){{{_DEEPEST * 2},}}+)
    | {_KEY}(?:{_DOT}{_KEY})*+
    """,
    re.DOTALL | re.VERBOSE,
)
"""A text of several lines, a comment, or a key, text or number.

For a `long` dotted key, tomllib would need the square of its length in time.
"""


def read(data: bytes, *, only: str | None = None) -> Mapping[str, JSON]:
    """Return the config of a whole document, or of a file that is the config alone.

    With `only=config`, the file is the config alone, whatever it holds.

    Dates and times become text as in RFC 3339. Raises ValueError if the file is not
    TOML, or holds what JSON cannot say.
    """
    text = data.decode("utf-8-sig")
    if long := next((one for one in _TOKEN.finditer(text) if one["long"]), None):
        line = text.count("\n", 0, long.start()) + 1
        msg = f"line {line}: the key is more than {_DEEPEST * 2} levels deep"
        raise ValueError(msg)
    return config_in(
        {
            key: _as_json(value, Path((key,)))
            for key, value in tomllib.loads(text).items()
        },
        only,
    )


def _as_json(value: object, path: Path) -> JSON:
    if isinstance(value, dict):
        return {key: _as_json(one, Path((*path, key))) for key, one in value.items()}
    if isinstance(value, list):
        return [
            _as_json(one, Path((*path, str(place)))) for place, one in enumerate(value)
        ]
    if isinstance(value, date | time):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, str | int) or (
        isinstance(value, float) and math.isfinite(value)
    ):
        return value
    msg = f"{path}: {value} is not a value of JSON"
    raise ValueError(msg)


TOML = Format(
    name="toml",
    title="TOML",
    document=Best,
    media_types=("application/toml",),
    extension="toml",
    options=BestOptions,
    render=render,
    read=read,
)
