"""Generate pages of docs/ from the code, and the README's table of formats.

Prints each file that was out of date. With --check, it writes nothing, and exits with 1
if there was one.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path

import click
import performance
from marshmallow import missing

from promptlooper_export import errors
from promptlooper_export.cli import addresses  # noqa: F401  has an error
from promptlooper_export.cli.main import COMMANDS, promptlooper_export
from promptlooper_export.errors import CommandError, ExportError, ProblemError
from promptlooper_export.importers import importer  # noqa: F401  has an error
from promptlooper_export.importers.members import CONFIG, SCHEMAS
from promptlooper_export.plugin import ENTRY_POINT_GROUP
from promptlooper_export.redaction import names
from promptlooper_export.redaction.issuers import SHAPES, SOURCES
from promptlooper_export.registry import AnyFormat, build
from promptlooper_export.sandbox.launcher import Sandbox
from promptlooper_export.settings import SETTINGS

ROOT = Path(__file__).parent.parent

CONFIGURATION = """\
# Configuration

<!-- Written by `make docs` from the code. -->

Settings come only from environment variables. An unknown `PROMPTLOOPER_` name or an
invalid value is refused with exit code 78 and a line that names the variable; what
Kubernetes sets for a Service, such as `PROMPTLOOPER_EXPORT_PORT=tcp://…`, is ignored.
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
followed by the name below. Where Accept prefers HTML, as in a browser, it is a page
that says the same and leads on. On the command line, it is one line and an exit code.
"""
REDACTION = """\
# What is redacted

<!-- Written by `make docs` from the code. -->

Every format, list, error and log shows a secret as `[redacted]`; a warning names each
place. `redact=off` and `--unredacted` show secrets to those who may see them: see
[access](access.md). A text is a secret, or a part of it is, if

1. **its name says so**: the key above it, the name beside it (`{"name": "API_KEY",
   "value": "..."}`, `["X-Api-Key", "..."]`), or the name before it in a text: an
   assignment, a field such as `Authorization` or `Cookie`, an option such as
   `--api-key`, an element, a parameter of a URL. Texts that are JSON are read as
   documents. Below the name of a secret, every text is one, apart from what describes
   it (`type`, `mode`).
2. **its place says so**: the password in a URL or connection string of any driver, a
   token in place of the user, `curl -u user:...`, the default in `${NAME:-default}`.
3. **its shape says so**: the keys of the issuers below, JSON Web Tokens, private keys
   and hashes of passwords.

A name alone is not enough. These stay: numbers, `true`, `false` and `null`;
references (`${NAME}`, `{{ name }}`, `env:NAME`, `op://...`, `file:/...`);
placeholders (`<your key>`, `****`); words that say whether or of which kind (`none`,
`required`, `oauth2`); prose; special tokens of a tokenizer (`<|pad|>`). If a name
only sounds secret (`password_reset`, `answer_token`, `cookie_consent`), only a text
that looks machine-made is hidden. UUIDs and digests are identifiers.

Everything takes time in proportion to the length of the text. No rule knows every
secret: one that is a plain word under an innocent name is not found. Keep secrets out
of configs, and name where they are instead.

## Your own patterns and exceptions

`PROMPTLOOPER_REDACT_PATTERNS` adds regular expressions of Python, one a line; what
they match is hidden wherever it stands. They are yours to test: one that takes
quadratic time on some text slows the service down. `PROMPTLOOPER_REDACT_KEEP` lists
keys whose values are never secrets; shapes in them are hidden all the same. Both hold
for the whole process and need a restart.

`make secrets` prints how the rules do on the documents in `tests/data/secrets_*.txt`.
The documents that were written after the rules were first tried with 15 of 165 secrets
left (6 of 56 documents) and none of 107 innocent ones altered; now there are none.

## Names

Case and the way words are joined do not matter: `apiKey`, `API_KEY`, `x-api-key`.
"""
ISSUERS = """
## Shapes

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


def redaction() -> Iterator[str]:
    """Yield the page of what counts as a secret."""
    yield REDACTION
    for title, words in (
        ("A name that ends in one of these is a secret's", names.SECRETS),
        ("So is `key` or `token` after one of these", names.SERVICES),
        ("A name that ends in one of these only describes a secret", names.ABOUT),
    ):
        yield f"\n{title}: {', '.join(map(code, sorted(words)))}.\n"
    yield ISSUERS
    yield from table(
        ("Issuer", "Begins with", "Source"),
        [(row.issuer, code(row.start) if row.start else "", row.source)
         for row in SHAPES],
    )  # fmt: skip
    yield "\n"
    yield from table(
        ("Source", "What it is", "As of"),
        [(name, what, when) for name, (what, when) in SOURCES.items()],
    )


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


def members(kind: str) -> Iterator[str]:
    """Yield the table of the members of an object in the interchange file."""
    own = {
        "experiment": {"type": '`"experiment"`.'},
        "run": {"type": '`"run"`.', "config": CONFIG},
        "stage": {},
    }[kind]
    described = {
        name: field.metadata["description"]
        for name, field in SCHEMAS[kind].fields.items()
    }
    yield from table(
        ("Member", "What it is"),
        [(code(name), what) for name, what in {**own, **described}.items()],
    )


def filled(path: Path, tables: Mapping[str, Iterator[str]]) -> str:
    """Return a page with the tables between its comments as they should be."""
    text = path.read_text(encoding="utf-8")
    for name, rows in tables.items():
        begin, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, _, after = text.partition(begin)
        text = "".join((before, begin, *rows, *after.partition(end)[1:]))
    return text


def pages() -> dict[Path, str]:
    """Return every generated file's text."""
    front, interchange = ROOT / "README.md", ROOT / "docs" / "interchange.md"
    measured = performance.read("results.json")
    expected = performance.read("instructions.json")
    return {
        ROOT / "docs" / "configuration.md": "".join(configuration()),
        ROOT / "docs" / "formats.md": "".join(formats()),
        ROOT / "docs" / "errors.md": "".join(refusals()),
        ROOT / "docs" / "redaction.md": "".join(redaction()),
        ROOT / "docs" / "commands.md": "".join(commands()),
        ROOT / "docs" / "performance.md": "".join(performance.page(measured, expected)),
        ROOT / "docs" / "images" / "performance.svg": "".join(
            performance.chart(measured)
        ),
        front: filled(front, {"formats": formats_table()}),
        interchange: filled(interchange, {kind: members(kind) for kind in SCHEMAS}),
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
