"""Content-Security-Policy: nothing loads or runs but the styles in the page itself."""

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import IO

HEAD_BYTES = 1 << 18
"""How far a style may reach into an exported page to be allowed."""

_NONE = "'none'"

# What browsers show as a document that could load and run something.
_ACTIVE = re.compile(r"text/html|.+[/+]xml")
_BODY = re.compile(r"<body\b", re.IGNORECASE)
_STYLE = re.compile(r"<style\b[^>]*+>(.*?)</style\b", re.DOTALL | re.IGNORECASE)


def page_policy(style: str, *, form_action: str = _NONE) -> str:
    """Return the policy of a page of the service, which has one style element.

    `form_action` is where its forms may send to.
    """
    return _policy([style], form_action)


def export_policy(media_type: str, file: IO[bytes]) -> str | None:
    """Return the policy of an export, whoever wrote its format; None for plain data.

    It allows the style elements in the head, and images inside the file; `sandbox`
    takes the page away from the origin of the service. The file is left at its start.
    """
    if not _ACTIVE.fullmatch(media_type):
        return None
    text = file.read(HEAD_BYTES).decode(errors="replace")
    file.seek(0)
    # Parsers of HTML read every line break as LF before the hash is taken.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    styles = _STYLE.findall(_BODY.split(text, maxsplit=1)[0])
    return f"{_policy(styles, _NONE)}; img-src data:; sandbox"


def _policy(styles: Iterable[str], form_action: str) -> str:
    hashes = [
        f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'"
        for style in styles
    ]
    return (
        f"default-src 'none'; style-src {' '.join(hashes) or _NONE}; "
        f"base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    )
