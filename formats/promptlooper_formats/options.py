"""Options that several formats have."""

from marshmallow import fields
from marshmallow.validate import Regexp

PREFIX = fields.String(
    load_default="",
    validate=Regexp(
        "([A-Z_][A-Z0-9_]*)?\\Z",
        error="Must be upper-case letters, digits and underscores, such as APP_.",
    ),
    metadata={"description": "What every name begins with, such as APP_"},
)
"""The option of formats whose names are those of variables."""


def switch(description: str) -> fields.Boolean:
    """Return an option that is off unless it is 1 or true."""
    return fields.Boolean(
        load_default=False,
        truthy={"1", "true"},
        falsy={"0", "false"},
        metadata={"description": description},
    )
