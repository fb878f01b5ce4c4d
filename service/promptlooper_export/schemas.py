"""The documents in their JSON form, as marshmallow schemas."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, post_dump
from marshmallow.validate import OneOf

from promptlooper_export.configs import JSON


def timestamp(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC with `Z`; one without a zone is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Timestamp(fields.Field[datetime]):
    """A moment as RFC 3339 in UTC with `Z`."""

    def _serialize(
        self,
        value: datetime | None,
        attr: str | None,  # noqa: ARG002  marshmallow's signature
        obj: object,  # noqa: ARG002
        **kwargs: object,  # noqa: ARG002
    ) -> str | None:
        return None if value is None else timestamp(value)

    def _deserialize(self, value: object, *_: object, **__: object) -> datetime:
        try:
            return datetime.fromisoformat(str(value))
        except ValueError as error:
            msg = "Must be a time as RFC 3339 writes it."
            raise ValidationError(msg) from error


def _mapping(values: fields.Field[Any], **kwargs: Any) -> fields.Dict:  # noqa: ANN401
    return fields.Dict(keys=fields.String(), values=values, **kwargs)


def _scores() -> fields.Dict:
    return _mapping(fields.Float(), required=True)


class DocumentSchema(Schema):
    """Base of the documents' schemas: readers must accept members added later."""

    class Meta:
        """Unknown members are kept, and written in the order of declaration."""

        unknown = INCLUDE
        ordered = True


class NoticeSchema(DocumentSchema):
    """Something a reader of the export should know."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    path = fields.String()

    @post_dump
    def _drop_absent_path(self, data: dict[str, JSON], **_: object) -> dict[str, JSON]:
        return {
            key: value
            for key, value in data.items()
            if key != "path" or value is not None
        }


class BestSchema(DocumentSchema):
    """The winning run of an experiment and its whole config."""

    experiment_name = fields.String(required=True)
    experiment_id = fields.UUID(required=True)
    exported_at = Timestamp(required=True)
    weighted_score = fields.Float(required=True)
    scores = _scores()
    run_id = fields.UUID(required=True)
    config_hash = fields.String(required=True)
    config = _mapping(fields.Raw(allow_none=True), required=True)
    warnings = fields.List(fields.Nested(NoticeSchema), required=True)


class ExperimentSchema(DocumentSchema):
    """An experiment's own row."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    status = fields.String(required=True)
    parameter_space = fields.Raw(required=True, allow_none=True)
    scoring_config = fields.Raw(required=True, allow_none=True)
    created_at = Timestamp(required=True, allow_none=True)
    updated_at = Timestamp(required=True, allow_none=True)


class RunCountsSchema(DocumentSchema):
    """How many runs there are."""

    total = fields.Integer(required=True)
    by_status = _mapping(fields.Integer(), required=True)
    scored = fields.Integer(required=True)


class RankedRunSchema(DocumentSchema):
    """One place of the ranking."""

    rank = fields.Integer(required=True)
    run_id = fields.UUID(required=True)
    weighted_score = fields.Float(required=True)
    scores = _scores()
    config_hash = fields.String(required=True)
    duration_ms = fields.Integer(required=True, allow_none=True)
    tokens_in = fields.Integer(required=True, allow_none=True)
    tokens_out = fields.Integer(required=True, allow_none=True)
    cost_usd = fields.Float(required=True, allow_none=True)


class WinnerSchema(DocumentSchema):
    """The winning run with its whole config."""

    run = fields.Nested(RankedRunSchema, required=True)
    config = _mapping(fields.Raw(allow_none=True), required=True, allow_none=True)


class DifferenceSchema(DocumentSchema):
    """A parameter by which the winner stands out."""

    path = fields.String(required=True)
    winner = fields.Raw(required=True, allow_none=True)
    has_winner = fields.Boolean(required=True)
    runner_up = fields.Raw(required=True, allow_none=True)
    has_runner_up = fields.Boolean(required=True)
    usual = fields.Raw(required=True, allow_none=True)
    has_usual = fields.Boolean(required=True)
    share = fields.Float(required=True)


class DifferencesSchema(DocumentSchema):
    """What the winner does differently."""

    compared = fields.Integer(required=True)
    parameters = fields.List(fields.Nested(DifferenceSchema), required=True)


class BinSchema(DocumentSchema):
    """One bar of a histogram."""

    low = fields.Float(required=True)
    high = fields.Float(required=True)
    count = fields.Integer(required=True)


