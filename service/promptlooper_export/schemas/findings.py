"""What a report finds out about its runs."""

from typing import get_args

from marshmallow import fields
from marshmallow.validate import OneOf

from promptlooper_export.schemas.base import DocumentSchema, Timestamp, mapping, scores
from promptlooper_export.verdicts import Differing, VerdictWord


class ConfigScoreSchema(DocumentSchema):
    """A config's mean score over its runs."""

    config_hash = fields.String(required=True)
    run_id = fields.UUID(required=True)
    runs = fields.Integer(required=True)
    cases = fields.Integer(required=True)
    mean = fields.Float(required=True)
    low = fields.Float(required=True, allow_none=True)
    high = fields.Float(required=True, allow_none=True)


class CaseScoresSchema(DocumentSchema):
    """What two configs scored on the same case."""

    case_id = fields.String(required=True)
    winner = fields.Float(required=True)
    other = fields.Float(required=True)


class ByCaseSchema(DocumentSchema):
    """On how many cases the winner's config scored higher."""

    wins = fields.Integer(required=True)
    ties = fields.Integer(required=True)
    losses = fields.Integer(required=True)
    cases = fields.List(fields.Nested(CaseScoresSchema), required=True)
    further = fields.Integer(required=True)


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
    by_case = fields.Nested(ByCaseSchema, required=True, allow_none=True)
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
    scores = scores()
    eligible = fields.Boolean(required=True, attribute="is_eligible")
    reason = fields.String(required=True, allow_none=True)
    place = fields.Integer(required=True, allow_none=True)
    weighted_score = fields.Float(required=True, allow_none=True)
    margin = fields.Float(required=True, allow_none=True)


class RuleSchema(DocumentSchema):
    """What elects."""

    weights = mapping(fields.Float(), required=True)
    directions = mapping(fields.String(), required=True)
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


class DeviationSchema(DocumentSchema):
    """A parameter in which another config differs from the winner's."""

    path = fields.String(required=True)
    winner = fields.Raw(required=True, allow_none=True)
    has_winner = fields.Boolean(required=True)
    other = fields.Raw(required=True, allow_none=True)
    has_other = fields.Boolean(required=True)


class RivalSchema(DocumentSchema):
    """One of the next best runs with another config."""

    rank = fields.Integer(required=True)
    run_id = fields.UUID(required=True)
    weighted_score = fields.Float(required=True)
    deviations = fields.List(fields.Nested(DeviationSchema), required=True)
    further = fields.Integer(required=True)


class FailureSchema(DocumentSchema):
    """Failed runs whose errors differ in numbers and ids only."""

    message = fields.String(required=True, allow_none=True)
    count = fields.Integer(required=True)
    run_ids = fields.List(fields.UUID(), required=True)
    retry = fields.String(required=True, validate=OneOf(["yes", "no", "unknown"]))


class FailuresSchema(DocumentSchema):
    """Failed runs by what went wrong."""

    runs = fields.Integer(required=True)
    groups = fields.List(fields.Nested(FailureSchema), required=True)
    further = fields.Integer(required=True)
    further_runs = fields.Integer(required=True)


class TradeOffPointSchema(DocumentSchema):
    """A run, its score and its cost or duration."""

    run_id = fields.UUID(required=True)
    weighted_score = fields.Float(required=True)
    value = fields.Float(required=True)


class TradeOffSchema(DocumentSchema):
    """The runs that no other run beats on both the score and a measure."""

    measure = fields.String(required=True, validate=OneOf(["cost_usd", "duration_ms"]))
    runs = fields.Integer(required=True)
    without = fields.Integer(required=True)
    count = fields.Integer(required=True)
    points = fields.List(fields.Nested(TradeOffPointSchema), required=True)
    others = fields.List(fields.Nested(TradeOffPointSchema), required=True)


class ScorerCoverageSchema(DocumentSchema):
    """How many completed runs a scorer judged."""

    name = fields.String(required=True)
    required = fields.Boolean(required=True)
    runs = fields.Integer(required=True)
    missing = fields.Integer(required=True)
    nulls = fields.Integer(required=True)
    not_finite = fields.Integer(required=True)


class CrossingSchema(DocumentSchema):
    """Beyond this weight, another run wins."""

    weight = fields.Float(required=True)
    run_id = fields.UUID(required=True)


class WeightRangeSchema(DocumentSchema):
    """How far the weight of a scorer can change alone without another winner."""

    scorer = fields.String(required=True)
    weight = fields.Float(required=True)
    lower = fields.Nested(CrossingSchema, required=True, allow_none=True)
    upper = fields.Nested(CrossingSchema, required=True, allow_none=True)


class SensitivitySchema(DocumentSchema):
    """By how much each weight alone must change for another run to win."""

    runs = fields.Integer(required=True)
    scorers = fields.List(fields.Nested(WeightRangeSchema), required=True)


class TagVerdictSchema(DocumentSchema):
    """The verdict over the runs of both configs that have a tag."""

    tag = fields.String(required=True)
    runs = fields.List(fields.Integer(), required=True)
    verdict = fields.Nested(VerdictSchema, required=True)


class ExperimentComparisonSchema(DocumentSchema):
    """The winner's config against that of another experiment."""

    experiment_id = fields.UUID(required=True)
    experiment_name = fields.String(required=True)
    winner = fields.Nested(ConfigScoreSchema, required=True, allow_none=True)
    differing = fields.List(
        fields.String(validate=OneOf(get_args(Differing))), required=True
    )
    forced = fields.Boolean(required=True)
    outcome = fields.String(
        required=True, validate=OneOf([*get_args(VerdictWord), "not comparable"])
    )
    verdict = fields.Nested(VerdictSchema, required=True, allow_none=True)
    deviations = fields.List(fields.Nested(DeviationSchema), required=True)
    further = fields.Integer(required=True)
    tags = fields.List(fields.Nested(TagVerdictSchema), required=True)
    further_tags = fields.Integer(required=True)
    summary = fields.String(required=True)
