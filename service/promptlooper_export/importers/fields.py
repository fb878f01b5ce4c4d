"""The value types of the interchange file, as marshmallow fields."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from marshmallow import ValidationError, fields

from promptlooper_export.configs import JSON

LARGEST = (1 << 63) - 1
"""The largest whole number that both databases hold."""

_NUL = "Holds NUL (U+0000), which PostgreSQL cannot store."
_SURROGATE = "Holds half a surrogate pair, which is not text."
_WHOLE = f"Must be a whole number from 0 to {LARGEST}."
_FINITE = "Must be a finite number."
_MOMENT = "Must be a moment such as 2026-01-31T12:00:00Z."
_SCORES = "Must be an object of scorer names and scores."
_CASES = "Must be an object of scorer names and cases."
_CASE = "Must be a text, null or a list of these."
_SCORE = "Must be a number, null or a list of these."


class Text(fields.String):
    """Text that both databases hold: no NUL, nothing that UTF-8 cannot encode."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401
        text: str = super()._deserialize(value, *args, **kwargs)
        check_text(text)
        return text


class Whole(fields.Field[int]):
    """A whole number from 0 up, written as JSON's number and not as a string."""

    def _deserialize(self, value: object, *_: object, **__: object) -> int:
        if type(value) is not int or not 0 <= value <= LARGEST:
            raise ValidationError(_WHOLE)
        return value


class Number(fields.Field[float]):
    """A finite number, written as JSON's number and not as a string."""

    def _deserialize(self, value: object, *_: object, **__: object) -> float:
        number = as_double(value)
        if number is None or not isfinite(number):
            raise ValidationError(_FINITE)
        return number


class Moment(fields.AwareDateTime):
    """An ISO 8601 moment, turned into UTC; one without an offset is taken as UTC."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401  marshmallow's
        """Declare the format and the offset of naive moments."""
        super().__init__(
            format="iso",
            default_timezone=UTC,
            error_messages={"invalid": _MOMENT},
            **options,
        )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> datetime:  # noqa: ANN401
        moment: datetime = super()._deserialize(value, *args, **kwargs)
        try:
            return moment.astimezone(UTC)
        except OverflowError as error:  # the first and last hours of the calendar
            raise ValidationError(_MOMENT) from error


class Scores(fields.Field[dict[str, tuple[float | None, ...]]]):
    """Scorer to its judgements: a number, null, or a list of these.

    NaN and infinities are among them, as bare words or, in strict JSON, as text.
    """

    def _deserialize(
        self, value: object, *_: object, **__: object
    ) -> dict[str, tuple[float | None, ...]]:
        if not isinstance(value, dict):
            raise ValidationError(_SCORES)
        return {name: tuple(_judgements(name, value[name])) for name in value}


class Cases(fields.Field[dict[str, tuple[str | None, ...]]]):
    """Scorer to the case of each of its judgements: a text, null or a list of these."""

    def _deserialize(
        self, value: object, *_: object, **__: object
    ) -> dict[str, tuple[str | None, ...]]:
        if not isinstance(value, dict):
            raise ValidationError(_CASES)
        return {name: tuple(_cases(name, value[name])) for name in value}


class Json(fields.Field[JSON]):
    """Any JSON value that can be written as UTF-8."""

    def _deserialize(self, value: JSON, *_: object, **__: object) -> JSON:
        check_encodable(json.dumps(value, ensure_ascii=False))
        return value


_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _judgements(scorer: str, judged: object) -> Iterator[float | None]:
    check_text(scorer)
    for score in judged if isinstance(judged, list) else [judged]:
        number = as_double(_NOT_FINITE.get(str(score), score))
        if number is None and score is not None:
            raise ValidationError({scorer: [_SCORE]})
        yield number


def _cases(scorer: str, cases: object) -> Iterator[str | None]:
    for case in cases if isinstance(cases, list) else [cases]:
        if isinstance(case, str):
            check_text(case)
        elif case is not None:
            raise ValidationError({scorer: [_CASE]})
        yield case


def check_text(text: str) -> None:
    """Raise ValidationError if a database cannot hold the text."""
    if "\0" in text:
        raise ValidationError(_NUL)
    check_encodable(text)


def check_encodable(text: str) -> None:
    """Raise ValidationError if the text has no UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValidationError(_SURROGATE) from error


def as_double(value: object) -> float | None:
    """Return a decoded JSON number as IEEE double; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
