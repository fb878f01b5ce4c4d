"""The members of the interchange file: what each is, and what may be in it."""

from collections.abc import Mapping
from typing import get_args

from marshmallow import EXCLUDE, Schema, fields, validate

from promptlooper_export.documents import Status
from promptlooper_export.importers.fields import (
    Cases,
    Json,
    Moment,
    Number,
    Scores,
    Text,
    Whole,
)

_MOMENT = "A moment such as `2026-01-31T12:00:00Z`; without an offset, in UTC."


def _is(description: str) -> dict[str, str]:
    return {"description": description}


class _LineSchema(Schema):
    class Meta:
        unknown = EXCLUDE


class _ExperimentSchema(_LineSchema):
    id = fields.UUID(
        load_default=None,
        metadata=_is("A UUID; by default derived from the line and the file's name."),
    )
    name = Text(
        load_default=None,
        metadata=_is("A text; by default the file's name without its extension."),
    )
    description = Text(load_default=None, metadata=_is("A text."))
    status = Text(
        load_default="completed", metadata=_is("A word; by default `completed`.")
    )
    parameter_space = Json(
        load_default=None, metadata=_is("What was searched: any JSON.")
    )
    scoring_config = Json(
        load_default=None, metadata=_is("How the winner is chosen: see below.")
    )
    created_at = Moment(load_default=None, metadata=_is(_MOMENT))
    updated_at = Moment(load_default=None, metadata=_is(_MOMENT))


class _StageSchema(_LineSchema):
    stage_name = Text(required=True, metadata=_is("Required. A text."))
    output = Text(load_default=None, allow_none=True, metadata=_is("A text."))
    tokens_in = Whole(load_default=None, allow_none=True, metadata=_is("Tokens sent."))
    tokens_out = Whole(
        load_default=None, allow_none=True, metadata=_is("Tokens received.")
    )
    duration_ms = Whole(
        load_default=None, allow_none=True, metadata=_is("Whole milliseconds.")
    )


class _RunSchema(_LineSchema):
    id = fields.UUID(
        load_default=None,
        metadata=_is("A UUID; by default derived from the line and the experiment."),
    )
    name = Text(
        load_default=None,
        metadata=_is("A text, such as the number of the trial; by default none."),
    )
    status = Text(
        validate=validate.OneOf(get_args(Status)),
        metadata=_is(
            f"One of {', '.join(f'`{word}`' for word in get_args(Status))}; by default "
            "`completed` with a score, else `failed` with an error, else `pending`."
        ),
    )
    config_hash = Text(
        metadata=_is(
            "Runs with the same one have the same config; by default the SHA-256, in "
            "hex, of the config as JSON with sorted keys and without spaces."
        )
    )
    scores = Scores(
        load_default=dict,
        metadata=_is(
            "An object of scorers, each with a number, null, or a list of them: one "
            "for each time that it judged. `NaN` and `Infinity` are allowed here only."
        ),
    )
    cases = Cases(
        load_default=dict,
        metadata=_is(
            "An object of scorers that judged case by case, each with the case of each "
            "judgement in `scores`: a text, null for no case, or a list of them."
        ),
    )
    tokens_in = Whole(load_default=None, metadata=_is("Tokens sent."))
    tokens_out = Whole(load_default=None, metadata=_is("Tokens received."))
    duration_ms = Whole(load_default=None, metadata=_is("Whole milliseconds."))
    cost_usd = Number(load_default=None, metadata=_is("US dollars."))
    error = Text(load_default=None, metadata=_is("Why the run failed."))
    tags = Json(load_default=None, metadata=_is("Whatever else there is: any JSON."))
    stage_results = fields.List(
        fields.Nested(_StageSchema),
        load_default=list,
        metadata=_is("A list of objects, one for each stage of a pipeline: see below."),
    )
    created_at = Moment(load_default=None, metadata=_is(_MOMENT))
    started_at = Moment(load_default=None, metadata=_is(_MOMENT))
    finished_at = Moment(load_default=None, metadata=_is(_MOMENT))
    updated_at = Moment(load_default=None, metadata=_is(_MOMENT))


CONFIG = "Required. An object, kept as it is written."

SCHEMAS: Mapping[str, Schema] = {
    "experiment": _ExperimentSchema(),
    "run": _RunSchema(),
    "stage": _StageSchema(),
}
"""The members of each kind of object, apart from `type` and the config of a run."""
