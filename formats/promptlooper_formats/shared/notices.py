"""What several formats have to say about a config's values."""

import re
from collections.abc import Iterable, Iterator, Mapping

from promptlooper_export.plugin import (
    JSON,
    ROOT,
    Best,
    Notice,
    Path,
    UnrepresentableError,
    check_deadline,
)

EXACT = 2**53
"""A double (IEEE 754) holds every integer up to this; JavaScript reads doubles."""

SURROGATE = re.compile("[\ud800-\udfff]")

_REDACTED = "[redacted]"
"""What the service writes in place of a secret."""


def redacted(best: Best) -> Iterator[Notice]:
    """Name the redacted values, for formats whose files are deployed as they are.

    A text that only mentions `[redacted]` is redacted if a warning of the document says
    so: a prompt may speak of it.
    """
    named = {notice.path for notice in best.warnings if notice.code == "redacted"}
    for path, value in scalars(best.config):
        if (
            value == _REDACTED
            or any(_REDACTED in key for key in path)
            or (str(path) in named and isinstance(value, str) and _REDACTED in value)
        ):
            yield Notice(
                code="redacted-value",
                message=(
                    f"{path} is redacted: the text [redacted] would be deployed; "
                    "put the secret in its place, or export with redact=off."
                ),
                path=str(path),
            )


def big_integers(config: Mapping[str, JSON]) -> Iterator[Notice]:
    """Name the integers that a reader with doubles only would round."""
    for path, value in scalars(config):
        if isinstance(value, int) and abs(value) > EXACT:
            yield Notice(
                code="big-integer",
                message=(
                    "Readers that hold numbers as doubles, JavaScript's among them, "
                    "round this integer."
                ),
                path=str(path),
            )


def lone_surrogates(config: Mapping[str, JSON]) -> Iterator[Notice]:
    """Name the text that JSON can hold, by an escape, but not every reader of it."""
    for path in _with_surrogates(config):
        yield Notice(
            code="lone-surrogate",
            message=(
                "This is half a surrogate pair: Python and JavaScript read it back, "
                "other readers refuse or replace it."
            ),
            path=path,
        )


def refuse_surrogates(config: Mapping[str, JSON], name: str) -> None:
    """Raise UnrepresentableError if a key or text holds half a surrogate pair."""
    paths = tuple(_with_surrogates(config))
    if paths:
        detail = (
            f"{', '.join(paths)}: a lone surrogate has no form in UTF-8, so {name} "
            "cannot hold it; choose format=json."
        )
        raise UnrepresentableError(detail, paths=paths)


def _with_surrogates(config: Mapping[str, JSON]) -> Iterator[str]:
    for path, value in scalars(config):
        if any(map(SURROGATE.search, path)) or (
            isinstance(value, str) and SURROGATE.search(value)
        ):
            yield str(path)


def scalars(
    value: JSON | Mapping[str, JSON], path: Path = ROOT
) -> Iterator[tuple[Path, JSON]]:
    """Yield every scalar with its path; unlike flatten, look into lists.

    The path of a list's member has its index as a key; an empty container is None.
    """
    check_deadline()
    members: Iterable[tuple[str, JSON]]
    if isinstance(value, Mapping):
        members = value.items()
    elif isinstance(value, list):
        members = ((str(place), member) for place, member in enumerate(value))
    else:
        yield path, value
        return
    if not value:
        yield path, None
    for key, member in members:
        yield from scalars(member, Path((*path, key)))
