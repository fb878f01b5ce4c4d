"""The WSGI application: its parts, and what all requests have in common."""

from flask import Flask, Response, request
from werkzeug.middleware.proxy_fix import ProxyFix

from promptlooper_export import registry
from promptlooper_export.codings import installed_codings
from promptlooper_export.export import Limits, use_directory
from promptlooper_export.sandbox.processes import hide_memory
from promptlooper_export.settings import Settings
from promptlooper_export.spool import Space
from promptlooper_export.store.snapshot import open_store
from promptlooper_export.web import (
    authentication,
    delivery,
    experiments,
    exports,
    health,
    pages,
    problem_pages,
    reference,
    session,
)
from promptlooper_export.web.delivery import Exports
from promptlooper_export.web.invitation import Invitation
from promptlooper_export.web.problems import request_id
from promptlooper_export.web.requestlog import Logged, remember
from promptlooper_export.web.slots import Slots

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Links in a report must not tell other sites where it is kept.
    "Referrer-Policy": "no-referrer",
    # The answer depends on the token: no shared cache, and no use without asking.
    "Cache-Control": "private, no-cache",
}
"""The headers of every answer."""


SPARE_CONNECTIONS = 8
"""How many requests besides exports read the database at once."""


def create_app(settings: Settings, *, invitation: Invitation | None = None) -> Flask:
    """Create the WSGI application; an invitation adds the link that it describes.

    Raises SettingsError if the secret is missing or weak, the database cannot be
    served, or temporary files cannot be written.
    """
    # Third-party formats run as the same user: our environment has the secrets.
    hide_memory()
    app = Flask(
        "promptlooper_export", static_folder=None, template_folder=pages.TEMPLATES
    )
    app.wsgi_app = Logged(app.wsgi_app)  # type: ignore[method-assign]
    app.url_map.merge_slashes = False  # each resource has one address, and no redirects
    if settings.trusted_proxies:
        _trust_proxies(app, settings.trusted_proxies)
    use_directory(settings.spool_dir)
    authentication.install(app, settings)
    problem_pages.install(app)
    session.install(app)
    pages.install(app)
    store = open_store(
        settings.database_url,
        state_url=settings.state_url,
        open_experiments=settings.open_experiments,
        # Exports never wait for a connection: others have theirs.
        connections=settings.max_concurrent_exports + SPARE_CONNECTIONS,
        seconds=settings.render_timeout,
    )
    formats = registry.discover()
    served = Exports(
        store=store,
        registry=formats,
        limits=_limits(settings),
        slots=Slots(settings.max_concurrent_exports),
        codings=installed_codings(),
        log_format=settings.log_format,
    )
    app.register_blueprint(exports.blueprint(served))
    app.register_blueprint(experiments.blueprint(served))
    app.register_blueprint(session.blueprint(invitation))
    app.register_blueprint(health.blueprint(store))
    reference.install(app, formats, invitation)
    app.before_request(_begin)
    app.after_request(_finish)
    return app


def _trust_proxies(app: Flask, hops: int) -> None:
    """Take the client's address and the service's own from the proxies' headers."""
    # Each proxy appends to these fields, so only the last `hops` values are the
    # proxies' own; a client may have forged the others.
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        spool_bytes=settings.spool_max_bytes,
        space=Space(settings.spool_total_bytes or 4 * settings.spool_max_bytes),
        seconds=settings.render_timeout,
    )


def _begin() -> None:
    remember(
        request_id=request_id(),
        client=request.remote_addr,
        method=request.method,
        # A path or query may hold a token that somebody put there by mistake.
        route=request.url_rule.rule if request.url_rule else "-",
    )


def _finish(response: Response) -> Response:
    """Set the headers of every answer."""
    # setdefault(): answers with secrets or sessions already have a no-store.
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-ID"] = request_id()
    delivery.prove(response)
    remember(status=response.status_code)
    return response
