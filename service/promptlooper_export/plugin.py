"""Everything that the author of a format imports.

A format is a value: a `Format` under the entry-point group
`promptlooper_export.formats`. Its `render` turns one document into bytes, whole or in
pieces; it sees no request, no database and no web framework. The built-in formats use
only this module as well.
"""

from promptlooper_export.configs import (
    JSON,
    ROOT,
    Path,
    flatten,
    json_text,
    leaf_columns,
    leaves,
    strict_json,
)
from promptlooper_export.deadline import check_deadline, in_time
from promptlooper_export.documents import (
    Best,
    Bin,
    Difference,
    Differences,
    Distribution,
    Experiment,
    Notice,
    Period,
    RankedRun,
    Report,
    RunCounts,
    Runs,
    ScorerStatistics,
    Timing,
    TopParameter,
    Winner,
)
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.findings import (
    Crossing,
    Deviation,
    Failure,
    Failures,
    LeftOut,
    Measure,
    Parameter,
    Parameters,
    ParameterValue,
    Rival,
    ScorerCoverage,
    Sensitivity,
    TradeOff,
    TradeOffPoint,
    WeightRange,
)
from promptlooper_export.format import API_VERSION, Format
from promptlooper_export.runs import Columns, Run, RunBatch, StageResult, ValueKind
from promptlooper_export.schemas import BestSchema, ReportSchema, timestamp
from promptlooper_export.verdicts import (
    Assessment,
    ByCase,
    CaseScores,
    ConfigScore,
    ExperimentComparison,
    Tag,
    TagVerdict,
    Verdict,
)

__all__ = [
    "API_VERSION",
    "ENTRY_POINT_GROUP",
    "JSON",
    "ROOT",
    "Assessment",
    "Best",
    "BestSchema",
    "Bin",
    "ByCase",
    "CaseScores",
    "Columns",
    "ConfigScore",
    "Crossing",
    "Deviation",
    "Difference",
    "Differences",
    "Distribution",
    "Experiment",
    "ExperimentComparison",
    "Failure",
    "Failures",
    "Format",
    "LeftOut",
    "Measure",
    "Notice",
    "Parameter",
    "ParameterValue",
    "Parameters",
    "Path",
    "Period",
    "RankedRun",
    "Report",
    "ReportSchema",
    "Rival",
    "Run",
    "RunBatch",
    "RunCounts",
    "Runs",
    "ScorerCoverage",
    "ScorerStatistics",
    "Sensitivity",
    "StageResult",
    "Tag",
    "TagVerdict",
    "Timing",
    "TopParameter",
    "TradeOff",
    "TradeOffPoint",
    "UnrepresentableError",
    "ValueKind",
    "Verdict",
    "WeightRange",
    "Winner",
    "check_deadline",
    "flatten",
    "in_time",
    "json_text",
    "leaf_columns",
    "leaves",
    "strict_json",
    "timestamp",
]

ENTRY_POINT_GROUP = "promptlooper_export.formats"
