"""The best config as outputs of a step of GitHub Actions: a file for $GITHUB_OUTPUT.

The names are those of .env files, so the file also works for $GITHUB_ENV. The runner
takes `name=text` for one line; for more, it takes a delimiter that no line of the text
may equal: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
What it does with CR, empty names and a missing delimiter is in its FileCommandManager.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256

from marshmallow import Schema

from promptlooper_export.plugin import Best, Format, Notice, UnrepresentableError
from promptlooper_formats.env.reading import decoded
from promptlooper_formats.shared.notices import redacted, refuse_surrogates
from promptlooper_formats.shared.variables import (
    LETTERS_LOST,
    PREFIX,
    Assignment,
    assignments,
    has_a_meaning,
    loses_letters,
)

# All outputs of a job together, in bytes of UTF-16.
_LARGEST = 1 << 20

# In $GITHUB_ENV, the runner sets these again for every step.
_OF_THE_RUNNER = ("GITHUB_", "RUNNER_")

GithubOutputOptions = Schema.from_dict({"prefix": PREFIX}, name="GithubOutputOptions")


def render(best: Best, *, prefix: str = "") -> Iterator[bytes | Notice]:
    """Yield an output for each leaf of the config, by name.

    Refuses NUL, lone surrogates and two paths with one name.
    """
    refuse_surrogates(best.config, "an output")
    found = assignments(best.config, prefix=prefix)
    unwritable = tuple(str(one.path) for one in found if "\0" in one.text)
    if unwritable:
        detail = f"{', '.join(unwritable)}: no output can hold NUL; choose format=json."
        raise UnrepresentableError(detail, paths=unwritable)
    if sum(len(one.text.encode("utf-16-le")) for one in found) > _LARGEST:
        message = "GitHub keeps 1 MiB of outputs for a job; these are more."
        yield Notice(code="too-long-for-outputs", message=message)
    yield from redacted(best)
    for one in found:
        yield from _notices(one)
        yield _written(one).encode()


def _written(one: Assignment) -> str:
    if "\n" not in one.text:
        return f"{one.key}={one.text}\n"
    delimiter = _delimiter(one.text)
    return f"{one.key}<<{delimiter}\n{one.text}\n{delimiter}\n"


def _delimiter(text: str) -> str:
    """Return a line that the text does not have."""
    # A digest and not a random word: the same config gives the same bytes.
    lines = set(text.split("\n"))
    name = "EOF"
    while name in lines or name == "EOF":
        name = f"EOF_{sha256(f'{name}{text}'.encode()).hexdigest()[:16]}"
    return name


def _notices(one: Assignment) -> Iterator[Notice]:
    path = str(one.path)
    if has_a_meaning(one.key) or one.key.startswith(_OF_THE_RUNNER):
        message = (
            "In $GITHUB_ENV, this name means something to programs or to the runner; "
            "prefix=APP_ helps."
        )
        yield Notice(code="key-with-a-meaning", message=message, path=path)
    if loses_letters(one.path):
        yield Notice(code="lost-letters", message=LETTERS_LOST, path=path)
    if one.text.endswith("\r"):
        message = "Runners on Windows take CR at the end for a part of the line's end."
        yield Notice(code="carriage-return", message=message, path=path)


def read(data: bytes, *, prefix: str = "") -> Mapping[str, str]:
    """Return each output with its text.

    Raises ValueError naming a line that is not an output, or whose delimiter does not
    come again: the runner fails the step for either.
    """
    del prefix  # it says what is written, not how it is read
    found: dict[str, str] = {}
    lines = enumerate(decoded(data).removeprefix("\ufeff").split("\n"), start=1)
    for number, line in lines:
        before, equals, text = line.partition("=")
        name, several, delimiter = line.partition("<<")
        # Whichever of = and << comes first decides, as in the runner.
        if several and name and delimiter and len(name) < len(before):
            found[name] = "\n".join(_until(delimiter, number, lines))
        elif equals and before and len(before) < len(name):
            found[before] = text
        elif line:
            msg = f"line {number}: neither name=text nor name<<delimiter"
            raise ValueError(msg)
    return found


def _until(
    delimiter: str, start: int, lines: Iterator[tuple[int, str]]
) -> Iterator[str]:
    for _, line in lines:
        if line == delimiter:
            return
        yield line
    msg = f"line {start}: the delimiter {delimiter!r} does not come again"
    raise ValueError(msg)


GITHUB_OUTPUT = Format(
    name="github-output",
    title="GitHub Actions outputs",
    document=Best,
    media_types=("application/vnd.promptlooper.github-output",),
    extension="txt",
    render=render,
    options=GithubOutputOptions,
    read=read,
)
