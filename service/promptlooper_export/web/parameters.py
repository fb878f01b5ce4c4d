"""Read the id and the query of a request strictly."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

from marshmallow import Schema, ValidationError, fields
from marshmallow.validate import Length, OneOf, Range

from promptlooper_export.analysis.verdict import MARGIN as DEFAULT_MARGIN
from promptlooper_export.documents import Best, Document, Report, Runs
from promptlooper_export.errors import InvalidParameterError
from promptlooper_export.export import Selection
from promptlooper_export.registry import (
    AnyFormat,
    Registry,
    load_format_options,
    load_options,
    names_of,
    strict,
)
from promptlooper_export.store.against import Opponent
from promptlooper_export.store.what_if import (
    BYS,
    PREFERENCES,
    RuleSyntaxError,
    read_directions,
    read_repeat_over,
    read_required,
    read_weights,
    what_if_of,
)

Pairs: TypeAlias = Sequence[tuple[str, str]]
"""The parameters of a query, in order."""

FORMAT = "format"
TOP_N = "top_n"
REPRODUCIBLE = "reproducible"
REDACT = "redact"
LIMIT = "limit"
AFTER = "after"
WEIGHTS = "weights"
DIRECTIONS = "directions"
REQUIRED = "required"
BY = "by"
MIN_RUNS = "min_runs"
REPEAT_OVER = "repeat_over"
PREFER = "prefer"
BASELINE = "baseline"
MARGIN = "margin"
AGAINST = "against"
FORCE = "force"

# UUID() would accept hyphens anywhere, braces and a urn: prefix.
_ID = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE
)
_WHAT_IF = (WEIGHTS, DIRECTIONS, REQUIRED, BY, MIN_RUNS, REPEAT_OVER, PREFER)

_WITH_A_WINNER = (Best, Report)

_BELONGS_TO: Mapping[str, tuple[type[Document], ...]] = {
    TOP_N: (Report,),
    LIMIT: (Runs,),
    AFTER: (Runs,),
    BASELINE: (Report,),
    MARGIN: (Report,),
    AGAINST: (Report,),
    FORCE: (Report,),
    **dict.fromkeys(_WHAT_IF, _WITH_A_WINNER),
}
"""The common parameters that apply to some kinds of document only."""

_LONGEST_REFERENCE = 500
"""In characters; names of runs are shorter."""

_TOP_N_RANGE = Range(1, 50, error="Must be a whole number from {min} to {max}.")


class WholeNumber(fields.Integer):
    """A whole number in ASCII digits.

    marshmallow's own also accepts other scripts' digits, white space and underscores.
    """

    default_error_messages = {"invalid": "Must be a whole number."}  # noqa: RUF012

    def _validated(self, value: Any) -> int:  # noqa: ANN401  marshmallow's signature
        # 18 digits fit into the 64 bits of a database.
        if not re.fullmatch(r"[0-9]{1,18}", value):
            raise self.make_error("invalid")  # noqa: EM101  the key of the message
        return int(value)


class Identifier(fields.UUID):
    """An id as in paths; marshmallow's own also accepts braces and URNs."""

    def _validated(self, value: Any) -> UUID:  # noqa: ANN401  marshmallow's signature
        found = read_id(value)
        if found is None:
            raise self.make_error("invalid_uuid")  # noqa: EM101  the key of the message
        return found


class Rule(fields.Field[Any]):
    """A part of the winner's rule, as `read` understands it."""

    def __init__(self, read: Callable[[str], object], description: str) -> None:
        super().__init__(metadata={"type": "string", "description": description})
        self._read = read

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> object:  # noqa: ANN401  marshmallow's signature
        try:
            return self._read(value)
        except RuleSyntaxError as error:
            raise ValidationError(str(error)) from None


def _what_if_parameters() -> dict[str, fields.Field[Any]]:
    """Return what has the winner chosen in another way than the experiment's own."""
    return {
        WEIGHTS: Rule(
            read_weights,
            "What if: weigh scorers like this, as in accuracy:0.7,cost:0.3 or a JSON "
            "object, instead of the stored weights.",
        ),
        DIRECTIONS: Rule(
            read_directions,
            "What if: cost:minimize or a JSON object, instead of the stored "
            "directions.",
        ),
        REQUIRED: Rule(
            read_required,
            "What if: a run counts only with a score by each of these, as in "
            "accuracy,cost or a JSON list, instead of the stored required scorers.",
        ),
        BY: fields.String(
            validate=OneOf(BYS),
            metadata={
                "description": "config: elect the config with the highest mean "
                "weighted score of its runs, and export the best of them; run by "
                "default."
            },
        ),
        MIN_RUNS: WholeNumber(
            validate=Range(min=1, error="Must be a whole number from {min}."),
            metadata={
                "description": "The number of runs that count which a config needs to "
                "be elected; 1 by default."
            },
        ),
        REPEAT_OVER: Rule(
            read_repeat_over,
            "Paths in the config, as in seed,model.seed or a JSON list: runs whose "
            "configs differ only there are of one config.",
        ),
        PREFER: fields.String(
            validate=OneOf(PREFERENCES),
            metadata={
                "description": "Among the configs within one standard error of the "
                "highest mean, take the one with the lowest mean cost_usd or "
                "duration_ms."
            },
        ),
    }


