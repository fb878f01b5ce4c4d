"""The documents, and the values that they are made of."""

from marshmallow import fields

from promptlooper_export.schemas.base import (
    DocumentSchema,
    NoticeSchema,
    Timestamp,
    mapping,
    scores,
)
from promptlooper_export.schemas.findings import (
    AssessmentSchema,
    DecisionSchema,
    ExperimentComparisonSchema,
    FailuresSchema,
    ParametersSchema,
    RivalSchema,
    ScorerCoverageSchema,
    SensitivitySchema,
    TradeOffSchema,
)


class BestSchema(DocumentSchema):
    """The winning run of an experiment and its whole config."""

    experiment_name = fields.String(required=True)
    experiment_id = fields.UUID(required=True)
    exported_at = Timestamp(required=True)
    weighted_score = fields.Float(required=True)
    scores = scores()
    run_id = fields.UUID(required=True)
    config_hash = fields.String(required=True)
    config = mapping(fields.Raw(allow_none=True), required=True)
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
    by_status = mapping(fields.Integer(), required=True)
    scored = fields.Integer(required=True)


class RankedRunSchema(DocumentSchema):
    """One place of the ranking."""

    rank = fields.Integer(required=True)
    run_id = fields.UUID(required=True)
    name = fields.String(required=True, allow_none=True)
    weighted_score = fields.Float(required=True)
    scores = scores()
    config_hash = fields.String(required=True)
    duration_ms = fields.Integer(required=True, allow_none=True)
    tokens_in = fields.Integer(required=True, allow_none=True)
    tokens_out = fields.Integer(required=True, allow_none=True)
    cost_usd = fields.Float(required=True, allow_none=True)


class TopParameterSchema(DocumentSchema):
    """A parameter in which the best runs differ, with its value in each."""

    path = fields.String(required=True)
    values = fields.List(fields.Raw(allow_none=True), required=True)
    is_set = fields.List(fields.Boolean(), required=True)


class WinnerSchema(DocumentSchema):
    """The winning run with its whole config."""

    run = fields.Nested(RankedRunSchema, required=True)
    config = mapping(fields.Raw(allow_none=True), required=True, allow_none=True)


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


class DistributionSchema(DocumentSchema):
    """The weighted scores of the runs that count."""

    values = mapping(fields.Float(), required=True)
    histogram = fields.List(fields.Nested(BinSchema), required=True)


class ScorerStatisticsSchema(DocumentSchema):
    """A scorer over the completed runs that have it."""

    name = fields.String(required=True)
    direction = fields.String(required=True)
    weight = fields.Float(required=True, allow_none=True)
    required = fields.Boolean(required=True)
    values = mapping(fields.Float(), required=True)
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
    failed = fields.Integer(required=True)


class ExperimentSummarySchema(DocumentSchema):
    """A line of the list of experiments."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True)
    runs = fields.Integer(required=True)
    created_at = Timestamp(required=True, allow_none=True)


class ReportSchema(DocumentSchema):
    """Everything about an experiment that does not grow with its runs."""

    experiment = fields.Nested(ExperimentSchema, required=True)
    exported_at = Timestamp(required=True)
    counts = fields.Nested(RunCountsSchema, required=True)
    top_n = fields.Integer(required=True)
    top = fields.List(fields.Nested(RankedRunSchema), required=True)
    top_parameters = fields.List(fields.Nested(TopParameterSchema), required=True)
    winner = fields.Nested(WinnerSchema, required=True, allow_none=True)
    differences = fields.Nested(DifferencesSchema, required=True, allow_none=True)
    scorers = fields.List(fields.Nested(ScorerStatisticsSchema), required=True)
    tokens = fields.Nested(TokensSchema, required=True)
    timing = fields.Nested(TimingSchema, required=True, allow_none=True)
    cost = fields.Nested(CostSchema, required=True, allow_none=True)
    history = fields.List(fields.Nested(PeriodSchema), required=True)
    distribution = fields.Nested(DistributionSchema, required=True, allow_none=True)
    assessment = fields.Nested(AssessmentSchema, required=True, allow_none=True)
    decision = fields.Nested(DecisionSchema, required=True, allow_none=True)
    parameters = fields.Nested(ParametersSchema, required=True, allow_none=True)
    failures = fields.Nested(FailuresSchema, required=True, allow_none=True)
    trade_offs = fields.List(fields.Nested(TradeOffSchema), required=True)
    coverage = fields.List(fields.Nested(ScorerCoverageSchema), required=True)
    sensitivity = fields.Nested(SensitivitySchema, required=True, allow_none=True)
    rivals = fields.List(fields.Nested(RivalSchema), required=True)
    against = fields.Nested(ExperimentComparisonSchema, required=True, allow_none=True)
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
    config = mapping(fields.Raw(allow_none=True), required=True, allow_none=True)
    config_hash = fields.String(required=True)
    scores = scores()
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
