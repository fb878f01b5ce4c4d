"""promptfoo's own database of evals, `~/.promptfoo/promptfoo.db`.

The tables have no version, so a column that is missing ends the reading.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from promptlooper_export.configs import JSON
from promptlooper_export.errors import SourceError
from promptlooper_export.importers import values
from promptlooper_export.importers.databases import Database, holds, opened
from promptlooper_export.importers.files import parts
from promptlooper_export.importers.promptfoo.document import describe, read_results
from promptlooper_export.importers.promptfoo.results import experiment
from promptlooper_export.records import Records

TABLES = ("evals", "eval_results", "datasets")

_EVALS = """
SELECT id, created_at, description, config, prompts FROM evals ORDER BY created_at, id
"""

_RESULTS = """
SELECT
    prompt_idx, test_idx, test_case, success, score, named_scores, error, failure_reason
FROM eval_results WHERE eval_id = ? ORDER BY test_idx, prompt_idx, id
"""


def recognises(source: str) -> bool:
    """Return whether the source is a database with promptfoo's tables."""
    return holds(source, TABLES)


def read(source: str) -> Records:
    """Yield the evals, one held in memory at a time. Raises SourceError."""
    with opened(source) as database:
        earlier = 0
        is_empty = True
        for key, created_at, description, config, prompts in database.rows(_EVALS):
            if prompts is None:
                earlier += 1
                continue
            is_empty = False
            place = f"{database.name}: eval {key}"
            found = describe(
                place,
                identity=values.text(key, place),
                config={
                    "description": description,
                    **_object(config, f"{place}: config"),
                },
                prompts=_objects(prompts, f"{place}: prompts"),
                created_at=_moment(created_at, place),
                warnings=_left_out(earlier),
            )
            earlier = 0
            rows = _rows(database, key, place)
            yield experiment(
                found, read_results(place, rows, prompts=len(found.prompts))
            )
        if is_empty:
            msg = f"{database.name}: holds no eval that has its own rows of results"
            raise SourceError(msg)


def _left_out(earlier: int) -> tuple[str, ...]:
    why = "without prompts, or stored before there was the table eval_results"
    return (f"evals that are left out: {earlier:,} ({why})",) if earlier else ()


def _rows(database: Database, key: object, place: str) -> Iterator[dict[str, JSON]]:
    """Yield the results of an eval as its JSON document has them."""
    for row in database.rows(_RESULTS, key):
        prompt, test, case, success, score, named, error, reason = row
        yield {
            "promptIdx": prompt,
            "testIdx": test,
            "testCase": case,
            "success": bool(success) if success in (0, 1) else success,
            "score": score,
            "namedScores": _object(named, f"{place}: named_scores"),
            "error": error,
            "failureReason": reason,
        }


def _object(text: object, place: str) -> dict[str, JSON]:
    value = {} if text is None else values.read_json(text, place)
    if not isinstance(value, dict):
        msg = f"{place}: must be a JSON object"
        raise SourceError(msg)
    return value


def _objects(text: object, place: str) -> list[dict[str, JSON]]:
    return parts({"prompts": values.read_json(text, place)}, "prompts", place)


def _moment(value: object, place: str) -> datetime | None:
    """Return a moment: milliseconds since 1970, or text if the database set it."""
    if not isinstance(value, int):
        return values.moment(value, place)
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError) as error:
        msg = f"{place}: created_at: {value} is not a moment"
        raise SourceError(msg) from error
