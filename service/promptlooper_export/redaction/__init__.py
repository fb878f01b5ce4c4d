"""Remove secrets from documents."""

from promptlooper_export.redaction.secrets import redact_text
from promptlooper_export.redaction.walk import redact

__all__ = ["redact", "redact_text"]
