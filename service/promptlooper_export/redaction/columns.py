"""The columns of a table of runs, as they are once the runs are redacted."""

from collections import defaultdict

from promptlooper_export.configs import Path
from promptlooper_export.redaction.text import free_key, redact_text
from promptlooper_export.runs import Columns, ValueKind


def redacted_columns(columns: Columns) -> Columns:
    """Return the columns that the redacted runs have."""
    kinds: defaultdict[str, set[ValueKind]] = defaultdict(set)
    for path in columns.config:
        redacted = str(Path(map(redact_text, Path.parse(path))))
        kinds[redacted] |= columns.kinds.get(path, frozenset())
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