class ScorerStatisticsSchema(DocumentSchema):
    """A scorer over the completed runs that have it."""

    name = fields.String(required=True)
    direction = fields.String(required=True)
    weight = fields.Float(required=True, allow_none=True)
    required = fields.Boolean(required=True)
    values = _mapping(fields.Float(), required=True)
    histogram = fields.List(fields.Nested(BinSchema), required=True)


class TokensSchema(DocumentSchema):
    """Tokens over all runs."""

    tokens_in = fields.Integer(required=True)
    tokens_out = fields.Integer(required=True)
    total = fields.Integer(required=True)


class TimingSchema(DocumentSchema):
    """Durations of completed runs in milliseconds."""

    count = fields.Integer(required=True)
    fastest = fields.Float(required=True)
    slowest = fields.Float(required=True)
    average = fields.Float(required=True)
    median = fields.Float(required=True)
    p95 = fields.Float(required=True)
    total = fields.Float(required=True)


class CostSchema(DocumentSchema):
    """Cost in USD."""

    count = fields.Integer(required=True)
    total = fields.Float(required=True)
    average = fields.Float(required=True)


class PeriodSchema(DocumentSchema):
    """The weighted scores of a period."""

    start = Timestamp(required=True)
    end = Timestamp(required=True)
    count = fields.Integer(required=True)
    best = fields.Float(required=True)
    mean = fields.Float(required=True)
    best_so_far = fields.Float(required=True)


class ExperimentSummarySchema(DocumentSchema):
    """A line of the list of experiments."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True)
    runs = fields.Integer(required=True)
    created_at = Timestamp(required=True, allow_none=True)


class ConfigScoreSchema(DocumentSchema):
    """A config's mean score over its runs."""

    config_hash = fields.String(required=True)
    run_id = fields.UUID(required=True)
    runs = fields.Integer(required=True)
    cases = fields.Integer(required=True)
    mean = fields.Float(required=True)
    low = fields.Float(required=True, allow_none=True)
    high = fields.Float(required=True, allow_none=True)


class VerdictSchema(DocumentSchema):
    """What the data say about the winner's config against another one."""

    against = fields.String(required=True)
    other = fields.Nested(ConfigScoreSchema, required=True)
    verdict = fields.String(
        required=True,
        validate=OneOf(["better", "worse", "tied", "not enough data"]),
    )
    method = fields.String(required=True, allow_none=True)
    difference = fields.Float(required=True)
    low = fields.Float(required=True, allow_none=True)
    high = fields.Float(required=True, allow_none=True)
    confidence = fields.Float(required=True, allow_none=True)
    p = fields.Float(required=True, allow_none=True)
    counts = fields.List(fields.Integer(), required=True)
    needed = fields.Integer(required=True, allow_none=True)
    summary = fields.String(required=True)


class AssessmentSchema(DocumentSchema):
    """Whether the winner is one: its config against others."""

    configs = fields.Integer(required=True)
    runs = fields.Integer(required=True)
    margin = fields.Float(required=True)
    winner = fields.Nested(ConfigScoreSchema, required=True)
    shrunk = fields.Float(required=True, allow_none=True)
    verdicts = fields.List(fields.Nested(VerdictSchema), required=True)
    leaders = fields.List(fields.Nested(ConfigScoreSchema), required=True)


class CandidateSchema(DocumentSchema):
    """A run in an election."""

    run_id = fields.UUID(required=True)
    config_hash = fields.String(required=True)
    created_at = Timestamp(required=True, allow_none=True)
    scores = _scores()
    eligible = fields.Boolean(required=True, attribute="is_eligible")
    reason = fields.String(required=True, allow_none=True)
    place = fields.Integer(required=True, allow_none=True)
    weighted_score = fields.Float(required=True, allow_none=True)
    margin = fields.Float(required=True, allow_none=True)


class RuleSchema(DocumentSchema):
    """What elects."""

    weights = _mapping(fields.Float(), required=True)
    directions = _mapping(fields.String(), required=True)
    direction = fields.String(required=True)
    required = fields.List(fields.String(), required=True)


class DecisionSchema(DocumentSchema):
    """How the winner was elected, so that anybody can do it again."""

    rule = fields.Nested(RuleSchema, required=True)
    winner = fields.UUID(required=True, allow_none=True)
    changed_at = Timestamp(required=True, allow_none=True)
    runs = fields.Integer(required=True)
    eligible = fields.Integer(required=True)
    candidates = fields.List(fields.Nested(CandidateSchema), required=True)
    digest = fields.String(required=True)


