"""Remove secrets from documents."""

from promptlooper_export.redaction.names import names_secret
from promptlooper_export.redaction.text import redact_text
from promptlooper_export.redaction.values import REDACTED
from promptlooper_export.redaction.walk import configure, redact, secrets_in

__all__ = [
    "REDACTED",
    "configure",
    "names_secret",
    "redact",
    "redact_text",
    "secrets_in",
]
