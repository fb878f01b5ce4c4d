"""Remove secrets from documents."""

from promptlooper_export.redaction.columns import redact_path
from promptlooper_export.redaction.names import names_secret
from promptlooper_export.redaction.text import redact_text
from promptlooper_export.redaction.values import REDACTED
from promptlooper_export.redaction.walk import (
    configure,
    redact,
    redact_config,
    secrets_in,
)

__all__ = [
    "REDACTED",
    "configure",
    "names_secret",
    "redact",
    "redact_config",
    "redact_path",
    "redact_text",
    "secrets_in",
]