class ParameterValueSchema(DocumentSchema):
    """The runs with one value of a parameter, or with numbers in one range."""

    value = fields.Raw(required=True, allow_none=True)
    is_set = fields.Boolean(required=True)
    least = fields.Float(required=True, allow_none=True)
    most = fields.Float(required=True, allow_none=True)
    runs = fields.Integer(required=True)
    mean = fields.Float(required=True)
    low = fields.Float(required=True)
    high = fields.Float(required=True)


class ParameterSchema(DocumentSchema):
    """How scores differ with one parameter of the configs."""

    path = fields.String(required=True)
    kind = fields.String(required=True, validate=OneOf(["categorical", "numeric"]))
    runs = fields.Integer(required=True)
    share = fields.Float(required=True)
    corrected = fields.Float(required=True)
    p = fields.Float(required=True)
    values = fields.List(fields.Nested(ParameterValueSchema), required=True)
    further = fields.Integer(required=True)


class LeftOutSchema(DocumentSchema):
    """A parameter that nothing can be said about."""

    path = fields.String(required=True)
    reason = fields.String(
        required=True, validate=OneOf(["constant", "unique", "not enough data"])
    )


class ParametersSchema(DocumentSchema):
    """Which parameters go with high scores."""

    method = fields.String(required=True)
    runs = fields.Integer(required=True)
    used = fields.Integer(required=True)
    parameters = fields.List(fields.Nested(ParameterSchema), required=True)
    further = fields.Integer(required=True)
    left_out = fields.List(fields.Nested(LeftOutSchema), required=True)
    further_left_out = fields.Integer(required=True)


class ReportSchema(DocumentSchema):
    """Everything about an experiment that does not grow with its runs."""

    experiment = fields.Nested(ExperimentSchema, required=True)
    exported_at = Timestamp(required=True)
    counts = fields.Nested(RunCountsSchema, required=True)
    top_n = fields.Integer(required=True)
    top = fields.List(fields.Nested(RankedRunSchema), required=True)
    winner = fields.Nested(WinnerSchema, required=True, allow_none=True)
    differences = fields.Nested(DifferencesSchema, required=True, allow_none=True)
    scorers = fields.List(fields.Nested(ScorerStatisticsSchema), required=True)
    tokens = fields.Nested(TokensSchema, required=True)
    timing = fields.Nested(TimingSchema, required=True, allow_none=True)
    cost = fields.Nested(CostSchema, required=True, allow_none=True)
    history = fields.List(fields.Nested(PeriodSchema), required=True)
    assessment = fields.Nested(AssessmentSchema, required=True, allow_none=True)
    decision = fields.Nested(DecisionSchema, required=True, allow_none=True)
    parameters = fields.Nested(ParametersSchema, required=True, allow_none=True)
    warnings = fields.List(fields.Nested(NoticeSchema), required=True)


class StageResultSchema(DocumentSchema):
    """The result of one stage of a run."""

    stage_name = fields.String(required=True)
    output = fields.String(required=True, allow_none=True)
    tokens_in = fields.Integer(required=True, allow_none=True)
    tokens_out = fields.Integer(required=True, allow_none=True)
    duration_ms = fields.Integer(required=True, allow_none=True)


class RunSchema(DocumentSchema):
    """One run of any status: a record of the document of runs, a line of NDJSON."""

    run_id = fields.UUID(required=True)
    name = fields.String(required=True, allow_none=True)
    status = fields.String(required=True)
    weighted_score = fields.Float(required=True, allow_none=True)
    rank = fields.Integer(required=True, allow_none=True)
    config = _mapping(fields.Raw(allow_none=True), required=True, allow_none=True)
    config_hash = fields.String(required=True)
    scores = _scores()
    tokens_in = fields.Integer(required=True, allow_none=True)
    tokens_out = fields.Integer(required=True, allow_none=True)
    duration_ms = fields.Integer(required=True, allow_none=True)
    cost_usd = fields.Float(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)
    tags = fields.Raw(required=True, allow_none=True)
    stage_results = fields.List(fields.Nested(StageResultSchema), required=True)
    created_at = Timestamp(required=True, allow_none=True)
    started_at = Timestamp(required=True, allow_none=True)
    finished_at = Timestamp(required=True, allow_none=True)
    updated_at = Timestamp(required=True, allow_none=True)
