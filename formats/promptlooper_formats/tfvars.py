"""The best config as values of Terraform's variables, in its JSON syntax.

Terraform and OpenTofu take the file literally: nothing in it is evaluated, `${` is text
like any other (HCL's JSON syntax, "Expressions", literal-only mode). Each key of the
config is a variable, or the whole config is one.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping

from marshmallow import Schema, fields
from marshmallow.validate import Regexp

from promptlooper_export.plugin import (
    JSON,
    Best,
    Format,
    Notice,
    Path,
    UnrepresentableError,
)
from promptlooper_formats.shared.notices import redacted, refuse_surrogates, scalars
from promptlooper_formats.shared.text import read_json, write_json

# An identifier of HCL, which allows more letters than these.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

# Arguments of module blocks: no variable can be declared under such a name.
_RESERVED = frozenset(
    (
        "source", "version", "providers", "count", "for_each", "lifecycle",
        "depends_on", "locals",
    )
)  # fmt: skip


class TfvarsOptions(Schema):
    """The options of the format."""

    variable = fields.String(
        load_default="",
        validate=Regexp(
            f"({_VARIABLE.pattern})?\\Z",
            error="Must be the name of a variable, such as config.",
        ),
        metadata={"description": "One variable that holds the whole config"},
    )


def render(best: Best, *, variable: str = "") -> Iterator[bytes | Notice]:
    """Yield one JSON object, a member for each variable.

    Refuses names that no variable can have, and text with a lone surrogate.
    """
    refuse_surrogates(best.config, "a tfvars file")
    values = {variable: dict(best.config)} if variable else dict(best.config)
    _refuse_names(values)
    yield from redacted(best)
    for path, value in scalars(best.config):
        if _is_normalized(value) and all(map(_is_normalized, path)):
            continue
        yield Notice(
            code="unicode-normalization",
            message="Terraform writes this text in Unicode's normal form C.",
            path=str(path),
        )
    yield f"{write_json(values, indent=2)}\n".encode()


def _refuse_names(values: Mapping[str, JSON]) -> None:
    names = tuple(
        name for name in values if name in _RESERVED or not _VARIABLE.fullmatch(name)
    )
    if names:
        detail = (
            f"{', '.join(map(repr, names))}: Terraform has no variable of this name; "
            "with variable=config the whole config is one variable."
        )
        paths = tuple(str(Path((name,))) for name in names)
        raise UnrepresentableError(detail, paths=paths)


def _is_normalized(value: object) -> bool:
    return not isinstance(value, str) or unicodedata.is_normalized("NFC", value)


def read(data: bytes, *, variable: str = "") -> Mapping[str, JSON]:
    """Return the config; raises ValueError for any other file."""
    values = read_json(data)
    found = values.get(variable) if variable and isinstance(values, dict) else values
    if not isinstance(found, dict):
        msg = f"no object under {variable!r}" if variable else "no JSON object"
        raise ValueError(msg)
    return found


TFVARS = Format(
    name="tfvars",
    title="Terraform variables",
    document=Best,
    media_types=("application/vnd.promptlooper.tfvars+json",),
    extension="auto.tfvars.json",
    render=render,
    options=TfvarsOptions,
    read=read,
)
