"""The columns of a table of runs, as they are once the runs are redacted."""

import re
from collections import defaultdict

from promptlooper_export.configs import Path
from promptlooper_export.documents import Columns, ValueKind
from promptlooper_export.redaction.text import redact_text

_SEGMENT = re.compile(r'"(?:[^"\\]|\\.)*"|[^."]+')


def redacted_columns(columns: Columns) -> Columns:
    """Return the columns that the redacted runs have."""
    kinds: defaultdict[str, set[ValueKind]] = defaultdict(set)
    for path in columns.config:
        kinds[_column(path)] |= columns.kinds.get(path, frozenset())
    return Columns(
        config=tuple(sorted(kinds)),
        scores=tuple(sorted(map(redact_text, columns.scores))),
        kinds={path: frozenset(found) for path, found in kinds.items()},
    )


def _column(path: str) -> str:
    """Return the path that this leaf has in a redacted config."""
    keys = []
    for text in _SEGMENT.findall(path):
        quoted = text.startswith('"')
        key = text[1:-1].replace('\\"', '"') if quoted else text
        keys.append(redact_text(key))
    return str(Path(keys))
