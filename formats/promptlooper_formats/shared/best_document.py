"""The best document as json, yaml and toml write it: whole, or the config alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from promptlooper_export.plugin import JSON, Best, BestSchema, Notice
from promptlooper_formats.shared.notices import refuse_surrogates

_SCHEMA = BestSchema()

_MARKS = frozenset(_SCHEMA.load_fields) - {"scores", "warnings"}
"""Members that tell a whole document from a config that is a file by itself."""


# From a dict: as an attribute, the field would hide Schema's own `only`.
BestOptions = Schema.from_dict(
    {
        "only": fields.String(
            load_default=None,
            validate=OneOf(["config"]),
            metadata={
                "description": "config: the config alone, without the document around "
                "it"
            },
        )
    },
    name="BestOptions",
)
"""The options of json, yaml and toml."""


def members(
    best: Best, only: str | None, notices: Sequence[Notice]
) -> Mapping[str, JSON]:
    """Return what the file holds; `notices` join the document's own warnings."""
    if only == "config":
        return best.config
    warnings = [_encodable(one) for one in (*best.warnings, *notices)]
    document: dict[str, JSON] = _SCHEMA.dump(replace(best, warnings=tuple(warnings)))
    return document


def refuse_unencodable(best: Best, only: str | None, language: str) -> None:
    """Raise UnrepresentableError if a name or value holds half a surrogate pair."""
    refuse_surrogates(best.config, language)
    if only is None:
        around: dict[str, JSON] = {
            "experiment_name": best.experiment_name,
            "scores": dict(best.scores),
        }
        refuse_surrogates(around, language)


def config_in(value: JSON, only: str | None) -> Mapping[str, JSON]:
    """Return the config of a whole document, or the object that a file is by itself.

    With `only=config`, it is the latter whatever it holds. Raises ValueError if the
    file holds no object.
    """
    if not isinstance(value, dict):
        msg = "the file holds no object"
        raise ValueError(msg)
    config = value.get("config")
    if only is None and isinstance(config, dict) and value.keys() >= _MARKS:
        return config
    return value


def _encodable(notice: Notice) -> Notice:
    """Return a notice in text that UTF-8 can hold: it may quote half a surrogate pair.

    A notice is our own text, so an escape changes no data.
    """
    return replace(
        notice,
        message=_escaped(notice.message),
        path=None if notice.path is None else _escaped(notice.path),
    )


def _escaped(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
