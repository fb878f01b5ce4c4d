"""The conformance suite: pytest collects it from a class of the author's."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from importlib.metadata import EntryPoint, entry_points
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar

from marshmallow import Schema
from marshmallow.fields import Boolean, Field
from marshmallow.validate import OneOf, Range

from promptlooper_export.documents import Best, Document, Notice, Runs
from promptlooper_export.errors import UnrepresentableError
from promptlooper_export.format import Format, as_format
from promptlooper_export.negotiation import Offer, choose
from promptlooper_export.plugin import ENTRY_POINT_GROUP
from promptlooper_export.registry import discover, load_options
from promptlooper_export.runs import Run, RunBatch
from promptlooper_export.sandbox.format import ForeignFormat
from promptlooper_export.sandbox.launcher import Sandbox
from promptlooper_export.testing.documents import documents

if TYPE_CHECKING:  # authors have it; the service does without
    from pytest import Metafunc  # noqa: PT013  the name alone

LONGEST_PIECE = 1 << 20
"""Bytes that a format of runs may yield at once: there can be a million runs."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something to render: a document, and options as in a query."""

    name: str
    make: Callable[[], Document]
    options: Mapping[str, str]

    def __str__(self) -> str:
        """Name the case in the test's report."""
        given = ",".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.name}-{given}" if given else self.name


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What a format made of a case: all pieces, or those before a refusal."""

    pieces: list[bytes | Notice]
    refusal: UnrepresentableError | None
    document_changed: bool

    @property
    def body(self) -> bytes:
        """Return the bytes without the notices."""
        return _body(self.pieces)


class FormatSuite:
    """Inherit in a class called Test..., and set `format` to the declaration."""

    format: ClassVar[object]

    def pytest_generate_tests(self, metafunc: "Metafunc") -> None:
        """Run each test that takes a case with every document and every option."""
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", list(cases(as_format(self.format))), ids=str)

    def test_the_package_offers_it(self) -> None:
        """Its entry point is installed, and no other format takes its name or types."""
        name = as_format(self.format).name
        registry = discover()
        left_out = {row.name: row.reason for row in registry.broken}
        _require(
            name in registry.formats,
            f"{name} is not offered; left out of all formats: {left_out or 'none'}",
        )
        _require(
            registry.formats[name].media_types == as_format(self.format).media_types,
            f"another format is offered under the name {name}",
        )

    def test_each_media_type_gets_it(self) -> None:
        """Accept with any of its media types is answered with that type."""
        offers = [
            Offer(name=row.name, media_types=tuple(map(str.lower, row.media_types)))
            for row in discover().formats.values()
        ]
        for media_type in as_format(self.format).media_types:
            choice = choose(media_type, offers)
            _require(
                choice.offer is not None
                and choice.offer.name == as_format(self.format).name
                and choice.media_type == media_type.lower(),
                f"Accept: {media_type} gets {choice.offer}",
            )

    def test_an_ordinary_document_has_a_body(self) -> None:
        """A format that refuses everything does not conform."""
        format = as_format(self.format)
        (ordinary, *_) = cases(format)
        _require(bool(_render(format, ordinary).body), "the body is empty")

    def test_another_process_gives_the_same_bytes(self) -> None:
        """The service renders in another process, and that changes nothing."""
        format = as_format(self.format)
        (ordinary, *_) = cases(format)
        declaration = {row.name: getattr(format, row.name) for row in fields(Format)}
        there = ForeignFormat[Any](
            **declaration, source=_entry_point(format).value, sandbox=Sandbox()
        ).stream(ordinary.make(), _options(format, ordinary))
        _require(
            _body(there) == _render(format, ordinary).body,
            "rendered in another process, the body is another one",
        )

    def test_a_document_is_rendered_as_promised(self, case: Case) -> None:
        """Render one document, and list every rule that the rendering breaks."""
        broken = list(self.broken_promises(case))
        _require(not broken, "; ".join(broken))

    def broken_promises(self, case: Case) -> Iterator[str]:
        """Yield what is wrong; raise what the format raises unless it is a refusal."""
        format = as_format(self.format)
        first = _render(format, case)
        yield from _piece_complaints(format, first)
        if first.document_changed:
            yield "the document was changed"
        if first.refusal is not None:
            yield from _refusal_complaints(first.refusal)
        else:
            yield from self.body_complaints(case, first.body)
        # A time, a random word or the order of a set would change the entity tag.
        if _render(format, case).pieces != first.pieces:
            yield "the second rendering differs from the first"
        yield from _ending_complaints(format, case)

    def body_complaints(self, case: Case, body: bytes) -> Iterator[str]:
        """Yield what is wrong with a body; `read` must read it, if there is one."""
        format = as_format(self.format)
        if format.read is not None:
            found = format.read(body, **_options(format, case))
            if not isinstance(found, Mapping):
                yield f"{found!r:.80} was read, not a mapping"


class RoundTripSuite(FormatSuite):
    """The same for a format that you have a reader for."""

    @abstractmethod
    def read_back(self, body: bytes) -> object:
        """Read a body with the tool that it is for."""

    def expected(self, document: Any) -> object:  # noqa: ANN401  of the format's kind
        """Return what must be read back: the config, unless this is overridden."""
        return document.config if isinstance(document, Best) else document

    def body_complaints(self, case: Case, body: bytes) -> Iterator[str]:
        """Yield how what is read back differs."""
        yield from super().body_complaints(case, body)
        found, expected = self.read_back(body), self.expected(case.make())
        if found != expected:
            yield f"read back is {found!r:.500}, not {expected!r:.500}"


def cases(format: Format[Any]) -> Iterator[Case]:
    """Yield the ordinary document first, then each other one, then each option."""
    makers = documents(format.document)
    for name, make in makers.items():
        yield Case(name=name, make=make, options={})
    for name, field in format.options().load_fields.items():
        for value in _values(field):
            yield Case(
                name="ordinary",
                make=makers["ordinary"],
                options={field.data_key or name: value},
            )


def _values(field: Field[Any]) -> Iterator[str]:
    """Yield the values of an option that its declaration names."""
    if isinstance(field, Boolean):
        for words in (field.truthy, field.falsy):
            yield min(word for word in words if isinstance(word, str))
    for validator in field.validators:
        if isinstance(validator, OneOf):
            yield from map(str, validator.choices)
        elif isinstance(validator, Range):
            bounds = validator.min, validator.max
            yield from (str(bound) for bound in bounds if bound is not None)


def _options(format: Format[Any], case: Case) -> dict[str, Any]:
    schema: type[Schema] = format.options
    return load_options(schema, case.options.items())


def _render(format: Format[Any], case: Case) -> Rendering:
    """Render until the end or a refusal."""
    document = case.make()
    rows: list[Run] = []
    if isinstance(document, Runs):
        rows = list(document.rows)
        document = replace(document, batches=iter([RunBatch.of(rows)]))
    # A repr shows a change at any depth of a config, without copying it.
    before = repr((document, rows))
    pieces: list[bytes | Notice] = []
    refusal = None
    try:
        pieces.extend(format.stream(document, _options(format, case)))
    except UnrepresentableError as error:
        refusal = error
    return Rendering(
        pieces=pieces,
        refusal=refusal,
        document_changed=repr((document, rows)) != before,
    )


def _piece_complaints(
    format: Format[Any],
    rendering: Rendering,
) -> Iterator[str]:
    """Check that notices are text, and that runs come in pieces of at most 1 MiB."""
    for piece in rendering.pieces:
        if isinstance(piece, Notice):
            texts = piece.code, piece.message, piece.path or ""
            if not all(isinstance(text, str) for text in texts):
                yield f"{piece} is not told in text"
        elif format.document is Runs and len(piece) > LONGEST_PIECE:
            yield "a piece is longer than 1 MiB"


def _refusal_complaints(refusal: UnrepresentableError) -> Iterator[str]:
    paths = refusal.members["paths"]
    if (
        not isinstance(paths, list)
        or not paths
        or not all(isinstance(path, str) for path in paths)
    ):
        yield f"the refusal names no paths but {paths!r}"


def _ending_complaints(
    format: Format[Any],
    case: Case,
) -> Iterator[str]:
    """Close a rendering after its first piece, which must raise nothing."""
    rendered = format.render(case.make(), **_options(format, case))
    # Only a generator can be interrupted halfway.
    if not isinstance(rendered, GeneratorType):
        return
    with suppress(UnrepresentableError):
        next(rendered, None)
    try:
        rendered.close()
    except RuntimeError as error:  # Python's, if the generator yields once more
        yield f"a rendering cannot be ended early: {error}"


def _body(pieces: Iterable[bytes | Notice]) -> bytes:
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


def _entry_point(format: Format[Any]) -> EntryPoint:
    broken = {row.name for row in discover().broken}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name not in broken and as_format(point.load()) == format:
            return point
    msg = f"no entry point of the group {ENTRY_POINT_GROUP} leads to {format.name}"
    raise AssertionError(msg)


def _require(condition: bool, message: str) -> None:  # noqa: FBT001
    """Raise AssertionError: pytest explains only the asserts of test modules."""
    if not condition:
        raise AssertionError(message)
