"""HTML as a browser takes it in."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser

from werkzeug.test import TestResponse

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
"""What browsers send."""

EMPTY = {"meta", "link", "br", "hr", "img", "input"}
RUNNING = {"script", "iframe", "object", "embed", "base", "frame", "applet"}


@dataclass(frozen=True)
class Element:
    """An element, in the order of the page."""

    name: str
    attributes: dict[str, str]
    text: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """A page's elements and what it says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.nested: list[Element] = []
        self.unbalanced: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(
        self, tag: str, attrs: Sequence[tuple[str, str | None]]
    ) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in EMPTY:
            self.open.append(tag)
            self.nested.append(self.elements[-1])

    def handle_startendtag(
        self, tag: str, attrs: Sequence[tuple[str, str | None]]
    ) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append(Element(tag, given))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)
        if self.nested:
            self.nested.pop()

    def handle_data(self, data: str) -> None:
        if self.nested:
            self.nested[-1].text.append(data)
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    @property
    def links(self) -> list[str]:
        return [row.attributes["href"] for row in self.named("a")]

    def named(self, name: str) -> list[Element]:
        return [element for element in self.elements if element.name == name]


def harmless(response: TestResponse) -> Page:
    """Check that a page can neither load nor run anything, and return it."""
    assert response.mimetype == "text/html"
    text = response.get_data(as_text=True)
    page = Page(text)
    assert not page.unbalanced
    assert not page.open
    assert not RUNNING & {element.name for element in page.elements}
    for element in page.elements:
        assert not [name for name in element.attributes if name.startswith("on")]
        assert "style" not in element.attributes
        assert not re.match(
            r"\W*(javascript|data):", element.attributes.get("href", "")
        )
    policy = response.headers["Content-Security-Policy"]
    styles = ["".join(element.text) for element in page.named("style")]
    digests = [b64encode(sha256(style.encode()).digest()).decode() for style in styles]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; ") if " " in rule)
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert "form-action" in rules
    assert "unsafe" not in policy
    return page
