"""Feed readers of hostile text what atheris makes up, until one fails.

`python -m fuzz TARGET -max_total_time=300`, in tests/, in an environment that has
atheris besides what the tests need; other options are libFuzzer's.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

import atheris

with atheris.instrument_imports(
    include=["promptlooper_export", "promptlooper_formats"]
):
    from formats.rendering import best
    from promptlooper_export.errors import UnrepresentableError
    from promptlooper_export.negotiation import Offer, choose
    from promptlooper_export.redaction import redact_text
    from promptlooper_export.registry import discover

    # Formats are imported only here.
    FORMATS = discover().formats

OFFERS = [
    Offer(name=name, media_types=tuple(map(str.lower, row.media_types)))
    for name, row in FORMATS.items()
]
DIALECTS = ("portable", "posix", "python", "node", "docker", "compose")


def accept(data: bytes) -> None:
    """Headers are Latin-1 to a WSGI server."""
    choose(data.decode("latin-1"), OFFERS)


def env(data: bytes) -> None:
    """A file is read or refused, and what is written is read back."""
    for dialect in DIALECTS:
        with suppress(ValueError):
            FORMATS["env"].parse(data, {"dialect": dialect})
    text = data.decode("utf-8", "replace")
    for dialect in DIALECTS:
        with suppress(UnrepresentableError):
            pieces = [*FORMATS["env"].stream(best({"a": text}), {"dialect": dialect})]
            body = b"".join(piece for piece in pieces if isinstance(piece, bytes))
            found = FORMATS["env"].parse(body, {"dialect": dialect})
            if len(pieces) == 1 and found != {"A": text}:
                msg = f"{dialect}: {found!r} was read, not {text!r}"
                raise AssertionError(msg)


def redaction(data: bytes) -> None:
    """Any text is redacted."""
    redact_text(data.decode("utf-8", "surrogateescape"))


def yaml(data: bytes) -> None:
    """A file is read or refused."""
    with suppress(ValueError, RecursionError):
        FORMATS["yaml"].parse(data, {})


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "accept": accept,
    "env": env,
    "redaction": redaction,
    "yaml": yaml,
}

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
