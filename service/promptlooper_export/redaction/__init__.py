"""Leave secrets out of documents."""

from promptlooper_export.redaction.documents import redact
from promptlooper_export.redaction.shapes import redact_text

__all__ = ["redact", "redact_text"]
