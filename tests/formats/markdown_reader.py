"""Read Markdown as a CommonMark reader with tables does."""

from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

# Anything else, such as a link or HTML, is a text that did something.
HARMLESS = {"text", "softbreak", "code_inline", "strong_open", "strong_close"}

Table = list[list[str]]


@dataclass(frozen=True, kw_only=True)
class Section:
    """What stands under a heading; `lines` are paragraphs and list items."""

    lines: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)

    def column(self, title: str, *, table: int = 0) -> list[str]:
        head, *rows = self.tables[table]
        place = head.index(title)
        return [row[place] for row in rows]


def sections(text: str) -> dict[str, Section]:
    """Return the sections by heading; fail where a text did more than be shown."""
    found: dict[str, Section] = {}
    where = ""
    current = Section()
    for token in READER.parse(text):
        assert not token.type.startswith("html")
        if token.type.endswith("_open"):
            where = token.type
            if where == "table_open":
                current.tables.append([])
            elif where == "tr_open":
                current.tables[-1].append([])
        elif token.type == "fence":
            current.blocks.append(token.content)
        elif token.type != "inline":
            continue
        elif where == "heading_open":
            current = found[shown_by(token)] = Section()
        elif where in ("th_open", "td_open"):
            current.tables[-1][-1].append(shown_by(token))
        else:
            current.lines.append(shown_by(token))
    return found


def shown_by(token: Token) -> str:
    children = token.children or []
    assert {child.type for child in children} <= HARMLESS
    return "".join(
        "\n" if child.type == "softbreak" else child.content for child in children
    )
