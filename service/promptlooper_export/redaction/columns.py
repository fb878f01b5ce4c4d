"""The columns of a table of runs, and the paths in their names, without secrets."""

from collections import defaultdict

from promptlooper_export.configs import Path
from promptlooper_export.redaction.text import free_key, redact_text
from promptlooper_export.runs import Columns, ValueKind


def redact_path(path: str) -> str:
    """Return a path without the secrets among its keys."""
    return str(Path(map(redact_text, Path.parse(path))))


def redacted_columns(columns: Columns) -> Columns:
    """Return the columns without secrets.

    Keys of one config that become equal need numbers, which only the config tells:
    columns found in redacted configs have them, and stay as they are.
    """
    kinds: defaultdict[str, set[ValueKind]] = defaultdict(set)
    for path in columns.config:
        kinds[redact_path(path)] |= columns.kinds.get(path, frozenset())
    # A run numbers the scorers whose names become equal, and few have all of them.
    scorers: dict[str, None] = {}
    numbers: dict[str, int] = {}
    for scorer in columns.scores:
        scorers[free_key(redact_text(scorer), scorers, numbers)] = None
    return Columns(
        config=tuple(sorted(kinds)),
        scores=tuple(sorted(scorers)),
        kinds={path: frozenset(found) for path, found in kinds.items()},
    )
