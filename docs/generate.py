"""Generate pages of docs/ from the code, and the README's table of formats.

Prints each file that was out of date. With --check, it writes nothing, and exits with 1
if there was one.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import distribution
from pathlib import Path

import click
from marshmallow import missing

from promptlooper_export import errors
from promptlooper_export.cli.main import COMMANDS, promptlooper_export
from promptlooper_export.errors import CommandError, ExportError, ProblemError
from promptlooper_export.plugin import ENTRY_POINT_GROUP
from promptlooper_export.registry import AnyFormat, build
from promptlooper_export.sandbox.launcher import Sandbox
from promptlooper_export.settings import SETTINGS

ROOT = Path(__file__).parent.parent

CONFIGURATION = """\
# Configuration

<!-- Written by `make docs` from the code. -->

Settings come only from environment variables. An unknown `PROMPTLOOPER_` name or an
invalid value is refused with exit code 78 and a line that names the variable.
`promptlooper-export config` shows the effective settings, secrets masked.

"""
FORMATS = """\
# Formats

<!-- Written by `make docs` from the code. -->

Choose a format with `?format=NAME`, `Accept`, or `export -f NAME`. The first media type
is the canonical one.

"""
ERRORS = """\
# Errors

<!-- Written by `make docs` from the code. -->

Over HTTP, an error is `application/problem+json` (RFC 9457); its `type` is `/problems/`
followed by the name below. On the command line, it is one line and an exit code.
"""
COMMANDS_HEAD = """\
# Commands

<!-- Written by `make docs` from the code. -->
"""


def configuration() -> Iterator[str]:
    """Yield the page of settings."""
    yield CONFIGURATION
    yield from table(
        ("Variable", "Default", "Meaning"),
        [
            (code(row.variable), code(row.default) if row.default else "", row.help)
            for row in SETTINGS
        ],
    )


def formats() -> Iterator[str]:
    """Yield the page of built-in formats with their options."""
    yield FORMATS
    yield from formats_table()
    for built_in in built_ins():
        rows = [
            (
                code(field.data_key or name),
                default(field.load_default),
                str(field.metadata.get("description", "")),
            )
            for name, field in built_in.options().load_fields.items()
        ]
        if rows:
            yield f"\n## Options of `{built_in.name}`\n\n"
            yield from table(("Option", "Default", "Meaning"), rows)


def formats_table() -> Iterator[str]:
    """Yield the table of built-in formats."""
    yield from table(
        ("Name", "What it is", "Document", "Media types", "File"),
        [
            (
                code(built_in.name),
                built_in.title,
                built_in.document.__name__.lower(),
                ", ".join(map(code, built_in.media_types)),
                code(f".{built_in.extension}"),
            )
            for built_in in built_ins()
        ],
    )


def refusals() -> Iterator[str]:
    """Yield the page of what can go wrong: the tree, then a section for each error."""
    yield ERRORS
    yield "\n```text\nExportError\n"
    yield from tree(ExportError, "")
    yield "```\n"
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, ExportError):
            yield from refusal(error)


def tree(parent: type[ExportError], indent: str) -> Iterator[str]:
    """Yield a line for each class below an error."""
    *others, last = parent.__subclasses__()
    for error in (*others, last):
        yield f"{indent}{'└' if error is last else '├'}── {error.__name__}\n"
        if error.__subclasses__():
            below = "    " if error is last else "│   "
            yield from tree(error, indent + below)


def refusal(error: type[ExportError]) -> Iterator[str]:
    """Yield the section of one error; the bases have none."""
    if error in {ExportError, ProblemError, CommandError}:
        return
    if issubclass(error, ProblemError):
        yield f"\n## `{error.slug}`: {error.title}\n\nHTTP {error.status}, exit "
    else:
        yield f"\n## {error.__name__}\n\nExit "
    yield f"code {error.exit_code}.\n\n"
    yield re.sub(r"^ {4}", "", (error.__doc__ or "").strip(), flags=re.MULTILINE) + "\n"


def commands() -> Iterator[str]:
    """Yield the page of commands: what each one's --help says."""
    yield COMMANDS_HEAD
    parent = click.Context(
        promptlooper_export,
        info_name="promptlooper-export",
        **promptlooper_export.context_settings,
    )
    for name in COMMANDS:
        command = promptlooper_export.get_command(parent, name)
        if command is None:
            continue
        context = click.Context(
            command, info_name=name, parent=parent, terminal_width=80
        )
        yield f"\n## {name}\n\n```text\n{command.get_help(context)}\n```\n"


def built_ins() -> Sequence[AnyFormat]:
    """Return our own formats, whatever else is installed beside them."""
    points = distribution("promptlooper-export").entry_points
    found = build(tuple(points.select(group=ENTRY_POINT_GROUP)), sandbox=Sandbox())
    if found.broken:
        msg = f"broken formats: {found.broken}"
        raise SystemExit(msg)
    return list(found.formats.values())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a Markdown table."""
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n"


def code(text: str) -> str:
    """Set text as code."""
    return f"`{text}`"


def default(value: object) -> str:
    """Return an option's default as it would be given."""
    return "" if value is missing or value is None else code(str(value))


def readme(text: str) -> str:
    """Return the README with its table of formats as it should be."""
    rows = "".join(formats_table())
    return re.sub(
        r"(<!-- formats -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{rows}{found[2]}",
        text,
        flags=re.DOTALL,
    )


def pages() -> dict[Path, str]:
    """Return every generated file's text."""
    front = ROOT / "README.md"
    return {
        ROOT / "docs" / "configuration.md": "".join(configuration()),
        ROOT / "docs" / "formats.md": "".join(formats()),
        ROOT / "docs" / "errors.md": "".join(refusals()),
        ROOT / "docs" / "commands.md": "".join(commands()),
        front: readme(front.read_text(encoding="utf-8")),
    }


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or check them; return the exit code."""
    stale = [
        (path, text)
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        click.echo(path.relative_to(ROOT))
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
