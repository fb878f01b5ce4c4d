"""What several formats have to say about a config's values."""

from collections.abc import Iterator, Mapping

from promptlooper_export.plugin import JSON, Notice, Path, UnrepresentableError

EXACT = 2**53
"""Up to here a double (IEEE 754) holds every integer; JavaScript reads doubles."""


def big_integers(config: Mapping[str, JSON]) -> Iterator[Notice]:
    """Name the integers that a reader with doubles only would round."""
    for path, value in _leaves(config, Path()):
        if isinstance(value, int) and abs(value) > EXACT:
            yield Notice(
                code="big-integer",
                message=(
                    "Readers that hold numbers as doubles, JavaScript's among them, "
                    f"round {value}."
                ),
                path=str(path),
            )


def refuse_surrogates(config: Mapping[str, JSON], name: str) -> None:
    """Raise UnrepresentableError where a key or text holds half a surrogate pair."""
    broken = tuple(
        str(path)
        for path, value in _leaves(config, Path())
        if any(
            map(_has_surrogate, (*path, *([value] if isinstance(value, str) else [])))
        )
    )
    if broken:
        detail = (
            f"{', '.join(broken)}: a lone surrogate has no form in UTF-8, so {name} "
            "cannot hold it; choose format=json."
        )
        raise UnrepresentableError(detail, paths=broken)


def _leaves(
    value: JSON | Mapping[str, JSON], path: Path
) -> Iterator[tuple[Path, JSON]]:
    """Yield every scalar with its path, also those in lists; their index is a key."""
    if isinstance(value, Mapping):
        members: Iterator[tuple[str, JSON]] = iter(value.items())
    elif isinstance(value, list):
        members = ((str(place), member) for place, member in enumerate(value))
    else:
        yield path, value
        return
    for key, member in members:
        yield from _leaves(member, Path((*path, key)))
    if not value:
        yield path, None


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