def _comparison_parameters() -> dict[str, fields.Field[Any]]:
    """Return what the winner of a report is compared with."""
    return {
        BASELINE: fields.String(
            validate=Length(1, _LONGEST_REFERENCE),
            metadata={
                "description": "The id or name of a run or a config_hash: say whether "
                "the winner is better than this config."
            },
        ),
        MARGIN: fields.Float(
            validate=Range(min=0, error="Must be a number from {min}."),
            metadata={
                "description": "Differences of scores up to this count as none; "
                f"{DEFAULT_MARGIN} by default."
            },
        ),
        AGAINST: Identifier(
            metadata={
                "description": "The id of another experiment: say whether the winner "
                "is better than the winner there."
            },
        ),
        FORCE: fields.String(
            validate=OneOf(["0", "1"]),
            metadata={
                "description": "1: compare with `against` even if the experiments "
                "differ in scorers, rule or parameter space."
            },
        ),
    }


def common_parameters(registry: Registry, *, negotiated: bool) -> type[Schema]:
    """Return the parameters that all formats share; only negotiation has `format`."""
    shared: dict[str, fields.Field[Any]] = {
        TOP_N: WholeNumber(
            validate=_TOP_N_RANGE,
            metadata={"description": "How many runs a report ranks; 5 by default."},
        ),
        LIMIT: WholeNumber(
            validate=Range(min=1, error="Must be a whole number from {min}."),
            metadata={"description": "Export at most this many runs; all by default."},
        ),
        AFTER: Identifier(
            metadata={
                "description": "The id of a run: start after it. The Link header with "
                "rel=next has it."
            },
        ),
        REPRODUCIBLE: fields.String(
            validate=OneOf(["0", "1"]),
            metadata={
                "description": "1: use the time of the last change instead of the "
                "time of the export, so that the same data gives the same bytes."
            },
        ),
        REDACT: fields.String(
            validate=OneOf(["on", "off"]),
            metadata={
                "description": "off: keep secrets in the export; the token needs the "
                "scope export:unredacted."
            },
        ),
        **_comparison_parameters(),
        **_what_if_parameters(),
    }
    if negotiated:
        shared[FORMAT] = fields.String(
            validate=OneOf(list(registry.formats)),
            metadata={"description": "The name of the format; Accept is then ignored."},
        )
    return Schema.from_dict(shared)


def names_for(common: type[Schema], document: type[Document]) -> list[str]:
    """Return the names of the common parameters for formats of a document."""
    return [
        name
        for name in strict(common).load_fields
        if document in _BELONGS_TO.get(name, (document,))
    ]


def read_id(text: str) -> UUID | None:
    """Read an id with or without hyphens, in any case; None if it is invalid."""
    return UUID(text) if _ID.fullmatch(text) else None


def read_experiment(text: str) -> UUID:
    """Read the id in the path. Raises InvalidParameterError."""
    experiment = read_id(text)
    if experiment is None:
        detail = (
            "The id in the path must be a UUID: 32 hexadecimal digits, with hyphens."
        )
        raise InvalidParameterError(detail, parameter="id", allowed="a UUID")
    return experiment


@lru_cache(maxsize=512)
def read_common(
    common: type[Schema], pairs: tuple[tuple[str, str], ...]
) -> tuple[str | None, Selection]:
    """Return the format that is named, if any, and what is selected; leave the rest.

    Most requests repeat a query, which is read once. Raises InvalidParameterError.
    """
    names = strict(common).load_fields
    values = load_options(common, [pair for pair in pairs if pair[0] in names])
    selection = Selection(
        what_if=what_if_of({name: values.get(name) for name in _WHAT_IF}),
        reproducible=values.get(REPRODUCIBLE) == "1",
        redact=values.get(REDACT) != "off",
        against=_opponent(values),
    )
    plain = (TOP_N, LIMIT, AFTER, BASELINE, MARGIN)
    chosen = {name: values[name] for name in plain if name in values}
    return values.get(FORMAT), replace(selection, **chosen)


def _opponent(values: Mapping[str, Any]) -> Opponent | None:
    if AGAINST in values:
        return Opponent(experiment=values[AGAINST], force=values.get(FORCE) == "1")
    if FORCE in values:
        detail = "force is about another experiment: it needs against=ID."
        raise InvalidParameterError(detail, parameter=FORCE)
    return None


def read_options(
    format: AnyFormat,
    common: type[Schema],
    pairs: Pairs,
) -> dict[str, Any]:
    """Read the format's own parameters, after the common ones have been checked.

    Raises InvalidParameterError, also for a common one that this format lacks.
    """
    own = names_of(format.options)
    shared = names_for(common, format.document)
    for name, _ in pairs:
        if name not in own and name not in shared:
            detail = _unknown(name, format, [*shared, *own])
            raise InvalidParameterError(detail, parameter=name, allowed=[*shared, *own])
    return load_format_options(format, [pair for pair in pairs if pair[0] in own])


def _unknown(name: str, format: AnyFormat, allowed: list[str]) -> str:
    if name in _BELONGS_TO:
        documents = " or ".join(row.__name__.lower() for row in _BELONGS_TO[name])
        reason = f"belongs to formats of the {documents} document"
    else:
        reason = "is unknown"
    choice = f"allowed: {', '.join(allowed)}" if allowed else "it takes none here"
    return f"The parameter {name!r} {reason}; format {format.name!r}, {choice}."
