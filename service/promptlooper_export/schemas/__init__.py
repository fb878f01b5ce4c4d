"""The documents in their JSON form, as marshmallow schemas."""

from promptlooper_export.schemas.base import (
    DocumentSchema,
    NoticeSchema,
    Timestamp,
    timestamp,
)
from promptlooper_export.schemas.documents import (
    BestSchema,
    ExperimentSummarySchema,
    ReportSchema,
    RunSchema,
)
from promptlooper_export.schemas.findings import DecisionSchema, VerdictSchema

__all__ = [
    "BestSchema",
    "DecisionSchema",
    "DocumentSchema",
    "ExperimentSummarySchema",
    "NoticeSchema",
    "ReportSchema",
    "RunSchema",
    "Timestamp",
    "VerdictSchema",
    "timestamp",
]
