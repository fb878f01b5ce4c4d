"""The best config as a .env file, in a form that its readers read back identically."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from promptlooper_export.plugin import Best, Format, Notice, UnrepresentableError
from promptlooper_formats.env.dialects import DIALECTS, Dialect
from promptlooper_formats.env.reading import read_variables
from promptlooper_formats.shared.notices import redacted, refuse_surrogates
from promptlooper_formats.shared.text import header, warning
from promptlooper_formats.shared.variables import (
    PREFIX,
    Assignment,
    assignments,
    switch,
)


class EnvOptions(Schema):
    """The options of the format."""

    dialect = fields.String(
        load_default="portable",
        validate=OneOf(list(DIALECTS)),
        metadata={
            "description": "Whose rules of quoting: portable suits most readers, each "
            "of the others holds every value for its own"
        },
    )
    prefix = PREFIX
    strict = switch("Refuse what is only warned of otherwise")


def render(
    best: Best, *, dialect: str = "portable", prefix: str = "", strict: bool = False
) -> Iterator[bytes | Notice]:
    """Yield the header and an assignment for each leaf of the config, by key.

    Refuses NUL, lone surrogates, two paths with one key, text that some reader would
    run or take for more assignments, and text that the dialect cannot express.
    """
    refuse_surrogates(best.config, ".env")
    rules = DIALECTS[dialect]
    found = assignments(best.config, prefix=prefix)
    _refuse_dangers(found, rules)
    hidden = tuple(redacted(best))
    notices = {one.key: tuple(_notices(one, rules)) for one in found}
    if strict:
        _refuse_cautions(chain(hidden, *notices.values()))
    yield from hidden
    lines = [*header(best), *map(warning, hidden)]
    for one in found:
        yield from notices[one.key]
        lines += map(warning, notices[one.key])
        lines.append(f"{one.key}={rules.quote(one.text)}")
    # docker's limit is on every line, comments included.
    _refuse_long_comments(lines, rules)
    yield "".join(f"{line}\n" for line in lines).encode()


def _refuse_dangers(found: list[Assignment], rules: Dialect) -> None:
    for danger in rules.dangers:
        paths = tuple(str(one.path) for one in found if danger.is_found(one))
        if paths:
            detail = f"{', '.join(paths)}: {danger.reason}; choose format=json."
            raise UnrepresentableError(detail, paths=paths)


def _refuse_long_comments(lines: list[str], rules: Dialect) -> None:
    longest = max(len(f"{line}\n".encode()) for line in lines)
    if rules.longest_line is not None and longest > rules.longest_line:
        detail = (
            f"The experiment's name or a warning takes a line of {longest} bytes, and "
            f"the readers of this dialect read {rules.longest_line} at most; choose "
            "another dialect."
        )
        raise UnrepresentableError(detail, paths=())


def _notices(assignment: Assignment, rules: Dialect) -> Iterator[Notice]:
    for caution in rules.cautions:
        if caution.is_found(assignment):
            yield Notice(
                code=caution.code, message=caution.message, path=str(assignment.path)
            )


def _refuse_cautions(cautions: Iterable[Notice]) -> None:
    first: dict[str, Notice] = {}
    for caution in cautions:
        first.setdefault(str(caution.path), caution)
    if first:
        detail = (
            f"{' '.join(map(str, first.values()))} Choose another dialect, or strict=0."
        )
        raise UnrepresentableError(detail, paths=tuple(first))


def read(
    data: bytes, *, dialect: str = "portable", prefix: str = "", strict: bool = False
) -> Mapping[str, str]:
    """Return every variable with its text, whoever wrote it."""
    del prefix, strict  # they say what is written, not how it is read
    return read_variables(data, dialect)


ENV = Format(
    name="env",
    title=".env",
    document=Best,
    media_types=("text/plain", "application/x-dotenv"),
    extension="env",
    render=render,
    options=EnvOptions,
    read=read,
)
