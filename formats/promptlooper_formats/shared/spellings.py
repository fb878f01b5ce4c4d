"""Keys that differ from another one by case only, found run by run."""

from collections.abc import Iterable, Iterator, Mapping

from promptlooper_export.plugin import JSON, Notice, Path

_REMEMBERED = 10_000
"""How many keys are remembered of each kind, so that memory does not grow with runs."""

_CONTAINERS = frozenset({dict, list})

_LONGEST = 1_000
"""Characters of the path of a key that is remembered."""


class Spellings:
    """Remembers how each key is spelled, in all runs so far."""

    def __init__(self) -> None:
        # Runs mostly have the same keys: an object's are looked at once.
        self._objects: set[tuple[str | None, ...]] = set()
        self._in_objects = 0
        self._keys: dict[tuple[str, str], str] = {}
        self._named: set[str] = set()

    def alike(
        self, values: Iterable[JSON | Mapping[str, JSON]], *path: str
    ) -> Iterator[Notice]:
        """Name the keys in values at a path that differ from others by case only."""
        for keys, objects in _by_keys(values).items():
            known = (*path, None, *keys)
            if known not in self._objects:
                size = len(known)
                if self._in_objects + size <= _REMEMBERED and _is_short(known):
                    self._in_objects += size
                    self._objects.add(known)
                for key in keys:
                    yield from self._differing(Path((*path, key)))
            columns = zip(*(value.values() for value in objects), strict=True)
            for key, column in zip(keys, columns, strict=False):
                if not _CONTAINERS.isdisjoint(map(type, column)):
                    yield from self.alike(column, *path, key)

    def _differing(self, path: Path) -> Iterator[Notice]:
        spelled = str(path)
        parent, folded = str(Path(path[:-1])).casefold(), path[-1].casefold()
        first = self._keys.get((parent, folded), spelled)
        if len(self._keys) < _REMEMBERED and len(spelled) <= _LONGEST:
            self._keys.setdefault((parent, folded), spelled)
        if (
            first != spelled
            and spelled not in self._named
            and len(self._named) < _REMEMBERED
        ):
            self._named.add(spelled)
            yield Notice(
                code="keys-differ-by-case",
                message=(
                    f"The key differs from {first} by case only: DuckDB refuses such a "
                    "file or mixes the two up; choose format=parquet to query it."
                ),
                path=spelled,
            )


def _by_keys(
    values: Iterable[JSON | Mapping[str, JSON]],
) -> dict[tuple[str, ...], list[Mapping[str, JSON]]]:
    """Return the objects among the values, those in lists too, by their keys."""
    found: dict[tuple[str, ...], list[Mapping[str, JSON]]] = {}
    while values:
        within: list[JSON] = []
        for value in values:
            if isinstance(value, Mapping):
                found.setdefault(tuple(value), []).append(value)
            elif isinstance(value, list):
                # The objects in a list have one type for a reader that has types.
                within += value
        values = within
    return found


def _is_short(known: tuple[str | None, ...]) -> bool:
    return sum(map(len, filter(None, known))) <= _LONGEST * 10
