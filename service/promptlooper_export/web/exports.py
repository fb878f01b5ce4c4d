"""The exports of an experiment: one negotiated resource, and four fixed ones.

The order of the checks is part of the contract: errors in the request itself come
first, are the same for every experiment, and cost no database connection.
"""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from flask import Blueprint, Response, g, request
from marshmallow import Schema

from promptlooper_export import codings
from promptlooper_export.audit import record_secrets
from promptlooper_export.configs import JSON
from promptlooper_export.documents import Best, Report, Runs
from promptlooper_export.errors import (
    AuditUnavailableError,
    CodingNotAcceptableError,
    DatabaseNotUnderstoodError,
    DatabaseUnavailableError,
    ExperimentNotFoundError,
    ExportTooLargeError,
    ForbiddenError,
    FormatFailedError,
    FormatNotInstalledError,
    FormatTimeoutError,
    InvalidConfigError,
    InvalidParameterError,
    NotAcceptableError,
    NothingToExportError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
    SpoolFullError,
    TableTooWideError,
    TooManyExportsError,
    UnauthorizedError,
    UnreadableRowError,
    UnrepresentableError,
)
from promptlooper_export.events import SecretsExported
from promptlooper_export.export import Selection
from promptlooper_export.negotiation import Offer, choose, is_textual
from promptlooper_export.registry import AnyFormat, Registry
from promptlooper_export.viewer import (
    BEST_SCOPE,
    REPORT_SCOPE,
    RUNS_SCOPE,
    UNREDACTED_SCOPE,
    Viewer,
)
from promptlooper_export.web import authentication, problems
from promptlooper_export.web.conditional import Representation
from promptlooper_export.web.delivery import Exports, available, deliver, export_url
from promptlooper_export.web.parameters import (
    FORMAT,
    Pairs,
    common_parameters,
    read_common,
    read_experiment,
    read_options,
)
from promptlooper_export.web.requestlog import remember

REFUSALS = (
    UnauthorizedError,
    ForbiddenError,
    ExperimentNotFoundError,
    CodingNotAcceptableError,
    PreconditionFailedError,
    RangeNotSatisfiableError,
    InvalidParameterError,
    FormatNotInstalledError,
    InvalidConfigError,
    UnreadableRowError,
    UnrepresentableError,
    TableTooWideError,
    ExportTooLargeError,
    TooManyExportsError,
    FormatFailedError,
    DatabaseUnavailableError,
    DatabaseNotUnderstoodError,
    SpoolFullError,
    AuditUnavailableError,
    FormatTimeoutError,
)
"""The problems of every export; OpenAPI lists them."""

NEGOTIATED_REFUSALS = (*REFUSALS, NothingToExportError, NotAcceptableError)
"""The problems of the resource that negotiates."""

_MALFORMED_SHOWN = 200


def choose_format(registry: Registry, experiment: UUID) -> tuple[AnyFormat, str]:
    """Return the format that Accept prefers, and the media type to send it as.

    Raises NotAcceptableError.
    """
    offers = [
        Offer(name=row.name, media_types=tuple(map(str.lower, row.media_types)))
        for row in registry.formats.values()
        # A client that negotiates should get a format that works here.
        if row.name not in registry.missing
    ]
    choice = choose(request.headers.get("Accept"), offers)
    if choice.offer is not None and choice.media_type is not None:
        return registry.formats[choice.offer.name], choice.media_type
    detail = (
        "No format matches Accept: use a media type from `available`, or ?format=NAME."
    )
    members: dict[str, JSON] = {}
    if choice.malformed is not None:
        members["malformed"] = choice.malformed[:_MALFORMED_SHOWN]
        detail += " One member of Accept is malformed and was ignored."
    formats = available(registry, experiment)
    raise NotAcceptableError(detail, available=formats, **members)


def choose_coding(
    exports: Exports, media_type: str, selection: Selection
) -> str | None:
    """Return the coding that the client prefers, or None if the answer is not coded.

    Secrets are not compressed, since sizes could reveal them (breachattack.com). Raises
    CodingNotAcceptableError.
    """
    is_coded = is_textual(media_type) and selection.redact
    offers = tuple(exports.codings) if is_coded else ()
    coding = codings.choose_coding(request.headers.get("Accept-Encoding"), offers)
    if coding is None:
        allowed = [codings.IDENTITY, *offers]
        detail = f"Accept-Encoding allows none of: {', '.join(allowed)}."
        raise CodingNotAcceptableError(detail, available=allowed)
    if not offers:
        return None
    g.vary.add("Accept-Encoding")
    return coding


CLASSIC = {
    "best": ("json", "application/json"),
    "env": ("env", "text/plain"),
    "yaml": ("yaml", "text/yaml"),
    "report": ("markdown", "text/markdown"),
}
"""The last segment of a classic path, its format and the media type clients expect."""

