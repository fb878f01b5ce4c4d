"""Choose a format from an Accept header, by RFC 9110, section 12.5.1.

A media type gets its weight from the most specific range that matches it, regardless of
that range's weight or position. Section numbers below are those of RFC 9110.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

# Possessive quantifiers (++, *+) keep every pattern linear on hostile headers.
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]++"  # noqa: S105  a token of section 5.6.2
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_MEMBER = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.?)*+"?)++', re.DOTALL)
# Section 12.5.1: `*` may be the type only if it is the subtype as well.
_RANGE = re.compile(rf"(\*/\*|(?!\*/){_TOKEN}/{_TOKEN})")
_PARAMETER = re.compile(rf"[\t ]*+;[\t ]*+(?:({_TOKEN})=({_TOKEN}|{_QUOTED}))?")
_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")  # section 12.4.2
_TEXTUAL = re.compile(
    r"text/.+|application/(x-)?(json|jsonl|ndjson|yaml|toml|dotenv)|.+\+(json|yaml|xml)"
)

_Parameters: TypeAlias = frozenset[tuple[str, str]]
_Rank: TypeAlias = tuple[int, int, int, int]

_CHARSET = ("charset", "utf-8")
# What else holds for a type as we send it. RFC 4180, section 3: the names are there.
_PARAMETERS = {"text/csv": ("header", "present")}


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An available format: its media types in lower case, the canonical one first."""

    name: str
    media_types: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chosen offer and the type to send it as, or neither.

    `malformed` is the first member of the header that breaks the grammar.
    """

    offer: Offer | None
    media_type: str | None
    malformed: str | None


@dataclass(frozen=True, kw_only=True)
class _Range:
    """A range in the header; `order` counts down, so the first range is the highest."""

    name: str
    parameters: _Parameters
    weight: int
    order: int


def is_textual(media_type: str) -> bool:
    """Return whether a media type, in lower case, is text that we send as UTF-8."""
    return _TEXTUAL.fullmatch(media_type) is not None


def choose(accept: str | None, offers: Sequence[Offer]) -> Choice:
    """Choose the offer that the client prefers.

    `offers` are in the server's order of preference. If weights are equal, the more
    exact range wins, then the client's order, then the server's. An alias matches only
    if the header names it.
    """
    ranges, malformed = _parse(accept or "")
    if not ranges and malformed is None:
        # Section 12.5.1: if the field is missing or empty, any type is acceptable.
        ranges, _ = _parse("*/*")
    best: tuple[_Rank, Offer, str] | None = None
    for offer in offers:
        for media_type in offer.media_types:
            # An alias must not win under `text/*` over a format whose own type fits.
            wildcards = media_type == offer.media_types[0]
            rank = _rank(media_type, ranges, wildcards=wildcards)
            if rank and (best is None or rank > best[0]):
                best = rank, offer, media_type
    if best is None:
        return Choice(offer=None, media_type=None, malformed=malformed)
    return Choice(offer=best[1], media_type=best[2], malformed=malformed)


def _rank(
    media_type: str,
    ranges: Mapping[tuple[str, _Parameters], _Range],
    *,
    wildcards: bool,
) -> _Rank | None:
    """Rank a media type by the most specific range that matches it.

    By weight, then how exact the range is, then its position; None if it is refused.
    """
    # Only the most specific match counts, so `text/csv;q=0, */*` refuses CSV.
    names = [media_type]
    if wildcards:
        names += [media_type.partition("/")[0] + "/*", "*/*"]
    parameters = _own_parameters(media_type)
    for breadth, name in enumerate(names):
        for own in parameters:
            if found := ranges.get((name, own)):
                rank = found.weight, -breadth, len(own), found.order
                return rank if found.weight else None
    return None


def _own_parameters(media_type: str) -> list[_Parameters]:
    """Return every set of parameters that holds for a type, the largest first."""
    known = [_CHARSET] if is_textual(media_type) else []
    if media_type in _PARAMETERS:
        known.append(_PARAMETERS[media_type])
    return [
        frozenset(chosen)
        for size in range(len(known), -1, -1)
        for chosen in combinations(known, size)
    ]


def _parse(
    header: str,
) -> tuple[dict[tuple[str, _Parameters], _Range], str | None]:
    """Index the ranges by name and parameters, and find the first malformed member."""
    ranges: dict[tuple[str, _Parameters], _Range] = {}
    malformed = None
    for order, member in enumerate(_members(header)):
        parsed = _parse_member(member, -order)
        if parsed is None:
            malformed = malformed or member
            continue
        key = parsed.name, parsed.parameters
        # The RFC gives order no meaning, so a repeated range counts with its highest
        # weight.
        if key not in ranges or parsed.weight > ranges[key].weight:
            ranges[key] = parsed
    return ranges, malformed


def _members(header: str) -> Iterator[str]:
    """Split at commas outside quoted strings; empty members do not count (5.6.1.2)."""
    for match in _MEMBER.finditer(header):
        if member := match[0].strip("\t "):
            yield member


def _parse_member(member: str, order: int) -> _Range | None:
    """Parse one range with its parameters; None if it breaks the grammar."""
    head = _RANGE.match(member)
    if head is None:
        return None
    weights, parameters = [], set()
    end = head.end()
    while match := _PARAMETER.match(member, end):
        end = match.end()
        name, value = match.group(1, 2)
        if name is None:
            continue
        if name.lower() == "q":  # 12.4.2: "q" is the weight, wherever it is
            weights.append(value)
        else:
            parameters.add((name.lower(), _unquote(value).lower()))
    if end != len(member) or len(weights) > 1:
        return None
    weight = weights[0] if weights else "1"
    if not _WEIGHT.fullmatch(weight):
        return None
    return _Range(
        name=head[1].lower(),
        parameters=frozenset(parameters),
        weight=round(float(weight) * 1000),
        order=order,
    )


def _unquote(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
