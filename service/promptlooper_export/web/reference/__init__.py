"""What the service says about itself: /openapi.json, /docs, /formats, /schemas, ..."""

from flask import Flask

from promptlooper_export.registry import Registry
from promptlooper_export.web.invitation import Invitation
from promptlooper_export.web.reference import formats, pages


def install(app: Flask, registry: Registry, invitation: Invitation | None) -> None:
    """Route the reference; no token is needed to read it.

    Its commands fetch what the invitation leads to, if there is one.
    """
    app.register_blueprint(formats.blueprint(registry))
    app.register_blueprint(pages.blueprint(registry, invitation))