SCOPES = {Best: BEST_SCOPE, Report: REPORT_SCOPE, Runs: RUNS_SCOPE}
"""The scope that a token needs for a document."""


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A request whose token, id and common parameters are valid."""

    viewer: Viewer
    experiment: UUID
    common: type[Schema]
    format_name: str | None
    selection: Selection
    pairs: Pairs


def blueprint(exports: Exports) -> Blueprint:
    """Route the negotiated resource and the classic paths of installed formats."""
    routes = Blueprint("exports", __name__)
    routes.add_url_rule(
        "/experiments/<experiment>/export",
        endpoint="negotiated",
        view_func=partial(
            _negotiated, exports, common_parameters(exports.registry, negotiated=True)
        ),
    )
    fixed = common_parameters(exports.registry, negotiated=False)
    for segment, (name, media_type) in CLASSIC.items():
        if name in exports.registry.formats:
            routes.add_url_rule(
                f"/api/export/experiments/<experiment>/{segment}",
                endpoint=f"classic-{segment}",
                view_func=partial(_classic, exports, fixed, name, media_type),
            )
    routes.before_request(_begin)
    routes.after_request(_say_what_varies)
    return routes


def _begin() -> None:
    g.vary = set()


def _say_what_varies(response: Response) -> Response:
    """Name the headers that chose the answer, whether it is an export or a refusal."""
    if g.vary:
        response.vary.update(sorted(g.vary))
    return response


def _negotiated(exports: Exports, common: type[Schema], experiment: str) -> Response:
    try:
        asked = _read(common, experiment)
    except InvalidParameterError as error:
        # Only a refused format needs the list of those that there are.
        if error.members["parameter"] != FORMAT:
            raise
        formats = available(exports.registry, experiment)
        raise InvalidParameterError(
            error.detail, **error.members, available=formats
        ) from error
    if name := asked.format_name:
        named = exports.registry.formats[name]
        # A named format is never replaced: the refusal says what to install.
        exports.registry.require(name)
        # Accept is not read, so the answer does not vary with it.
        return _answer(exports, asked, named, named.media_types[0].lower())
    g.vary.add("Accept")
    chosen, media_type = choose_format(exports.registry, asked.experiment)
    location = export_url(asked.experiment, [(FORMAT, chosen.name), *asked.pairs])
    return _answer(exports, asked, chosen, media_type, location=location)


def _classic(
    exports: Exports,
    common: type[Schema],
    name: str,
    media_type: str,
    experiment: str,
) -> Response:
    asked = _read(common, experiment)
    exports.registry.require(name)
    return _answer(exports, asked, exports.registry.formats[name], media_type)


def _read(common: type[Schema], experiment: str) -> _Asked:
    # Token, id, parameters: the order is promised above.
    viewer = authentication.viewer()
    identifier = read_experiment(experiment)
    remember(experiment=str(identifier))
    pairs = tuple(request.args.items(multi=True))
    format_name, selection = read_common(common, pairs)
    return _Asked(
        viewer=viewer,
        experiment=identifier,
        common=common,
        format_name=format_name,
        selection=selection,
        pairs=pairs,
    )


def _answer(
    exports: Exports,
    asked: _Asked,
    format: AnyFormat,
    media_type: str,
    *,
    location: str | None = None,
) -> Response:
    remember(format=format.name)
    selection = asked.selection
    # 406 comes before 403, and both before the format's own options.
    coding = choose_coding(exports, media_type, selection)
    _check_scope(asked.viewer, SCOPES[format.document], format)
    if not selection.redact:
        _check_scope(asked.viewer, UNREDACTED_SCOPE, format)
    wanted = Representation(
        experiment=asked.experiment,
        format=format,
        version=exports.registry.versions[format.name],
        media_type=media_type,
        options=read_options(format, asked.common, asked.pairs),
        selection=selection,
    )
    response = deliver(exports, asked.viewer, wanted, coding=coding, location=location)
    if not selection.redact:
        try:
            _record_secrets(exports, wanted, asked.viewer)
        except AuditUnavailableError:
            response.close()  # it owns the file with the body
            raise
    return response


def _record_secrets(exports: Exports, sent: Representation, viewer: Viewer) -> None:
    """Record who gets the secrets of which experiment, before the first byte is sent.

    Raises AuditUnavailableError.
    """
    event = SecretsExported(
        request_id=problems.request_id(),
        subject=viewer.subject,
        client=request.remote_addr,
        experiment=str(sent.experiment),
        format=sent.format.name,
    )
    record_secrets(event, log_format=exports.log_format)


def _check_scope(viewer: Viewer, scope: str, format: AnyFormat) -> None:
    if scope not in viewer.scopes:
        detail = f"This {format.name!r} export needs a token with the scope {scope}."
        raise ForbiddenError(detail, scope=scope)
