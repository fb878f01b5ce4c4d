"""`/formats`: every available format, and commands that fetch an export in it.

The commands are meant to be copied, one for each tool, the same for each format. They
take the URL and the token from the environment. The token is never an argument, which
every user of the machine could read, and an incomplete answer fails.
"""

import json
from collections.abc import Mapping

from flask import Blueprint, Response

from promptlooper_export.configs import JSON
from promptlooper_export.registry import AnyFormat, Registry, describe_options

SNIPPETS: Mapping[str, str] = {
    "curl": """\
printf 'Authorization: Bearer %s\\n' "$EXPORT_TOKEN" |
  curl --fail-with-body --header @- --output FILE "$EXPORT_URL?format=FORMAT"
""",
    "HTTPie": """\
(umask 077 && printf 'Bearer %s' "$EXPORT_TOKEN" > token.txt)
http --ignore-stdin --check-status --download --output FILE \\
  "$EXPORT_URL" format==FORMAT Authorization:@token.txt
""",
    "Python": """\
import os
from promptlooper_export.client import download

download(os.environ["EXPORT_URL"], "FILE", token=os.environ["EXPORT_TOKEN"],
         format="FORMAT")
""",
    "JavaScript": """\
import { writeFile } from "node:fs/promises";
const { EXPORT_URL, EXPORT_TOKEN } = process.env;

const response = await fetch(`${EXPORT_URL}?format=FORMAT`, {
  headers: { Authorization: `Bearer ${EXPORT_TOKEN}` },
  redirect: "error",
});
if (!response.ok) throw new Error(await response.text());
await writeFile("FILE", Buffer.from(await response.arrayBuffer()));
""",
}
"""The commands, by name of the tool."""


def snippets(name: str, extension: str) -> dict[str, str]:
    """Return the commands that save a format as `export.` with its extension."""
    return {
        tool: text.replace("FORMAT", name).replace("FILE", f"export.{extension}")
        for tool, text in SNIPPETS.items()
    }


def blueprint(registry: Registry) -> Blueprint:
    """Route `/formats`; no token needed."""
    routes = Blueprint("describe", __name__)

    def formats() -> Response:
        text = json.dumps({"formats": rows(registry)})
        return Response(text, mimetype="application/json")

    routes.add_url_rule("/formats", view_func=formats)
    return routes


def rows(registry: Registry) -> list[dict[str, JSON]]:
    """Describe every available format."""
    return [
        _format(row) | _installation(registry.missing.get(row.name))
        for row in registry.formats.values()
    ]


def _format(format: AnyFormat) -> dict[str, JSON]:
    return {
        "name": format.name,
        "title": format.title,
        "document": format.document.__name__.lower(),
        "media_types": list(format.media_types),
        "extension": format.extension,
        "options": list(describe_options(format.options)),
    }


def _installation(command: str | None) -> dict[str, JSON]:
    return (
        {"installed": True}
        if command is None
        else {
            "installed": False,
            "install": command,
        }
    )
