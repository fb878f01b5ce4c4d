"""Keys that differ from another one by case only, found run by run."""

from collections.abc import Iterator, Mapping

from promptlooper_export.plugin import JSON, Notice, Path

_REMEMBERED = 10_000
"""How many keys are remembered of each kind, so that memory does not grow with runs."""

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

    def alike(self, value: JSON | Mapping[str, JSON], *path: str) -> Iterator[Notice]:
        """Name the keys in a value that differ from an earlier one by case only."""
        if isinstance(value, Mapping):
            known = (*path, None, *value)
            if known not in self._objects:
                size = len(known)
                if self._in_objects + size <= _REMEMBERED and _is_short(known):
                    self._in_objects += size
                    self._objects.add(known)
                for key in value:
                    yield from self._differing(Path((*path, key)))
            for key, member in value.items():
                if isinstance(member, dict | list):
                    yield from self.alike(member, *path, key)
        elif isinstance(value, list):
            # The objects in a list have one type for a reader that has types.
            for member in value:
                if isinstance(member, dict | list):
                    yield from self.alike(member, *path)

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


def _is_short(known: tuple[str | None, ...]) -> bool:
    return sum(map(len, filter(None, known))) <= _LONGEST * 10
